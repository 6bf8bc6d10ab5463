//! What a snapshot answers is what a map would: whatever packs there are, the newest that holds the serial speaks.

mod wishes;

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use wire::algorithm::SignatureAlgorithm::{
    self, EcdsaP256Sha256, EcdsaP384Sha384, Rsa2048Sha256, Sm2Sm3,
};
use wire::cert_id::{IssuerId, cert_id_prefix};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::{Lookup, Snapshot};
use crate::durable::FsDisk;
use crate::error::OpenError;
use crate::manifest::ObjectEntry;
use crate::object::Sealed;
use crate::pack::{PackSpec, Scope};
use crate::publish::{Edition, Publisher};
use crate::seal::SealKey;
use crate::specimen::{NOW, Rows, serial, shared, signature, spec, write};
use crate::store::Store;

/// A store that is published to again and again.
struct Rig {
    folder: tempfile::TempDir,
    pkcs8: Vec<u8>,
}

impl Rig {
    fn new() -> Rig {
        Rig {
            folder: tempfile::tempdir().unwrap(),
            pkcs8: SealKey::generate().unwrap().1,
        }
    }

    fn key(&self) -> SealKey {
        SealKey::from_pkcs8(&self.pkcs8, Path::new("test")).unwrap()
    }

    fn publish(&self, packs: &[(PackSpec, Rows)]) {
        self.publish_beside(packs, |_| false);
    }

    /// Publishes packs beside those of the current generation that are kept.
    fn publish_beside(&self, packs: &[(PackSpec, Rows)], is_kept: impl Fn(&ObjectEntry) -> bool) {
        let store = Store::at(self.folder.path());
        let mut publisher = Publisher::open(&FsDisk, store, self.key(), &[]).unwrap();
        let sealed = |(number, (spec, rows)): (usize, &(PackSpec, Rows))| -> Sealed {
            let temp = publisher.store().temp().join(number.to_string());
            write(&temp, spec, rows).unwrap()
        };
        let again = publisher.same_again(NOW);
        let edition = Edition {
            kept: again.kept.into_iter().filter(is_kept).collect(),
            added: packs.iter().enumerate().map(sealed).collect(),
            ..publisher.same_again(NOW)
        };
        publisher.publish(&edition).unwrap();
    }

    fn open(&self) -> Snapshot {
        Snapshot::open(self.folder.path(), &[self.key().public()], None).unwrap()
    }
}

const WHOLE: Scope = Scope::Base {
    shards: 1,
    shard: 0,
};

fn revoked(at: u64) -> CertStatus {
    CertStatus::Revoked {
        at,
        reason: Some(RevocationReason::Superseded),
    }
}

fn status() -> impl Strategy<Value = CertStatus> {
    prop_oneof![
        Just(CertStatus::Good),
        Just(CertStatus::Absent),
        (1..u64::from(u32::MAX)).prop_map(revoked),
        Just(CertStatus::Revoked {
            at: 7,
            reason: None
        }),
    ]
}

/// Serials of all widths, negative ones too, from a small set so that packs overlap.
fn any_serial() -> impl Strategy<Value = Serial> {
    (0..60_u64, 0..4_usize).prop_map(|(number, width)| {
        let octets = [
            [0x80 | number as u8; 20],
            [number as u8 | 1; 20],
            [0x7f; 20],
            [1; 20],
        ][width];
        match width {
            0 => Serial::from_padded(&octets[..1 + number as usize % 20]).unwrap(),
            1 => Serial::from_unsigned(&octets[..1 + number as usize % 19]).unwrap(),
            _ => serial(number * number * number),
        }
    })
}

type Row = (Serial, CertStatus, u16);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((any_serial(), status(), 0..4_u16), 0..80)
}

/// Which packs: the base's shards, each delta's revision. Base packs have revision 10.
fn deltas() -> impl Strategy<Value = Vec<(u64, Vec<Row>)>> {
    prop::collection::vec((1..20_u64, rows()), 0..5)
}

type Model = HashMap<Serial, (u64, CertStatus, u16)>;

fn learn(model: &mut Model, revision: u64, rows: &Rows) {
    for (serial, (status, window)) in rows {
        let known = model.get(serial).map(|known| known.0);
        // At equal revisions a delta is asked before the base, which is learned first.
        if known.is_none_or(|known| known <= revision) {
            model.insert(*serial, (revision, *status, *window));
        }
    }
}

fn expect(snapshot: &Snapshot, algorithms: &[SignatureAlgorithm], model: &Model, serial: &Serial) {
    for (number, variant) in shared(1, algorithms, 4).variants.iter().enumerate() {
        let lookup = snapshot.lookup(&variant.prefix, serial.content(), None);
        let known = model.get(serial);
        match (lookup, known) {
            (Lookup::UnknownSerial, None | Some((_, CertStatus::Absent, _))) => {}
            (Lookup::Found(found), Some((revision, status, window)))
                if *status != CertStatus::Absent =>
            {
                assert_eq!(found.status, *status);
                assert_eq!(found.algorithm, algorithms[number]);
                assert_eq!(
                    found.signature,
                    signature(serial, algorithms[number], *revision)
                );
                assert_eq!(found.cert_id_prefix, variant.prefix);
                assert_eq!(found.key_hash, &[algorithms[number].code(); 20]);
                assert_eq!(found.certs, [0xa0, 3, 1, 1, algorithms[number].code()]);
                assert_eq!(found.window.this_update, NOW + u64::from(*window));
                assert_eq!(found.window.next_update, NOW + 1000 + u64::from(*window));
            }
            (lookup, known) => panic!("{serial}: {lookup:?}, expected {known:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_pack_that_holds_a_serial_answers_as_a_map_would(
        shards in 1..5_u32,
        base in rows(),
        deltas in deltas(),
        asked in prop::collection::vec(any_serial(), 0..30),
    ) {
        let algorithms = [EcdsaP256Sha256, EcdsaP384Sha384, Sm2Sm3];
        let shared = shared(1, &algorithms, 4);
        let mut model = Model::new();
        let base: Rows = base
            .into_iter()
            .filter(|(_, status, _)| *status != CertStatus::Absent)
            .map(|(serial, status, window)| (serial, (status, window)))
            .collect();
        learn(&mut model, 10, &base);
        let mut packs: Vec<_> = (0..shards)
            .map(|shard| (spec(1, Scope::Base { shards, shard }, 10, shared.clone()), base.clone()))
            .collect();
        let mut revisions = std::collections::HashSet::new();
        for (revision, rows) in deltas {
            if !revisions.insert(revision) {
                continue;
            }
            let rows: Rows = rows.into_iter().map(|(serial, status, window)| (serial, (status, window))).collect();
            // The base is whole: what an older delta says beyond it is past.
            if revision >= 10 {
                learn(&mut model, revision, &rows);
            }
            packs.push((spec(1, Scope::Delta, revision, shared.clone()), rows));
        }
        let rig = Rig::new();
        rig.publish(&packs);
        let snapshot = rig.open();
        let stored = packs.iter().flat_map(|(_, rows)| rows.keys());
        for serial in stored.chain(&asked) {
            expect(&snapshot, &algorithms, &model, serial);
        }
    }
}

// RFC 9919 §3.2.3: without an authoritative record the answer is unauthorized.
#[test]
fn another_authoritys_certificate_and_an_unsigned_form_are_unknown_issuers() {
    let rig = Rig::new();
    let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    let one = (
        spec(1, WHOLE, 1, shared(1, &[EcdsaP256Sha256], 1)),
        rows.clone(),
    );
    let two = (
        spec(2, WHOLE, 1, shared(2, &[Rsa2048Sha256, Sm2Sm3], 1)),
        rows,
    );
    rig.publish(&[one, two]);
    let snapshot = rig.open();
    let ask = |issuer, variant: usize, number| {
        let prefix = &shared(issuer, &[EcdsaP256Sha256, Sm2Sm3], 1).variants[variant].prefix;
        snapshot.lookup(prefix, serial(number).content(), None)
    };
    assert!(matches!(ask(1, 0, 1), Lookup::Found(found) if found.algorithm == EcdsaP256Sha256));
    assert!(matches!(ask(2, 0, 1), Lookup::Found(found) if found.signature.len() == 256));
    assert!(matches!(ask(2, 1, 1), Lookup::Found(found) if found.algorithm == Sm2Sm3));
    assert!(matches!(ask(1, 0, 2), Lookup::UnknownSerial));
    assert!(matches!(ask(1, 1, 1), Lookup::UnknownIssuer));
    assert!(matches!(ask(3, 0, 1), Lookup::UnknownIssuer));
    assert!(matches!(
        snapshot.lookup(&[], &[1], None),
        Lookup::UnknownIssuer
    ));
    let prefix = &shared(1, &[EcdsaP256Sha256], 1).variants[0].prefix;
    // Serials that no record can hold: empty, padded, too long.
    for serial in [&[][..], &[0, 1], &[0xff, 0xff], &[1; 33], &[1; 4000]] {
        assert!(matches!(
            snapshot.lookup(prefix, serial, None),
            Lookup::UnknownSerial
        ));
    }
}

/// A variant was enabled after the base was signed: until the base has it too, nothing older than the newest record
/// may speak in its place, nor may the base's record in the other variant be taken for it.
#[test]
fn a_newer_pack_without_the_variant_does_not_let_an_older_one_speak() {
    let rig = Rig::new();
    let both = shared(1, &[EcdsaP256Sha256, Sm2Sm3], 1);
    let first = shared(1, &[EcdsaP256Sha256], 1);
    let good = Rows::from([
        (serial(1), (CertStatus::Good, 0)),
        (serial(2), (CertStatus::Good, 0)),
    ]);
    let gone = Rows::from([(serial(1), (revoked(NOW), 0))]);
    rig.publish(&[
        (spec(1, WHOLE, 1, both.clone()), good),
        (spec(1, Scope::Delta, 2, first), gone),
    ]);
    let snapshot = rig.open();
    let ask = |variant: usize, number| {
        snapshot.lookup(
            &both.variants[variant].prefix,
            serial(number).content(),
            None,
        )
    };
    assert!(matches!(ask(0, 1), Lookup::Found(found) if found.status == revoked(NOW)));
    assert!(matches!(ask(1, 1), Lookup::UnknownSerial));
    assert!(matches!(ask(1, 2), Lookup::Found(found) if found.algorithm == Sm2Sm3));
}

#[test]
fn a_damaged_delta_is_said_and_the_base_is_not_asked_in_its_place() {
    let rig = Rig::new();
    let shared = shared(1, &[EcdsaP256Sha256], 1);
    let base = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    let delta = Rows::from([(serial(1), (revoked(NOW), 0))]);
    rig.publish(&[
        (spec(1, WHOLE, 1, shared.clone()), base),
        (spec(1, Scope::Delta, 2, shared.clone()), delta),
    ]);
    let snapshot = rig.open();
    let path = snapshot
        .packs()
        .find(|(_, pack)| pack.is_delta())
        .map(|(_, pack)| pack.path().to_owned())
        .unwrap();
    drop(snapshot);
    // The status octet of the only record becomes one that does not exist.
    let mut octets = std::fs::read(&path).unwrap();
    let record = octets
        .windows(20)
        .position(|window| *window == *serial(1).padded(20).unwrap());
    octets[record.unwrap() + 20] = 0x77;
    std::fs::write(&path, octets).unwrap();
    let lookup = rig.open();
    let lookup = lookup.lookup(&shared.variants[0].prefix, serial(1).content(), None);
    assert!(matches!(lookup, Lookup::Damaged(_)), "{lookup:?}");
}

#[test]
fn a_next_snapshot_shares_the_maps_of_what_did_not_change() {
    let rig = Rig::new();
    let shared = shared(1, &[EcdsaP256Sha256], 1);
    let base = (
        spec(1, WHOLE, 1, shared.clone()),
        Rows::from([(serial(1), (CertStatus::Good, 0))]),
    );
    let delta = (
        spec(1, Scope::Delta, 2, shared.clone()),
        Rows::from([(serial(1), (revoked(NOW), 0))]),
    );
    rig.publish(&[base]);
    let first = rig.open();
    rig.publish_beside(&[delta], |_| true);
    let pins = [rig.key().public()];
    let second = Snapshot::open_next(rig.folder.path(), &pins, &first).unwrap();
    second.touch_new(Some(&first));
    assert_eq!((first.number(), second.number()), (1, 2));
    let (digest, pack) = first.packs().next().unwrap();
    assert!(std::sync::Arc::ptr_eq(pack, second.pack(*digest).unwrap()));
    let info: Vec<_> = second.issuers().collect();
    assert_eq!((info.len(), info[0].packs, info[0].records), (1, 2, 2));
    assert_eq!(info[0].soonest_next_update, Some(NOW + 1000));
    // The first goes on answering as before while the second answers anew.
    let prefix = &shared.variants[0].prefix;
    let status = |snapshot: &Snapshot| match snapshot.lookup(prefix, serial(1).content(), None) {
        Lookup::Found(found) => found.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(&first), CertStatus::Good);
    assert_eq!(status(&second), revoked(NOW));
}

#[test]
fn a_repaired_file_stays_mapped_as_it_was_damaged() {
    let rig = Rig::new();
    let base = (
        spec(1, WHOLE, 1, shared(1, &[EcdsaP256Sha256], 1)),
        Rows::from([(serial(1), (CertStatus::Good, 0))]),
    );
    rig.publish(&[base]);
    let first = rig.open();
    let (digest, pack) = first.packs().next().unwrap();
    // As the follower repairs: a sound copy takes the name.
    let copy = rig.folder.path().join("copy");
    std::fs::copy(pack.path(), &copy).unwrap();
    std::fs::rename(&copy, pack.path()).unwrap();
    rig.publish_beside(&[], |_| true);
    let pins = [rig.key().public()];
    let second = Snapshot::open_next(rig.folder.path(), &pins, &first).unwrap();
    second.touch_new(Some(&first));
    let now = second.pack(*digest).unwrap();
    assert!(!std::sync::Arc::ptr_eq(pack, now));
}

#[test]
fn one_of_many_issuers_is_answered_for_another_or_each_keeps_a_file_open() {
    const ISSUERS: usize = 500;
    let hashes: Vec<blake3::Hash> = (0..ISSUERS)
        .map(|number| blake3::hash(&number.to_be_bytes()))
        .collect();
    // The serial is the same with all of them; each revoked it at another moment.
    let status = |number: usize| revoked(NOW + number as u64);
    let pack = |(number, hash): (usize, &blake3::Hash)| {
        let mut shared = shared(1, &[EcdsaP256Sha256], 1);
        let variant = &mut shared.variants[0];
        let octets = &hash.as_bytes()[..variant.form.hash.octets()];
        variant.prefix = cert_id_prefix(variant.form, octets, octets).unwrap();
        let mut spec = spec(1, WHOLE, 1, shared);
        spec.issuer = IssuerId(*hash.as_bytes().first_chunk().unwrap());
        (spec, Rows::from([(serial(7), (status(number), 0))]))
    };
    let packs: Vec<_> = hashes.iter().enumerate().map(pack).collect();
    let rig = Rig::new();
    rig.publish(&packs);

    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_files();
    let snapshot = rig.open();
    // Other tests open files meanwhile, but not hundreds.
    let more = open_files().saturating_sub(before);
    assert!(more < ISSUERS / 2, "{more} files are kept open");
    assert_eq!(snapshot.issuers().count(), ISSUERS);
    for (number, (spec, _)) in packs.iter().enumerate() {
        let prefix = &spec.shared.variants[0].prefix;
        match snapshot.lookup(prefix, serial(7).content(), None) {
            Lookup::Found(found) => assert_eq!(found.status, status(number), "{number}"),
            other => panic!("{number}: {other:?}"),
        }
        let unknown = snapshot.lookup(prefix, serial(8).content(), None);
        assert!(matches!(unknown, Lookup::UnknownSerial), "{unknown:?}");
    }
}

#[test]
fn what_was_said_of_expired_certificates_hides_how_old_the_other_answers_are() {
    let rig = Rig::new();
    let mut base = spec(1, WHOLE, 1, shared(1, &[EcdsaP256Sha256], 2));
    // Carried over from an earlier signing, behind the batch's own window.
    base.shared.windows[1].this_update = NOW - 900;
    base.shared.windows[1].produced_at = NOW - 900;
    let rows = Rows::from([
        (serial(1), (CertStatus::Good, 0)),
        (serial(2), (CertStatus::Good, 1)),
    ]);
    rig.publish(&[(base, rows)]);
    let oldest = |snapshot: &Snapshot| snapshot.issuers().next().unwrap().oldest_this_update;
    assert_eq!(oldest(&rig.open()), Some(NOW));
    // Of deltas every window counts: they are of changes, however many of them were joined.
    let mut delta = spec(1, Scope::Delta, 2, shared(1, &[EcdsaP256Sha256], 2));
    delta.shared.windows[1].this_update = NOW - 60;
    delta.shared.windows[1].produced_at = NOW - 60;
    let rows = Rows::from([(serial(1), (revoked(NOW), 1))]);
    rig.publish_beside(&[(delta, rows)], |_| true);
    assert_eq!(oldest(&rig.open()), Some(NOW - 60));
}

/// Writes a file of the store anew, as if it had been read from a bad disk.
fn replace(path: &Path, octets: &[u8]) {
    // Removed first: whoever has mapped the old one keeps it.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, octets).unwrap();
}

#[test]
fn a_flipped_bit_in_a_delta_hides_a_revocation_from_whoever_opens_it() {
    let rig = Rig::new();
    let shared = shared(1, &[EcdsaP256Sha256], 1);
    let good = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    let gone = Rows::from([(serial(1), (revoked(NOW), 0))]);
    rig.publish(&[
        (spec(1, WHOLE, 1, shared.clone()), good),
        (spec(1, Scope::Delta, 2, shared.clone()), gone),
    ]);
    let sound = rig.open();
    assert!(sound.prove_deltas(None).is_ok());
    let (_, delta) = sound.packs().find(|(_, pack)| pack.is_delta()).unwrap();
    let path = delta.path().to_owned();
    let octets = std::fs::read(&path).unwrap();
    let mut hidden = 0_u32;
    for place in 0..octets.len() {
        let mut damaged = octets.clone();
        damaged[place] ^= 0xff;
        replace(&path, &damaged);
        let pins = [rig.key().public()];
        // Most damage of header and tables is seen at once.
        let Ok(snapshot) = Snapshot::open(rig.folder.path(), &pins, None) else {
            continue;
        };
        let lookup = snapshot.lookup(&shared.variants[0].prefix, serial(1).content(), None);
        if let Lookup::Found(found) = lookup {
            hidden += u32::from(found.status == CertStatus::Good);
        }
        let refused = snapshot.prove_deltas(None).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
    assert!(hidden > 0);
    // A map that is shared with the generation before is not read again; a replaced one is.
    replace(&path, &octets);
    let before = rig.open();
    rig.publish_beside(&[], |_| true);
    let pins = [rig.key().public()];
    let next = Snapshot::open_next(rig.folder.path(), &pins, &before).unwrap();
    assert_eq!(next.new_packs(Some(&before)).count(), 0);
    let mut damaged = octets;
    *damaged.last_mut().unwrap() ^= 1;
    replace(&path, &damaged);
    let next = Snapshot::open_next(rig.folder.path(), &pins, &before).unwrap();
    assert!(next.prove_deltas(Some(&before)).is_err());
}
