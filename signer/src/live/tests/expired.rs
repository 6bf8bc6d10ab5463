//! What is said of certificates past their end.

use wire::response::{OcspResponse, SingleStatus};
use wire::time::{UnixSeconds, write_generalized};

use super::rig::{ARCHIVE_SECS, lane};
use super::{Book, prefix, read};
use crate::ca::tests::{approve, certificates, founded, now, person};
use crate::ca::{issue, ocsp_signer};
use crate::registry::By;
use wire::request::build_request;

/// Half a day after the certificates' end.
fn afterwards() -> UnixSeconds {
    now() + LIFETIME + ARCHIVE_SECS / 2
}

// RFC 6960 §4.4.4: archiveCutoff says until when the status of what expired is kept: producedAt less the retention.
#[test]
fn an_expired_certificate_has_no_archive_cutoff_or_another_or_a_valid_one_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let approved = approve(&office, "p256", &[person("张三", "E1")]);
    let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
    let certificate = certificates(&office, "p256").remove(0);
    assert!(certificate.not_after < afterwards());
    let request = build_request(&prefix(&office, "p256"), certificate.serial.content(), None);
    let issuer = office.issuer("p256").unwrap();
    for (clock, is_expired) in [(now as fn() -> UnixSeconds, false), (afterwards, true)] {
        let _ =
            ocsp_signer::current(&office, &issuer, issuer.algorithm, By::signer(clock())).unwrap();
        let book = read(&office, &Book::default(), clock());
        let store = office.registry.store().clone();
        let (lane, tray) = lane(store, book, 1, clock);
        tray.attend(1).unwrap();
        // On the registry's own runtime: what another one leaves behind is given back when that one runs again.
        let reply = office.registry.drive(lane.answer(&request)).unwrap();
        let basic = OcspResponse::parse(&reply.octets).unwrap().basic.unwrap();
        assert_eq!(basic.first.status, SingleStatus::Good);
        let expected = is_expired.then(|| {
            let cutoff = write_generalized(basic.produced_at - ARCHIVE_SECS);
            // One extension: its OID, and a GeneralizedTime in an OCTET STRING.
            let oid = wire::oid::ARCHIVE_CUTOFF;
            let value = [&[0x04, 17, 0x18, 15][..], &cutoff].concat();
            let inside = [oid, &value].concat();
            let length = u8::try_from(inside.len()).unwrap();
            [&[0x30, length + 2, 0x30, length], inside.as_slice()].concat()
        });
        assert_eq!(basic.first.extensions, expected.as_deref());
    }
}

/// What people's certificates live.
const LIFETIME: u64 = 365 * 86_400;
