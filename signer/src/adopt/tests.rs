//! Adopting lists of "another" authority (a second registry of ours) and, where it is at hand, of real ones.

use super::*;
use crate::batch::tests::read_batch;
use crate::ca::crl::Urgency;
use crate::ca::tests::{approve, certificates, founded, now, person};
use crate::ca::{crl, found, issue};
use crate::key::verify::VerifyError;
use crate::registry::{Revocation, SqliteStore};
use crate::serve::{Shift, tests::begin};
use crate::text::hex;
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

mod indirect;
mod together;
mod unsigned;

/// An authority elsewhere: `revoked` of its three certificates are on its list.
pub(crate) fn elsewhere(
    folder: &Path,
    alias: &str,
    revoked: usize,
) -> (Vec<u8>, Vec<u8>, Vec<Serial>) {
    let office = founded(folder);
    let rows = [
        person("张三", "E1"),
        person("李四", "E2"),
        person("王五", "E3"),
    ];
    let approved = approve(&office, alias, &rows);
    let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
    let mut serials = Vec::new();
    for row in certificates(&office, alias).into_iter().take(revoked) {
        let revocation = Revocation {
            id: row.id,
            reason: RevocationReason::CessationOfOperation,
            ground: "离职".to_owned(),
            at: now(),
            invalidity_date: None,
        };
        let store = office.registry.store();
        office
            .registry
            .drive(store.revoke(&revocation, By::person("officer", now())))
            .unwrap();
        serials.push(row.serial);
    }
    let issuer = office.issuer(alias).unwrap();
    let lists = crl::write(
        &office,
        std::slice::from_ref(&issuer),
        Urgency::Now,
        By::signer(now()),
    )
    .unwrap();
    serials.sort();
    (
        issuer.row.certificate.clone(),
        lists[0].der.clone(),
        serials,
    )
}

pub(crate) fn stage(folder: &Path, issuer: &[u8], list: &[u8], as_of: Option<&str>) -> IssuerId {
    let id = IssuerId(found::issuer_id(issuer).unwrap());
    let staged = folder.join("staged").join(id.to_string());
    std::fs::create_dir_all(&staged).unwrap();
    std::fs::write(staged.join("issuer.der"), issuer).unwrap();
    std::fs::write(staged.join("crl.der"), list).unwrap();
    let as_of = as_of.map_or(String::new(), |as_of| format!("as_of = \"{as_of}\"\n"));
    let options = format!(
        "{as_of}allow_weak = false\ncrl_blake3 = \"{}\"\nimported_at = \"2026-11-22T00:00:00Z\"\n",
        hex(blake3::hash(list).as_bytes())
    );
    std::fs::write(staged.join("options.toml"), options).unwrap();
    id
}

pub(crate) fn adopt(shift: &mut Shift<'_, SqliteStore>, now: u64) -> Outcome {
    let mut outcomes = shift.adopt(&|| now, &|_| {}).unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[test]
fn a_staged_list_is_answered_otherwise_than_it_says() {
    for (alias, variants) in [("p256", 2), ("sm2", 4)] {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (issuer, list, serials) = elsewhere(there.path(), alias, 2);
        let office = founded(here.path());
        let id = stage(here.path(), &issuer, &list, None);
        let mut shift = begin(&office);
        let Outcome::Adopted {
            revision,
            written,
            as_of: None,
            ..
        } = adopt(&mut shift, now())
        else {
            panic!("not adopted");
        };
        assert_eq!((written.records, written.kind), (2, Kind::Full));
        let (header, records) = read_batch(&office.home.batch(&id.0, written.number));
        assert_eq!(
            (header.revision, header.variants.len()),
            (revision, variants)
        );
        let read = wire::crl::Crl::parse(&list).unwrap();
        let expected = Source::ForeignCrl {
            blake3: *blake3::hash(&list).as_bytes(),
            next_update: read.next_update,
            as_of: None,
        };
        assert_eq!(header.source, expected);
        assert!(header.windows[0].next_update <= read.next_update.unwrap());
        let mut said: Vec<_> = records.iter().map(|record| record.0).collect();
        said.sort();
        assert_eq!(said, serials);
        assert!(records.iter().all(|record| matches!(
            record.1,
            CertStatus::Revoked {
                reason: Some(RevocationReason::CessationOfOperation),
                ..
            }
        )));
        let local = responder::certificate(&office).unwrap().unwrap();
        assert_eq!(header.responders[0].certificate, local);
        assert!(here.path().join("demo/local-responder.pem").exists());
        assert!(matches!(adopt(&mut shift, now()), Outcome::Unchanged(_)));
    }
}

#[test]
fn a_list_without_entries_is_not_adopted() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, list, _) = elsewhere(there.path(), "p256", 0);
    let office = founded(here.path());
    stage(here.path(), &issuer, &list, None);
    let mut shift = begin(&office);
    let outcome = adopt(&mut shift, now());
    assert_eq!(outcome.written().map(|written| written.records), Some(0));
}

#[test]
fn a_changed_list_is_not_adopted_or_loses_its_hash_key() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, list, _) = elsewhere(there.path(), "p256", 2);
    let office = founded(here.path());
    let id = stage(here.path(), &issuer, &list, None);
    let mut shift = begin(&office);
    let first = adopt(&mut shift, now()).written().unwrap().number;
    let time = jiff::Timestamp::from_second(now().cast_signed())
        .unwrap()
        .to_string();
    stage(here.path(), &issuer, &list, Some(&time));
    let Outcome::Adopted {
        written,
        as_of: Some(_),
        ..
    } = adopt(&mut shift, now())
    else {
        panic!("now it is a replay");
    };
    let (one, _) = read_batch(&office.home.batch(&id.0, first));
    let (two, _) = read_batch(&office.home.batch(&id.0, written.number));
    assert_eq!(one.hash_key, two.hash_key);
    assert!(two.revision > one.revision);
    assert!(matches!(
        two.source,
        Source::ForeignCrl { as_of: Some(_), .. }
    ));
}

#[test]
fn a_replayed_list_is_not_renewed_or_a_plain_one_outlives_itself() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, list, _) = elsewhere(there.path(), "p256", 1);
    let office = founded(here.path());
    let id = stage(here.path(), &issuer, &list, None);
    let mut shift = begin(&office);
    let _ = adopt(&mut shift, now());
    let week = now() + 7 * 86_400;
    assert!(matches!(
        adopt(&mut shift, week),
        Outcome::Refused {
            why: Refusal::Stale { .. },
            ..
        }
    ));
    assert!(matches!(
        adopt(&mut shift, week + 1),
        Outcome::StillRefused(_)
    ));
    let time = jiff::Timestamp::from_second(now().cast_signed())
        .unwrap()
        .to_string();
    stage(here.path(), &issuer, &list, Some(&time));
    let Outcome::Adopted { written, .. } = adopt(&mut shift, week) else {
        panic!("a replay is taken")
    };
    let (header, _) = read_batch(&office.home.batch(&id.0, written.number));
    assert_eq!(header.windows[0].this_update, week, "present-time windows");
    assert!(matches!(
        adopt(&mut shift, week + 50_000),
        Outcome::Renewed(_)
    ));
}

#[test]
fn a_list_of_yesterday_replaces_the_one_of_today() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = founded(there.path());
    let issuer = theirs.issuer("p256").unwrap();
    let list = |at| {
        let one = std::slice::from_ref(&issuer);
        let lists = crl::write(&theirs, one, Urgency::Now, By::signer(at));
        lists.unwrap().remove(0).der
    };
    // By number and date: the oldest, a newer one, and one whose number rises while its date falls.
    let lists = [list(now() - 200), list(now() - 100), list(now() - 150)];
    let office = founded(here.path());
    let mut shift = begin(&office);
    let mut staged = |list: &[u8], as_of| {
        stage(here.path(), &issuer.row.certificate, list, as_of);
        adopt(&mut shift, now())
    };
    let taken = |outcome: &Outcome| matches!(outcome, Outcome::Adopted { .. });
    let back = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Refused {
                why: Refusal::Backwards { .. },
                ..
            }
        )
    };
    assert!(taken(&staged(&lists[1], None)));
    assert!(back(&staged(&lists[0], None)), "lower number, earlier date");
    assert!(
        back(&staged(&lists[2], None)),
        "higher number, earlier date"
    );
    let time = jiff::Timestamp::from_second(now().cast_signed() - 160)
        .unwrap()
        .to_string();
    assert!(
        taken(&staged(&lists[0], Some(&time))),
        "a replay is what somebody asked for"
    );
    assert!(taken(&staged(&lists[2], None)), "and sets no limit");
    assert!(back(&staged(&lists[0], None)));
}

#[test]
fn a_crl_number_is_compared_as_text() {
    let numbers: [&[u8]; 5] = [&[0], &[9], &[0, 200], &[1, 0], &[1; 20]];
    assert!(numbers.is_sorted_by(|one, other| magnitude(one) < magnitude(other)));
    assert_eq!(magnitude(&[0, 9]), magnitude(&[9]));
}

#[test]
fn answers_of_a_clock_that_was_ahead_stay_until_then() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, list, _) = elsewhere(there.path(), "p256", 1);
    let office = founded(here.path());
    let id = stage(here.path(), &issuer, &list, None);
    let mut shift = begin(&office);
    let _ = adopt(&mut shift, now() + 40_000);
    let Outcome::Renewed(written) = adopt(&mut shift, now()) else {
        panic!("answers from tomorrow are kept")
    };
    let (header, _) = read_batch(&office.home.batch(&id.0, written.number));
    assert!(header.responders[0].not_before <= header.windows[0].this_update);
}

#[test]
fn clients_learn_of_a_local_responder_when_it_signs_already() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let at = |at| responder::current(&office, By::signer(at)).unwrap();
    let first = at(now());
    let end = first.not_after;
    let next = || std::fs::read(office.home.demo().join("local-responder-next.pem"));
    assert_eq!(at(end - 40 * 86_400).certificate, first.certificate);
    assert!(next().is_err());
    assert_eq!(at(end - 20 * 86_400).certificate, first.certificate);
    let announced = next().unwrap();
    assert_eq!(at(end - 10 * 86_400).certificate, first.certificate);
    assert_eq!(next().unwrap(), announced, "one successor");
    let second = at(end - 86_400);
    assert_ne!(second.certificate, first.certificate);
    let signs = std::fs::read(office.home.demo().join("local-responder.pem")).unwrap();
    assert_eq!(signs, announced);
    assert_eq!(at(end + 86_400).certificate, second.certificate);
    assert!(next().is_err());
}

#[test]
fn a_forged_list_is_adopted() {
    let (there, other, here) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (issuer, list, _) = elsewhere(there.path(), "p256", 1);
    let (_, foreign, _) = elsewhere(other.path(), "p256", 1);
    let office = founded(here.path());
    let mut shift = begin(&office);

    // The same name, another key.
    stage(here.path(), &issuer, &foreign, None);
    assert!(matches!(
        adopt(&mut shift, now()),
        Outcome::Refused {
            why: Refusal::Signature(VerifyError::Mismatch),
            ..
        }
    ));
    let mut longer = list.clone();
    longer.push(0);
    stage(here.path(), &issuer, &longer, None);
    assert!(matches!(
        adopt(&mut shift, now()),
        Outcome::Refused {
            why: Refusal::Unreadable(_),
            ..
        }
    ));
    let mut flipped = list.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    stage(here.path(), &issuer, &flipped, None);
    assert!(matches!(adopt(&mut shift, now()), Outcome::Refused { .. }));
    // Options that name another list.
    let id = stage(here.path(), &issuer, &list, None);
    std::fs::write(
        here.path()
            .join("staged")
            .join(id.to_string())
            .join("crl.der"),
        &foreign,
    )
    .unwrap();
    assert!(matches!(
        adopt(&mut shift, now()),
        Outcome::Refused {
            why: Refusal::Staged(StagedError::OtherList(_)),
            ..
        }
    ));
    assert_eq!(
        office.registry.wait(|store| store.foreign()).unwrap().len(),
        0
    );
}

/// `HUFU_CORPUS`: every list that is marked as truly signed is believed, and what contradicts itself is not.
#[test]
fn a_real_list_is_refused() {
    let Some(corpus) = std::env::var_os("HUFU_CORPUS").map(std::path::PathBuf::from) else {
        return;
    };
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.tsv")).unwrap();
    let mut believed = 0;
    for line in manifest
        .lines()
        .filter(|line| line.starts_with("crl-real/"))
    {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, .., signed, certificate, _] = columns[..] else {
            panic!("{line}")
        };
        let list = std::fs::read(corpus.join(name)).unwrap();
        let Ok(issuer) = std::fs::read_dir(corpus.join("issuers"))
            .unwrap()
            .find(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with(certificate)
            })
            .ok_or(())
        else {
            continue;
        };
        let issuer = std::fs::read(issuer.unwrap().path()).unwrap();
        let Ok(read) = wire::crl::Crl::parse(&list) else {
            assert_ne!(signed, "True", "{name}");
            continue;
        };
        let options = Options {
            as_of: Some(read.this_update),
            allow_weak: true,
            crl_blake3: *blake3::hash(&list).as_bytes(),
            form: staged::Form::Crl,
            trusted: None,
            lists: Vec::new(),
            complete: false,
            crl_issuer: None,
        };
        let staged = Staged {
            lists: vec![list],
            issuer,
            crl_issuer: None,
        };
        let id = judge::test_issuer_id(&staged.issuer);
        let judged = judge::judge(id, &staged, &options, now());
        if signed == "True" {
            let judged =
                judged.unwrap_or_else(|why| panic!("{name}: {}", crate::error::sentence(&why)));
            believed += 1;
            let expected = match name {
                name if name.contains("eidc201631") => Some(9_257),
                name if name.contains("CA-5358AA45") => Some(195),
                _ => None,
            };
            assert!(
                expected.is_none_or(|count| count == judged.rows.len()),
                "{name}: {}",
                judged.rows.len()
            );
            if name.contains("CA-5358AA45-Full") {
                assert_eq!((judged.repeated, judged.cleared), (44, 4), "{name}");
            }
        } else {
            println!("{name}: {:?}", judged.map(|judged| judged.rows.len()));
        }
    }
    assert!(believed >= 33, "{believed}");
}
