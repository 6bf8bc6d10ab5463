//! Lists: what is written is read back the same; what real authorities do wrong is taken where a comment says so; all
//! else is refused by rule.

use std::vec::Vec;

use super::fuzz::{fuzz_crl, fuzz_pem};
use super::*;
use crate::algorithm::SignatureAlgorithm;
use crate::der::{push_tlv, tag};
use crate::status::RevocationReason;
use crate::time::write_generalized;
use crate::{Rule, oid};

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    push_tlv(&mut whole, tag, &parts.concat());
    whole
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag::SEQUENCE, parts)
}

fn utc(text: &str) -> Vec<u8> {
    tlv(tag::UTC_TIME, &[text.as_bytes()])
}

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Ed25519;
const NAME: &[u8] = &[0x30, 0];
const V2: &[u8] = &[2, 1, 1];
const CRITICAL: &[u8] = &[1, 1, 0xff];

/// A list of these parts: version, times, entries and extensions with their headers.
fn list(version: &[u8], times: &[u8], entries: &[u8], extensions: &[u8]) -> Vec<u8> {
    let identifier = ALGORITHM.identifier();
    let tbs = sequence(&[version, identifier, NAME, times, entries, extensions]);
    assemble_crl(&tbs, ALGORITHM, &[9; 64]).unwrap()
}

fn times() -> Vec<u8> {
    [utc("240101000000Z"), utc("240201000000Z")].concat()
}

fn entry(serial: &[u8], extensions: &[&[u8]]) -> Vec<u8> {
    let extensions = if extensions.is_empty() {
        Vec::new()
    } else {
        sequence(extensions)
    };
    sequence(&[
        &tlv(tag::INTEGER, &[serial]),
        &utc("231201000000Z"),
        &extensions,
    ])
}

fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[oid, critical, &tlv(tag::OCTET_STRING, &[value])])
}

fn extensions(list: &[&[u8]]) -> Vec<u8> {
    tlv(tag::context_constructed(0), &[&sequence(list)])
}

fn with_entries(entries: &[&[u8]]) -> Vec<u8> {
    list(V2, &times(), &sequence(entries), &[])
}

fn with_extensions(all: &[&[u8]]) -> Vec<u8> {
    list(V2, &times(), &[], &extensions(all))
}

/// The rule that a list or one of its entries breaks.
fn rule(octets: &[u8]) -> Option<Rule> {
    fuzz_crl(octets);
    match Crl::parse(octets) {
        Ok(list) => list.entries().find_map(Result::err).map(|error| error.rule),
        Err(error) => Some(error.rule),
    }
}

fn header(issuer: &[u8]) -> CrlHeader<'_> {
    CrlHeader {
        algorithm: ALGORITHM,
        issuer,
        this_update: 1_704_067_200,
        next_update: 2_706_745_600,
        number: 255,
        key_identifier: &[4; 20],
        base_number: None,
        distribution_point: None,
        freshest_uri: None,
    }
}

#[test]
fn every_field_of_a_written_list_comes_back() {
    let uri = IssuingDistributionPoint::name_of_uri("http://pki.example/1.crl");
    let point = IssuingDistributionPoint {
        name: Some(&uri),
        scope: Scope::CaCertificates,
        only_some_reasons: None,
        is_indirect: true,
    };
    let header = CrlHeader {
        base_number: Some(128),
        distribution_point: Some(point),
        freshest_uri: Some("http://pki.example/delta.crl"),
        ..header(NAME)
    };
    let mut writer = CrlWriter::new();
    writer.push(
        &[5],
        1_700_000_000,
        Some(RevocationReason::KeyCompromise),
        Some(1_600_000_000),
    );
    writer.push(&[0x00, 0x80], 1_700_000_001, None, None);
    writer.push(
        &[0x80],
        4_000_000_000,
        Some(RevocationReason::Unspecified),
        None,
    );
    assert_eq!(writer.count(), 3);
    let tbs = writer.finish(&header);
    let octets = assemble_crl(&tbs, ALGORITHM, &[9; 64]).unwrap();
    fuzz_crl(&octets);

    let list = Crl::parse(&octets).unwrap();
    assert_eq!(list.tbs, tbs);
    assert_eq!(list.algorithm, ALGORITHM.identifier());
    assert_eq!(list.signature, [9; 64]);
    assert!(list.is_v2 && list.is_delta());
    assert_eq!((list.issuer, list.this_update), (NAME, header.this_update));
    assert_eq!(list.next_update, Some(header.next_update));
    let found = &list.extensions;
    assert_eq!(found.number, Some(&[0, 255][..]));
    assert_eq!(found.base_number, Some(&[0, 128][..]));
    assert_eq!(found.key_identifier, Some(&[4; 20][..]));
    assert_eq!(found.distribution_point, Some(point));
    assert_eq!(
        found.freshest.unwrap(),
        sequence(&[&sequence(&[&IssuingDistributionPoint::name_of_uri(
            "http://pki.example/delta.crl"
        )])])
    );
    assert_eq!(found.unknown_critical, None);

    let entries: Vec<_> = list.entries().map(Result::unwrap).collect();
    let plain: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.serial.content(),
                entry.revoked_at,
                entry.reason,
                entry.invalid_since,
            )
        })
        .collect();
    let reason = Some(RevocationReason::KeyCompromise);
    assert_eq!(
        plain,
        [
            (&[5][..], 1_700_000_000, reason, Some(1_600_000_000)),
            (&[0, 0x80], 1_700_000_001, None, None),
            // CABF BR §7.2.2: the reason unspecified is not written.
            // RFC 5280 §5.3.1: unspecified is left out.
            (&[0x80], 4_000_000_000, None, None),
        ]
    );
}

#[test]
fn an_empty_list_has_no_empty_sequence() {
    // RFC 5280 §5.1.2.6: without entries the list itself is absent.
    let tbs = CrlWriter::new().finish(&header(NAME));
    let octets = assemble_crl(&tbs, ALGORITHM, &[9; 64]).unwrap();
    let list = Crl::parse(&octets).unwrap();
    assert_eq!((list.entries().count(), list.entries_octets()), (0, 0));
    assert_eq!(tlv_at(&tbs, 5), tag::context_constructed(0));
}

/// The tag of the part of that number in a SEQUENCE.
fn tlv_at(octets: &[u8], part: usize) -> u8 {
    let mut parts = crate::der::Reader::new(octets).sequence().unwrap();
    for _ in 0..part {
        parts.any().unwrap();
    }
    parts.peek().unwrap()
}

// RFC 5280 §5.1.2.6: an empty list MUST be left out; it is taken when written.
#[test]
fn an_empty_sequence_of_entries_is_taken() {
    let octets = with_entries(&[]);
    assert_eq!(rule(&octets), None);
    assert_eq!(Crl::parse(&octets).unwrap().entries().count(), 0);
}

// RFC 5280 §5.1.2.1: a list with extensions is of version 2.
#[test]
fn version_1_lists_are_taken_without_extensions_only() {
    assert_eq!(
        rule(&list(&[], &times(), &sequence(&[&entry(&[5], &[])]), &[])),
        None
    );
    let reason = extension(oid::REASON_CODE, &[], &[10, 1, 1]);
    let entries = sequence(&[&entry(&[5], &[&reason])]);
    assert_eq!(
        rule(&list(&[], &times(), &entries, &[])),
        Some(Rule::ExtensionsInV1)
    );
    let number = extensions(&[&extension(oid::CRL_NUMBER, &[], &[2, 1, 1])]);
    assert_eq!(
        rule(&list(&[], &times(), &[], &number)),
        Some(Rule::ExtensionsInV1)
    );
    assert_eq!(
        rule(&list(&[2, 1, 0], &times(), &[], &[])),
        Some(Rule::VersionUnknown)
    );
    assert_eq!(
        rule(&list(&[2, 1, 2], &times(), &[], &[])),
        Some(Rule::VersionUnknown)
    );
}

#[test]
fn a_list_without_next_update_is_taken() {
    let octets = list(V2, &utc("240101000000Z"), &[], &[]);
    assert_eq!(Crl::parse(&octets).unwrap().next_update, None);
    let generalized = tlv(tag::GENERALIZED_TIME, &[&write_generalized(1_704_067_200)]);
    let octets = list(V2, &generalized, &[], &[]);
    assert_eq!(Crl::parse(&octets).unwrap().this_update, 1_704_067_200);
}

#[test]
fn a_next_update_before_this_update_is_refused() {
    let backwards = [utc("240101000000Z"), utc("231231235959Z")].concat();
    assert_eq!(
        rule(&list(V2, &backwards, &[], &[])),
        Some(Rule::DatesBackwards)
    );
    let same = [utc("240101000000Z"), utc("240101000000Z")].concat();
    assert_eq!(rule(&list(V2, &same, &[], &[])), None);
}

#[test]
fn octets_after_the_list_or_any_part_of_it_are_refused() {
    let mut octets = with_entries(&[]);
    octets.push(0);
    assert_eq!(rule(&octets), Some(Rule::TrailingOctets));
    assert_eq!(
        rule(&list(V2, &times(), &[], &[5, 0])),
        Some(Rule::TrailingOctets)
    );
    let serial_and_more = sequence(&[&[2, 1, 5], &utc("231201000000Z"), &[5, 0]]);
    assert_eq!(
        rule(&with_entries(&[&serial_and_more])),
        Some(Rule::TrailingOctets)
    );
    let reason = extension(oid::REASON_CODE, &[], &[10, 1, 1, 0]);
    assert_eq!(
        rule(&with_entries(&[&entry(&[5], &[&reason])])),
        Some(Rule::TrailingOctets)
    );
    let number = extension(oid::CRL_NUMBER, &[], &[2, 1, 1, 0]);
    assert_eq!(
        rule(&with_extensions(&[&number])),
        Some(Rule::TrailingOctets)
    );
}

// RFC 5280 §5.1.1.2: both MUST be the same. What is outside is not signed.
#[test]
fn the_algorithm_inside_must_be_the_one_outside() {
    let tbs = sequence(&[
        V2,
        oid_identifier(oid::SM2_WITH_SM3).as_slice(),
        NAME,
        &times(),
    ]);
    let octets = assemble_crl(&tbs, ALGORITHM, &[9; 64]).unwrap();
    assert_eq!(rule(&octets), Some(Rule::AlgorithmsDiffer));
}

fn oid_identifier(oid: &[u8]) -> Vec<u8> {
    sequence(&[oid])
}

#[test]
fn serials_of_real_lists_are_taken_and_endless_ones_are_not() {
    for serial in [&[0xff][..], &[0x80, 0x01], &[0x7f; 21], &[0]] {
        let octets = with_entries(&[&entry(serial, &[])]);
        let entry = Crl::parse(&octets)
            .unwrap()
            .entries()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(entry.serial.content(), serial);
    }
    assert_eq!(
        rule(&with_entries(&[&entry(&[1; 33], &[])])),
        Some(Rule::SerialTooLong)
    );
    assert_eq!(
        rule(&with_entries(&[&entry(&[0, 1], &[])])),
        Some(Rule::IntegerNotMinimal)
    );
}

#[test]
fn an_error_ends_the_entries_and_says_where() {
    let good = entry(&[5], &[]);
    let octets = with_entries(&[&good, &entry(&[], &[]), &good]);
    let list = Crl::parse(&octets).unwrap();
    let mut entries = list.entries();
    let first = entries.next().unwrap().unwrap();
    let error = entries.next().unwrap().unwrap_err();
    assert_eq!(error.rule, Rule::IntegerEmpty);
    assert_eq!(error.offset, first.offset + good.len() + 4);
    assert!(entries.next().is_none());
}

#[test]
fn reasons_that_are_none_are_refused() {
    for value in [&[10, 1, 7][..], &[10, 1, 11], &[10, 2, 0, 1], &[10, 0]] {
        let reason = extension(oid::REASON_CODE, &[], value);
        let octets = with_entries(&[&entry(&[5], &[&reason])]);
        assert_eq!(rule(&octets), Some(Rule::ReasonUnknown), "{value:?}");
    }
    let integer = extension(oid::REASON_CODE, &[], &[2, 1, 1]);
    assert_eq!(
        rule(&with_entries(&[&entry(&[5], &[&integer])])),
        Some(Rule::UnexpectedTag)
    );
}

#[test]
fn known_entry_extensions_are_read_critical_or_not_and_only_once() {
    let reason = |critical| extension(oid::REASON_CODE, critical, &[10, 1, 8]);
    for critical in [&[][..], CRITICAL, &[1, 1, 0]] {
        let octets = with_entries(&[&entry(&[5], &[&reason(critical)])]);
        let entry = Crl::parse(&octets)
            .unwrap()
            .entries()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(entry.reason, Some(RevocationReason::RemoveFromCrl));
        assert_eq!(entry.unknown_critical, None);
    }
    let twice = entry(&[5], &[&reason(&[]), &reason(&[])]);
    assert_eq!(
        rule(&with_entries(&[&twice])),
        Some(Rule::ExtensionRepeated)
    );
}

// RFC 5280 §5.2: such a list must not be used.
// RFC 5280 §5.3: such a list must not be used.
#[test]
fn unknown_critical_extensions_are_reported_and_not_judged() {
    let unknown = extension(oid::NONCE, CRITICAL, &[1, 2, 3]);
    let octets = with_entries(&[&entry(&[5], &[&unknown])]);
    let entry = Crl::parse(&octets)
        .unwrap()
        .entries()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(entry.unknown_critical, Some(oid::NONCE));
    let octets = with_extensions(&[&unknown]);
    assert_eq!(
        Crl::parse(&octets).unwrap().extensions.unknown_critical,
        Some(oid::NONCE)
    );
    let harmless = extension(oid::NONCE, &[], &[1, 2, 3]);
    let octets = with_extensions(&[&harmless]);
    assert_eq!(
        Crl::parse(&octets).unwrap().extensions.unknown_critical,
        None
    );
}

#[test]
fn the_issuer_of_an_entry_is_borrowed_whole() {
    let names = sequence(&[&[0xa4, 2, 0x30, 0]]);
    let issuer = extension(oid::CERTIFICATE_ISSUER, CRITICAL, &names);
    let octets = with_entries(&[&entry(&[5], &[&issuer])]);
    let entry = Crl::parse(&octets)
        .unwrap()
        .entries()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(entry.certificate_issuer, Some(&names[..]));
}

// RFC 5280 §5.2.5: at most one of the three.
#[test]
fn a_distribution_point_may_say_false_aloud_but_only_one_kind() {
    let point = |fields: &[u8]| {
        extension(
            oid::ISSUING_DISTRIBUTION_POINT,
            CRITICAL,
            &sequence(&[fields]),
        )
    };
    let octets = with_extensions(&[&point(&[0x81, 1, 0, 0x82, 1, 0xff, 0x84, 1, 0])]);
    let found = Crl::parse(&octets)
        .unwrap()
        .extensions
        .distribution_point
        .unwrap();
    assert_eq!(found.scope, Scope::CaCertificates);
    assert!(found.is_restricting());
    let octets = with_extensions(&[&point(&[])]);
    let found = Crl::parse(&octets)
        .unwrap()
        .extensions
        .distribution_point
        .unwrap();
    assert!(!found.is_restricting());
    let both = with_extensions(&[&point(&[0x81, 1, 0xff, 0x82, 1, 0xff])]);
    assert_eq!(rule(&both), Some(Rule::FieldRange));
    let odd = with_extensions(&[&point(&[0x81, 1, 1])]);
    assert_eq!(rule(&odd), Some(Rule::BooleanNotCanonical));
}

#[test]
fn expired_certificates_may_be_kept_since_a_fraction_of_a_second() {
    let since = tlv(tag::GENERALIZED_TIME, &[b"20140326083856.642Z"]);
    let octets = with_extensions(&[&extension(oid::EXPIRED_CERTS_ON_CRL, &[], &since)]);
    let found = Crl::parse(&octets).unwrap().extensions.expired_kept_since;
    assert_eq!(found, Some(1_395_823_136));
}

#[test]
fn a_list_extension_that_stands_twice_is_refused() {
    let number = extension(oid::CRL_NUMBER, &[], &[2, 1, 1]);
    assert_eq!(
        rule(&with_extensions(&[&number, &number])),
        Some(Rule::ExtensionRepeated)
    );
}

#[test]
fn an_offset_that_is_no_entrys_is_an_error_and_no_panic() {
    let octets = with_entries(&[&entry(&[5], &[]), &entry(&[6], &[])]);
    let list = Crl::parse(&octets).unwrap();
    for offset in 0..octets.len() + 2 {
        let _ = list.entry_at(offset);
    }
    assert!(list.entry_at(usize::MAX).is_err());
    assert!(list.entry_at(0).is_err());
}

#[test]
fn no_octet_of_a_list_can_be_cut_or_flipped_into_a_panic() {
    let reason = extension(oid::REASON_CODE, &[], &[10, 1, 1]);
    let point = extension(
        oid::ISSUING_DISTRIBUTION_POINT,
        CRITICAL,
        &[0x30, 3, 0x81, 1, 0xff],
    );
    let octets = list(
        V2,
        &times(),
        &sequence(&[&entry(&[5], &[&reason]), &entry(&[6], &[])]),
        &extensions(&[&point]),
    );
    for cut in 0..octets.len() {
        assert!(Crl::parse(&octets[..cut]).is_err());
    }
    for place in 0..octets.len() {
        for flip in 0..=u8::MAX {
            let mut flipped = octets.clone();
            flipped[place] = flip;
            fuzz_crl(&flipped);
        }
    }
}

#[test]
fn the_corpus_panics_nowhere() {
    crate::corpus::replay("crl", |octets| {
        fuzz_crl(octets);
        fuzz_pem(octets);
    });
}
