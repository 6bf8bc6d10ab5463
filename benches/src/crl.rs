//! Synthetic CRLs of any length: 16-octet serials with reasons.

use wire::algorithm::SignatureAlgorithm;
use wire::crl::{CrlHeader, CrlWriter, assemble_crl};
use wire::serial::Serial;
use wire::status::RevocationReason;

use crate::population::ALGORITHM;

/// 2026-01-01.
pub const BEGUN: u64 = 1_767_225_600;

/// A CRL of `entries`, unsigned: what reading one costs does not depend on who signed it.
#[must_use]
pub fn synthetic(entries: u64) -> Vec<u8> {
    // An empty Name is a Name.
    let tbs = tbs(entries, ALGORITHM, &[0x30, 0], BEGUN);
    assemble_crl(&tbs, ALGORITHM, &[1; 64]).expect("a signature of the right length")
}

/// What a CA of this Name signs under `algorithm`: `entries` revoked, one a second before `this_update`.
#[must_use]
pub fn tbs(
    entries: u64,
    algorithm: SignatureAlgorithm,
    issuer: &[u8],
    this_update: u64,
) -> Vec<u8> {
    let mut writer = CrlWriter::with_capacity(usize::try_from(entries).unwrap_or(0));
    for index in 0..entries {
        let mut serial = [0x42u8; 16];
        serial[8..].copy_from_slice(&index.to_be_bytes());
        let serial = Serial::from_content(&serial).expect("shortest form by construction");
        writer.push(
            serial.content(),
            this_update - index,
            Some(RevocationReason::KeyCompromise),
            None,
        );
    }
    writer.finish(&CrlHeader {
        algorithm,
        issuer,
        this_update,
        next_update: this_update + 7 * 86_400,
        number: 1,
        key_identifier: &[7; 20],
        base_number: None,
        distribution_point: None,
        freshest_uri: None,
    })
}
