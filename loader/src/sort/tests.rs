//! Sorted as the standard library sorts, in a fraction of the memory, and nothing left behind.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::durable::{Audience, Disk, DiskFile, FsDisk};
use crate::trial_disk::TrialDisk;

fn records(count: usize, width: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut noise = blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof();
    (0..count)
        .map(|_| {
            let mut record = vec![0; width];
            noise.fill(&mut record);
            record
        })
        .collect()
}

fn sorted(
    disk: &dyn Disk,
    sorting: &Sorting,
    records: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, SortError> {
    let width = records.first().map_or(8, Vec::len);
    let mut sorter = Sorter::begin(disk, sorting, width)?;
    for record in records {
        sorter.push(record)?;
    }
    assert_eq!(sorter.count(), records.len() as u64);
    let mut sorted = sorter.finish()?;
    assert_eq!(sorted.count(), records.len() as u64);
    let mut all = Vec::new();
    while let Some(record) = sorted.next_record()? {
        all.push(record.to_vec());
    }
    assert!(sorted.next_record()?.is_none());
    Ok(all)
}

fn names(folder: &Path) -> Vec<String> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect(),
        Err(_) => Vec::new(),
    }
}

#[test]
fn many_runs_on_many_levels_come_out_of_order_or_lose_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path().join("work")).within(LEAST_MEMORY);
    // 756 records a run of which four are merged at once: 53 runs on three levels.
    let mut all = records(40_000, 49, 1);
    let mut sorter = Sorter::begin(&FsDisk, &sorting, 49).unwrap();
    for record in &all {
        sorter.push(record).unwrap();
    }
    assert!(sorter.runs() > 60, "{} runs", sorter.runs());
    let mut out = sorter.finish().unwrap();
    all.sort();
    for record in &all {
        assert_eq!(out.next_record().unwrap(), Some(record.as_slice()));
    }
    assert_eq!(out.next_record().unwrap(), None);
    assert_eq!(names(&sorting.folder), Vec::<String>::new());
}

#[test]
fn keys_alone_come_out_otherwise_than_records() {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path()).within(LEAST_MEMORY);
    // 6,144 a run: one that fits memory, and many.
    for count in [6_000, 100_000] {
        let mut all = records(count, 8, 5);
        // Keys that meet are all kept.
        all.extend(records(100, 8, 5));
        let out = sorted(&FsDisk, &sorting, &all).unwrap();
        all.sort();
        assert_eq!(out, all);
    }
}

#[test]
fn what_fits_memory_touches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path().join("work"));
    let mut all = records(1000, 16, 2);
    let out = sorted(&FsDisk, &sorting, &all).unwrap();
    all.sort();
    assert_eq!(out, all);
    assert!(!sorting.folder.exists());
}

#[test]
fn too_little_memory_is_found_out_in_the_middle() {
    let sorting = Sorting::in_folder("nowhere").within(LEAST_MEMORY - 1);
    let refused = Sorter::begin(&FsDisk, &sorting, 16).err().unwrap();
    assert!(matches!(refused, SortError::TooLittleMemory { .. }));
    assert!(refused.to_string().contains("65536"), "{refused}");
}

/// A disk that holds so many octets and no more.
struct SmallDisk {
    room: Arc<AtomicU64>,
}

struct SmallFile {
    file: Box<dyn DiskFile>,
    room: Arc<AtomicU64>,
}

impl Write for SmallFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        if room < octets.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room
            .store(room - octets.len() as u64, Ordering::Relaxed);
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for SmallFile {
    fn write_over(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.file.write_over(offset, octets)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Disk for SmallDisk {
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>> {
        let file = FsDisk.create_new(path, audience)?;
        let room = Arc::clone(&self.room);
        Ok(Box::new(SmallFile { file, room }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FsDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        FsDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FsDisk.remove(path)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        FsDisk.create_folder(folder)
    }
}

#[test]
fn a_full_disk_is_no_typed_error_or_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path().join("work")).within(LEAST_MEMORY);
    let all = records(40_000, 49, 3);
    for room in [0, 1000, 100_000, 1_500_000, 2_000_000] {
        let disk = SmallDisk {
            room: Arc::new(AtomicU64::new(room)),
        };
        let Err(refused) = sorted(&disk, &sorting, &all) else {
            panic!("{room} octets were enough");
        };
        let SortError::Full { octets, .. } = &refused else {
            panic!("{refused:?}");
        };
        assert!(*octets <= room, "{octets} of {room}");
        assert!(refused.to_string().contains("no room"), "{refused}");
        assert_eq!(names(&sorting.folder), Vec::<String>::new());
    }
}

#[test]
fn a_disk_that_dies_at_any_act_leaves_a_file_that_the_next_sort_does_not_remove() {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path().join("work")).within(LEAST_MEMORY);
    let mut all = records(4_000, 49, 4);
    let trial = TrialDisk::dying_at(None);
    sorted(&trial, &sorting, &all).unwrap();
    let acts = trial.acts().len();
    assert!(acts > 20, "{acts}");
    for act in 1..=acts {
        let disk = TrialDisk::dying_at(Some(act));
        assert!(sorted(&disk, &sorting, &all).is_err(), "act {act}");
        // At most the one file that could not be unlinked, and nothing in it.
        let left = names(&sorting.folder);
        assert!(left.len() <= 1, "act {act}: {left:?}");
        for name in left {
            let octets = std::fs::metadata(sorting.folder.join(name)).unwrap().len();
            assert_eq!(octets, 0, "act {act}");
        }
    }
    std::fs::write(sorting.folder.join("run-1-1"), b"left").unwrap();
    let out = sorted(&FsDisk, &sorting, &all).unwrap();
    all.sort();
    assert_eq!(out, all);
    assert_eq!(names(&sorting.folder), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_records_come_out_as_the_standard_sort_has_them(
        mut all in prop::collection::vec(prop::collection::vec(0_u8..3, 11), 0..12_000),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let sorting = Sorting::in_folder(folder.path()).within(LEAST_MEMORY);
        let out = sorted(&FsDisk, &sorting, &all).unwrap();
        all.sort();
        prop_assert_eq!(out, all);
    }
}
