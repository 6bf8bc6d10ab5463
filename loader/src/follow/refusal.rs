//! Why a generation was not taken.

use std::io;
use std::path::PathBuf;

use super::room::NoRoom;
use crate::digest::Digest;
use crate::durable::DiskError;
use crate::error::{OpenError, StoreError, sentence};
use crate::manifest::ManifestError;

/// Why a generation was not taken; the one in place stays.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Pointer or manifest: torn, flipped, sealed by no pinned key; or the store is away.
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
    /// The store had generations, and has no pointer any more.
    #[error("the store has no pointer any more, and generation {highest} was accepted from it")]
    Gone {
        /// The highest ever accepted.
        highest: u64,
    },
    /// Two different manifests claim one number: two publishers, or a store restored from a copy.
    #[error("the store's history does not contain generation {number} as it was accepted here; {}", advice(*number, *offered))]
    Forked {
        /// The number they part at.
        number: u64,
        /// What the store offers.
        offered: u64,
    },
    /// The operator accepted a fork, and the store offers another generation than the one that was named.
    #[error("the store offers generation {offered}, and --accept-fork names {named}")]
    OtherFork {
        /// What the operator said.
        named: u64,
        /// What the store offers.
        offered: u64,
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
    #[error("{} has {octets} octets{}, the manifest says {expected} octets", path.display(), found.map_or_else(String::new, |found| format!(" and BLAKE3 {found}")))]
    ObjectDiffers {
        /// Where; its name is the hash it should have.
        path: PathBuf,
        /// Octets it should have.
        expected: u64,
        /// Octets it has.
        octets: u64,
        /// The hash of these, if they were read.
        found: Option<Digest>,
    },
    /// It does not fit on the edge's disk.
    #[error("there is no room for the generation")]
    NoRoom(#[from] NoRoom),
    /// All is there and sealed, and yet it cannot be opened.
    #[error("the generation cannot be opened")]
    Unopenable(#[from] OpenError),
    /// A file in place does not open, and the store has none to put in its place.
    #[error("{name} is damaged ({}), and cannot be fetched anew", sentence(damage.as_ref()))]
    NotHealed {
        /// What people call it.
        name: String,
        /// Why it does not open.
        damage: Box<OpenError>,
        /// Why the store's is not taken.
        #[source]
        fetch: Box<Refusal>,
    },
    /// Our own disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What an operator who meant it has to do.
fn advice(number: u64, offered: u64) -> String {
    let first = if offered > number {
        String::new()
    } else {
        format!("publish above it first (`hufu-loader publish --above {number}`), then ")
    };
    let named = offered.max(number.saturating_add(1));
    format!(
        "if the store was restored or begun anew on purpose, {first}take its generation {named} once with `hufu-loader follow --accept-fork {named}`"
    )
}

impl Refusal {
    /// Whether an object came that is not what the manifest says.
    pub(super) fn is_altered(&self) -> bool {
        match self {
            Refusal::ObjectDiffers { .. } => true,
            Refusal::NotHealed { fetch, .. } => fetch.is_altered(),
            Refusal::ObjectUnreadable { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::FileTooLarge | io::ErrorKind::UnexpectedEof
            ),
            _ => false,
        }
    }

    /// One word for a counter's label.
    pub fn kind(&self) -> &'static str {
        match self {
            altered if altered.is_altered() => "altered",
            Refusal::Store(StoreError::Unreadable { source, .. }) => match source.kind() {
                io::ErrorKind::NotFound => "missing",
                io::ErrorKind::PermissionDenied => "denied",
                _ => "away",
            },
            Refusal::Store(StoreError::Manifest {
                source: ManifestError::UnknownKey { .. },
                ..
            }) => "unknown-key",
            Refusal::Store(_) => "manifest",
            Refusal::Gone { .. } => "missing",
            Refusal::Lower { .. } => "lower",
            Refusal::Forked { .. } | Refusal::OtherFork { .. } => "forked",
            Refusal::ObjectUnreadable { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "missing",
                io::ErrorKind::PermissionDenied => "denied",
                _ => "away",
            },
            Refusal::ObjectDiffers { .. } => "altered",
            Refusal::NoRoom(_) => "no-room",
            Refusal::Unopenable(_) => "unopenable",
            Refusal::NotHealed { fetch, .. } => fetch.kind(),
            Refusal::Disk(_) => "disk",
        }
    }

    /// Every word that [`kind`](Self::kind) can say.
    pub const KINDS: &'static [&'static str] = &[
        "altered",
        "away",
        "denied",
        "disk",
        "forked",
        "lower",
        "manifest",
        "missing",
        "no-room",
        "unknown-key",
        "unopenable",
    ];
}
