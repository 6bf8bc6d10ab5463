//! What can be wrong with a store and with a generation in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::pack::PackError;

/// A store that cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Longer than such a file ever is.
    #[error("{} is longer than {limit} octets", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Not a number and a digest on two lines.
    #[error("{} is not a number and a digest on two lines", path.display())]
    BadPointer {
        /// Which file.
        path: PathBuf,
    },
    /// The manifest's text is not the one the pointer names: flipped, torn or exchanged.
    #[error("{} has BLAKE3 {found}, the pointer names {named}", path.display())]
    NotThatManifest {
        /// Which file.
        path: PathBuf,
        /// What the pointer names.
        named: Digest,
        /// What is there.
        found: Digest,
    },
    /// The manifest is refused.
    #[error("the manifest {} is refused", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A manifest under another's name.
    #[error("{} says it is number {found}, the pointer names {named}", path.display())]
    OtherNumber {
        /// Which file.
        path: PathBuf,
        /// What the pointer names.
        named: u64,
        /// What the manifest says.
        found: u64,
    },
}

/// A generation that cannot be opened; whatever is open stays.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing was ever published here.
    #[error("{} holds no generation yet", root.display())]
    Empty {
        /// The folder.
        root: PathBuf,
    },
    /// Pointer or manifest.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An older generation than one already seen: a replay.
    #[error("generation {found} is below {highest}, which was already accepted")]
    Lower {
        /// What the pointer names.
        found: u64,
        /// The highest so far.
        highest: u64,
    },
    /// Another generation under the number of the one that is served.
    #[error("generation {number} is not the one that was accepted under this number")]
    SameNumber {
        /// Their number.
        number: u64,
    },
    /// A pack is refused.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file is not there, or not as long as the manifest says.
    #[error("{} should have {expected} octets and has {}", path.display(), found.map_or_else(|| "none".into(), |octets| octets.to_string()))]
    Object {
        /// Which file.
        path: PathBuf,
        /// What the manifest says.
        expected: u64,
        /// What is there, if anything.
        found: Option<u64>,
    },
    /// A file's octets are not those its name says: they changed after it was fetched.
    #[error("{} is damaged: it has BLAKE3 {found}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The hash it has.
        found: Digest,
    },
    /// A pack's header and the manifest disagree.
    #[error("{} is not the pack the manifest describes", path.display())]
    OtherPack {
        /// Which file.
        path: PathBuf,
    },
    /// Packs of one issuer that cannot be asked together.
    #[error("the packs of issuer {issuer} do not fit together: {misfit}")]
    Misfit {
        /// Which issuer.
        issuer: wire::cert_id::IssuerId,
        /// In what.
        misfit: Misfit,
    },
}

impl OpenError {
    /// The file that is to blame, if it is a single one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Pack(PackError::Unreadable { path, .. } | PackError::Flawed { path, .. })
            | Self::Object { path, .. }
            | Self::Damaged { path, .. }
            | Self::OtherPack { path } => Some(path),
            _ => None,
        }
    }
}

/// In what the packs of one issuer, or two issuers, contradict one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// One hash key an issuer.
    #[error("they hash serials by different keys")]
    HashKey,
    /// One number of shards an issuer.
    #[error("they are split into different numbers of shards")]
    Shards,
    /// A shard has two base packs.
    #[error("one shard has two base packs")]
    ShardTwice,
    /// Two issuers, one `CertID`.
    #[error("another issuer answers to the same CertID")]
    Prefix,
}

/// An error and its sources in one line, each told once: `transparent` errors repeat the text of what they hold.
#[cfg(feature = "publish")]
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
