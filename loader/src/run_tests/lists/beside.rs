//! Changes that come while a list is made ready on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use wire::batch::{acknowledgement_name, spool_name};

use super::*;
use crate::durable::{Audience, Disk, DiskFile, FsDisk};
use crate::manifest::{Manifest, Role};
use crate::run::{Line, RunError};

/// A disk on which the first document is written only when a change that comes then is out, or has been waited for in vain;
/// and on which after so many acts every act fails.
pub(super) struct Gate {
    change: PathBuf,
    octets: Vec<u8>,
    /// Whether the change was acknowledged before the document was written.
    pub(super) went_out: OnceLock<bool>,
    /// Gone from the store before the change comes.
    pub(super) goes: OnceLock<PathBuf>,
    /// Acts for the change before the one that fails, if one does.
    pub(super) until_failure: AtomicIsize,
    builder: OnceLock<ThreadId>,
    passing: Mutex<()>,
    left: AtomicIsize,
    /// Whether the change was acknowledged to the end.
    is_over: AtomicBool,
    /// Whether the change's pack is gone from the store as soon as it is out.
    pub(super) spoils: AtomicBool,
    spoiled: OnceLock<(PathBuf, Vec<u8>)>,
}

impl Gate {
    pub(super) fn new(place: &Place, change: Header, rows: &[Row]) -> Self {
        let folder = place.authority.certificate.id().to_string();
        let folder = place.data.path().join("spool").join(folder);
        Self {
            change: folder.join(spool_name(change.number)),
            octets: batch(change, rows, &place.signer, &place.key),
            went_out: OnceLock::new(),
            goes: OnceLock::new(),
            until_failure: AtomicIsize::new(isize::MAX),
            builder: OnceLock::new(),
            passing: Mutex::new(()),
            left: AtomicIsize::new(isize::MAX),
            is_over: AtomicBool::new(false),
            spoils: AtomicBool::new(false),
            spoiled: OnceLock::new(),
        }
    }

    fn ack(&self) -> PathBuf {
        let name = self.change.file_stem().unwrap().to_str().unwrap();
        let name = acknowledgement_name(name.parse().unwrap());
        self.change.with_file_name(name)
    }

    fn pass(&self, path: &Path) {
        let name = path.file_name().unwrap().to_string_lossy();
        if !name.starts_with("document-") {
            return;
        }
        let _alone = self.passing.lock().unwrap();
        self.went_out.get_or_init(|| {
            self.builder.set(std::thread::current().id()).unwrap();
            if let Some(path) = self.goes.get() {
                std::fs::remove_file(path).unwrap();
            }
            let objects = path.parent().unwrap().with_file_name("objects");
            let before = files(&objects);
            self.change_comes();
            let ack = self.ack();
            let since = Instant::now();
            while !ack.exists() && !self.is_dead() && since.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
            }
            if self.spoils.load(Ordering::SeqCst) {
                let mut came = files(&objects);
                came.retain(|path| !before.contains(path));
                let [pack] = came.try_into().unwrap();
                let octets = std::fs::read(&pack).unwrap();
                std::fs::remove_file(&pack).unwrap();
                self.spoiled.set((pack, octets)).unwrap();
            }
            ack.exists()
        });
    }

    /// Copies back what it spoiled.
    pub(super) fn copy_back(&self) {
        let (path, octets) = self.spoiled.get().unwrap();
        std::fs::write(path, octets).unwrap();
    }

    fn change_comes(&self) {
        let temp = self.change.with_extension("half");
        std::fs::write(&temp, &self.octets).unwrap();
        std::fs::rename(&temp, &self.change).unwrap();
    }

    fn act(&self) -> std::io::Result<()> {
        let builder = self.builder.get();
        if builder.is_some_and(|builder| *builder != std::thread::current().id())
            && !self.is_over.load(Ordering::SeqCst)
            && self.until_failure.fetch_sub(1, Ordering::SeqCst) == 0
        {
            return Err(std::io::Error::other("failed"));
        }
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(std::io::Error::other("killed")),
        }
    }

    fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }
}

impl Disk for Gate {
    fn create_new(&self, path: &Path, audience: Audience) -> std::io::Result<Box<dyn DiskFile>> {
        self.pass(path);
        self.act()?;
        FsDisk.create_new(path, audience)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.rename(from, to)
    }
    fn sync_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.sync_folder(folder)?;
        if self.change.parent() == Some(folder) && self.ack().exists() {
            self.is_over.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.remove(path)
    }
    fn create_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.create_folder(folder)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Steps until nothing waits. Every batch of files counts as a large one.
pub(super) fn steps(line: &mut Line<'_>) -> Result<PassReport, RunError> {
    line.portion.document_octets = 0;
    let mut all = PassReport::default();
    loop {
        let step = line.step(NOW, &mut |_, _| ())?;
        if step.is_quiet() {
            return Ok(all);
        }
        all.add(step);
    }
}

pub(super) fn change(place: &Place, number: u64, revision: u64) -> Header {
    Header {
        kind: Kind::Delta,
        revision,
        ..place.header(number)
    }
}

pub(super) fn put_lists(place: &Place, number: u64, lists: &[List<'_>]) -> PathBuf {
    let documents = Header {
        kind: Kind::Documents,
        documents: lists.iter().map(|list| list.document(place)).collect(),
        ..place.header(number)
    };
    place.put(documents, &[])
}

#[test]
fn a_change_waits_until_long_lists_are_ready() {
    let place = Place::new();
    let base = [good(1), row(2), good(3)];
    assert_eq!(published(&place, &base, 5, &[WHOLE]).taken.len(), 1);
    let next = List {
        number: 2,
        revision: 6,
        ..WHOLE
    };
    put_lists(&place, 3, &[next]);
    let gate = Gate::new(&place, change(&place, 4, 7), &[row(3)]);
    let report = steps(&mut place.line(&gate)).unwrap();
    assert_eq!(gate.went_out.get(), Some(&true), "{report:?}");
    let kinds: Vec<_> = report.taken.iter().map(|taken| taken.kind).collect();
    assert_eq!(kinds, ["delta", "documents"]);
    assert!(place.ack(4).unwrap().ends_with(" 3\n"));
    assert!(place.ack(3).unwrap().ends_with(" 4\n"));
    assert_eq!(place.status(3), Some(revoked(NOW - 50, KEY)));
    let proof = verify(place.data.path(), NOW).unwrap();
    assert_eq!(proof.issuers[0].explained, 1, "{proof:?}");
}

#[test]
fn a_change_that_went_out_meanwhile_is_told_with_the_list_or_twice() {
    let place = Place::new();
    let base = [good(1), row(2), good(3)];
    assert_eq!(published(&place, &base, 5, &[WHOLE]).taken.len(), 1);
    // The list is refused for another reason: the change was told all the same, and the step did something.
    for (number, entries, left) in [(3, &[(2, KEY)][..], "documents"), (5, &[(1, KEY)], "")] {
        let next = List {
            number,
            revision: number + 10,
            entries,
            ..WHOLE
        };
        put_lists(&place, number, &[next]);
        let gate = Gate::new(&place, change(&place, number + 1, number + 11), &[row(3)]);
        let told = Mutex::new(Vec::new());
        let tell = |report: &PassReport, current: Option<&Manifest>| {
            assert_eq!(report.generation, current.map(|current| current.number));
            let kinds = report.taken.iter().map(|taken| taken.kind);
            told.lock().unwrap().extend(kinds);
        };
        let mut line = place.line(&gate).telling(Box::new(tell));
        let report = steps(&mut line).unwrap();
        drop(line);
        assert_eq!(told.into_inner().unwrap(), ["delta"]);
        let kinds: String = report.taken.iter().map(|taken| taken.kind).collect();
        assert_eq!(kinds, left);
        assert_eq!(report.refused.len(), usize::from(left.is_empty()));
    }
}

#[test]
fn a_list_overtakes_the_changes_that_stand_on_it_and_is_refused() {
    let place = Place::new();
    let base = [good(1), row(2), good(3)];
    assert_eq!(published(&place, &base, 5, &[WHOLE]).taken.len(), 1);
    let mut line = place.line(&FsDisk);
    // So many changes in a row that the list has its turn before the next.
    for number in 3..20 {
        place.put(change(&place, number, 10 + number), &[row(100 + number)]);
        assert_eq!(line.step(NOW, &mut |_, _| ()).unwrap().taken.len(), 1);
    }
    let mut entries = vec![(2, KEY), (3, KEY)];
    entries.extend((103..120).map(|number| (number, KEY)));
    let next = List {
        number: 2,
        revision: 30,
        entries: &entries,
        ..WHOLE
    };
    place.put(change(&place, 20, 30), &[row(3)]);
    put_lists(&place, 21, &[next]);
    let report = steps(&mut line).unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
    assert_eq!(report.taken.len(), 2);
}

/// Whether a list is refused that agreed with the packs when it was begun, and beside which a change came.
fn is_refused(base: &[Row], deltas: u64, list: &List<'_>, revision: u64, came: Row) -> bool {
    let place = Place::new();
    assert_eq!(published(&place, base, 5, &[WHOLE]).taken.len(), 1);
    for number in 3..3 + deltas {
        place.put(change(&place, number, 5), &[good(100 + number)]);
        assert_eq!(place.pass(NOW).taken.len(), 1);
    }
    put_lists(&place, 50, &[List { number: 2, ..*list }]);
    let gate = Gate::new(&place, change(&place, 51, revision), &[came]);
    let report = steps(&mut place.line(&gate)).unwrap();
    assert_eq!(gate.went_out.get(), Some(&true), "{report:?}");
    let left = std::fs::read_dir(place.data.path().join("store/tmp")).unwrap();
    assert_eq!(left.count(), 0);
    let refused = report.refused.iter();
    for refused in refused.clone() {
        assert!(refused.reason.contains("contradict"), "{report:?}");
    }
    refused.count() == 1
}

#[test]
fn a_list_is_published_that_contradicts_what_came_while_it_was_made_ready() {
    fn list(entries: &[(u64, RevocationReason)]) -> List<'_> {
        List {
            revision: 8,
            entries,
            ..WHOLE
        }
    }
    let hold = RevocationReason::CertificateHold;
    let base = [good(1), row(2), good(3)];
    let held = [good(1), row(2), dated(3, NOW - 50, hold)];
    // The second time the change is one too many, and two neighbours are joined.
    for deltas in [0, crate::draft::MOST_DELTAS as u64] {
        // It should have been on the list, or came later.
        assert!(is_refused(&base, deltas, &list(&[(2, KEY)]), 7, row(3)));
        assert!(!is_refused(&base, deltas, &list(&[(2, KEY)]), 9, row(3)));
        // The list should have been without it, or it was released later.
        let listed = [(2, KEY), (3, hold)];
        assert!(is_refused(&held, deltas, &list(&listed), 7, good(3)));
        assert!(!is_refused(&held, deltas, &list(&listed), 9, good(3)));
        // What never ends has ended.
        assert!(is_refused(&base, deltas, &list(&[(2, KEY)]), 9, good(2)));
    }
}

#[test]
fn killed_while_lists_are_made_ready_a_change_or_a_list_is_lost_or_taken_twice() {
    for acts in 0.. {
        let place = Place::new();
        let base = [good(1), row(2), good(3)];
        assert_eq!(published(&place, &base, 5, &[WHOLE]).taken.len(), 1);
        let next = List {
            number: 2,
            revision: 6,
            expired: &[9],
            ..WHOLE
        };
        put_lists(&place, 3, &[next]);
        let gate = Gate::new(&place, change(&place, 4, 7), &[row(3)]);
        let mut line = place.line(&gate);
        gate.left.store(acts, Ordering::SeqCst);
        let cut = steps(&mut line).is_err();
        drop(line);
        if gate.went_out.get().is_none() {
            gate.change_comes();
        }
        let mut line = place.line(&FsDisk);
        let after = steps(&mut line).unwrap();
        assert!(after.refused.is_empty(), "after {acts} acts: {after:?}");
        let current = line.publisher().current().unwrap();
        let lists = current
            .objects
            .iter()
            .filter_map(|entry| match &entry.role {
                Role::Crl(note) => note.list.as_ref().map(|mark| mark.revision),
                _ => None,
            });
        assert_eq!(lists.collect::<Vec<_>>(), [6], "after {acts} acts");
        drop(line);
        assert!(place.ack(3).is_some() && place.ack(4).is_some(), "{acts}");
        assert_eq!(place.status(3), Some(revoked(NOW - 50, KEY)), "{acts}");
        let proof = verify(place.data.path(), NOW).unwrap();
        assert_eq!(proof.issuers[0].explained, 1, "after {acts} acts");
        let left = std::fs::read_dir(place.data.path().join("store/tmp")).unwrap();
        assert_eq!(left.count(), 0, "after {acts} acts");
        if !cut {
            assert!(acts > 30, "a change and a list are more acts than {acts}");
            break;
        }
    }
}

/// How long a change is waited for that never goes out.
const PATIENCE: Duration = Duration::from_secs(60);
