//! A store on disk, in words:
//!
//! ```text
//! objects/<blake3>               packs, CRLs, certificates; named by content, never written twice
//! manifests/<number:020>.manifest one a generation, sealed; outlive the objects they name
//! current                        the pointer: the number, newline, the BLAKE3 of that manifest, newline
//! highest                        (an edge only) the same two lines: the highest number ever accepted
//! tmp/                           half-written files; whatever is here when a run begins was left by a killed one
//! partial/<blake3>               (an edge only) the beginning of an object whose download was cut short, to go on from
//! ```
//!
//! A bucket (`bucket/`) has the first three under the same names, and so has whatever a web server shows of one.
//!
//! The loader's store and a responder's edge folder look alike. Publishing (`publish.rs`) writes the first, following
//! (`follow.rs`) copies it into the second, opening (`snapshot.rs`) reads either.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::StoreError;
#[cfg(feature = "publish")]
use crate::manifest::Previous;
use crate::manifest::{MAX_MANIFEST_OCTETS, Manifest, TrustedManifest};
use crate::seal::PublicKey;

/// A folder laid out as above.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What a pointer file says: which manifest, by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    /// The generation's number.
    pub number: u64,
    /// The BLAKE3 of its manifest's whole text.
    pub manifest: Digest,
}

impl Pointer {
    /// The two lines.
    pub fn to_text(self) -> String {
        format!("{}\n{}\n", self.number, self.manifest)
    }

    /// From a pointer's octets; `path` only names them in an error.
    pub(crate) fn read(octets: &[u8], path: &Path) -> Result<Pointer, StoreError> {
        let text = std::str::from_utf8(octets).ok();
        text.and_then(Pointer::from_text)
            .ok_or_else(|| StoreError::BadPointer {
                path: path.to_owned(),
            })
    }

    /// From exactly the two lines.
    pub fn from_text(text: &str) -> Option<Pointer> {
        let (number, rest) = text.split_once('\n')?;
        let digest = rest.strip_suffix('\n')?;
        let plain = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
        Some(Pointer {
            number: number.parse().ok().filter(|_| plain)?,
            manifest: Digest::from_hex(digest)?,
        })
    }
}

impl Store {
    /// The store at `root`; nothing is touched.
    pub fn at(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `objects/`.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// `manifests/`.
    pub fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// `tmp/`: on the same file system, so that a rename is one step.
    pub fn temp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// `partial/`: what was fetched of objects before a download was cut short.
    pub fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// The beginning of an object whose download was cut short.
    pub fn partial(&self, digest: Digest) -> PathBuf {
        self.partials().join(digest.to_string())
    }

    /// `current`.
    pub fn pointer(&self) -> PathBuf {
        self.root.join("current")
    }

    /// `highest`.
    pub fn highest(&self) -> PathBuf {
        self.root.join("highest")
    }

    /// The file of an object.
    pub fn object(&self, digest: Digest) -> PathBuf {
        self.objects().join(digest.to_string())
    }

    /// The file of a manifest.
    pub fn manifest(&self, number: u64) -> PathBuf {
        self.manifests().join(manifest_name(number))
    }

    /// What `current` says; none in an empty store.
    pub fn read_pointer(&self) -> Result<Option<Pointer>, StoreError> {
        read_pointer(&self.pointer())
    }

    /// What `highest` says; none if nothing was ever accepted.
    pub fn read_highest(&self) -> Result<Option<Pointer>, StoreError> {
        read_pointer(&self.highest())
    }

    /// Reads a manifest that a trusted one names as its previous: the hash proves it, whoever sealed it.
    #[cfg(feature = "cli")]
    pub(crate) fn read_linked(&self, previous: Previous) -> Result<Manifest, StoreError> {
        let path = self.manifest(previous.number);
        let octets = read_bounded(&path, MAX_MANIFEST_OCTETS as u64)?;
        linked_manifest(path, &octets, previous)
    }

    /// What a manifest of our own folder names, for keeping files only: the seal is not checked.
    #[cfg(feature = "publish")]
    pub(crate) fn read_names(&self, number: u64) -> Result<Vec<Digest>, StoreError> {
        let path = self.manifest(number);
        let octets = read_bounded(&path, MAX_MANIFEST_OCTETS as u64)?;
        let manifest = Manifest::parse_unsealed(&octets)
            .map_err(|source| StoreError::Manifest { path, source })?;
        Ok(manifest.file_names().collect())
    }

    /// Reads the manifest a pointer names: hash, seal, number.
    pub fn read_manifest(
        &self,
        pointer: Pointer,
        pins: &[PublicKey],
    ) -> Result<TrustedManifest, StoreError> {
        let path = self.manifest(pointer.number);
        let octets = read_bounded(&path, MAX_MANIFEST_OCTETS as u64)?;
        trusted_manifest(path, octets, pointer, pins)
    }

    /// Reads a manifest that no pointer names: the seal proves it.
    #[cfg(feature = "publish")]
    pub(crate) fn read_unpointed(
        &self,
        number: u64,
        pins: &[PublicKey],
    ) -> Result<TrustedManifest, StoreError> {
        let octets = read_bounded(&self.manifest(number), MAX_MANIFEST_OCTETS as u64)?;
        let pointer = Pointer {
            number,
            manifest: Digest::of(&octets),
        };
        self.read_manifest(pointer, pins)
    }

    /// The newest generation's manifest; none in an empty store.
    pub fn read_current(&self, pins: &[PublicKey]) -> Result<Option<TrustedManifest>, StoreError> {
        self.read_pointer()?
            .map(|pointer| self.read_manifest(pointer, pins))
            .transpose()
    }

    /// Numbers of the manifests that are here, rising.
    pub fn manifest_numbers(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<u64> = names_in(&self.manifests())?
            .iter()
            .filter_map(|name| name.strip_suffix(".manifest")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Digests of the objects that are here. Names that are no digest are not ours and are left alone.
    pub fn object_digests(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(names_in(&self.objects())?
            .iter()
            .filter_map(|name| Digest::from_hex(name))
            .collect())
    }

    /// Digests of the objects of which `partial/` holds a beginning.
    #[cfg(feature = "publish")]
    pub(crate) fn partial_digests(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(names_in(&self.partials())?
            .iter()
            .filter_map(|name| Digest::from_hex(name))
            .collect())
    }

    /// Whatever lies in `tmp/`.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.temp();
        Ok(names_in(&folder)?
            .iter()
            .map(|name| folder.join(name))
            .collect())
    }
}

/// File names in a folder; a missing folder is an empty one.
fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let unreadable = |source| StoreError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_pointer(path: &Path) -> Result<Option<Pointer>, StoreError> {
    let octets = match read_bounded(path, MAX_POINTER_OCTETS) {
        Err(StoreError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    Pointer::read(&octets, path).map(Some)
}

/// The name of a manifest in `manifests/`.
pub(crate) fn manifest_name(number: u64) -> String {
    format!("{number:020}.manifest")
}

/// A manifest's text, wherever it came from, believed: the pointer's hash, a pinned seal, the pointer's number.
pub(crate) fn trusted_manifest(
    path: PathBuf,
    octets: Vec<u8>,
    pointer: Pointer,
    pins: &[PublicKey],
) -> Result<TrustedManifest, StoreError> {
    check_hash(&path, &octets, pointer.manifest)?;
    let trusted = Manifest::open(octets, pins).map_err(|source| StoreError::Manifest {
        path: path.clone(),
        source,
    })?;
    if trusted.manifest().number != pointer.number {
        return Err(StoreError::OtherNumber {
            path,
            named: pointer.number,
            found: trusted.manifest().number,
        });
    }
    Ok(trusted)
}

/// A manifest's text, wherever it came from, that a believed one names by hash.
#[cfg(feature = "publish")]
pub(crate) fn linked_manifest(
    path: PathBuf,
    octets: &[u8],
    previous: Previous,
) -> Result<Manifest, StoreError> {
    check_hash(&path, octets, previous.blake3)?;
    Manifest::parse_unsealed(octets).map_err(|source| StoreError::Manifest { path, source })
}

/// The text is the one that was named.
fn check_hash(path: &Path, octets: &[u8], named: Digest) -> Result<(), StoreError> {
    let found = Digest::of(octets);
    if found != named {
        return Err(StoreError::NotThatManifest {
            path: path.to_owned(),
            named,
            found,
        });
    }
    Ok(())
}

/// Reads a file of at most `limit` octets, so that a file grown by accident or malice is not read into memory.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let unreadable = |source| StoreError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut octets = Vec::new();
    fs::File::open(path)
        .map_err(unreadable)?
        .take(limit + 1)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    if octets.len() as u64 > limit {
        return Err(StoreError::TooLong {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(octets)
}

/// Twenty digits, a newline, 64 digits, a newline, rounded up.
pub(crate) const MAX_POINTER_OCTETS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_pointer_is_not_read_as_a_shorter_one() {
        let pointer = Pointer {
            number: 17,
            manifest: Digest::of(b"m"),
        };
        let text = pointer.to_text();
        assert_eq!(Pointer::from_text(&text), Some(pointer));
        for cut in 0..text.len() {
            assert_eq!(Pointer::from_text(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Pointer::from_text(&format!("{text}\n")), None);
        assert_eq!(Pointer::from_text(&text.replace("17", "+17")), None);
    }
}
