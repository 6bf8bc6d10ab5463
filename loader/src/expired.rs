//! What left a list because its certificate expired: named in the manifest, kept beside the store.
//!
//! A record does not say when its certificate ends, so a serial that is answered `revoked` and not on its list any more
//! could be one that expired or one that was forgotten. The signer, which knows, names the first with each list; the
//! manifest bears the BLAKE3 of these names, and the names themselves lie in `DIR/loader/expired/<blake3>`: edges never
//! need them. A serial counts as expired only if it is among the names the sealed manifest vouches for.
//!
//! ```text
//! each serial: length u8 · content octets; rising
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wire::serial::Serial;

use crate::digest::Digest;
use crate::durable::{At as _, Audience, Disk, DiskError, write_whole};
use crate::home::Home;
use crate::manifest::{ExpiredMark, Manifest, Role};

/// What the manifest says of these serials; none if there are none.
pub fn mark(serials: &[Serial]) -> Option<ExpiredMark> {
    (!serials.is_empty()).then(|| ExpiredMark {
        blake3: Digest::of(&packed(serials)),
        serials: serials.len() as u64,
    })
}

/// Keeps the serials where [`read`] finds them.
pub fn keep(disk: &dyn Disk, home: &Home, serials: &[Serial]) -> Result<(), DiskError> {
    if serials.is_empty() {
        return Ok(());
    }
    let octets = packed(serials);
    let folder = home.expired();
    let path = folder.join(Digest::of(&octets).to_string());
    if path.exists() {
        return Ok(());
    }
    disk.create_folder(&folder).at("create", &folder)?;
    let temp = folder.join("tmp");
    write_whole(disk, &temp, &path, &octets, Audience::Everyone)
}

/// Why the names are not there.
#[derive(Debug, thiserror::Error)]
pub enum ExpiredError {
    /// The file is away.
    #[error("{} cannot be read: {source}; publish the list again", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not what the manifest names.
    #[error("{} is not what the manifest names", .0.display())]
    Differs(PathBuf),
}

/// The serials a manifest vouches for.
pub fn read(home: &Home, mark: Option<&ExpiredMark>) -> Result<BTreeSet<Serial>, ExpiredError> {
    let Some(mark) = mark else {
        return Ok(BTreeSet::new());
    };
    let path = home.expired().join(mark.blake3.to_string());
    let octets = std::fs::read(&path).map_err(|source| ExpiredError::Read {
        path: path.clone(),
        source,
    })?;
    let serials = unpacked(&octets).filter(|_| Digest::of(&octets) == mark.blake3);
    serials.ok_or(ExpiredError::Differs(path))
}

/// Removes what the current manifest does not name any more. What cannot be removed now is removed another time.
pub fn sweep(disk: &dyn Disk, home: &Home, manifest: &Manifest) {
    let named: BTreeSet<String> = manifest
        .objects
        .iter()
        .filter_map(|entry| match &entry.role {
            Role::Crl(note) => note.list.as_ref()?.expired.as_ref(),
            _ => None,
        })
        .map(|mark| mark.blake3.to_string())
        .collect();
    let Ok(files) = std::fs::read_dir(home.expired()) else {
        return;
    };
    for file in files.flatten() {
        let is_named = file
            .file_name()
            .to_str()
            .is_some_and(|name| named.contains(name));
        if !is_named {
            let path: &Path = &file.path();
            let _ = disk.remove(path);
        }
    }
}

fn packed(serials: &[Serial]) -> Vec<u8> {
    let mut octets = Vec::new();
    for serial in serials {
        let content = serial.content();
        octets.push(u8::try_from(content.len()).expect("a serial has at most 32 octets"));
        octets.extend_from_slice(content);
    }
    octets
}

fn unpacked(mut octets: &[u8]) -> Option<BTreeSet<Serial>> {
    let mut serials = BTreeSet::new();
    while let Some((&length, rest)) = octets.split_first() {
        let (content, rest) = rest.split_at_checked(usize::from(length))?;
        serials.insert(Serial::from_content(content).ok()?);
        octets = rest;
    }
    Some(serials)
}
