//! Records in: a buffer, sorted and written away whenever it is full.
//!
//! Records are octet strings of one width, ordered as such; a pack's order is theirs when the hash stands first, big
//! endian. What is sorted is not the records but sixteen octets for each, the first eight and its number: they move
//! faster, and the records are gathered once, on their way out. Records that are nothing but a key are sorted themselves.

use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;

use super::merge::{Merge, Sorted};
use super::run::{Run, RunWriter, remove_leftovers};
use super::{LEAST_MEMORY, SortError, Sorting};
use crate::durable::{At as _, Disk, DiskError};
use zerocopy::IntoBytes as _;

/// Takes records in any order.
pub struct Sorter<'d> {
    disk: &'d dyn Disk,
    folder: PathBuf,
    memory: usize,
    width: usize,
    buffer: Buffer,
    runs: Runs,
    count: u64,
}

/// Records in memory.
pub(super) struct Buffer {
    octets: Vec<u8>,
    keys: Vec<(u64, u32)>,
    /// In place of both, where a record is its key: as numbers until they are sorted, then big endian.
    bare: Vec<u64>,
    width: usize,
    most: usize,
}

/// What was written away; `levels[n]` holds runs merged `n` times, fewer than [`MOST_RUNS`] each.
#[derive(Default)]
struct Runs {
    levels: Vec<Vec<Run>>,
    made: u64,
    /// Octets that lie on the disk now.
    octets: u64,
}

impl<'d> Sorter<'d> {
    /// Begins a sort of records of `width` octets, at least eight.
    pub fn begin(disk: &'d dyn Disk, sorting: &Sorting, width: usize) -> Result<Self, SortError> {
        assert!(
            width >= KEY_OCTETS,
            "a record is at least as long as its key"
        );
        if sorting.memory < LEAST_MEMORY {
            return Err(SortError::TooLittleMemory {
                memory: sorting.memory,
            });
        }
        // A quarter is for the buffers of runs that are merged while records are still coming.
        let beside = if width == KEY_OCTETS {
            0
        } else {
            size_of::<(u64, u32)>()
        };
        let most = sorting.memory / 4 * 3 / (width + beside);
        Ok(Self {
            disk,
            folder: sorting.folder.clone(),
            memory: sorting.memory,
            width,
            buffer: Buffer::new(width, most.min(u32::MAX as usize)),
            runs: Runs::default(),
            count: 0,
        })
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, record: &[u8]) -> Result<(), SortError> {
        if self.buffer.is_full() {
            self.write_away()?;
        }
        self.buffer.push(record);
        self.count += 1;
        Ok(())
    }

    /// How many records were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many runs were written so far, those of merges among them.
    pub fn runs(&self) -> u64 {
        self.runs.made
    }

    /// All of them, in order.
    pub fn finish(mut self) -> Result<Sorted, SortError> {
        if self.runs.made == 0 {
            self.buffer.sort();
            return Ok(Sorted::in_memory(self.buffer, self.count));
        }
        if self.buffer.len() > 0 {
            self.write_away()?;
        }
        self.buffer = Buffer::new(self.width, 0);
        let mut runs: Vec<Run> = self.runs.levels.drain(..).flatten().collect();
        // Few are left of each level; joined from the shortest until one merge can take the rest.
        runs.sort_by_key(|run| std::cmp::Reverse(run.octets));
        while runs.len() > self.fan_in() {
            let from = runs.len() - self.fan_in();
            let joined = runs.split_off(from);
            let joined = self.join(joined)?;
            runs.insert(0, joined);
            runs.sort_by_key(|run| std::cmp::Reverse(run.octets));
        }
        let buffer = self.memory / 2 / runs.len().max(1);
        let merge = Merge::of(runs, self.width, buffer.min(LARGE_BUFFER));
        let merge = merge.map_err(|source| self.unreadable(source))?;
        Ok(Sorted::merging(merge, self.folder, self.count))
    }

    /// How many runs are merged at once: each wants a buffer worth a read.
    fn fan_in(&self) -> usize {
        (self.memory / 4 / SMALL_BUFFER).clamp(2, MOST_RUNS)
    }

    fn write_away(&mut self) -> Result<(), SortError> {
        self.buffer.sort();
        let mut writer = self.new_run()?;
        for place in 0..self.buffer.len() {
            let record = self.buffer.get(place).expect("below the length");
            if let Err(error) = writer.push(record) {
                return Err(self.unwritable(error, writer.octets()));
            }
        }
        let run = self.close(writer)?;
        self.buffer.clear();
        self.keep(run, 0)
    }

    /// Keeps a run; as many as are merged at once become one of the next level.
    fn keep(&mut self, run: Run, level: usize) -> Result<(), SortError> {
        if self.runs.levels.len() == level {
            self.runs.levels.push(Vec::new());
        }
        self.runs.levels[level].push(run);
        if self.runs.levels[level].len() < self.fan_in() {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.runs.levels[level]);
        let joined = self.join(runs)?;
        self.keep(joined, level + 1)
    }

    /// Merges runs into one.
    fn join(&mut self, runs: Vec<Run>) -> Result<Run, SortError> {
        let octets: u64 = runs.iter().map(|run| run.octets).sum();
        let mut writer = self.new_run()?;
        let merge = Merge::of(runs, self.width, SMALL_BUFFER);
        let mut merge = merge.map_err(|source| self.unreadable(source))?;
        while let Some(record) = merge.head() {
            if let Err(error) = writer.push(record) {
                return Err(self.unwritable(error, writer.octets()));
            }
            merge.advance().map_err(|source| self.unreadable(source))?;
        }
        let joined = self.close(writer)?;
        self.runs.octets -= octets;
        Ok(joined)
    }

    fn new_run(&mut self) -> Result<RunWriter, SortError> {
        if self.runs.made == 0 {
            let folder = &self.folder;
            self.disk
                .create_folder(folder)
                .at("create the folder", folder)?;
            remove_leftovers(self.disk, folder)?;
        }
        self.runs.made += 1;
        let number = self.runs.made;
        RunWriter::create(self.disk, &self.folder, number, SMALL_BUFFER).map_err(
            |error| match error.source.kind() {
                io::ErrorKind::StorageFull => self.full(0),
                _ => error.into(),
            },
        )
    }

    fn close(&mut self, writer: RunWriter) -> Result<Run, SortError> {
        let before = writer.octets();
        let run = writer
            .finish()
            .map_err(|error| self.unwritable(error, before))?;
        self.runs.octets += run.octets;
        Ok(run)
    }

    fn full(&self, octets: u64) -> SortError {
        SortError::Full {
            folder: self.folder.clone(),
            octets: self.runs.octets + octets,
        }
    }

    fn unwritable(&self, source: io::Error, octets: u64) -> SortError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.full(octets),
            _ => SortError::Disk(DiskError {
                action: "write a run of a sort in",
                path: self.folder.clone(),
                source,
            }),
        }
    }

    fn unreadable(&self, source: io::Error) -> SortError {
        SortError::Read {
            folder: self.folder.clone(),
            source,
        }
    }
}

impl Buffer {
    /// Room is asked for once and touched as it fills: what a small sort does not need is never there.
    fn new(width: usize, most: usize) -> Self {
        let (bare, keyed) = if width == KEY_OCTETS {
            (most, 0)
        } else {
            (0, most)
        };
        Self {
            octets: Vec::with_capacity(keyed * width),
            keys: Vec::with_capacity(keyed),
            bare: Vec::with_capacity(bare),
            width,
            most,
        }
    }

    fn len(&self) -> usize {
        self.keys.len() + self.bare.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    #[inline]
    fn push(&mut self, record: &[u8]) {
        assert_eq!(
            record.len(),
            self.width,
            "records of one sort have one width"
        );
        let key = record
            .first_chunk()
            .expect("a record is as long as its key");
        if self.width == KEY_OCTETS {
            self.bare.push(u64::from_be_bytes(*key));
            return;
        }
        let number = u32::try_from(self.keys.len()).expect("the buffer holds fewer than 2^32");
        self.keys.push((u64::from_be_bytes(*key), number));
        self.octets.extend_from_slice(record);
    }

    fn sort(&mut self) {
        self.bare.sort_unstable();
        for key in &mut self.bare {
            *key = key.to_be();
        }
        let (octets, width) = (&self.octets, self.width);
        let record = |number: u32| &octets[number as usize * width..][..width];
        self.keys.sort_unstable_by(|one, other| {
            match one.0.cmp(&other.0) {
                // Keys that meet are rare when they are hashes.
                Ordering::Equal => record(one.1).cmp(record(other.1)),
                order => order,
            }
        });
    }

    /// The `place`-th record in order, once sorted.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<&[u8]> {
        if self.width == KEY_OCTETS {
            return self.bare.get(place).map(|key| key.as_bytes());
        }
        let &(_, number) = self.keys.get(place)?;
        self.octets
            .get(number as usize * self.width..)?
            .get(..self.width)
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.keys.clear();
        self.bare.clear();
    }
}

/// What is compared first.
pub(super) const KEY_OCTETS: usize = 8;
/// Runs merged at once, at most: each is an open file.
const MOST_RUNS: usize = 64;
/// Octets read or written at once while records are still coming.
const SMALL_BUFFER: usize = 4 << 10;
/// Octets read at once in the last merge: more gains nothing.
const LARGE_BUFFER: usize = 1 << 20;
