//! Several algorithms in a batch: all of them are judged, packed, joined and served.

use wire::algorithm::SignatureAlgorithm::{self, EcdsaP256Sha256, Ed25519};
use wire::batch::{Header, Kind};
use wire::cert_id::{CertIdForm, CertIdHash, Parameters, cert_id_prefix};
use wire::request::{OcspRequest, build_request_preferring};
use wire::response::{TbsParts, write_tbs};
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::draft::MOST_DELTAS;
use crate::durable::FsDisk;
use crate::manifest::Role;
use crate::snapshot::{Lookup, Snapshot};
use crate::verify::verify;
use crate::workshop::*;

/// A place whose signer has two algorithms.
fn place_of_two() -> Place {
    let mut place = Place::new();
    place.signer = place.authority.two_signers();
    place
}

impl Place {
    fn header_of_two(&self, number: u64) -> Header {
        header_of_two(&self.authority, &self.signer, number)
    }

    fn snapshot(&self) -> Snapshot {
        let pins = crate::seal::read_pins(&self.data.path().join("loader/seal.pub")).unwrap();
        Snapshot::open(&self.data.path().join("store"), &pins, None).unwrap()
    }

    /// What a client is told that likes this: the status and by which algorithm, the signature verified as the client will.
    fn told(&self, number: u64, liked: SignatureAlgorithm) -> (CertStatus, SignatureAlgorithm) {
        let snapshot = self.snapshot();
        let (name, key) = self.authority.certificate.hashes(CertIdHash::Sha256);
        let form = CertIdForm::new(CertIdHash::Sha256, Parameters::Null);
        let prefix = cert_id_prefix(form, &name, &key).unwrap();
        let serial = serial(number);
        let request = build_request_preferring(&prefix, serial.content(), None, &[liked]);
        let asked = OcspRequest::parse(&request).unwrap();
        let found = match snapshot.lookup(&prefix, serial.content(), asked.preferred) {
            Lookup::Found(found) => found,
            lookup => panic!("{lookup:?}"),
        };
        let mut tbs = Vec::new();
        let parts = TbsParts {
            key_hash: found.key_hash,
            produced_at: found.window.produced_at,
            cert_id_prefix: found.cert_id_prefix,
            serial_content: serial.content(),
            status: found.status,
            this_update: found.window.this_update,
            next_update: found.window.next_update,
        };
        write_tbs(&parts, &mut tbs).unwrap();
        let certificate = match found.algorithm {
            Ed25519 => &self.signer.second.as_ref().unwrap().certificate,
            _ => &self.signer.certificate,
        };
        assert_eq!(*found.key_hash, certificate.key_sha1);
        assert!(found.certs.ends_with(&certificate.der));
        let key = &certificate.key;
        key.verify_raw(found.algorithm, &tbs, found.signature)
            .unwrap();
        (found.status, found.algorithm)
    }

    /// Gives the deltas of the newest generation.
    fn deltas(&self) -> usize {
        let line = self.line(&FsDisk);
        let objects = &line.publisher().current().unwrap().objects;
        let deltas = objects
            .iter()
            .filter(|entry| matches!(entry.role, Role::Delta(_)));
        deltas.count()
    }
}

fn gone(number: u64) -> CertStatus {
    revoked(NOW - number, RevocationReason::Superseded)
}

#[test]
fn the_second_algorithm_of_a_batch_is_lost_on_its_way() {
    let place = place_of_two();
    let header = Header {
        shards: 4,
        ..place.header_of_two(1)
    };
    let rows: Vec<Row> = (1..=20).map(good).collect();
    place.put(header, &rows);
    let report = place.pass(NOW);
    assert_eq!(report.taken.len(), 1, "{report:?}");
    assert_eq!(report.taken[0].verified, 4, "every variant of one record");
    for number in 1..=20 {
        for liked in [EcdsaP256Sha256, Ed25519] {
            assert_eq!(place.told(number, liked), (CertStatus::Good, liked));
        }
        let other = place.told(number, SignatureAlgorithm::Sm2Sm3);
        assert_eq!(other, (CertStatus::Good, EcdsaP256Sha256));
        assert_eq!(place.status(number), Some(CertStatus::Good));
    }
    assert!(verify(place.data.path(), NOW).unwrap().holds());
    let inspected = crate::inspect::Inspection::of(&place.snapshot());
    let of_sha1 = ["sha1/ecdsa-p256-sha256", "sha1/ed25519"];
    for pack in &inspected.packs {
        assert_eq!(pack.variants.len(), 4);
        assert!(
            of_sha1
                .iter()
                .all(|name| pack.variants.iter().any(|v| v == name))
        );
    }
}

#[test]
fn signatures_of_the_second_algorithm_are_believed() {
    let place = place_of_two();
    let mut octets = record(&place.header_of_two(1), &good(1), &place.signer);
    // The last octet of the last signature.
    *octets.last_mut().unwrap() ^= 1;
    let mut header = place.header_of_two(1);
    header.record_count = 1;
    place.put_octets(1, &seal(&header, &octets, &place.key));
    let reason = place.refused(NOW);
    assert!(reason.contains("ed25519"), "{reason}");
}

#[test]
fn a_stranger_signs_in_the_second_slot() {
    let place = place_of_two();
    // A certificate that the authority never signed, in the second slot.
    let mut stranger = place.header_of_two(1);
    let other = crate::workshop::Authority::found("Another CA").two_signers();
    let certificate = &other.second.as_ref().unwrap().certificate;
    stranger.responders[1].certificate = certificate.der.clone();
    stranger.responders[1].key_hash = certificate.key_sha1;
    place.put(stranger, &[good(1)]);
    let reason = place.refused(NOW);
    assert!(reason.contains("responder 1"), "{reason}");
}

/// Signers took a form that stood twice in their settings, and sign for it twice: no reason to keep a revocation back.
#[test]
fn a_variant_that_is_there_twice_holds_everything_up() {
    let place = place_of_two();
    let mut header = place.header_of_two(1);
    header.variants.insert(1, header.variants[0].clone());
    header.variants.push(header.variants[4].clone());
    place.put(header, &[(serial(1), gone(1), 0)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    for liked in [EcdsaP256Sha256, Ed25519] {
        assert_eq!(place.told(1, liked), (gone(1), liked));
    }
    assert_eq!(place.status(1), Some(gone(1)));
}

#[test]
fn joining_loses_an_algorithm_or_lets_the_base_say_good() {
    let place = place_of_two();
    let rows: Vec<Row> = (1..=60).map(good).collect();
    place.put(place.header_of_two(1), &rows);
    place.pass(NOW);
    // The second algorithm is switched off after the first ten changes, and on again for the last thirty.
    for number in 2..=50 {
        let header = match number {
            12..=20 => place.header(number),
            _ => place.header_of_two(number),
        };
        let header = Header {
            kind: Kind::Delta,
            ..header
        };
        let row = |serial_number| (serial(serial_number), gone(number), 0);
        place.put(header, &[row(number), row(60)]);
        assert_eq!(place.pass(NOW + number).taken.len(), 1);
        let by = match number {
            12..=20 => EcdsaP256Sha256,
            _ => Ed25519,
        };
        assert_eq!(place.told(60, Ed25519), (gone(number), by), "{number}");
    }
    for number in 2..=50 {
        let by = match number {
            12..=20 => EcdsaP256Sha256,
            _ => Ed25519,
        };
        assert_eq!(place.told(number, Ed25519), (gone(number), by));
        let own = place.told(number, EcdsaP256Sha256);
        assert_eq!(own, (gone(number), EcdsaP256Sha256));
        assert_eq!(place.status(number), Some(gone(number)));
    }
    assert_eq!(place.told(1, Ed25519), (CertStatus::Good, Ed25519));
    assert_eq!(place.deltas(), MOST_DELTAS);
    assert!(verify(place.data.path(), NOW).unwrap().holds());
}

/// A base that says the same for as long makes a delta's record superfluous, but not for who likes what the base has not.
#[test]
fn a_record_goes_because_a_base_says_the_same_with_fewer_algorithms() {
    let place = place_of_two();
    let rows = [good(1), (serial(2), gone(2), 0)];
    place.put(place.header(1), &rows);
    place.pass(NOW);
    let delta = |number, serials: &[u64]| {
        let header = Header {
            kind: Kind::Delta,
            ..place.header_of_two(number)
        };
        let rows: Vec<Row> = serials
            .iter()
            .map(|&number| (serial(number), gone(number), 0))
            .collect();
        place.put(header, &rows);
        assert_eq!(place.pass(NOW + number).taken.len(), 1);
    };
    delta(2, &[2]);
    for number in 3..=12 {
        delta(number, &[number]);
    }
    assert_eq!(place.deltas(), MOST_DELTAS);
    assert_eq!(place.told(2, Ed25519), (gone(2), Ed25519));
    assert_eq!(place.told(1, Ed25519), (CertStatus::Good, EcdsaP256Sha256));
}
