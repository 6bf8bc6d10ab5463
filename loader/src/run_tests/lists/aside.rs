//! What waits and what does not while lists are made ready, and what these are held against.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::beside::{Gate, change, put_lists, steps};
use super::*;
use crate::durable::FsDisk;
use crate::manifest::{Manifest, Role};
use crate::run::Line;
use crate::run::Portion;

const BASE: fn() -> [Row; 3] = || [good(1), row(2), good(3)];

fn signed_at(header: Header, at: u64) -> Header {
    let mut header = header;
    header.windows[0].this_update = at;
    header.windows[0].produced_at = at;
    header
}

fn kinds(report: &PassReport) -> Vec<&'static str> {
    report.taken.iter().map(|taken| taken.kind).collect()
}

#[test]
fn a_change_signed_while_lists_are_made_ready_is_taken_for_one_from_the_future() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    put_lists(&place, 3, &[List { number: 2, ..WHOLE }]);
    let late = signed_at(change(&place, 4, 7), NOW + 500);
    let gate = Gate::new(&place, late, &[row(3)]);
    let mut line = place.line(&gate);
    line.portion.document_octets = 0;
    line.seconds_since = |_| 300;
    let report = line.step(NOW, &mut |_, _| ()).unwrap();
    assert_eq!(gate.went_out.get(), Some(&true), "{report:?}");
    assert_eq!(kinds(&report), ["delta", "documents"]);
    let sealed_at = line.publisher().current().unwrap().sealed_at;
    assert_eq!(sealed_at, NOW + 300);
}

#[test]
fn a_change_signed_while_a_base_is_read_is_taken_for_one_from_the_future() {
    let place = Place::new();
    place.put(place.header(1), &BASE());
    let mut line = place.line(&FsDisk);
    line.portion = Portion {
        octets: 1,
        records: 0,
        ..Portion::default()
    };
    line.seconds_since = |_| 300;
    let mut late = Some(signed_at(change(&place, 2, 7), NOW + 500));
    let step = line.step(NOW, &mut |_, _| {
        if let Some(late) = late.take() {
            place.put(late, &[row(3)]);
        }
    });
    assert_eq!(kinds(&step.unwrap()), ["delta", "full"]);
}

#[test]
fn what_comes_to_a_long_list_is_taken_for_short() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    place.put(change(&place, 3, 6), &[row(3)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    let batch = put_lists(&place, 4, &[delta(2, &[(3, KEY)])]);
    let gate = Gate::new(&place, change(&place, 5, 9), &[row(1)]);
    let mut line = place.line(&gate);
    line.portion.document_octets = std::fs::metadata(batch).unwrap().len();
    let report = line.step(NOW, &mut |_, _| ()).unwrap();
    assert_eq!(gate.went_out.get(), Some(&true), "{report:?}");
    assert_eq!(kinds(&report), ["delta", "documents"]);
}

#[test]
fn a_list_whose_change_is_put_off_is_refused() {
    for at_once in [false, true] {
        let place = Place::new();
        assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
        place.put(signed_at(change(&place, 3, 7), NOW + 500), &[row(3)]);
        let next = List {
            number: 2,
            revision: 7,
            entries: &[(2, KEY), (3, KEY)],
            ..WHOLE
        };
        put_lists(&place, 4, &[next]);
        let mut line = place.line(&FsDisk);
        let report = match at_once {
            true => line.pass(NOW, &mut |_, _| ()),
            false => line.step(NOW, &mut |_, _| ()),
        };
        let report = report.unwrap();
        assert_eq!((report.refused.len(), report.put_off.len()), (0, 1));
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.extend(kinds(&line.step(NOW + 500, &mut |_, _| ()).unwrap()));
        }
        assert_eq!(taken, ["delta", "documents"]);
    }
}

#[test]
fn a_change_overtakes_one_that_brings_files_and_shuts_it_out() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    let mut line = place.line(&FsDisk);
    // So many changes in a row that the list has its turn before the next.
    for number in 3..20 {
        place.put(change(&place, number, 10 + number), &[row(100 + number)]);
        assert_eq!(line.step(NOW, &mut |_, _| ()).unwrap().taken.len(), 1);
    }
    let mut entries = vec![(2, KEY), (3, KEY)];
    entries.extend((103..120).map(|number| (number, KEY)));
    let list = |number, revision| List {
        number,
        revision,
        entries: &entries,
        ..WHOLE
    };
    let brings_files = Header {
        documents: vec![list(2, 30).document(&place)],
        ..change(&place, 20, 30)
    };
    place.put(brings_files, &[row(3)]);
    place.put(change(&place, 21, 31), &[good(1)]);
    put_lists(&place, 22, &[list(3, 31)]);
    // The list's turn passes, for it stands on what waits.
    assert!(line.step(NOW, &mut |_, _| ()).unwrap().is_quiet());
    let report = steps(&mut line).unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
    assert_eq!(kinds(&report), ["delta", "delta", "documents"]);
}

#[test]
fn one_failure_keeps_changes_waiting_until_lists_are_ready_or_untold() {
    // Each act up to the end of the acknowledgement.
    for act in 0.. {
        let place = Place::new();
        assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
        put_lists(&place, 3, &[List { number: 2, ..WHOLE }]);
        let gate = Gate::new(&place, change(&place, 4, 7), &[row(3)]);
        gate.until_failure.store(act, Ordering::SeqCst);
        let told = Mutex::new(Vec::new());
        let tell = |report: &PassReport, _: Option<&Manifest>| {
            told.lock().unwrap().extend(report.generation);
        };
        let mut line = place.line(&gate).telling(Box::new(tell));
        line.portion.after_failure = Duration::from_millis(1);
        let report = steps(&mut line).unwrap();
        drop(line);
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 1, "act {act}: {told:?}");
        assert_eq!(gate.went_out.get(), Some(&true), "act {act}: {report:?}");
        assert!(report.refused.is_empty(), "act {act}: {report:?}");
        assert!(place.ack(3).is_some() && place.ack(4).is_some(), "{act}");
        assert_eq!(place.status(3), Some(revoked(NOW - 50, KEY)));
        let left = std::fs::read_dir(place.data.path().join("store/tmp")).unwrap();
        assert_eq!(left.count(), 0, "act {act}");
        if gate.until_failure.load(Ordering::SeqCst) >= 0 {
            assert!(act > 12, "publishing is more acts than {act}");
            break;
        }
    }
}

fn waits_twice(line: &mut Line<'_>) {
    for _ in 0..2 {
        let report = line.step(NOW, &mut |_, _| ()).unwrap();
        assert_eq!((report.put_off.len(), report.refused.len()), (1, 0));
        let why = &report.put_off[0].reason;
        assert!(why.contains("no pack of its issuer can be opened"), "{why}");
    }
}

#[test]
fn a_long_list_that_can_be_held_against_nothing_is_read_at_every_step() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    let batch = put_lists(&place, 3, &[List { number: 2, ..WHOLE }]);
    let mut line = place.line(&FsDisk);
    line.portion.document_octets = 0;
    let base = packs(&place, &line).remove(0);
    let files = [base, batch].map(|path| (std::fs::read(&path).unwrap(), path));
    let [(_, base), (octets, batch)] = &files;
    std::fs::remove_file(base).unwrap();
    // Whoever reads it refuses it.
    std::fs::write(batch, &octets[..octets.len() / 2]).unwrap();
    waits_twice(&mut line);
    for (octets, path) in &files {
        std::fs::write(path, octets).unwrap();
    }
    assert_eq!(kinds(&steps(&mut line).unwrap()), ["documents"]);
}

#[test]
fn a_list_that_can_be_held_against_nothing_is_made_ready_at_every_step() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    put_lists(&place, 3, &[List { number: 2, ..WHOLE }]);
    let gate = Gate::new(&place, change(&place, 4, 7), &[row(3)]);
    let mut line = place.line(&gate);
    line.portion.document_octets = u64::MAX;
    std::fs::remove_file(packs(&place, &line).remove(0)).unwrap();
    waits_twice(&mut line);
    assert_eq!(gate.went_out.get(), None, "it was written");
}

#[test]
fn a_list_goes_out_unheld_because_the_change_that_came_meanwhile_cannot_be_opened() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    let next = List {
        number: 2,
        revision: 8,
        ..WHOLE
    };
    put_lists(&place, 3, &[next]);
    let gate = Gate::new(&place, change(&place, 4, 7), &[row(3)]);
    gate.spoils.store(true, Ordering::SeqCst);
    let mut line = place.line(&gate);
    line.portion.document_octets = 0;
    let report = line.step(NOW, &mut |_, _| ()).unwrap();
    assert_eq!(kinds(&report), ["delta"], "{report:?}");
    assert_eq!((report.put_off.len(), report.refused.len()), (1, 0));
    gate.copy_back();
    let report = steps(&mut line).unwrap();
    assert_eq!((report.taken.len(), report.refused.len()), (0, 1));
}

#[test]
fn a_partition_that_did_not_come_is_held_against_what_came_meanwhile() {
    let place = Place::new();
    let one = List {
        name: "w.1.crl",
        point: Some("http://x/crl/w.1.crl"),
        ..WHOLE
    };
    let other = List {
        name: "w.2.crl",
        point: Some("http://x/crl/w.2.crl"),
        entries: &[(3, KEY)],
        ..WHOLE
    };
    let rows = [good(1), row(2), row(3)];
    let next = List {
        number: 2,
        revision: 8,
        ..one
    };
    assert_eq!(published(&place, &rows, 5, &[one, other]).taken.len(), 1);
    put_lists(&place, 3, &[next]);
    // It contradicts the other one, which is no fault of the one that comes.
    let gate = Gate::new(&place, change(&place, 4, 7), &[good(3)]);
    let report = steps(&mut place.line(&gate)).unwrap();
    assert_eq!(gate.went_out.get(), Some(&true), "{report:?}");
    assert_eq!(kinds(&report), ["delta", "documents"], "{report:?}");
}

/// Where the packs lie that a generation has; the newest batch first.
fn packs(place: &Place, line: &Line<'_>) -> Vec<PathBuf> {
    let manifest = line.publisher().current().unwrap();
    let batch = |role: &Role| match role {
        Role::Base(note) | Role::Delta(note) => Some(note.batch),
        Role::Crl(_) | Role::Certificate(_) => None,
    };
    let entries = manifest.objects.iter();
    let mut packs: Vec<_> = entries
        .filter_map(|entry| Some((batch(&entry.role)?, entry.blake3.to_string())))
        .collect();
    packs.sort_by(|one, other| other.cmp(one));
    let folder = place.data.path().join("store/objects");
    packs.iter().map(|(_, name)| folder.join(name)).collect()
}

#[test]
fn a_list_is_held_against_no_pack_that_went_while_it_was_made_ready() {
    let place = Place::new();
    assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
    place.put(change(&place, 3, 6), &[row(3)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    let next = List {
        number: 2,
        revision: 8,
        ..WHOLE
    };
    put_lists(&place, 4, &[next]);
    let gate = Gate::new(&place, change(&place, 5, 9), &[row(1)]);
    let mut line = place.line(&gate);
    let goes = packs(&place, &line).remove(0);
    gate.goes.set(goes).unwrap();
    let report = steps(&mut line).unwrap();
    assert_eq!((report.refused.len(), kinds(&report)), (1, vec!["delta"]));
}

#[test]
fn beside_a_pack_that_cannot_be_opened_lists_are_held_against_nothing() {
    let listed: [&[_]; 2] = [&[(2, KEY), (3, KEY)], &[(1, KEY), (2, KEY), (3, KEY)]];
    for (entries, is_refused) in listed.into_iter().zip([true, false]) {
        let place = Place::new();
        assert_eq!(published(&place, &BASE(), 5, &[WHOLE]).taken.len(), 1);
        place.put(change(&place, 3, 6), &[row(3)]);
        assert_eq!(place.pass(NOW).taken.len(), 1);
        place.put(change(&place, 4, 7), &[row(1)]);
        assert_eq!(place.pass(NOW).taken.len(), 1);
        let next = List {
            number: 2,
            revision: 8,
            entries,
            ..WHOLE
        };
        put_lists(&place, 5, &[next]);
        let mut line = place.line(&FsDisk);
        let [newest, older, base] = packs(&place, &line).try_into().unwrap();
        // What the older one said nobody knows; what the newer one says everybody.
        std::fs::remove_file(&older).unwrap();
        if !is_refused {
            let sound = [&newest, &base].map(|path| (path, std::fs::read(path).unwrap()));
            for (path, _) in &sound {
                std::fs::remove_file(path).unwrap();
            }
            let report = line.step(NOW, &mut |_, _| ()).unwrap();
            assert_eq!((report.put_off.len(), report.generation), (1, None));
            for (path, octets) in sound {
                std::fs::write(path, octets).unwrap();
            }
        }
        let report = steps(&mut line).unwrap();
        assert_eq!(report.refused.len(), usize::from(is_refused), "{report:?}");
        assert_eq!(report.taken.len(), usize::from(!is_refused), "{report:?}");
    }
}
