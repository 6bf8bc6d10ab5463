//! Responses: what is put together is what was signed, octet for octet; what is read is refused by its first fault.

use std::vec;
use std::vec::Vec;

use super::fuzz::fuzz_response;
use super::*;
use crate::Rule;
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::{CertIdForm, cert_id, cert_id_prefix};
use crate::status::{CertStatus, RevocationReason};

fn prefix() -> Vec<u8> {
    cert_id_prefix(CertIdForm::ALL[0], &[1; 20], &[2; 20]).unwrap()
}

fn parts(prefix: &[u8], status: CertStatus) -> TbsParts<'_> {
    TbsParts {
        key_hash: &[3; 20],
        produced_at: 1_700_000_000,
        cert_id_prefix: prefix,
        serial_content: &[5, 6],
        status,
        this_update: 1_700_000_060,
        next_update: 1_700_086_400,
    }
}

const STATUSES: [CertStatus; 3] = [
    CertStatus::Good,
    CertStatus::Revoked {
        at: 1_600_000_000,
        reason: None,
    },
    CertStatus::Revoked {
        at: 1_600_000_000,
        reason: Some(RevocationReason::KeyCompromise),
    },
];

fn assembled(
    status: CertStatus,
    algorithm: SignatureAlgorithm,
    raw: &[u8],
    certs: &[u8],
) -> Vec<u8> {
    let prefix = prefix();
    let mut out = vec![0xaa; MAX_RESPONSE_OCTETS + certs.len()];
    let used = assemble(&parts(&prefix, status), algorithm, raw, certs, &mut out).unwrap();
    assert!(out[used..].iter().all(|&octet| octet == 0xaa));
    out.truncate(used);
    out
}

// RFC 9919 §3.2.2: the responder names itself by its key.
#[test]
fn what_is_served_is_what_was_signed() {
    let prefix = prefix();
    for status in STATUSES {
        for algorithm in SignatureAlgorithm::ALL {
            let raw: Vec<u8> = (0..=u8::MAX)
                .cycle()
                .step_by(7)
                .take(algorithm.raw_octets())
                .collect();
            let octets = assembled(status, algorithm, &raw, &[]);
            let basic = OcspResponse::parse(&octets).unwrap().basic.unwrap();
            let mut signed = vec![0xee];
            let written = write_tbs(&parts(&prefix, status), &mut signed).unwrap();
            assert_eq!(written, signed.len() - 1);
            assert_eq!(tbs_len(&parts(&prefix, status)), Ok(written));
            assert_eq!(basic.tbs, &signed[1..]);
            assert_eq!(basic.algorithm, algorithm.identifier());
            if algorithm.is_ecdsa_shaped() {
                let back = crate::algorithm::ecdsa_raw_from_der(basic.signature, raw.len() / 2);
                assert_eq!(back.unwrap(), raw);
            } else {
                assert_eq!(basic.signature, raw);
            }
            assert_eq!(
                assembled_len(&parts(&prefix, status), algorithm, &raw, &[]),
                Ok(octets.len())
            );
        }
    }
}

// RFC 9919 §3.2.4: thisUpdate and nextUpdate both stand in every answer; producedAt is when it was signed.
#[test]
fn each_field_comes_back() {
    let certs = [0xa0, 4, 0x30, 2, 5, 0];
    let octets = assembled(STATUSES[2], SignatureAlgorithm::Ed25519, &[9; 64], &certs);
    let response = OcspResponse::parse(&octets).unwrap();
    assert_eq!(response.status, ResponseStatus::Successful);
    let basic = response.basic.unwrap();
    assert_eq!(basic.responder, ResponderId::ByKey(&[3; 20]));
    assert_eq!(basic.produced_at, 1_700_000_000);
    assert_eq!(basic.count, 1);
    assert_eq!(basic.certs, [5, 0]);
    assert_eq!(basic.extensions, None);
    let single = basic.first;
    assert_eq!(single.cert_id.raw, cert_id(&prefix(), &[5, 6]));
    assert_eq!(
        single.status,
        SingleStatus::Revoked {
            at: 1_600_000_000,
            reason: Some(RevocationReason::KeyCompromise)
        }
    );
    assert_eq!(single.this_update, 1_700_000_060);
    assert_eq!(single.next_update, Some(1_700_086_400));
    assert_eq!(single.extensions, None);
}

#[test]
fn lengths_are_right_where_der_headers_grow() {
    // The certificates' size walks the outer lengths over 127, 255 and 65,535.
    for size in (0..400).chain(64_000..66_000) {
        let mut certs = Vec::new();
        crate::der::push_tlv(&mut certs, 0xa0, &{
            let mut list = Vec::new();
            crate::der::push_tlv(&mut list, 0x30, &vec![0; size]);
            list
        });
        let prefix = prefix();
        let mut out = vec![0; MAX_RESPONSE_OCTETS + certs.len()];
        let parts = parts(&prefix, CertStatus::Good);
        let used = assemble(
            &parts,
            SignatureAlgorithm::Ed25519,
            &[9; 64],
            &certs,
            &mut out,
        )
        .unwrap();
        let basic = OcspResponse::parse(&out[..used]).unwrap().basic.unwrap();
        assert_eq!(basic.certs.len(), size);
    }
}

#[test]
fn signatures_with_leading_zeros_and_top_bits_are_written_as_der_integers() {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let mut raw = [0; 64];
    for (r, s, expected) in [
        (&[1][..], &[0x7f][..], &[0x30, 6, 2, 1, 1, 2, 1, 0x7f][..]),
        (
            &[0x80],
            &[0x80, 0],
            &[0x30, 9, 2, 2, 0, 0x80, 2, 3, 0, 0x80, 0],
        ),
        (&[0], &[0], &[0x30, 6, 2, 1, 0, 2, 1, 0]),
    ] {
        raw.fill(0);
        raw[32 - r.len()..32].copy_from_slice(r);
        raw[64 - s.len()..].copy_from_slice(s);
        let octets = assembled(CertStatus::Good, algorithm, &raw, &[]);
        assert_eq!(
            OcspResponse::parse(&octets)
                .unwrap()
                .basic
                .unwrap()
                .signature,
            expected
        );
    }
}

#[test]
fn a_buffer_one_octet_short_is_told_what_is_needed_and_left_alone() {
    let prefix = prefix();
    let parts = parts(&prefix, CertStatus::Good);
    let algorithm = SignatureAlgorithm::Ed25519;
    let needed = assembled_len(&parts, algorithm, &[9; 64], &[]).unwrap();
    let mut out = vec![0xaa; needed - 1];
    assert_eq!(
        assemble(&parts, algorithm, &[9; 64], &[], &mut out),
        Err(AssembleError::TooSmall { needed })
    );
    assert!(out.iter().all(|&octet| octet == 0xaa));
}

#[test]
fn an_absent_record_or_a_cut_signature_never_becomes_a_response() {
    let prefix = prefix();
    let mut out = [0; MAX_RESPONSE_OCTETS];
    let algorithm = SignatureAlgorithm::Ed25519;
    let absent = parts(&prefix, CertStatus::Absent);
    assert_eq!(
        assemble(&absent, algorithm, &[9; 64], &[], &mut out),
        Err(AssembleError::Absent)
    );
    assert_eq!(
        write_tbs(&absent, &mut Vec::new()),
        Err(AssembleError::Absent)
    );
    assert_eq!(
        assemble(
            &parts(&prefix, CertStatus::Good),
            algorithm,
            &[9; 63],
            &[],
            &mut out
        ),
        Err(AssembleError::SignatureLength {
            found: 63,
            expected: 64
        })
    );
}

#[test]
fn the_longest_response_fits_its_bound() {
    let prefix = cert_id_prefix(CertIdForm::ALL[2], &[1; 32], &[2; 32]).unwrap();
    let parts = TbsParts {
        serial_content: &[5; 32],
        ..parts(&prefix, STATUSES[2])
    };
    let needed = assembled_len(&parts, SignatureAlgorithm::Rsa4096Sha256, &[9; 512], &[]).unwrap();
    assert!(needed <= MAX_RESPONSE_OCTETS, "{needed}");
}

// RFC 6960 §2.3: malformedRequest, internalError, tryLater and unauthorized are said without a signature.
#[test]
fn the_five_refusals_are_read_as_what_they_are() {
    for (octets, status) in [
        (MALFORMED_REQUEST, ResponseStatus::MalformedRequest),
        (INTERNAL_ERROR, ResponseStatus::InternalError),
        (TRY_LATER, ResponseStatus::TryLater),
        (SIG_REQUIRED, ResponseStatus::SigRequired),
        (UNAUTHORIZED, ResponseStatus::Unauthorized),
    ] {
        let response = OcspResponse::parse(&octets).unwrap();
        assert_eq!(response.status, status);
        assert!(response.basic.is_none());
    }
}

#[test]
fn refusals_with_content_and_successes_without_are_refused() {
    let refused = |octets: &[u8]| OcspResponse::parse(octets).unwrap_err().rule;
    assert_eq!(refused(&[0x30, 3, 10, 1, 0]), Rule::Truncated);
    assert_eq!(refused(&[0x30, 3, 10, 1, 4]), Rule::ResponseStatus);
    assert_eq!(
        refused(&[0x30, 7, 10, 1, 1, 0xa0, 2, 0x30, 0]),
        Rule::TrailingOctets
    );
    assert_eq!(refused(&[0x30, 3, 10, 1, 1, 0]), Rule::TrailingOctets);
}

#[test]
fn no_octet_of_a_response_can_be_cut_or_flipped_into_a_panic() {
    let octets = assembled(STATUSES[2], SignatureAlgorithm::Ed25519, &[9; 64], &[]);
    for cut in 0..octets.len() {
        assert!(OcspResponse::parse(&octets[..cut]).is_err());
        fuzz_response(&octets[..cut]);
    }
    for place in 0..octets.len() {
        for flip in 0..=u8::MAX {
            let mut flipped = octets.clone();
            flipped[place] = flip;
            fuzz_response(&flipped);
        }
    }
}

#[test]
fn the_corpus_panics_nowhere() {
    crate::corpus::replay("response", fuzz_response);
}
