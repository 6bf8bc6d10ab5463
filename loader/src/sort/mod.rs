//! Sorting more records than memory holds: runs of sorted records on disk, then one merge over all of them.
//!
//! ```text
//! push … ─▶ buffer ──full──▶ sorted run ─┐
//!           buffer ──full──▶ sorted run ─┼─▶ merge ─▶ Sorted, record by record
//!           buffer ──end───▶ sorted run ─┘
//! ```
//!
//! Where it is needed: what signs batches hands them over sorted, and they are not sorted again. Lists of other
//! authorities come in their own order (a CRL, OpenSSL's `index.txt`, CSV), and so do synthetic populations; they are
//! sorted here into a pack's order. What fits the buffer never touches the disk.
//!
//! Runs have no names: each file is opened, then unlinked while it is still empty, and the kernel gives its blocks back
//! when the sort ends, however it ends. A kill between those two calls leaves an empty file, which the next sort removes.
//!
//! | file | holds |
//! |---|---|
//! | [`sorter`] | records in |
//! | [`run`] | one run: its file, its reader |
//! | [`merge`] | records out |

pub mod merge;
pub mod run;
pub mod sorter;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::durable::DiskError;

pub use merge::Sorted;
pub use sorter::Sorter;

/// Where runs go, and how much memory a sort may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorting {
    /// The folder of the runs; made if it is not there.
    pub folder: PathBuf,
    /// Octets of memory for records and buffers.
    pub memory: usize,
}

impl Sorting {
    /// Runs in `folder`, in the memory that is right for most.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            memory: DEFAULT_MEMORY,
        }
    }

    /// The same with another bound, in octets.
    #[must_use]
    pub fn within(self, memory: usize) -> Self {
        Self { memory, ..self }
    }
}

/// Why records could not be sorted. Nothing of the sort is left on disk.
#[derive(Debug, thiserror::Error)]
pub enum SortError {
    /// A run could not be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The disk of the runs is full.
    #[error("{} has no room for the {octets} octets a sort has put there so far and more; free some, or sort elsewhere or with more memory", folder.display())]
    Full {
        /// The folder of the runs.
        folder: PathBuf,
        /// Octets in runs when it was full.
        octets: u64,
    },
    /// A run could not be read back.
    #[error("cannot read a run of a sort back from {}", folder.display())]
    Read {
        /// The folder of the runs.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Less memory than a merge of two runs needs.
    #[error(
        "{memory} octets of memory are too little to sort in; at least {LEAST_MEMORY} are needed"
    )]
    TooLittleMemory {
        /// What was given.
        memory: usize,
    },
}

/// A run's file name, as long as it has one.
fn run_name(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{RUN_PREFIX}{}-{number}", std::process::id()))
}

/// What every run's name begins with.
const RUN_PREFIX: &str = "run-";
/// Lists of a million entries come in a few runs, and a machine that serves has better use for the rest.
pub const DEFAULT_MEMORY: usize = 32 << 20;
/// Buffers of three runs and some records.
pub const LEAST_MEMORY: usize = 64 << 10;
