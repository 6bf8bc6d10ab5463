//! Responses: rasn and x509-ocsp decode what we put together, find the same in it, and encode it to the same octets.

use der07::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::algorithm::SignatureAlgorithm;
use wire::response::{OcspResponse, TbsParts, assemble, assembled_len};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use crate::strategies::{algorithms, prefixes, serials, statuses, times};

/// Everything a response is made of.
#[derive(Clone, Debug)]
struct Made {
    key_hash: [u8; 20],
    prefix: Vec<u8>,
    serial: Serial,
    status: CertStatus,
    times: [UnixSeconds; 3],
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

impl Made {
    fn parts(&self) -> TbsParts<'_> {
        let [this_update, next_update, produced_at] = self.times;
        TbsParts {
            key_hash: &self.key_hash,
            produced_at,
            cert_id_prefix: &self.prefix,
            serial_content: self.serial.content(),
            status: self.status,
            this_update,
            next_update,
        }
    }

    fn assembled(&self) -> Vec<u8> {
        let needed = assembled_len(&self.parts(), self.algorithm, &self.signature, &[]).unwrap();
        let mut out = vec![0; needed];
        let written = assemble(
            &self.parts(),
            self.algorithm,
            &self.signature,
            &[],
            &mut out,
        );
        assert_eq!(written, Ok(needed));
        out
    }
}

fn made() -> impl Strategy<Value = Made> {
    let signature = algorithms()
        .prop_flat_map(|algorithm| (Just(algorithm), vec(any::<u8>(), algorithm.raw_octets())));
    let times = [times(), times(), times()];
    (
        any::<[u8; 20]>(),
        prefixes(),
        serials(),
        statuses(),
        times,
        signature,
    )
        .prop_map(
            |(key_hash, prefix, serial, status, times, (algorithm, signature))| Made {
                key_hash,
                prefix,
                serial,
                status,
                times,
                algorithm,
                signature,
            },
        )
}

fn seconds(time: rasn::types::GeneralizedTime) -> UnixSeconds {
    time.timestamp().try_into().unwrap()
}

proptest! {
    #[test]
    fn rasn_reads_the_same_and_encodes_the_same(made in made()) {
        let octets = made.assembled();
        let outer: rasn_ocsp::OcspResponse = rasn::der::decode(&octets).unwrap();
        prop_assert_eq!(&rasn::der::encode(&outer).unwrap(), &octets);
        let inner = outer.bytes.unwrap().response;
        // RFC 6960 §4.2.1: a responder can answer with a basic response, whose value is the DER of BasicOCSPResponse.
        // RFC 9919 §3.2.1: a response is a BasicOCSPResponse, and named so.
        let basic: rasn_ocsp::BasicOcspResponse = rasn::der::decode(&inner).unwrap();
        prop_assert_eq!(rasn::der::encode(&basic).unwrap(), inner.to_vec());

        let data = basic.tbs_response_data;
        prop_assert_eq!(
            data.responder_id,
            rasn_ocsp::ResponderId::ByKey(made.key_hash.to_vec().into())
        );
        prop_assert_eq!(seconds(data.produced_at), made.times[2]);
        let single = &data.responses[0];
        // RFC 9919 §3.2.1: one SingleResponse, and no responseExtensions.
        prop_assert_eq!(data.responses.len(), 1);
        prop_assert!(data.response_extensions.is_none() && single.single_extensions.is_none());
        // RFC 6960 §4.2.1: without certificates the field is absent.
        prop_assert!(basic.certs.is_none());
        prop_assert_eq!(
            rasn::der::encode(&single.cert_id).unwrap(),
            wire::cert_id::cert_id(&made.prefix, made.serial.content())
        );
        prop_assert_eq!(seconds(single.this_update), made.times[0]);
        prop_assert_eq!(seconds(single.next_update.unwrap()), made.times[1]);
        match (&single.cert_status, made.status) {
            (rasn_ocsp::CertStatus::Good, CertStatus::Good) => {}
            (rasn_ocsp::CertStatus::Revoked(info), CertStatus::Revoked { at, reason }) => {
                prop_assert_eq!(seconds(info.revocation_time), at);
                let code = info.revocation_reason.map(|reason| reason as isize);
                prop_assert_eq!(code, reason.map(|reason| isize::from(reason.code())));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn x509_ocsp_reads_the_same_and_encodes_the_same(made in made()) {
        let octets = made.assembled();
        let outer = x509_ocsp::OcspResponse::from_der(&octets).unwrap();
        prop_assert_eq!(&outer.to_der().unwrap(), &octets);
        let inner = outer.response_bytes.unwrap().response;
        let basic = x509_ocsp::BasicOcspResponse::from_der(inner.as_bytes()).unwrap();
        prop_assert_eq!(&basic.to_der().unwrap(), inner.as_bytes());
        let single = &basic.tbs_response_data.responses[0];
        prop_assert_eq!(
            single.cert_id.to_der().unwrap(),
            wire::cert_id::cert_id(&made.prefix, made.serial.content())
        );
    }

    #[test]
    fn our_reader_agrees_with_our_writer(made in made()) {
        let octets = made.assembled();
        let basic = OcspResponse::parse(&octets).unwrap().basic.unwrap();
        let mut signed = Vec::new();
        wire::response::write_tbs(&made.parts(), &mut signed).unwrap();
        prop_assert_eq!(basic.tbs, &signed[..]);
        prop_assert_eq!(basic.first.cert_id.prefix, &made.prefix[..]);
        prop_assert_eq!(basic.first.cert_id.serial, made.serial.content());
    }
}

#[test]
fn no_reason_has_a_different_number_elsewhere() {
    for (name, theirs) in [
        (
            RevocationReason::Unspecified,
            rasn_pkix::CrlReason::Unspecified,
        ),
        (
            RevocationReason::KeyCompromise,
            rasn_pkix::CrlReason::KeyCompromise,
        ),
        (
            RevocationReason::CaCompromise,
            rasn_pkix::CrlReason::CaCompromise,
        ),
        (
            RevocationReason::AffiliationChanged,
            rasn_pkix::CrlReason::AffiliationChanged,
        ),
        (
            RevocationReason::Superseded,
            rasn_pkix::CrlReason::Superseded,
        ),
        (
            RevocationReason::CessationOfOperation,
            rasn_pkix::CrlReason::CessationOfOperation,
        ),
        (
            RevocationReason::CertificateHold,
            rasn_pkix::CrlReason::CertificateHold,
        ),
        (
            RevocationReason::RemoveFromCrl,
            rasn_pkix::CrlReason::RemoveFromCRL,
        ),
        (
            RevocationReason::PrivilegeWithdrawn,
            rasn_pkix::CrlReason::PrivilegeWithdrawn,
        ),
        (
            RevocationReason::AaCompromise,
            rasn_pkix::CrlReason::AaCompromise,
        ),
    ] {
        assert_eq!(isize::from(name.code()), theirs as isize);
    }
}
