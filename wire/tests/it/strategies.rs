//! What property tests draw from.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{CertIdForm, cert_id_prefix};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::{LATEST, UnixSeconds};

/// A serial as RFC 5280 allows it: positive, at most 20 octets.
pub(crate) fn serials() -> impl Strategy<Value = Serial> {
    vec(any::<u8>(), 1..=19).prop_map(|octets| Serial::from_unsigned(&octets).unwrap())
}

pub(crate) fn forms() -> impl Strategy<Value = CertIdForm> {
    proptest::sample::select(CertIdForm::ALL.to_vec())
}

/// A `CertID`'s prefix with random hashes.
pub(crate) fn prefixes() -> impl Strategy<Value = Vec<u8>> {
    (forms(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(form, name, key)| {
        let octets = form.hash.octets();
        cert_id_prefix(form, &name[..octets], &key[..octets]).unwrap()
    })
}

pub(crate) fn algorithms() -> impl Strategy<Value = SignatureAlgorithm> {
    proptest::sample::select(SignatureAlgorithm::ALL.to_vec())
}

pub(crate) fn times() -> impl Strategy<Value = UnixSeconds> {
    0..=LATEST
}

pub(crate) fn reasons() -> impl Strategy<Value = Option<RevocationReason>> {
    (0_u8..=11).prop_map(RevocationReason::from_code)
}

/// Good or revoked.
pub(crate) fn statuses() -> impl Strategy<Value = CertStatus> {
    prop_oneof![
        Just(CertStatus::Good),
        (times(), reasons()).prop_map(|(at, reason)| CertStatus::Revoked { at, reason }),
    ]
}
