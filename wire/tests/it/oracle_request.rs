//! Requests: what rasn and x509-ocsp write we read, and what we read they read the same.

use der07::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;
use rasn::types::OctetString;
use wire::request::{OcspRequest, build_request_for};

use crate::strategies::{prefixes, serials};

/// What a request asks, for comparing.
#[derive(Debug, PartialEq)]
struct Asked {
    /// `CertID`s as DER.
    cert_ids: Vec<Vec<u8>>,
    /// The nonce extension's `extnValue`.
    nonce: Option<Vec<u8>>,
}

fn ours(octets: &[u8]) -> Option<Asked> {
    let request = OcspRequest::parse(octets).ok()?;
    Some(Asked {
        cert_ids: request.cert_ids().map(|id| id.raw.to_vec()).collect(),
        nonce: request.nonce.map(|nonce| nonce.extn_value.to_vec()),
    })
}

fn by_rasn(octets: &[u8]) -> Option<Asked> {
    let request: rasn_ocsp::OcspRequest = rasn::der::decode(octets).ok()?;
    let nonce =
        rasn::types::ObjectIdentifier::new_unchecked(vec![1, 3, 6, 1, 5, 5, 7, 48, 1, 2].into());
    Some(Asked {
        cert_ids: request
            .tbs_request
            .request_list
            .iter()
            .map(|single| rasn::der::encode(&single.req_cert).unwrap())
            .collect(),
        nonce: request.tbs_request.request_extensions.and_then(|list| {
            let found = list.iter().find(|extension| extension.extn_id == nonce)?;
            Some(found.extn_value.to_vec())
        }),
    })
}

fn by_x509_ocsp(octets: &[u8]) -> Option<Asked> {
    let request = x509_ocsp::OcspRequest::from_der(octets).ok()?;
    let nonce = der07::oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
    Some(Asked {
        cert_ids: request
            .tbs_request
            .request_list
            .iter()
            .map(|single| single.req_cert.to_der().unwrap())
            .collect(),
        nonce: request.tbs_request.request_extensions.and_then(|list| {
            let found = list.iter().find(|extension| extension.extn_id == nonce)?;
            Some(found.extn_value.as_bytes().to_vec())
        }),
    })
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    (
        vec((prefixes(), serials()), 1..6),
        proptest::option::of(vec(any::<u8>(), 1..=128)),
    )
        .prop_map(|(certificates, nonce)| {
            build_request_for(
                certificates
                    .iter()
                    .map(|(prefix, serial)| (&prefix[..], serial.content())),
                nonce.as_deref(),
            )
        })
}

proptest! {
    #[test]
    fn all_three_read_the_same(octets in requests()) {
        let asked = ours(&octets);
        prop_assert!(asked.is_some());
        prop_assert_eq!(&asked, &by_rasn(&octets));
        prop_assert_eq!(&asked, &by_x509_ocsp(&octets));
    }

    #[test]
    fn what_rasn_writes_is_read(
        octets in requests(),
        name in proptest::option::of("[a-z.]{1,30}"),
        unknown in proptest::option::of(any::<[u8; 3]>()),
    ) {
        let mut request: rasn_ocsp::OcspRequest = rasn::der::decode(&octets).unwrap();
        request.tbs_request.requestor_name = name.as_deref().map(|name| {
            rasn_pkix::GeneralName::DnsName(name.as_bytes().to_vec().try_into().unwrap())
        });
        if let Some(value) = unknown {
            let arcs = vec![1, 3, 6, 1, 5, 5, 7, 48, 1, 99];
            let extension = rasn_pkix::Extension {
                extn_id: rasn::types::ObjectIdentifier::new_unchecked(arcs.into()),
                critical: false,
                extn_value: OctetString::from(value.to_vec()),
            };
            let single = &mut request.tbs_request.request_list[0];
            single.single_request_extensions = Some(vec![extension.clone()].into());
            match &mut request.tbs_request.request_extensions {
                Some(list) => list.push(extension),
                none => *none = Some(vec![extension].into()),
            }
        }
        let octets = rasn::der::encode(&request).unwrap();
        let parsed = OcspRequest::parse(&octets);
        prop_assert!(parsed.is_ok(), "{:?}", parsed);
        prop_assert_eq!(parsed.unwrap().has_requestor_name, name.is_some());
        prop_assert_eq!(ours(&octets), by_rasn(&octets));
    }

    /// Where a flipped octet is still a request to us, it is the same request to another strict reader, or that reader
    /// is stricter than the tolerances written down in `wire::request`.
    #[test]
    fn a_flipped_octet_is_not_read_as_something_else(
        octets in requests(),
        place: proptest::sample::Index,
        octet: u8,
    ) {
        let mut octets = octets;
        let place = place.index(octets.len());
        octets[place] = octet;
        if let (Some(asked), Some(theirs)) = (ours(&octets), by_x509_ocsp(&octets)) {
            prop_assert_eq!(asked, theirs);
        }
    }
}
