//! The header: one form, nothing lost, every contradiction refused.

use std::string::String;
use std::vec;
use std::vec::Vec;

use super::fuzz::fuzz_batch;
use super::*;
use crate::Rule;
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::{CertIdForm, IssuerId};
use crate::serial::{Serial, SerialHashKey};

pub(crate) fn header() -> Header {
    let variant = |form: CertIdForm| Variant {
        form,
        algorithm: SignatureAlgorithm::EcdsaP256Sha256,
        slot: 0,
        name_hash: vec![1; form.hash.octets()],
        key_hash: vec![2; form.hash.octets()],
    };
    let responder = |number| Responder {
        algorithm: SignatureAlgorithm::EcdsaP256Sha256,
        key_hash: [number; 20],
        not_before: 1_700_000_000,
        not_after: 1_800_000_000,
        certificate: vec![0x30, 1, number],
    };
    let window = |group| Window {
        this_update: 1_700_000_000,
        next_update: 1_700_086_400,
        produced_at: 1_700_000_001,
        group,
    };
    Header {
        kind: Kind::Shard,
        issuer_id: IssuerId([7; 16]),
        number: 42,
        revision: 99,
        created_at: 1_700_000_002,
        hash_key: SerialHashKey([8; 16]),
        shards: 16,
        shard: 3,
        source: Source::ForeignCrl {
            blake3: [9; 32],
            next_update: Some(1_700_000_100),
            as_of: None,
        },
        serial_octets: 20,
        record_count: 1000,
        issuer_certificate: vec![0x30, 0],
        variants: vec![variant(CertIdForm::ALL[0]), variant(CertIdForm::ALL[2])],
        slots: 1,
        responders: vec![responder(1), responder(2)],
        windows: vec![window(0), window(1)],
        documents: vec![Document {
            kind: DocumentKind::Crl,
            name: "p256.crl".into(),
            octets: vec![0x30, 1, 0],
            list: None,
        }],
    }
}

#[test]
fn a_header_comes_back_as_it_was() {
    let mut octets = header().encode().unwrap();
    let used = octets.len();
    assert_eq!(header_octets(&octets[..PREFIX_OCTETS]), Ok(used));
    octets.extend([0xee; 500]);
    assert_eq!(Header::parse(&octets), Ok((header(), used)));
    fuzz_batch(&octets);
}

#[test]
fn each_fixed_field_stands_where_the_table_says() {
    let octets = header().encode().unwrap();
    assert_eq!(&octets[..8], b"HUFUBTCH");
    assert_eq!(octets[8..12], [1, 0, 2, 0]);
    assert_eq!(octets[16..32], [7; 16]);
    assert_eq!(octets[32..40], 42_u64.to_le_bytes());
    assert_eq!(octets[40..48], 99_u64.to_le_bytes());
    assert_eq!(octets[56..72], [8; 16]);
    assert_eq!(octets[72..80], [16, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(octets[80..84], [2, 0, 20, 0]);
    assert_eq!(octets[92..124], [9; 32]);
    assert_eq!(octets[132..140], 1000_u64.to_le_bytes());
    assert_eq!(octets[140..144], 155_u32.to_le_bytes());
}

/// One change to a sound header.
type Change = fn(&mut Header);

#[test]
fn headers_that_contradict_themselves_are_neither_written_nor_read() {
    let changes: &[(&str, Change)] = &[
        ("no shards", |h| h.shards = 0),
        ("shard beyond shards", |h| h.shard = 16),
        ("full batch of a shard", |h| h.kind = Kind::Full),
        ("records without variants", |h| h.variants.clear()),
        ("records without windows", |h| h.windows.clear()),
        ("documents with records", |h| {
            (h.kind, h.shard) = (Kind::Documents, 0);
        }),
        ("variant of a missing slot", |h| h.variants[1].slot = 1),
        ("window of a missing group", |h| h.windows[1].group = 2),
        ("responder too many", |h| h.slots = 3),
        ("responder of another algorithm", |h| {
            h.responders[1].algorithm = SignatureAlgorithm::Sm2Sm3;
        }),
        ("hash of another length", |h| {
            h.variants[0].name_hash.push(0);
        }),
        ("as of the epoch", |h| {
            h.source = Source::ForeignCrl {
                blake3: [9; 32],
                next_update: None,
                as_of: Some(0),
            };
        }),
        ("serial of no octets", |h| h.serial_octets = 0),
        ("serial too wide", |h| h.serial_octets = 33),
        ("too many variants", |h| {
            let variant = h.variants[0].clone();
            h.variants = vec![variant; 17];
        }),
        ("too many windows", |h| {
            h.windows = vec![h.windows[0]; MAX_WINDOWS + 1];
        }),
    ];
    for (what, change) in changes {
        let mut changed = header();
        change(&mut changed);
        assert!(changed.encode().is_err(), "{what}");
    }
}

#[test]
fn document_names_that_climb_or_need_escaping_are_refused() {
    for name in [
        "", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "a%2f", "é", "a\0",
    ] {
        let mut changed = header();
        changed.documents[0].name = name.into();
        assert_eq!(changed.encode(), Err(Rule::FieldRange), "{name:?}");
    }
    let mut changed = header();
    changed.documents[0].name = String::from("x").repeat(129);
    assert_eq!(changed.encode(), Err(Rule::FieldRange));
}

#[test]
fn foreign_octets_are_refused_by_their_first_fault() {
    let octets = header().encode().unwrap();
    let changed = |place: usize, octet: u8| {
        let mut changed = octets.clone();
        changed[place] = octet;
        let error = Header::parse(&changed).unwrap_err();
        (error.rule, error.offset)
    };
    assert_eq!(changed(0, b'h'), (Rule::Magic, 0));
    assert_eq!(changed(8, 2), (Rule::FormatVersion, 8));
    assert_eq!(changed(10, 5), (Rule::CodeUnknown, 10));
    assert_eq!(changed(15, 0xff), (Rule::TooLong, 12));
    assert_eq!(changed(80, 3), (Rule::CodeUnknown, 80));
    // Own registry with a CRL's hash; replayed without a time.
    assert_eq!(changed(80, 1), (Rule::CodeUnknown, 80));
    assert_eq!(changed(81, 1), (Rule::CodeUnknown, 80));
    assert_eq!(changed(83, 1), (Rule::ReservedNotZero, 83));
    assert_eq!(changed(140, 0), (Rule::RecordWidth, 140));
}

#[test]
fn a_header_whose_length_lies_is_refused() {
    let octets = header().encode().unwrap();
    for delta in [-1_i64, 1] {
        let mut changed = octets.clone();
        let length = u32::try_from(octets.len() as i64 + delta).unwrap();
        changed[12..16].copy_from_slice(&length.to_le_bytes());
        changed.push(0);
        assert!(Header::parse(&changed).is_err());
    }
    for length in [0_u32, 15, 16, 143] {
        let mut changed = octets.clone();
        changed[12..16].copy_from_slice(&length.to_le_bytes());
        assert!(Header::parse(&changed).is_err());
    }
}

#[test]
fn the_note_of_a_list_is_lost_or_stands_on_what_is_no_list() {
    let serial = |content: &[u8]| Serial::from_content(content).unwrap();
    let mut noted = header();
    noted.documents[0].list = Some(ListNote {
        revision: 77,
        expired: vec![serial(&[5]), serial(&[6, 1])],
    });
    let mut bundle = noted.documents[0].clone();
    (bundle.kind, bundle.list) = (DocumentKind::CertificateBundle, None);
    noted.documents.push(bundle);
    let octets = noted.encode().unwrap();
    assert_eq!(Header::parse(&octets), Ok((noted.clone(), octets.len())));
    for place in 0..octets.len() {
        let mut flipped = octets.clone();
        flipped[place] ^= 1;
        fuzz_batch(&flipped);
        fuzz_batch(&octets[..place]);
    }
    let mut backwards = noted.clone();
    backwards.documents[0]
        .list
        .as_mut()
        .unwrap()
        .expired
        .reverse();
    assert_eq!(backwards.encode(), Err(Rule::FieldRange));
    // One that repeats is refused where it stands: nobody holds a file's worth of the shortest serial.
    let at = octets
        .windows(5)
        .position(|w| w == [1, 5, 2, 6, 1])
        .unwrap();
    let mut repeated = octets.clone();
    repeated[at + 2..at + 5].copy_from_slice(&[2, 0, 5]);
    assert!(Header::parse(&repeated).is_err());
    repeated[at..at + 5].copy_from_slice(&[2, 6, 1, 1, 5]);
    assert_eq!(
        Header::parse(&repeated).map(drop),
        Err(Rule::FieldRange.at(at + 3))
    );
    let mut misplaced = noted;
    misplaced.documents[0].kind = DocumentKind::OtherCertificate;
    assert_eq!(misplaced.encode(), Err(Rule::FieldRange));
}

#[test]
fn counts_that_promise_more_than_is_there_reserve_nothing() {
    let mut octets = header().encode().unwrap();
    // The last section: documents. Its count stands after its length.
    let document = 1 + 2 + 8 + 4 + 3;
    let count = octets.len() - document - 2;
    octets[count..count + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(Header::parse(&octets).unwrap_err().rule, Rule::Truncated);
}

#[test]
fn no_octet_of_a_header_can_be_cut_or_flipped_into_a_panic() {
    let octets = header().encode().unwrap();
    for cut in 0..octets.len() {
        assert!(Header::parse(&octets[..cut]).is_err());
        fuzz_batch(&octets[..cut]);
    }
    for place in 0..octets.len() {
        for flip in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut flipped = octets.clone();
            flipped[place] = flip;
            fuzz_batch(&flipped);
        }
    }
}

#[test]
fn names_sort_as_numbers_do_and_other_names_are_none() {
    let names: Vec<_> = [0, 9, 10, u64::MAX].into_iter().map(spool_name).collect();
    assert!(names.is_sorted());
    assert_eq!(parse_spool_name(&names[3]), Some(u64::MAX));
    assert_eq!(spool_name(42), "00000000000000000042.batch");
    assert_eq!(acknowledgement_name(42), "00000000000000000042.ack");
    for name in [
        "42.batch",
        "00000000000000000042.ack",
        "+0000000000000000042.batch",
        "99999999999999999999.batch",
        "00000000000000000042.batch.tmp",
        "",
    ] {
        assert_eq!(parse_spool_name(name), None, "{name}");
    }
}

#[test]
fn the_signature_is_over_context_and_hash() {
    let octets = signed_octets(&[3; 32]);
    assert_eq!(&octets[..14], b"hufu batch v1\0");
    assert_eq!(octets[14..], [3; 32]);
}

#[test]
fn the_corpus_panics_nowhere() {
    crate::corpus::replay("batch", fuzz_batch);
}
