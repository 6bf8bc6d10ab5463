//! Expired certificates: answered until the archive ends, and hardly ever signed for.

use super::*;
use crate::key::verify;
use crate::settings::{Settings, SettingsConfig};
use der::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use wire::batch::{Window, signed_octets};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// After so long everything is due, wherever its turn lies: three quarters of a day's window are over.
const ROUND: u64 = 19 * HOUR;

/// What a batch says of a certificate: status, window, the signatures of all variants.
type Said = (CertStatus, Window, Vec<Vec<u8>>);

/// All that the newest full batch of P-256 says, each signature verified by the certificate of its window's responder.
fn said(office: &Office<SqliteStore>) -> BTreeMap<Serial, Said> {
    let batch = newest(office, "p256", Kind::Full);
    let header = &batch.header;
    let layout = header.layout().unwrap();
    let mut said = BTreeMap::new();
    for octets in batch.records.chunks(layout.record_octets()) {
        let record = layout.record(octets).unwrap();
        let serial = Serial::from_content(record.serial_content()).unwrap();
        let window = header.windows[usize::from(record.window())];
        let mut signatures = Vec::new();
        for (number, variant) in header.variants.iter().enumerate() {
            let responder = header.responder(&window, variant).unwrap();
            assert!(window.next_update <= responder.not_after);
            let prefix = cert_id_prefix(variant.form, &variant.name_hash, &variant.key_hash);
            let parts = TbsParts {
                key_hash: &responder.key_hash,
                produced_at: window.produced_at,
                cert_id_prefix: &prefix.unwrap(),
                serial_content: serial.content(),
                status: record.status().unwrap(),
                this_update: window.this_update,
                next_update: window.next_update,
            };
            let mut tbs = Vec::new();
            wire::response::write_tbs(&parts, &mut tbs).unwrap();
            let certificate = x509_cert::Certificate::from_der(&responder.certificate).unwrap();
            let key = certificate.tbs_certificate().subject_public_key_info();
            let signature = record.signature(number).unwrap();
            let judged = verify::own(variant.algorithm, &key.to_der().unwrap(), &tbs, signature);
            judged.unwrap();
            signatures.push(signature.to_vec());
        }
        let window = Window { group: 0, ..window };
        said.insert(serial, (record.status().unwrap(), window, signatures));
    }
    said
}

/// The serials of what has expired, and when the last of it did.
fn expired(office: &Office<SqliteStore>) -> (Vec<Serial>, u64) {
    let rows = certificates(office, "p256");
    let end = rows.iter().map(|row| row.not_after).max().unwrap();
    (rows.iter().map(|row| row.serial).collect(), end)
}

#[test]
fn expired_certificates_cost_as_many_signatures_as_living_ones() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let (over, end) = expired(&office);
    let mut shift = begin(&office);
    let begun = end + 10;
    let _ = pass(&mut shift, begun);
    let mut before = said(&office);
    let (mut signed, mut passes, mut groups) = (0, 0, 0);
    for at in (begun + ROUND..begun + 13 * DAY).step_by(19 * 3_600) {
        let written = pass(&mut shift, at);
        assert!(written.iter().any(|w| w.0 == "p256" && w.1 == Kind::Full));
        let now = said(&office);
        for (serial, (_, window, signatures)) in &now {
            assert!(
                window.next_update >= at + DAY,
                "it ends with the others or later"
            );
            let same = before
                .get(serial)
                .is_some_and(|before| before.2 == *signatures);
            if over.contains(serial) {
                signed += usize::from(!same);
            } else {
                assert!(!same, "what lives is signed anew");
            }
        }
        let batch = newest(&office, "p256", Kind::Full);
        groups = groups.max(batch.header.responders.len());
        let layout = batch.header.layout().unwrap();
        let records = batch.records.chunks(layout.record_octets());
        let used: BTreeSet<_> = records
            .map(|record| layout.record(record).unwrap().window())
            .collect();
        let windows = u16::try_from(batch.header.windows.len()).unwrap();
        let carried = (1..windows).find(|window| !used.contains(window));
        assert_eq!(carried, None, "a window in which nothing is said any more");
        passes += 1;
        before = now;
    }
    assert!(passes > 14, "{passes}");
    // A week's window, of which six days are used: twice or three times in thirteen days.
    assert!(signed <= 3 * over.len(), "{signed} in {passes} passes");
    assert!(signed >= over.len(), "never");
    assert_eq!(
        groups, 2,
        "signatures of the signer before stand beside those of its successor"
    );
    // And then they are forgotten.
    let _ = pass(&mut shift, end + office.settings.archive_secs + DAY);
    assert!(
        over.iter()
            .all(|serial| !said(&office).contains_key(serial))
    );
}

#[test]
fn good_that_was_carried_over_outlives_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let (over, end) = expired(&office);
    let mut shift = begin(&office);
    let _ = pass(&mut shift, end + 10);
    let first = said(&office);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    assert!(over.contains(&revoked));
    let _ = pass(&mut shift, end + ROUND);
    let second = said(&office);
    for serial in &over {
        let is_revoked = matches!(second[serial].0, CertStatus::Revoked { .. });
        assert_eq!(is_revoked, *serial == revoked);
        assert_eq!(second[serial].2 == first[serial].2, *serial != revoked);
    }
}

#[test]
fn signatures_that_must_not_be_used_again_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let (over, end) = expired(&office);
    let mut shift = begin(&office);
    let begun = end + 10;
    let _ = pass(&mut shift, begun);
    let id = office.issuer("p256").unwrap().issuer_id();
    let path = office.home.ended(&id).join("0");
    let mut before = said(&office);
    let mut is_anew = |shift: &mut Shift<'_, SqliteStore>, at, why: &str| {
        let _ = pass(shift, at);
        let now = said(&office);
        assert!(
            over.iter().all(|serial| now[serial].2 != before[serial].2),
            "{why}"
        );
        before = now;
    };
    let mut octets = std::fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    is_anew(&mut shift, begun + ROUND, "a flipped bit");
    std::fs::remove_file(&path).unwrap();
    is_anew(&mut shift, begun + 2 * ROUND, "gone");
    // Whole to the last octet of its hash, and by somebody else.
    let (body, trailer) = unsealed(&path);
    let hash = *blake3::hash(&body).as_bytes();
    assert_eq!(hash, trailer[..32]);
    std::fs::write(&path, [&body[..], &hash, &[7; 64]].concat()).unwrap();
    is_anew(&mut shift, begun + 3 * ROUND, "not of our batch key");
    // Sealed by us, and nothing that a client would believe.
    let (mut body, _) = unsealed(&path);
    let (header, from) = Header::parse(&body).unwrap();
    for record in body[from..].chunks_mut(header.layout().unwrap().record_octets()) {
        *record.last_mut().unwrap() ^= 1;
    }
    let hash = *blake3::hash(&body).as_bytes();
    let key = office.keyring.batch_key().unwrap();
    let signature = key.sign(&signed_octets(&hash)).unwrap();
    std::fs::write(&path, [&body[..], &hash, &signature].concat()).unwrap();
    is_anew(&mut shift, begun + 4 * ROUND, "it does not verify");
    let begun = begun + 3 * ROUND;
    shift.forget_all().unwrap();
    is_anew(
        &mut shift,
        begun + 39 * HOUR,
        "an operator wants everything anew",
    );
    // Its signer's key went bad: clients believe nothing it signed.
    let issuer = office.issuer("p256").unwrap();
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), begun + 40 * HOUR))
        .unwrap();
    for signer in signers {
        let revocation = Revocation {
            id: signer.id,
            reason: RevocationReason::KeyCompromise,
            ground: "私钥泄露".to_owned(),
            at: begun + 40 * HOUR,
            invalidity_date: None,
        };
        let by = By::person("officer", begun + 40 * HOUR);
        office
            .registry
            .wait(|store| store.revoke(&revocation, by))
            .unwrap();
    }
    is_anew(&mut shift, begun + 40 * HOUR, "signed by a revoked signer");
    // A clock that was ahead by a day.
    let _ = pass(&mut shift, begun + 3 * ROUND + 3 * HOUR);
    is_anew(
        &mut shift,
        begun + 41 * HOUR,
        "dated by a clock that was ahead",
    );
}

/// A file of kept signatures without its trailer, and that.
fn unsealed(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let mut body = std::fs::read(path).unwrap();
    let trailer = body.split_off(body.len() - TRAILER_OCTETS);
    (body, trailer)
}

fn divided_into(shards: u32) -> Settings {
    let config = SettingsConfig {
        shards,
        shard_records: 1,
        ..SettingsConfig::default()
    };
    Settings::new(config).unwrap()
}

#[test]
fn what_an_operator_wanted_anew_is_carried_over_from_other_shards() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    let id = office.issuer("p256").unwrap().issuer_id();
    let (_, end) = expired(&office);
    let kept = office.home.ended(&id);
    let files = || std::fs::read_dir(&kept).map_or(0, |files| files.count());
    office.settings = divided_into(8);
    let _ = pass(&mut begin(&office), end + 10);
    assert!(files() > 0);
    // One batch takes the place of all of them, and keeps nothing.
    office.settings = divided_into(4);
    let written = pass(&mut begin(&office), end + 20);
    assert!(written.iter().any(|w| w.1 == Kind::Full), "{written:?}");
    assert_eq!(files(), 0);
    let _ = pass(&mut begin(&office), end + 30);
    let carried = |at| {
        let mut shift = begin(&office);
        let report = shift.pass(&|| at, &|_| {}).unwrap();
        let own = report.batches.iter().filter(|w| w.issuer == "p256");
        own.map(|written| written.carried).sum::<u64>()
    };
    assert_eq!(carried(end + ROUND), 0, "there is nothing to carry over");
    assert_eq!(carried(end + 2 * ROUND), 3, "and now there is");
    // An operator's word, and a kill before anything was done about it.
    begin(&office).forget_all().unwrap();
    let mut shift = begin(&office);
    let written = pass(&mut shift, end + 2 * ROUND + HOUR);
    assert!(written.iter().any(|w| w.1 == Kind::Full), "{written:?}");
    assert_eq!(files(), 0);
}

#[test]
fn signatures_by_another_set_of_algorithms_are_carried_over() {
    let with = |names: &str| {
        let config = format!("[issuer.p256]\nocsp-algorithms = [{names}]\n");
        Settings::new(toml::from_str(&config).unwrap()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    let (over, end) = expired(&office);
    let carried = |office: &Office<SqliteStore>, at| {
        let mut shift = begin(office);
        let report = shift.pass(&|| at, &|_| {}).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        let own = report.batches.iter().filter(|w| w.issuer == "p256");
        // Every signature of every variant is verified by the certificate of its group and slot.
        let forms = 2 * said(office)
            .values()
            .map(|said| said.2.len() / 2)
            .max()
            .unwrap();
        (own.map(|written| written.carried).sum::<u64>(), forms)
    };
    let all = over.len() as u64;
    assert_eq!(carried(&office, end + 10), (0, 2));
    office.settings = with("\"ed25519\"");
    assert_eq!(carried(&office, end + 20), (0, 4), "signed with one only");
    let mut groups = 0;
    // Beyond the life of a signer: what both of before signed stands beside what their successors do.
    for turn in 1..=17 {
        let (again, variants) = carried(&office, end + 20 + turn * ROUND);
        assert!(again == all || again == 0, "{again} in turn {turn}");
        assert_eq!(variants, 4);
        let header = newest(&office, "p256", Kind::Full).header;
        assert_eq!(header.slots, 2);
        groups = groups.max(header.responders.len() / 2);
    }
    assert_eq!(groups, 2, "no signature outlived its signer's last turn");
    let end = end + 20 + 17 * ROUND;
    let before = said(&office);
    office.settings = with("\"ecdsa-p384-sha384\"");
    assert_eq!(carried(&office, end + ROUND), (0, 4), "by another one");
    let now = said(&office);
    assert!(over.iter().all(|serial| now[serial].2 != before[serial].2));
    // The first signers have expired by now as well.
    let (again, variants) = carried(&office, end + 2 * ROUND);
    assert!(
        again >= all && variants == 4,
        "{again} of {variants} variants"
    );
}
