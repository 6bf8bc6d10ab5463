//! Synthetic CRLs of any length, unsigned: what reading one costs does not depend on who signed it.

use wire::crl::{CrlHeader, CrlWriter, assemble_crl};
use wire::serial::Serial;
use wire::status::RevocationReason;

use crate::population::ALGORITHM;

/// 2026-01-01.
const BEGUN: u64 = 1_767_225_600;

/// A CRL of `entries` 16-octet serials with reasons.
#[must_use]
pub fn synthetic(entries: u64) -> Vec<u8> {
    let mut writer = CrlWriter::with_capacity(usize::try_from(entries).unwrap_or(0));
    for index in 0..entries {
        let mut serial = [0x42u8; 16];
        serial[8..].copy_from_slice(&index.to_be_bytes());
        let serial = Serial::from_content(&serial).expect("shortest form by construction");
        writer.push(
            serial.content(),
            BEGUN + index,
            Some(RevocationReason::KeyCompromise),
            None,
        );
    }
    let tbs = writer.finish(&CrlHeader {
        algorithm: ALGORITHM,
        // An empty Name is a Name.
        issuer: &[0x30, 0],
        this_update: BEGUN,
        next_update: BEGUN + 86_400,
        number: 1,
        key_identifier: &[7; 20],
        base_number: None,
        distribution_point: None,
        freshest_uri: None,
    });
    assemble_crl(&tbs, ALGORITHM, &[1; 64]).expect("a signature of the right length")
}
