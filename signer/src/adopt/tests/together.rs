//! Several lists of another authority: a delta on top of its complete list, and partitions.

use super::*;
use crate::ca::Issuer;
use crate::office::Office;
use wire::batch::DocumentKind;
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint, assemble_crl};

const KEY: Option<RevocationReason> = Some(RevocationReason::KeyCompromise);
const HOLD: Option<RevocationReason> = Some(RevocationReason::CertificateHold);
const REMOVED: Option<RevocationReason> = Some(RevocationReason::RemoveFromCrl);

/// An authority elsewhere, whose lists say what a test wants.
pub(super) struct Elsewhere {
    _folder: tempfile::TempDir,
    office: Office<SqliteStore>,
    pub(super) issuer: Issuer,
    /// The moment of its test: read once, since the next look at the clock may see the next second.
    pub(super) today: u64,
}

type Entry = (u8, u64, Option<RevocationReason>);

/// Number, thisUpdate, base, distribution point, entries.
type List<'a> = (u64, u64, Option<u64>, Option<&'a str>, &'a [Entry]);

impl Elsewhere {
    fn new() -> Self {
        Self::called("p256")
    }

    /// One of the two that are founded.
    pub(super) fn called(alias: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = founded(folder.path());
        Self {
            issuer: office.issuer(alias).unwrap(),
            today: now(),
            office,
            _folder: folder,
        }
    }

    fn list(&self, (number, this_update, base_number, point, entries): List<'_>) -> Vec<u8> {
        let name = point.map(IssuingDistributionPoint::name_of_uri);
        let mut writer = CrlWriter::new();
        for (serial, at, reason) in entries {
            writer.push(&[*serial], *at, *reason, None);
        }
        let tbs = writer.finish(&CrlHeader {
            algorithm: self.issuer.algorithm,
            issuer: &self.issuer.name_der,
            this_update,
            next_update: self.today + 86_400 + number,
            number,
            key_identifier: &self.issuer.key_identifier,
            base_number,
            distribution_point: name.as_deref().map(|name| IssuingDistributionPoint {
                name: Some(name),
                ..IssuingDistributionPoint::default()
            }),
            freshest_uri: None,
        });
        self.sign(&tbs)
    }

    pub(super) fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        let key = self.issuer.open_key(&self.office.keyring).unwrap();
        assemble_crl(tbs, self.issuer.algorithm, &key.sign(tbs).unwrap()).unwrap()
    }

    /// Stages these, as the loader would.
    fn stage(&self, folder: &Path, lists: &[List<'_>], complete: bool) -> IssuerId {
        let certificate = &self.issuer.row.certificate;
        let id = IssuerId(found::issuer_id(certificate).unwrap());
        let staged = folder.join("staged").join(id.to_string());
        let _ = std::fs::remove_dir_all(&staged);
        std::fs::create_dir_all(&staged).unwrap();
        std::fs::write(staged.join("issuer.der"), certificate).unwrap();
        let (mut hashes, mut rows) = (Vec::new(), String::new());
        for (place, list) in lists.iter().enumerate() {
            let octets = self.list(*list);
            let name = match place {
                0 => "crl.der".to_owned(),
                _ => format!("crl-{}.der", place + 1),
            };
            let hash = *blake3::hash(&octets).as_bytes();
            rows.push_str(&format!(
                "[[lists]]\nname = \"{name}\"\nblake3 = \"{}\"\n",
                hex(&hash)
            ));
            hashes.push(hash);
            std::fs::write(staged.join(name), octets).unwrap();
        }
        hashes.sort_unstable();
        let mut known = blake3::Hasher::new();
        known.update(b"hufu staged lists v1\0");
        known.update(&[u8::from(complete)]);
        known.update(&hashes.concat());
        let options = format!(
            "allow_weak = false\ncrl_blake3 = \"{}\"\nimported_at = \"2026-11-22T00:00:00Z\"\ncomplete = {complete}\n{rows}",
            known.finalize()
        );
        std::fs::write(staged.join("options.toml"), options).unwrap();
        id
    }
}

pub(super) fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn said(
    office: &Office<SqliteStore>,
    id: IssuerId,
    outcome: &Outcome,
) -> Vec<(u8, CertStatus)> {
    let number = outcome.written().expect("a batch").number;
    let (_, records) = read_batch(&office.home.batch(&id.0, number));
    let mut said: Vec<_> = records
        .iter()
        .map(|record| (record.0.content()[0], record.1))
        .collect();
    said.sort_by_key(|(serial, _)| *serial);
    said
}

pub(super) fn revoked(at: u64, reason: Option<RevocationReason>) -> CertStatus {
    CertStatus::Revoked { at, reason }
}

// RFC 5280 §5.2.4: the complete list and its delta together say what is revoked.
#[test]
fn what_a_delta_revokes_is_not_answered_or_what_it_clears_is() {
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let mut shift = begin(&office);
    let at = today - 5_000;
    let full = [(1, at, KEY), (2, at, HOLD), (3, at, KEY)];
    let full: List<'_> = (5, today - 300, None, None, &full);
    let changes = [
        (2, at + 50, REMOVED),
        (3, at - 50, HOLD),
        (4, at, KEY),
        (9, at, REMOVED),
    ];
    let delta: List<'_> = (7, today - 100, Some(5), None, &changes);
    let id = there.stage(here.path(), &[full, delta], false);
    let outcome = adopt(&mut shift, today);
    let expected = [
        (1, revoked(at, KEY)),
        (3, revoked(at - 50, HOLD)),
        (4, revoked(at, KEY)),
    ];
    assert_eq!(said(&office, id, &outcome), expected);
    let number = outcome.written().unwrap().number;
    let (header, _) = read_batch(&office.home.batch(&id.0, number));
    // True on the delta's day, until the first of both ends.
    let since = today - 100..=today;
    assert!(since.contains(&header.windows[0].this_update));
    assert!(header.windows[0].next_update <= today + 86_405);
    let names: Vec<_> = header
        .documents
        .iter()
        .filter(|document| document.kind == DocumentKind::Crl)
        .map(|document| document.name.clone())
        .collect();
    assert_eq!(names, [format!("{id}.crl"), format!("{id}.delta.crl")]);
    assert!(matches!(adopt(&mut shift, today), Outcome::Unchanged(_)));

    // The complete list alone would take back what the delta said.
    there.stage(here.path(), &[full], false);
    assert!(matches!(
        refused(adopt(&mut shift, today)),
        Refusal::Staged(_)
    ));
    let mut alone = |list: List<'_>| {
        stage(
            here.path(),
            &there.issuer.row.certificate,
            &there.list(list),
            None,
        );
        adopt(&mut shift, today)
    };
    assert!(matches!(refused(alone(full)), Refusal::Backwards { .. }));
    assert!(matches!(refused(alone(delta)), Refusal::Delta));
    let newer: List<'_> = (8, today - 50, None, None, &[]);
    assert!(matches!(alone(newer), Outcome::Adopted { .. }));
}

// RFC 5280 §5.2.4 (c), (d).
#[test]
fn a_delta_is_put_on_a_list_it_does_not_change() {
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let full: List<'_> = (5, today - 300, None, None, &[]);
    let point = Some("http://x/1.crl");
    for (number, base, point, why) in [
        (7, 6, None, "it changes a later list"),
        (4, 3, None, "it is older than the list"),
        (7, 5, point, "beside a partition"),
    ] {
        let delta: List<'_> = (number, today - 100, Some(base), point, &[]);
        // Begun anew: a refused list is not looked at again at once.
        let mut shift = begin(&office);
        there.stage(here.path(), &[full, delta], false);
        let refusal = refused(adopt(&mut shift, today));
        assert!(refusal.to_string().contains(why), "{refusal}");
    }
}

// RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
// RFC 5280 §5.2.3: a delta of its complete list's own number says the same.
#[test]
fn a_delta_of_its_lists_own_number_or_of_an_earlier_day_has_the_last_word() {
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let at = today - 5_000;
    let entries = [(1, at, KEY), (2, at, HOLD)];
    let full: List<'_> = (5, today - 300, None, None, &entries);
    let judged = |number, this_update, changes: &[Entry]| {
        let mut shift = begin(&office);
        there.stage(
            here.path(),
            &[full, (number, this_update, Some(3), None, changes)],
            false,
        );
        adopt(&mut shift, today)
    };
    for wrong in [(2, at, REMOVED), (3, at, KEY), (1, at + 1, KEY)] {
        let refusal = refused(judged(5, today - 300, &[wrong]));
        assert!(matches!(refusal, Refusal::OneNumber(_)), "{refusal}");
    }
    let earlier = refused(judged(6, today - 400, &[(3, at, KEY)]));
    assert!(earlier.to_string().contains("dated before"), "{earlier}");
    let echo = [(1, at, KEY), (9, at, REMOVED)];
    let outcome = judged(5, today - 300, &echo);
    assert_eq!(outcome.written().map(|written| written.records), Some(2));
}

// RFC 5280 §5.2.5: partitions are told apart by their distribution points.
#[test]
fn partitions_are_taken_for_the_whole_or_contradict_each_other() {
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let mut shift = begin(&office);
    let at = today - 5_000;
    let (one, two) = ([(1, at, KEY)], [(2, at, KEY)]);
    let one: List<'_> = (3, today - 300, None, Some("http://x/1.crl"), &one);
    let two: List<'_> = (1, today - 200, None, Some("http://x/2.crl"), &two);
    let judged = |complete| {
        let id = there.stage(here.path(), &[one, two], complete);
        let folder = here.path().join("staged").join(id.to_string());
        let options = Options::read(&folder).unwrap();
        let staged = Staged::read(&folder, &options).unwrap();
        let judged = judge::judge(id, &staged, &options, today);
        (id, judged.unwrap())
    };
    let (_, told) = judged(false);
    assert!(!told.names_all_revoked, "some may be missing");
    assert_eq!((told.this_update, told.newest), (today - 300, today - 200));
    let (id, told) = judged(true);
    assert!(told.names_all_revoked);
    assert_eq!(told.next_update, Some(today + 86_401));
    let outcome = adopt(&mut shift, today);
    let both = [(1, revoked(at, KEY)), (2, revoked(at, KEY))];
    assert_eq!(said(&office, id, &outcome), both);
    // The word that they are all is taken back: that is news.
    there.stage(here.path(), &[one, two], false);
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    // One of them anew, with its delta.
    let change = [(1, at, REMOVED), (5, at, KEY)];
    let change: List<'_> = (4, today - 90, Some(3), Some("http://x/1.crl"), &change);
    there.stage(here.path(), &[one, two, change], true);
    let outcome = adopt(&mut shift, today);
    let expected = [(2, revoked(at, KEY)), (5, revoked(at, KEY))];
    assert_eq!(said(&office, id, &outcome), expected);

    let twisted = [(1, at + 1, KEY)];
    let twisted: List<'_> = (2, today - 80, None, Some("http://x/2.crl"), &twisted);
    there.stage(here.path(), &[one, twisted], true);
    assert!(matches!(
        refused(adopt(&mut shift, today)),
        Refusal::Partitions(_)
    ));
}

// RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
#[test]
fn one_of_several_partitions_goes_back_behind_the_newest() {
    const ONE: Option<&str> = Some("http://x/1.crl");
    const TWO: Option<&str> = Some("http://x/2.crl");
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let at = today - 5_000;
    let entry = [(1, at, KEY)];
    let mut shift = begin(&office);
    let mut come = |lists: &[List<'_>]| {
        there.stage(here.path(), lists, false);
        adopt(&mut shift, today)
    };
    let one: List<'_> = (3, today - 300, None, ONE, &entry);
    let two: List<'_> = (1, today - 200, None, TWO, &[]);
    assert!(matches!(come(&[one, two]), Outcome::Adopted { .. }));
    let newer: List<'_> = (2, today - 100, None, TWO, &[]);
    // By number, by date, by both.
    for (number, this_update) in [(2, today - 300), (4, today - 400), (2, today - 400)] {
        let older: List<'_> = (number, this_update, None, ONE, &[]);
        let refusal = refused(come(&[older, newer]));
        assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
    }
    // Its delta brought it further than its complete list goes.
    let change: List<'_> = (5, today - 150, Some(3), ONE, &[]);
    assert!(matches!(
        come(&[one, newer, change]),
        Outcome::Adopted { .. }
    ));
    let refusal = refused(come(&[one, newer]));
    assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
    // The newest one is retired; one comes that is older than any.
    let third: List<'_> = (1, today - 900, None, Some("http://x/3.crl"), &[]);
    let further: List<'_> = (6, today - 150, None, ONE, &entry);
    assert!(matches!(come(&[further, third]), Outcome::Adopted { .. }));
    // And comes back as it was once.
    let refusal = refused(come(&[further, third, two]));
    assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
    assert!(matches!(
        come(&[further, third, newer]),
        Outcome::Adopted { .. }
    ));
}

#[test]
fn a_partition_is_called_otherwise_as_soon_as_another_stands_beside_it() {
    let (there, here) = (Elsewhere::new(), tempfile::tempdir().unwrap());
    let today = there.today;
    let office = founded(here.path());
    let mut shift = begin(&office);
    let one: List<'_> = (3, today - 300, None, Some("http://x/1.crl"), &[]);
    let two: List<'_> = (3, today - 300, None, Some("http://x/2.crl"), &[]);
    let mut names = |lists: &[List<'_>]| {
        // One list that nobody says a word about is known by its own hash.
        let id = there.stage(here.path(), lists, lists.len() == 1);
        let number = adopt(&mut shift, today).written().expect("a batch").number;
        let (header, _) = read_batch(&office.home.batch(&id.0, number));
        let lists = header.documents.into_iter();
        let lists = lists.filter(|document| document.kind == DocumentKind::Crl);
        lists.map(|document| document.name).collect::<Vec<_>>()
    };
    let (both, alone) = (names(&[one, two]), names(&[one]));
    assert_eq!((both.len(), alone.len()), (2, 1));
    assert_eq!(both[0], alone[0]);
    assert_ne!(both[0], both[1]);
}
