//! Lists: rasn-pkix encodes what we write to the same octets, x509-parser lists the same entries.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::algorithm::SignatureAlgorithm;
use wire::crl::{Crl, CrlHeader, CrlWriter, IssuingDistributionPoint, Scope, assemble_crl};
use wire::serial::Serial;
use wire::status::RevocationReason;
use wire::time::UnixSeconds;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::strategies::{algorithms, reasons, serials};

/// `CN=wire`.
const NAME: &[u8] = &[
    0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x04, b'w', b'i', b'r',
    b'e',
];

/// Serial, revocation time, reason, invalidity date.
type Entry = (
    Serial,
    UnixSeconds,
    Option<RevocationReason>,
    Option<UnixSeconds>,
);

/// Through 2069: from 2050 on as `GeneralizedTime`.
fn times() -> impl Strategy<Value = UnixSeconds> {
    0..3_150_000_000_u64
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(
        (serials(), times(), reasons(), proptest::option::of(times())),
        0..12,
    )
}

fn written(
    entries: &[Entry],
    algorithm: SignatureAlgorithm,
    next_update: UnixSeconds,
    number: u64,
    base_number: Option<u64>,
) -> Vec<u8> {
    let uri = IssuingDistributionPoint::name_of_uri("http://pki.example/ca.crl");
    let header = CrlHeader {
        algorithm,
        issuer: NAME,
        this_update: 0,
        next_update,
        number,
        key_identifier: &[4; 20],
        base_number,
        distribution_point: Some(IssuingDistributionPoint {
            name: Some(&uri),
            scope: Scope::UserCertificates,
            ..IssuingDistributionPoint::default()
        }),
        freshest_uri: base_number
            .is_none()
            .then_some("http://pki.example/delta.crl"),
    };
    let mut writer = CrlWriter::with_capacity(entries.len());
    for (serial, revoked_at, reason, invalid_since) in entries {
        writer.push(serial.content(), *revoked_at, *reason, *invalid_since);
    }
    let tbs = writer.finish(&header);
    assemble_crl(&tbs, algorithm, &vec![9; algorithm.raw_octets()]).unwrap()
}

/// RFC 5280 §5.2.3–§5.2.6: a reader that does not know deltas or partial lists must not take one for a whole list.
#[test]
fn no_partial_list_can_be_taken_for_a_whole_one() {
    let critical = |base_number| {
        let octets = written(&[], SignatureAlgorithm::Ed25519, 1, 1, base_number);
        let (_, list) = CertificateRevocationList::from_der(&octets).unwrap();
        list.extensions()
            .iter()
            .map(|extension| (extension.oid.to_id_string(), extension.critical))
            .collect::<Vec<_>>()
    };
    let named = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names
            .iter()
            .map(|(oid, critical)| ((*oid).to_owned(), *critical))
            .collect()
    };
    let key = ("2.5.29.35", false);
    let number = ("2.5.29.20", false);
    let delta = ("2.5.29.27", true);
    let point = ("2.5.29.28", true);
    let freshest = ("2.5.29.46", false);
    assert_eq!(critical(None), named(&[key, number, point, freshest]));
    assert_eq!(critical(Some(1)), named(&[key, number, delta, point]));
}

proptest! {
    #[test]
    fn rasn_encodes_it_to_the_same_octets(
        entries in entries(),
        algorithm in algorithms(),
        next_update in times(),
        number: u64,
        base_number: Option<u64>,
    ) {
        let octets = written(&entries, algorithm, next_update, number, base_number);
        let list: rasn_pkix::CertificateList = rasn::der::decode(&octets).unwrap();
        prop_assert_eq!(list.tbs_cert_list.revoked_certificates.len(), entries.len());
        if !entries.is_empty() {
            // rasn writes an empty list of entries, which RFC 5280 §5.1.2.6 forbids.
            prop_assert_eq!(rasn::der::encode(&list).unwrap(), octets);
        }
    }

    #[test]
    fn x509_parser_and_we_list_the_same_entries(
        entries in entries(),
        algorithm in algorithms(),
        next_update in times(),
        number: u64,
    ) {
        let octets = written(&entries, algorithm, next_update, number, None);
        let (rest, theirs) = CertificateRevocationList::from_der(&octets).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(theirs.next_update().unwrap().timestamp(), next_update as i64);
        prop_assert_eq!(theirs.crl_number().unwrap().to_string(), number.to_string());
        let theirs: Vec<_> = theirs
            .iter_revoked_certificates()
            .map(|entry| {
                (
                    Serial::from_content(entry.raw_serial()).unwrap(),
                    u64::try_from(entry.revocation_date.timestamp()).unwrap(),
                    entry.reason_code().and_then(|(_, reason)| RevocationReason::from_code(reason.0)),
                    entry.invalidity_date().map(|(_, date)| u64::try_from(date.timestamp()).unwrap()),
                )
            })
            .collect();
        let ours: Vec<Entry> = Crl::parse(&octets)
            .unwrap()
            .entries()
            .map(Result::unwrap)
            .map(|entry| (entry.serial, entry.revoked_at, entry.reason, entry.invalid_since))
            .collect();
        prop_assert_eq!(&ours, &theirs);
        let meant: Vec<Entry> = entries
            .into_iter()
            .map(|(serial, at, reason, since)| {
                (serial, at, reason.filter(|&reason| reason != RevocationReason::Unspecified), since)
            })
            .collect();
        prop_assert_eq!(ours, meant);
    }
}
