//! Why a generation was not taken.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::durable::DiskError;
use crate::error::{OpenError, StoreError};

/// Why a generation was not taken; the one in place stays.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Pointer or manifest: torn, flipped, sealed by no pinned key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Older than what was accepted before, be it before a restart.
    #[error("generation {found} is below {highest}, which was already accepted")]
    Lower {
        /// What the store offers.
        found: u64,
        /// The highest ever accepted.
        highest: u64,
    },
    /// Two different manifests claim one number: two publishers, or a store restored from a copy.
    #[error("the store's history does not contain generation {number} as it was accepted here")]
    Forked {
        /// The number they part at.
        number: u64,
    },
    /// An object cannot be read; the store may have moved on meanwhile.
    #[error("cannot read the object {}", path.display())]
    ObjectUnreadable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An object is not what the manifest says: torn, flipped or extended.
    #[error("{} has {octets} octets (at least) and BLAKE3 {found}, the manifest says {expected} octets", path.display())]
    ObjectDiffers {
        /// Where; its name is the hash it should have.
        path: PathBuf,
        /// Octets it should have.
        expected: u64,
        /// Octets that were read.
        octets: u64,
        /// The hash of these.
        found: Digest,
    },
    /// All is there and sealed, and yet it cannot be opened.
    #[error("the generation cannot be opened")]
    Unopenable(#[from] OpenError),
    /// Our own disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
