//! Writes requests, for tests and for tools that ask.

use alloc::vec::Vec;

use crate::cert_id::cert_id;
use crate::der::{push_tlv, tag};
use crate::oid;

/// A request about one certificate: prefix and serial content octets of its `CertID`, and a nonce.
pub fn build_request(prefix: &[u8], serial_content: &[u8], nonce: Option<&[u8]>) -> Vec<u8> {
    build_request_for([(prefix, serial_content)], nonce)
}

/// A request about several certificates.
pub fn build_request_for<'a>(
    certificates: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    nonce: Option<&[u8]>,
) -> Vec<u8> {
    let mut list = Vec::new();
    for (prefix, serial_content) in certificates {
        push_tlv(&mut list, tag::SEQUENCE, &cert_id(prefix, serial_content));
    }
    let mut tbs = wrapped(tag::SEQUENCE, &list);
    if let Some(nonce) = nonce {
        let mut extension = Vec::from(oid::NONCE);
        push_tlv(
            &mut extension,
            tag::OCTET_STRING,
            &wrapped(tag::OCTET_STRING, nonce),
        );
        let extensions = wrapped(tag::SEQUENCE, &wrapped(tag::SEQUENCE, &extension));
        push_tlv(&mut tbs, tag::context_constructed(2), &extensions);
    }
    wrapped(tag::SEQUENCE, &wrapped(tag::SEQUENCE, &tbs))
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    push_tlv(&mut whole, tag, content);
    whole
}
