//! Where a follower takes generations from: a folder (here, or mounted), a bucket, a web server that shows one.
//!
//! All three have the same layout (`store.rs`) and none of them is believed: what comes out of a source is octets, and the
//! hash, the seal and the number decide.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::StoreError;
use crate::manifest::{MAX_MANIFEST_OCTETS, Manifest, ObjectEntry, Previous, TrustedManifest};
use crate::seal::PublicKey;
use crate::store::{
    Pointer, Store, linked_manifest, manifest_name, read_bounded, trusted_manifest,
};

/// A published store, to read from; objects are read by several threads at once.
pub trait Source: Send + Sync {
    /// What people call it: a path or a URL. Errors name files below it.
    fn root(&self) -> &Path;

    /// What `current` says; none in an empty store. A source that can ask "only if it changed" does so.
    fn pointer(&self) -> Result<Option<Pointer>, StoreError>;

    /// A manifest's octets, at most [`MAX_MANIFEST_OCTETS`].
    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError>;

    /// An object from octet `from` on, which lies before its end.
    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>>;

    /// The same store past the caches that may lie before it: they keep for ever what they were once given, and that may
    /// be wrong when the store has long been mended. None if nothing lies between.
    fn past_caches(&self) -> Option<&dyn Source> {
        None
    }

    /// How errors call a manifest.
    fn manifest_path(&self, number: u64) -> PathBuf {
        self.root().join("manifests").join(manifest_name(number))
    }

    /// How errors call an object.
    fn object_path(&self, digest: Digest) -> PathBuf {
        self.root().join("objects").join(digest.to_string())
    }
}

/// An object that is being read.
pub struct Opened<'s> {
    /// How long the whole object is, as far as its store says.
    pub octets: u64,
    /// What is still to be read.
    pub rest: Box<dyn Read + 's>,
}

impl Source for Store {
    fn root(&self) -> &Path {
        self.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        self.read_pointer()
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        read_bounded(&self.manifest(number), MAX_MANIFEST_OCTETS as u64)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        let mut file = File::open(self.object(entry.blake3))?;
        let octets = file.metadata()?.len();
        file.seek(SeekFrom::Start(from))?;
        // One octet more than announced is read at most: a file that grows meanwhile fills no disk.
        let rest = file.take(entry.octets.saturating_add(1).saturating_sub(from));
        Ok(Opened {
            octets,
            rest: Box::new(rest),
        })
    }
}

/// Reads the manifest a pointer names: hash, seal, number.
pub(super) fn read_trusted(
    source: &dyn Source,
    pointer: Pointer,
    pins: &[PublicKey],
) -> Result<TrustedManifest, StoreError> {
    let octets = source.manifest(pointer.number)?;
    let path = source.manifest_path(pointer.number);
    match (
        trusted_manifest(path, octets, pointer, pins),
        source.past_caches(),
    ) {
        (Err(StoreError::NotThatManifest { .. }), Some(past)) => read_trusted(past, pointer, pins),
        (outcome, _) => outcome,
    }
}

/// The manifest that a store has under this number, if it bears a pinned seal: whatever else it has there proves nothing.
pub(super) fn read_sealed(
    source: &dyn Source,
    number: u64,
    pins: &[PublicKey],
) -> Result<Option<TrustedManifest>, StoreError> {
    let octets = match read_if_there(source, number) {
        Err(StoreError::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::FileTooLarge =>
        {
            None
        }
        Err(StoreError::TooLong { .. }) => None,
        octets => octets?,
    };
    let sealed = octets.and_then(|octets| Manifest::open(octets, pins).ok());
    Ok(sealed.filter(|sealed| sealed.manifest().number == number))
}

/// Reads a manifest that a trusted one names as its previous: the hash proves it, whoever sealed it. None if it is not
/// there any more.
pub(super) fn read_linked(
    source: &dyn Source,
    previous: Previous,
) -> Result<Option<Manifest>, StoreError> {
    let Some(octets) = read_if_there(source, previous.number)? else {
        return Ok(None);
    };
    let path = source.manifest_path(previous.number);
    match (
        linked_manifest(path, &octets, previous),
        source.past_caches(),
    ) {
        (Err(StoreError::NotThatManifest { .. }), Some(past)) => read_linked(past, previous),
        (outcome, _) => outcome.map(Some),
    }
}

fn read_if_there(source: &dyn Source, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
    match source.manifest(number) {
        // A bucket tells a reader who may not list it that what is missing is forbidden.
        Err(StoreError::Unreadable { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        octets => octets.map(Some),
    }
}
