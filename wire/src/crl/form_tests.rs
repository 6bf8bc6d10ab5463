//! The form in which a written list says its dates, octet by octet.

use std::vec::Vec;

use super::{CrlHeader, CrlWriter};
use crate::algorithm::SignatureAlgorithm;
use crate::time::GENERALIZED_FROM;

/// The signed part of a list of that thisUpdate and nextUpdate, with one entry revoked then and invalid since then.
fn tbs(update: [u64; 2], revoked_at: u64, invalid_since: u64) -> Vec<u8> {
    let mut writer = CrlWriter::new();
    writer.push(&[5], revoked_at, None, Some(invalid_since));
    writer.finish(&CrlHeader {
        algorithm: SignatureAlgorithm::Ed25519,
        issuer: &[0x30, 0],
        this_update: update[0],
        next_update: update[1],
        number: 1,
        key_identifier: &[7; 20],
        base_number: None,
        distribution_point: None,
        freshest_uri: None,
    })
}

fn holds(octets: &[u8], tag: u8, text: &[u8]) -> bool {
    let whole = [&[tag, u8::try_from(text.len()).unwrap()], text].concat();
    octets.windows(whole.len()).any(|window| window == whole)
}

const UTC: u8 = 0x17;
const GENERALIZED: u8 = 0x18;

// RFC 5280 §5.1.2.4: `UTCTime` through 2049, `GeneralizedTime` from 2050.
// RFC 5280 §5.1.2.6: an entry's date has the same forms.
#[test]
fn a_date_of_2050_wraps_around_or_one_of_2049_takes_the_long_form() {
    let (last, first) = (GENERALIZED_FROM - 1, GENERALIZED_FROM);
    let octets = tbs([last, first], last, 0);
    assert!(holds(&octets, UTC, b"491231235959Z"));
    assert!(holds(&octets, GENERALIZED, b"20500101000000Z"));
    assert!(!holds(&octets, UTC, b"500101000000Z"));
    let entry = tbs([last, last], first, 0);
    assert!(holds(&entry, GENERALIZED, b"20500101000000Z"));
}

// RFC 5280 §5.3.2: always GeneralizedTime.
#[test]
fn an_invalidity_date_is_written_short() {
    let octets = tbs([1, 2], 3, 784_111_777);
    assert!(holds(&octets, GENERALIZED, b"19941106084937Z"));
    assert!(!holds(&octets, UTC, b"941106084937Z"));
}
