//! Writes requests, for tests and for tools that ask.

use alloc::vec::Vec;

use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::cert_id;
use crate::der::{push_tlv, tag};
use crate::oid;

/// A request about one certificate: prefix and serial content octets of its `CertID`, and a nonce.
pub fn build_request(prefix: &[u8], serial_content: &[u8], nonce: Option<&[u8]>) -> Vec<u8> {
    build_request_for([(prefix, serial_content)], nonce)
}

/// A request about one certificate whose client would rather have these signatures, the best first.
pub fn build_request_preferring(
    prefix: &[u8],
    serial_content: &[u8],
    nonce: Option<&[u8]>,
    algorithms: &[SignatureAlgorithm],
) -> Vec<u8> {
    let list: Vec<u8> = algorithms
        .iter()
        .flat_map(|algorithm| wrapped(tag::SEQUENCE, algorithm.identifier()))
        .collect();
    let preferred = extension(
        oid::PREFERRED_SIGNATURE_ALGORITHMS,
        &wrapped(tag::SEQUENCE, &list),
    );
    let extensions = nonce.map(nonce_extension).into_iter().chain([preferred]);
    whole([(prefix, serial_content)], extensions)
}

/// A request about several certificates.
pub fn build_request_for<'a>(
    certificates: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    nonce: Option<&[u8]>,
) -> Vec<u8> {
    whole(certificates, nonce.map(nonce_extension))
}

fn whole<'a>(
    certificates: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    extensions: impl IntoIterator<Item = Vec<u8>>,
) -> Vec<u8> {
    let mut list = Vec::new();
    for (prefix, serial_content) in certificates {
        push_tlv(&mut list, tag::SEQUENCE, &cert_id(prefix, serial_content));
    }
    let mut tbs = wrapped(tag::SEQUENCE, &list);
    let extensions: Vec<u8> = extensions.into_iter().flatten().collect();
    if !extensions.is_empty() {
        let extensions = wrapped(tag::SEQUENCE, &extensions);
        push_tlv(&mut tbs, tag::context_constructed(2), &extensions);
    }
    wrapped(tag::SEQUENCE, &wrapped(tag::SEQUENCE, &tbs))
}

fn nonce_extension(nonce: &[u8]) -> Vec<u8> {
    extension(oid::NONCE, &wrapped(tag::OCTET_STRING, nonce))
}

/// `oid` is a whole TLV.
fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    let mut extension = Vec::from(oid);
    push_tlv(&mut extension, tag::OCTET_STRING, value);
    wrapped(tag::SEQUENCE, &extension)
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    push_tlv(&mut whole, tag, content);
    whole
}
