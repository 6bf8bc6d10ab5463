//! Notes beside the registry: up to which number a part of an issuer is void, for whoever goes on after a kill.

use super::Part;
use crate::durable::{self, Existing, Secrecy};
use crate::registry::IssuerId;
use crate::text::hex;
use std::io;
use std::path::{Path, PathBuf};

/// What an operator voids, and the words by which it is noted; of what was refused, that which does not stand alone is.
pub(super) const NOTED: [(Part, &str); 3] = [
    (Part::Whole, "all"),
    (Part::Changes, "changes"),
    (Part::Documents, "documents"),
];

/// Noted instead of a number: everything that was made before the next start.
pub(super) const ALL_SO_FAR: u64 = u64::MAX;

/// Where it is noted, if it is.
pub(super) fn path(notes: &Path, issuer: &IssuerId, part: Part) -> Option<PathBuf> {
    let (_, word) = NOTED.iter().find(|(noted, _)| *noted == part)?;
    Some(notes.join(format!("void-{}-{word}", hex(issuer))))
}

/// Losing the note costs one needless batch at the next start, or an operator one more word.
pub(super) fn write(path: &Path, void: u64) {
    let text = format!("{void}\n");
    let written = durable::write(path, text.as_bytes(), Secrecy::Public, Existing::Replace);
    if let Err(error) = written {
        tracing::warn!(file = %path.display(), %error, "what was refused cannot be noted");
    }
}

/// What is noted there; none if nothing is.
pub(super) fn read(path: &Path) -> Option<io::Result<u64>> {
    let number = |text: String| {
        let number = text.trim().parse();
        number.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    };
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.and_then(number)),
    }
}
