//! What is void after what was refused, and what an interrupted look makes of it.

mod pauses;

use super::*;
use crate::registry::RegistryError;
use std::cell::Cell;
use std::path::PathBuf;
use tempfile::TempDir;
use wire::batch::{Header, Kind, spool_name};

const ISSUER: IssuerId = [7; 16];

fn record(number: u64) -> BatchRecord {
    BatchRecord {
        issuer: ISSUER,
        number,
        kind: BatchKind::Full,
        shard: 0,
        shards: 1,
        variants: 0,
        revision: 1,
        created_at: 0,
        next_update: 2,
        renew_at: 1,
        records: 1,
    }
}

fn of_kind(kind: BatchKind, number: u64) -> BatchRecord {
    BatchRecord {
        kind,
        ..record(number)
    }
}

fn delta(number: u64) -> BatchRecord {
    of_kind(BatchKind::Delta, number)
}

/// A spool with its folder of refused batches, and notes.
struct Place {
    spool: TempDir,
    notes: TempDir,
    taken: Cell<u64>,
}

impl Place {
    /// `taken` is the last number that a batch took.
    fn new(taken: u64) -> Self {
        let spool = tempfile::tempdir().unwrap();
        std::fs::create_dir(spool.path().join("refused")).unwrap();
        Self {
            spool,
            notes: tempfile::tempdir().unwrap(),
            taken: Cell::new(taken),
        }
    }

    fn aside(&self) -> PathBuf {
        self.spool.path().join("refused")
    }

    fn put_reason(&self, number: u64) {
        let path = self.aside().join(format!("{number:020}.reason"));
        std::fs::write(path, "no\n").unwrap();
    }

    fn put(&self, number: u64, kind: Kind) {
        let octets = header(number, kind).encode().unwrap();
        std::fs::write(self.aside().join(spool_name(number)), octets).unwrap();
    }

    /// As the loader leaves it.
    fn refuse(&self, number: u64, kind: Kind) {
        self.put(number, kind);
        self.put_reason(number);
    }

    /// `newest` is the newest batch of every part.
    fn look(&self, refused: &Refused, newest: u64, now: u64) {
        self.taken.set(self.taken.get().max(newest));
        let numbers = Numbers {
            newest: &|_| Ok(Some(newest)),
            next: &|| {
                self.taken.set(self.taken.get() + 1);
                Ok(self.taken.get())
            },
        };
        let (folder, notes) = (self.aside(), self.notes.path());
        refused.look(ISSUER, &folder, notes, &numbers, now).unwrap();
    }

    /// An operator clears the folder.
    fn empty(&self) {
        std::fs::remove_dir_all(self.aside()).unwrap();
        std::fs::create_dir(self.aside()).unwrap();
    }

    fn note(&self, word: &str) -> PathBuf {
        let name = format!("void-{}-{word}", crate::text::hex(&ISSUER));
        self.notes.path().join(name)
    }

    /// A process that begins anew.
    fn begin(&self, newest: u64) -> Refused {
        let refused = Refused::default();
        self.look(&refused, newest, 100);
        refused
    }
}

fn header(number: u64, kind: Kind) -> Header {
    Header {
        kind,
        issuer_id: wire::cert_id::IssuerId(ISSUER),
        number,
        revision: 1,
        created_at: 1,
        hash_key: wire::serial::SerialHashKey([0; 16]),
        shards: 4,
        shard: if kind == Kind::Shard { 3 } else { 0 },
        source: wire::batch::Source::Registry,
        serial_octets: 16,
        record_count: 0,
        issuer_certificate: Vec::new(),
        variants: Vec::new(),
        slots: 0,
        responders: Vec::new(),
        windows: Vec::new(),
        documents: Vec::new(),
    }
}

#[test]
fn an_issuer_is_signed_in_a_circle_for_a_loader_that_refuses_all() {
    let place = Place::new(1);
    let refused = Refused::default();
    place.look(&refused, 1, 100);
    assert!(!refused.voids(&record(1)));
    place.refuse(2, Kind::Full);
    place.look(&refused, 1, 100);
    assert!(refused.voids(&record(1)));
    place.look(&refused, 3, 101);
    assert!(!refused.voids(&record(3)), "signed anew");
    place.refuse(3, Kind::Full);
    place.look(&refused, 3, 102);
    assert!(!refused.voids(&record(3)), "not again at once");
    place.look(&refused, 3, 100 + PAUSE_SECS);
    assert!(refused.voids(&record(3)));
    // A clock that was set back does not stop it for ever.
    place.refuse(4, Kind::Full);
    place.look(&refused, 4, 50);
    assert!(refused.voids(&record(4)));
}

#[test]
fn a_restart_signs_again_what_was_made_up_for() {
    let place = Place::new(2);
    place.refuse(2, Kind::Full);
    let refused = place.begin(3);
    assert!(!refused.voids(&record(3)));
    assert!(!refused.voids(&BatchRecord {
        issuer: [8; 16],
        ..record(1)
    }));
}

#[test]
fn a_refused_change_counts_as_said_because_a_later_one_was_taken() {
    for (kind, stored) in [
        (Kind::Delta, BatchKind::Delta),
        (Kind::Documents, BatchKind::Crl),
    ] {
        let place = Place::new(4);
        place.refuse(3, kind);
        // Number 4 was written before the refusal of 3 was seen: it begins where 3 ended.
        let refused = place.begin(4);
        assert!(refused.voids(&of_kind(stored, 4)));
        assert!(!refused.voids(&of_kind(stored, place.taken.get() + 1)));
        assert!(!refused.voids(&record(4)), "the base is another matter");
        // What makes up for all is refused at once: the next follows after a pause.
        let again = place.taken.get() + 1;
        place.refuse(again, kind);
        place.look(&refused, again, 110);
        assert!(!refused.voids(&of_kind(stored, again)));
        // Others come meanwhile, that begin where the refused one ended: they count until the pause is over.
        for at in 120..100 + SHORT_PAUSE_SECS {
            place.look(&refused, again + 1, at);
            assert!(!refused.voids(&of_kind(stored, again + 1)), "in a circle");
        }
        place.look(&refused, again + 1, 100 + SHORT_PAUSE_SECS);
        assert!(refused.voids(&of_kind(stored, again + 1)));
        let settled = place.taken.get();
        place.look(&refused, settled + 1, 200);
        assert!(!refused.voids(&of_kind(stored, settled + 1)));
    }
}

#[test]
fn a_note_that_cannot_be_read_holds_up_what_is_revoked() {
    let place = Place::new(4);
    std::fs::write(place.note("changes"), [0xff, 0xfe]).unwrap();
    std::fs::write(place.note("documents"), "").unwrap();
    let refused = place.begin(4);
    assert!(refused.has_looked(&ISSUER));
    assert!(refused.voids(&delta(4)), "nobody knows whether it was");
    assert!(refused.voids(&of_kind(BatchKind::Crl, 4)));
    assert!(!refused.voids(&record(4)), "of which nothing was noted");
    let made = place.taken.get() + 1;
    assert!(!place.begin(made).voids(&delta(made)), "at each start");
    // Nor one that cannot be written either.
    std::fs::remove_file(place.note("changes")).unwrap();
    std::fs::create_dir(place.note("changes")).unwrap();
    let refused = place.begin(made);
    assert!(refused.voids(&delta(made)));
    assert!(!refused.voids(&delta(place.taken.get() + 1)));
}

#[test]
fn a_change_made_while_the_one_before_is_voided_counts_though_it_did_not_know() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    // Number 4 is taken and not recorded yet: its rows were read while 3 still counted.
    place.taken.set(4);
    let refused = place.begin(3);
    assert!(refused.voids(&delta(4)));
    // Who takes a number from now on sees, before it uses it, what is void.
    assert!(!refused.voids(&delta(place.taken.get() + 1)));
    drop(refused);
    let refused = place.begin(4);
    assert!(refused.voids(&delta(4)), "killed in between");
}

#[test]
fn a_batch_whose_reason_is_not_written_yet_counts_as_taken() {
    let place = Place::new(3);
    place.put(3, Kind::Delta);
    let refused = place.begin(3);
    assert!(refused.voids(&delta(3)));
    assert!(!refused.voids(&record(2)), "nothing else is lost with it");
    let void = place.taken.get();
    place.put_reason(3);
    place.look(&refused, void + 1, 101);
    assert!(!refused.voids(&delta(void + 1)), "once a refusal");
}

#[test]
fn a_reason_that_came_before_its_batch_voids_a_whole_issuer() {
    let place = Place::new(4);
    // A loader of before wrote the reason first; the batch still lies in the spool.
    place.put_reason(3);
    let octets = header(3, Kind::Delta).encode().unwrap();
    let waiting = place.spool.path().join(spool_name(3));
    std::fs::write(&waiting, octets).unwrap();
    let refused = place.begin(4);
    assert!(!refused.voids(&record(2)) && !refused.voids(&delta(4)));
    std::fs::rename(&waiting, place.aside().join(spool_name(3))).unwrap();
    place.look(&refused, 4, 101);
    assert!(refused.voids(&delta(4)), "it begins where 3 ended");
    assert!(!refused.voids(&record(2)));
}

#[test]
fn a_refused_batch_that_says_nothing_any_more_leaves_later_changes_counting() {
    for octets in [&b"HUFUBTCH"[..], &[0; 4_096]] {
        let place = Place::new(5);
        std::fs::write(place.aside().join(spool_name(3)), octets).unwrap();
        place.put_reason(3);
        let refused = place.begin(5);
        assert!(refused.voids(&record(3)), "it may have been the base");
        assert!(!refused.voids(&record(4)), "which is whole in itself");
        for kind in [BatchKind::Delta, BatchKind::Crl] {
            assert!(refused.voids(&of_kind(kind, 5)), "{kind:?} began there");
        }
        // Killed, and the operator took the file away.
        drop(refused);
        std::fs::remove_dir_all(place.aside()).unwrap();
        let refused = place.begin(5);
        assert!(refused.voids(&delta(5)));
        assert!(refused.voids(&of_kind(BatchKind::Crl, 5)));
    }
}

#[test]
fn a_file_that_was_away_for_a_moment_is_taken_for_all_there_is() {
    let place = Place::new(3);
    place.put_reason(3);
    let refused = place.begin(3);
    assert!(refused.voids(&record(3)), "an operator took the file");
    place.put(3, Kind::Shard);
    place.put_reason(9);
    place.put(9, Kind::Shard);
    place.look(&refused, 9, 101);
    let shard = |shard, number| BatchRecord {
        kind: BatchKind::Shard,
        shard,
        ..record(number)
    };
    assert!(refused.voids(&shard(3, 9)));
    assert!(!refused.voids(&shard(2, 8)), "of one shard");
}

#[test]
fn a_killed_signer_forgets_which_changes_are_still_to_be_made_up_for() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    assert!(place.begin(4).voids(&delta(4)));
    // Killed before it had made up for it; and started again after.
    let void = place.taken.get();
    assert!(place.begin(4).voids(&delta(4)));
    assert!(!place.begin(void + 1).voids(&delta(void + 1)));
    // The operator removed what was refused.
    std::fs::remove_dir_all(place.aside()).unwrap();
    assert!(place.begin(4).voids(&delta(4)));
}

#[test]
fn one_refused_shard_voids_its_issuer() {
    let place = Place::new(9);
    place.refuse(9, Kind::Shard);
    let refused = place.begin(9);
    let shard = |shard, number| BatchRecord {
        kind: BatchKind::Shard,
        shard,
        ..record(number)
    };
    assert!(refused.voids(&shard(3, 9)));
    assert!(!refused.voids(&shard(3, 10)));
    assert!(!refused.voids(&shard(2, 8)) && !refused.voids(&record(1)));
    // A refused full batch: no base of before is there, but changes that were said stay said.
    let place = Place::new(9);
    place.refuse(9, Kind::Full);
    let refused = place.begin(9);
    assert!(refused.voids(&shard(3, 8)) && refused.voids(&record(9)));
    assert!(!refused.voids(&delta(8)));
}

#[test]
fn an_operators_word_is_forgotten_by_whoever_goes_on_after_a_kill() {
    let place = Place::new(12);
    let refused = Refused::default();
    refused.forget(ISSUER, 12, place.notes.path());
    for refused in [refused, place.begin(12)] {
        for kind in [
            BatchKind::Full,
            BatchKind::Shard,
            BatchKind::Delta,
            BatchKind::Crl,
        ] {
            assert!(refused.voids(&of_kind(kind, 12)), "{kind:?}");
            let next = place.taken.get() + 1;
            assert!(!refused.voids(&of_kind(kind, next)), "{kind:?}");
        }
    }
}

#[test]
fn a_registry_put_back_from_a_backup_signs_in_a_circle() {
    let place = Place::new(500);
    Refused::default().forget(ISSUER, 500, place.notes.path());
    // The copy knows nothing of numbers above 20.
    place.taken.set(20);
    let refused = place.begin(20);
    assert!(refused.voids(&delta(20)));
    let next = place.taken.get() + 1;
    assert!(!refused.voids(&delta(next)) && !refused.voids(&record(next)));
}

#[test]
fn numbers_of_a_registry_that_is_no_more_void_all_that_is_made() {
    let place = Place::new(20);
    place.refuse(900, Kind::Delta);
    place.refuse(901, Kind::Shard);
    let shard = |number| BatchRecord {
        kind: BatchKind::Shard,
        shard: 3,
        ..record(number)
    };
    let refused = place.begin(20);
    let taken = place.taken.get();
    for now in 101..103 {
        place.look(&refused, taken + 1, now);
        assert!(!refused.voids(&delta(taken + 1)) && !refused.voids(&shard(taken + 1)));
    }
    assert_eq!(place.taken.get(), taken + 1, "each look takes a number");
    // What is refused now is another matter.
    place.refuse(taken + 1, Kind::Delta);
    place.look(&refused, taken + 2, 103);
    assert!(refused.voids(&delta(taken + 2)));
    assert!(!refused.voids(&delta(place.taken.get() + 1)));
    // When the numbers have come there, it may be another batch that was refused.
    place.look(&refused, 902, 103 + SHORT_PAUSE_SECS);
    assert!(refused.voids(&delta(902)) && refused.voids(&shard(901)));
    let made = place.taken.get() + 1;
    place.look(&refused, made, 104 + PAUSE_SECS);
    assert!(!refused.voids(&delta(made)) && !refused.voids(&shard(made)));
}

#[test]
fn a_refusal_is_forgotten_because_the_registry_failed() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    let refused = Refused::default();
    let numbers = Numbers {
        newest: &|_| Ok(Some(4)),
        next: &|| Err(RegistryError::NoCertificate),
    };
    let looked = refused.look(ISSUER, &place.aside(), place.notes.path(), &numbers, 100);
    assert!(looked.is_err());
    place.look(&refused, 4, 101);
    assert!(refused.voids(&delta(4)));
}

#[test]
fn a_folder_that_cannot_be_read_holds_nothing() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    // A file in its place: the system says something else than that it is not there.
    let aside = place.aside();
    let moved = place.spool.path().join("moved");
    std::fs::rename(&aside, &moved).unwrap();
    std::fs::write(&aside, "").unwrap();
    let refused = Refused::default();
    let numbers = Numbers {
        newest: &|_| Ok(Some(4)),
        next: &|| Ok(5),
    };
    let looked = refused.look(ISSUER, &aside, place.notes.path(), &numbers, 100);
    assert!(matches!(looked, Err(CaError::File { .. })), "{looked:?}");
    std::fs::remove_file(&aside).unwrap();
    std::fs::rename(&moved, &aside).unwrap();
    place.look(&refused, 4, 101);
    assert!(refused.voids(&delta(4)));
}
