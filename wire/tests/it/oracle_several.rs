//! Responses about several certificates, with nonce and other extensions: rasn and x509-ocsp decode them, find the same in
//! them, and encode them to the same octets.

use der07::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;
use rasn::types::ObjectIdentifier;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::cert_id;
use wire::request::{MAX_CERT_IDS, MAX_NONCE_OCTETS};
use wire::response::{
    AssembleError, CrlReference, ExtendedRevoke, OcspResponse, Said, SeveralParts, SingleStatus,
    assemble_several, write_several,
};
use wire::serial::Serial;
use wire::time::UnixSeconds;

use crate::strategies::{algorithms, prefixes, reasons, serials, times};

/// What is said of one certificate.
#[derive(Clone, Debug)]
struct One {
    prefix: Vec<u8>,
    serial: Serial,
    status: SingleStatus,
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    archive_cutoff: Option<UnixSeconds>,
    found_on: Option<List>,
}

/// A list on which it was found.
#[derive(Clone, Debug)]
struct List {
    url: Option<String>,
    /// Of a positive number that fits.
    number: Option<u64>,
    time: UnixSeconds,
}

impl List {
    /// The octets of its number, as an INTEGER has them.
    fn octets(&self) -> Option<Vec<u8>> {
        let octets = [&[0], &self.number?.to_be_bytes()[..]].concat();
        let is_spare = |pair: &[u8]| pair[0] == 0 && pair[1] < 0x80;
        let spare = octets.windows(2).take_while(|pair| is_spare(pair)).count();
        Some(octets[spare..].to_vec())
    }
}

impl One {
    fn cert_id(&self) -> Vec<u8> {
        cert_id(&self.prefix, self.serial.content())
    }

    fn number(&self) -> Option<Vec<u8>> {
        self.found_on.as_ref()?.octets()
    }
}

/// Everything a response is made of.
#[derive(Clone, Debug)]
struct Made {
    key_hash: [u8; 20],
    produced_at: UnixSeconds,
    all: Vec<One>,
    nonce: Option<Vec<u8>>,
    extended_revoke: bool,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

impl Made {
    fn assembled(&self) -> Vec<u8> {
        let ids: Vec<_> = self.all.iter().map(One::cert_id).collect();
        let numbers: Vec<_> = self.all.iter().map(One::number).collect();
        let all = self.all.iter().zip(&ids).zip(&numbers);
        let said: Vec<_> = all.map(said).collect();
        let mut tbs = Vec::new();
        write_several(&self.parts(&said), &mut tbs).unwrap();
        assemble_several(&tbs, self.algorithm, &self.signature, &[]).unwrap()
    }

    fn parts<'a>(&'a self, said: &'a [Said<'a>]) -> SeveralParts<'a> {
        SeveralParts {
            key_hash: &self.key_hash,
            produced_at: self.produced_at,
            said,
            nonce: self.nonce.as_deref(),
            extended_revoke: if self.extended_revoke {
                ExtendedRevoke::Present
            } else {
                ExtendedRevoke::Absent
            },
        }
    }
}

fn said<'a>(((one, id), number): ((&'a One, &'a Vec<u8>), &'a Option<Vec<u8>>)) -> Said<'a> {
    Said {
        cert_id: id,
        status: one.status,
        this_update: one.this_update,
        next_update: one.next_update,
        archive_cutoff: one.archive_cutoff,
        found_on: one.found_on.as_ref().map(|list| CrlReference {
            url: list.url.as_deref(),
            number: number.as_deref(),
            time: list.time,
        }),
    }
}

fn statuses() -> impl Strategy<Value = SingleStatus> {
    prop_oneof![
        Just(SingleStatus::Good),
        Just(SingleStatus::Unknown),
        (times(), reasons()).prop_map(|(at, reason)| SingleStatus::Revoked { at, reason }),
    ]
}

fn lists() -> impl Strategy<Value = List> {
    let url = proptest::option::of("http://[a-z]{1,20}/[ -~]{0,40}");
    (url, proptest::option::of(any::<u64>()), times()).prop_map(|(url, number, time)| List {
        url,
        number,
        time,
    })
}

fn one() -> impl Strategy<Value = One> {
    (
        prefixes(),
        serials(),
        statuses(),
        [times(), times()],
        proptest::option::of(times()),
        proptest::option::of(lists()),
    )
        .prop_map(
            |(prefix, serial, status, [this_update, next_update], archive_cutoff, found_on)| One {
                prefix,
                serial,
                status,
                this_update,
                next_update,
                archive_cutoff,
                found_on,
            },
        )
}

fn made() -> impl Strategy<Value = Made> {
    let signature = algorithms()
        .prop_flat_map(|algorithm| (Just(algorithm), vec(any::<u8>(), algorithm.raw_octets())));
    let nonce = vec(any::<u8>(), 1..=MAX_NONCE_OCTETS);
    (
        any::<[u8; 20]>(),
        times(),
        vec(one(), 1..6),
        proptest::option::of(nonce),
        any::<bool>(),
        signature,
    )
        .prop_map(
            |(key_hash, produced_at, all, nonce, extended_revoke, (algorithm, signature))| Made {
                key_hash,
                produced_at,
                all,
                nonce,
                extended_revoke,
                algorithm,
                signature,
            },
        )
}

fn seconds(time: rasn::types::GeneralizedTime) -> UnixSeconds {
    time.timestamp().try_into().unwrap()
}

fn ocsp_extension(last: u32) -> ObjectIdentifier {
    ObjectIdentifier::new_unchecked(vec![1, 3, 6, 1, 5, 5, 7, 48, 1, last].into())
}

/// The value of one of OCSP's own extensions; none of those we write is critical.
fn extension(list: Option<&rasn_pkix::Extensions>, last: u32) -> Option<Vec<u8>> {
    let found = list?
        .iter()
        .find(|one| one.extn_id == ocsp_extension(last))?;
    assert!(!found.critical);
    Some(found.extn_value.to_vec())
}

fn generalized(time: UnixSeconds) -> Vec<u8> {
    [&[0x18, 15][..], &wire::time::write_generalized(time)].concat()
}

proptest! {
    #[test]
    fn rasn_reads_the_same_and_encodes_the_same(made in made()) {
        let octets = made.assembled();
        let outer: rasn_ocsp::OcspResponse = rasn::der::decode(&octets).unwrap();
        prop_assert_eq!(&rasn::der::encode(&outer).unwrap(), &octets);
        let inner = outer.bytes.unwrap().response;
        let basic: rasn_ocsp::BasicOcspResponse = rasn::der::decode(&inner).unwrap();
        prop_assert_eq!(rasn::der::encode(&basic).unwrap(), inner.to_vec());

        let data = basic.tbs_response_data;
        prop_assert_eq!(data.responder_id, rasn_ocsp::ResponderId::ByKey(made.key_hash.to_vec().into()));
        prop_assert_eq!(seconds(data.produced_at), made.produced_at);
        // RFC 9654 §2.1: the answer's nonce is the request's, octet for octet.
        let list = data.response_extensions.as_ref();
        prop_assert_eq!(extension(list, 2), made.nonce);
        // RFC 6960 §4.4.8: extended-revoke stands among the response's extensions, its value NULL.
        let expected = made.extended_revoke.then(|| vec![5, 0]);
        prop_assert_eq!(extension(list, 9), expected);
        // RFC 6960 §4.2.2.3: a SingleResponse for each certificate of the request, in its order.
        prop_assert_eq!(data.responses.len(), made.all.len());
        for (theirs, ours) in data.responses.iter().zip(&made.all) {
            prop_assert_eq!(rasn::der::encode(&theirs.cert_id).unwrap(), ours.cert_id());
            prop_assert_eq!(seconds(theirs.this_update), ours.this_update);
            prop_assert_eq!(seconds(theirs.next_update.unwrap()), ours.next_update);
            // RFC 6960 §4.4.4: archiveCutoff is a GeneralizedTime among the single extensions.
            let cutoff = extension(theirs.single_extensions.as_ref(), 6);
            // RFC 6960 §4.2.1: a GeneralizedTime is written as RFC 5280 §4.1.2.5.2 has it: UTC, seconds, no fractions.
            prop_assert_eq!(cutoff, ours.archive_cutoff.map(generalized));
            // RFC 6960 §4.4.2: the CRL on which it was found: address, number and time, as far as they are known.
            let found_on = extension(theirs.single_extensions.as_ref(), 3);
            prop_assert_eq!(found_on.is_some(), ours.found_on.is_some());
            if let (Some(octets), Some(list)) = (found_on, &ours.found_on) {
                let theirs: rasn_ocsp::CrlId = rasn::der::decode(&octets).unwrap();
                prop_assert_eq!(&rasn::der::encode(&theirs).unwrap(), &octets);
                let url = theirs.url.map(|url| String::from_utf8_lossy(url.as_iso646_bytes()).into_owned());
                prop_assert_eq!(&url, &list.url);
                prop_assert_eq!(theirs.num, list.number.map(rasn::types::Integer::from));
                prop_assert_eq!(theirs.time.map(seconds), Some(list.time));
            }
            // CABF BR §7.3.2: no reasonCode stands among the single extensions; only archiveCutoff and the list's reference ever do.
            let told = theirs.single_extensions.iter().flat_map(|list| list.iter()).count();
            let expected = usize::from(ours.archive_cutoff.is_some()) + usize::from(ours.found_on.is_some());
            prop_assert_eq!(told, expected);
            match (&theirs.cert_status, ours.status) {
                (rasn_ocsp::CertStatus::Good, SingleStatus::Good)
                | (rasn_ocsp::CertStatus::Unknown(_), SingleStatus::Unknown) => {}
                (rasn_ocsp::CertStatus::Revoked(info), SingleStatus::Revoked { at, reason }) => {
                    prop_assert_eq!(seconds(info.revocation_time), at);
                    let code = info.revocation_reason.map(|reason| reason as isize);
                    prop_assert_eq!(code, reason.map(|reason| isize::from(reason.code())));
                }
                other => prop_assert!(false, "{other:?}"),
            }
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
        let theirs = &basic.tbs_response_data.responses;
        prop_assert_eq!(theirs.len(), made.all.len());
        for (theirs, ours) in theirs.iter().zip(&made.all) {
            prop_assert_eq!(theirs.cert_id.to_der().unwrap(), ours.cert_id());
        }
    }

    #[test]
    fn our_reader_agrees_with_our_writer(made in made()) {
        let octets = made.assembled();
        let basic = OcspResponse::parse(&octets).unwrap().basic.unwrap();
        prop_assert_eq!(basic.nonce(), made.nonce.as_deref());
        prop_assert_eq!(basic.has_extended_revoke(), made.extended_revoke);
        let ours: Vec<_> = basic.singles().map(|one| (one.cert_id.raw.to_vec(), one.status)).collect();
        let written: Vec<_> = made.all.iter().map(|one| (one.cert_id(), one.status)).collect();
        prop_assert_eq!(ours, written);
    }
}

#[test]
fn response_about_none_or_too_many_is_written() {
    let id = cert_id(&[0x30, 0, 4, 0, 4, 0], &[5]);
    let one = Said {
        cert_id: &id,
        status: SingleStatus::Good,
        this_update: 1,
        next_update: 2,
        archive_cutoff: None,
        found_on: None,
    };
    for found in [0, MAX_CERT_IDS + 1] {
        let said = vec![one; found];
        let parts = SeveralParts {
            key_hash: &[0; 20],
            produced_at: 1,
            said: &said,
            nonce: None,
            extended_revoke: ExtendedRevoke::Absent,
        };
        let refused = write_several(&parts, &mut Vec::new());
        assert_eq!(refused, Err(AssembleError::Certificates { found }));
    }
}
