//! The spool's housekeeping: what the loader acknowledged, and what a killed signer left half-written.

use crate::text::hex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use wire::batch::{TRAILER_HASH_OCTETS, TRAILER_OCTETS, acknowledgement_name, parse_spool_name};

/// Removes batches that the loader has acknowledged, with their acknowledgements.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for name in names(folder)? {
        let Some(number) = parse_spool_name(&name) else {
            continue;
        };
        let acknowledgement = folder.join(acknowledgement_name(number));
        let Ok(text) = std::fs::read_to_string(&acknowledgement) else {
            continue;
        };
        // Of another batch that lay here under this number: an older copy of the registry was put back. This one waits.
        let batch = folder.join(name);
        if text.split(' ').next() == Some(&*trailing_hash(&batch)?) {
            // The batch first: the loader takes an acknowledgement without its batch for what it is, the end of the story.
            remove(&batch)?;
        }
        remove(&acknowledgement)?;
    }
    Ok(())
}

/// Removes half-written batches. Only before any thread of ours writes: whoever holds the spool's lock then knows that they
/// are nobody's.
pub(super) fn remove_halves(spool: &Path) -> io::Result<()> {
    for issuer in names(spool)? {
        let folder = spool.join(issuer);
        for name in names(&folder)? {
            if name.starts_with('.') && name.ends_with(".tmp") {
                remove(&folder.join(name))?;
            }
        }
    }
    Ok(())
}

/// The hash in a batch's trailer, in hexadecimal digits: what it is known by. Empty for what is no batch.
fn trailing_hash(batch: &Path) -> io::Result<String> {
    let file = File::open(batch)?;
    let Some(offset) = file.metadata()?.len().checked_sub(TRAILER_OCTETS as u64) else {
        return Ok(String::new());
    };
    let mut hash = [0; TRAILER_HASH_OCTETS];
    file.read_exact_at(&mut hash, offset)?;
    Ok(hex(&hash))
}

/// What a folder holds; nothing if there is none.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
