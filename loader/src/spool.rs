//! The spool: what the signer left for us, and what we leave in return.
//!
//! ```text
//! DIR/spool/<issuer-id>/<number:020>.batch          the signer renames it in; it deletes it once acknowledged
//! DIR/spool/<issuer-id>/<number:020>.ack            ours: the generation that holds it is published; names the batch's hash
//! DIR/spool/<issuer-id>/refused/<number:020>.batch  set aside, with its reason in <number:020>.reason beside it
//! ```

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use wire::batch::{Kind, acknowledgement_name, parse_spool_name};
use wire::cert_id::IssuerId;

use crate::digest::Digest;
use crate::durable::{At as _, Audience, Disk, DiskError, write_whole};
use crate::import::batch::BatchReader;

/// A batch lying in the spool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// Whose folder it lies in.
    pub issuer: IssuerId,
    /// The number in its name.
    pub number: u64,
    /// The file.
    pub path: PathBuf,
}

/// All batches that are not acknowledged, by issuer, then by number. A spool that is not there is an empty one.
pub fn waiting(spool: &Path) -> Result<Vec<Waiting>, DiskError> {
    let mut found = Vec::new();
    for folder in names(spool)? {
        let Some(issuer) = IssuerId::from_hex(&folder) else {
            continue;
        };
        let folder = spool.join(folder);
        for name in names(&folder)? {
            let Some(number) = parse_spool_name(&name) else {
                continue;
            };
            let path = folder.join(&name);
            if !is_acknowledged(&folder, number, &path) {
                found.push(Waiting {
                    issuer,
                    number,
                    path,
                });
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the acknowledgement beside a batch is this batch's. One of a file that lay here before under the same number (a
/// signer restored from a backup) must not hide the new one; it goes when the new one is judged.
fn is_acknowledged(folder: &Path, number: u64, batch: &Path) -> bool {
    let Ok(text) = fs::read_to_string(folder.join(acknowledgement_name(number))) else {
        return false;
    };
    let named = text.split(' ').next().and_then(Digest::from_hex);
    match BatchReader::trailing_hash(batch) {
        Ok(hash) => named.is_some_and(|named| *named.octets() == hash),
        // Taken away, or not to be read just now: whoever reads it next says why.
        Err(_) => false,
    }
}

/// How soon a batch is taken: changes before documents, those before base packs, which are large and only refresh what is
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A delta: somebody was revoked.
    Change,
    /// CRLs and certificates.
    Document,
    /// Base packs; and whatever does not say what it is, which will be refused.
    Base,
}

impl Rank {
    /// In the order in which they are taken.
    pub const ALL: [Self; 3] = [Self::Change, Self::Document, Self::Base];

    /// From the first octets of the file.
    pub fn of(batch: &Waiting) -> Self {
        let mut first = [0; wire::batch::PREFIX_OCTETS];
        let read = fs::File::open(&batch.path).and_then(|mut file| file.read_exact(&mut first));
        match read.ok().and_then(|()| wire::batch::kind_of(&first)) {
            Some(Kind::Delta) => Self::Change,
            Some(Kind::Documents) => Self::Document,
            Some(Kind::Full | Kind::Shard) | None => Self::Base,
        }
    }
}

/// Tells the signer that generation `generation` holds the batch.
pub fn acknowledge(
    disk: &dyn Disk,
    batch: &Waiting,
    blake3: Digest,
    generation: u64,
) -> Result<(), DiskError> {
    let folder = batch
        .path
        .parent()
        .expect("a waiting batch lies in its issuer's folder");
    let path = folder.join(acknowledgement_name(batch.number));
    let temp = folder.join(format!(".{:020}.ack", batch.number));
    write_whole(
        disk,
        &temp,
        &path,
        format!("{blake3} {generation}\n").as_bytes(),
        Audience::Everyone,
    )
}

/// Moves a batch out of the way, makes the move durable, and then leaves the reason beside it.
///
/// The batch first: from a reason without its batch the signer could not tell what is lost, and would sign everything anew.
/// Killed in between, the batch lies there without a reason, and counts as refused all the same.
pub fn set_aside(disk: &dyn Disk, batch: &Waiting, reason: &str) -> Result<PathBuf, DiskError> {
    let folder = batch
        .path
        .parent()
        .expect("a waiting batch lies in its issuer's folder");
    let refused = folder.join("refused");
    disk.create_folder(&refused)
        .at("create the folder", &refused)?;
    let target = refused.join(wire::batch::spool_name(batch.number));
    disk.rename(&batch.path, &target)
        .at("set aside to", &target)?;
    disk.sync_folder(&refused)
        .at("fsync the folder", &refused)?;
    disk.sync_folder(folder).at("fsync the folder", folder)?;
    let words = refused.join(format!("{:020}.reason", batch.number));
    let temp = refused.join(format!(".{:020}.reason", batch.number));
    write_whole(
        disk,
        &temp,
        &words,
        format!("{reason}\n").as_bytes(),
        Audience::Everyone,
    )?;
    Ok(target)
}

/// Names in a folder; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, DiskError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // A file where a folder should be is none of ours.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        other => other.at("list", folder)?,
    };
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect())
}
