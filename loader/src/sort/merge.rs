//! Records out: straight from memory, or by a merge over the heads of all runs.

use std::io;
use std::path::PathBuf;

use super::SortError;
use super::run::{Run, RunReader};
use super::sorter::{Buffer, KEY_OCTETS};

/// Records in order.
pub struct Sorted {
    source: Source,
    count: u64,
}

enum Source {
    Memory {
        buffer: Buffer,
        next: usize,
    },
    Runs {
        merge: Merge,
        folder: PathBuf,
        begun: bool,
    },
}

impl Sorted {
    pub(super) fn in_memory(buffer: Buffer, count: u64) -> Self {
        let source = Source::Memory { buffer, next: 0 };
        Self { source, count }
    }

    pub(super) fn merging(merge: Merge, folder: PathBuf, count: u64) -> Self {
        let source = Source::Runs {
            merge,
            folder,
            begun: false,
        };
        Self { source, count }
    }

    /// How many there are in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next record, borrowed until the one after it is asked for.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, SortError> {
        match &mut self.source {
            Source::Memory { buffer, next } => {
                let record = buffer.get(*next);
                *next += 1;
                Ok(record)
            }
            Source::Runs {
                merge,
                folder,
                begun,
            } => {
                if std::mem::replace(begun, true) {
                    merge.advance().map_err(|source| SortError::Read {
                        folder: folder.clone(),
                        source,
                    })?;
                }
                Ok(merge.head())
            }
        }
    }
}

/// Several runs as one. A heap of run numbers, the run with the least head on top.
pub(super) struct Merge {
    runs: Vec<RunReader>,
    heap: Vec<Top>,
}

/// A run by the key of its head.
#[derive(Clone, Copy)]
struct Top {
    key: u64,
    run: usize,
}

impl Merge {
    pub(super) fn of(runs: Vec<Run>, width: usize, buffer: usize) -> io::Result<Self> {
        let runs: Vec<RunReader> = runs
            .into_iter()
            .map(|run| run.read(width, buffer))
            .collect::<io::Result<_>>()?;
        let heap = (0..runs.len()).filter_map(|run| top(&runs, run)).collect();
        let mut merge = Self { runs, heap };
        for place in (0..merge.heap.len() / 2).rev() {
            merge.sink(place);
        }
        Ok(merge)
    }

    /// The least record of all.
    #[inline]
    pub(super) fn head(&self) -> Option<&[u8]> {
        self.heap.first().and_then(|top| self.runs[top.run].head())
    }

    /// Takes the least record away.
    #[inline]
    pub(super) fn advance(&mut self) -> io::Result<()> {
        let Some(least) = self.heap.first().map(|top| top.run) else {
            return Ok(());
        };
        self.runs[least].advance()?;
        match top(&self.runs, least) {
            Some(top) => self.heap[0] = top,
            None => {
                self.heap.swap_remove(0);
            }
        }
        self.sink(0);
        Ok(())
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let mut least = place;
            for child in [left, right] {
                if child < self.heap.len() && self.is_less(child, least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }

    #[inline]
    fn is_less(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.heap[one], self.heap[other]);
        if one.key == other.key {
            self.runs[one.run].head() < self.runs[other.run].head()
        } else {
            one.key < other.key
        }
    }
}

#[inline]
fn top(runs: &[RunReader], run: usize) -> Option<Top> {
    let key: &[u8; KEY_OCTETS] = runs[run].head()?.first_chunk()?;
    Some(Top {
        key: u64::from_be_bytes(*key),
        run,
    })
}
