//! What lies in an issuer's `refused` folder: numbers, by what the batches were to make.
//!
//! The loader moves the batch there first and writes its reason last, so a batch without a reason was refused all the same:
//! the reason is about to come, or the loader was killed before it wrote it. A reason without its batch is what an operator
//! left who took the batch away, or put it back into the spool.

use super::Part;
use crate::ca::CaError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use wire::batch::{Header, Kind, PREFIX_OCTETS, header_octets, parse_spool_name, spool_name};

/// What was read of each batch that was set aside.
#[derive(Debug, Default)]
pub(super) struct Aside(BTreeMap<PathBuf, Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// What it was to make; none before it could be read.
    parts: Option<Vec<Part>>,
    told: Told,
}

/// Whether its refusal is in the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    /// Not yet: the reason may be on its way.
    ReasonAwaited,
    Yes,
}

/// What a file that was set aside says.
enum Said {
    Header(Box<Header>),
    /// It is there, and cannot be read any more.
    Nothing,
    /// It is not there any more, or the system does not let us read it just now.
    Unknown,
}

impl Aside {
    /// The refused numbers by part; those not seen before are told.
    pub(super) fn read(&mut self, folder: &Path) -> Result<BTreeMap<Part, BTreeSet<u64>>, CaError> {
        let found = numbers(folder).map_err(|source| CaError::File {
            path: folder.to_owned(),
            source,
        })?;
        let mut parts: BTreeMap<Part, BTreeSet<u64>> = BTreeMap::new();
        for number in found {
            let path = folder.join(spool_name(number));
            let seen = self.0.entry(path.clone()).or_default();
            let known = match &seen.parts {
                Some(known) => known.clone(),
                // Put back by an operator, to be judged again. Moved while we looked: it is there at the second look.
                None if !path.exists() && waits(folder, number) && !path.exists() => continue,
                None => seen.learn(&path),
            };
            for part in known {
                parts.entry(part).or_default().insert(number);
            }
            seen.tell(folder, number);
        }
        Ok(parts)
    }
}

impl Seen {
    /// Reads the file, and remembers what it says if it is there.
    fn learn(&mut self, path: &Path) -> Vec<Part> {
        let parts = match said(path) {
            Said::Header(header) => vec![match header.kind {
                Kind::Full => Part::Base,
                Kind::Shard => Part::Shard(header.shard),
                Kind::Delta => Part::Changes,
                Kind::Documents => Part::Documents,
            }],
            Said::Nothing => EVERYTHING.to_vec(),
            // It may be read at the next look.
            Said::Unknown => return EVERYTHING.to_vec(),
        };
        self.parts = Some(parts.clone());
        parts
    }

    fn tell(&mut self, folder: &Path, number: u64) {
        if self.told == Told::Yes {
            return;
        }
        let reason = std::fs::read_to_string(folder.join(format!("{number:020}{REASON}")));
        self.told = match (&reason, self.told) {
            (Err(_), Told::No) => {
                self.told = Told::ReasonAwaited;
                return;
            }
            _ => Told::Yes,
        };
        let file = folder.join(spool_name(number));
        let reason = reason.unwrap_or_default();
        let reason = reason.trim();
        tracing::error!(file = %file.display(), reason, "the loader refused a batch");
    }
}

/// The numbers of all that lies there.
fn numbers(folder: &Path) -> io::Result<BTreeSet<u64>> {
    let mut found = BTreeSet::new();
    let entries = match std::fs::read_dir(folder) {
        // Nothing was ever refused.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for entry in entries {
        found.extend(entry?.file_name().to_str().and_then(number_of));
    }
    Ok(found)
}

/// The number in a name: of a batch, or of a reason.
fn number_of(name: &str) -> Option<u64> {
    let reason = || name.strip_suffix(REASON)?.parse().ok();
    parse_spool_name(name).or_else(reason)
}

/// Whether a batch lies in the spool, before its `refused` folder.
fn waits(folder: &Path, number: u64) -> bool {
    let spool = folder.parent();
    spool.is_some_and(|spool| spool.join(spool_name(number)).exists())
}

/// The header of a batch; of its records, which may be gigabytes, nothing is read.
fn said(path: &Path) -> Said {
    let read = || -> io::Result<Option<Header>> {
        let mut file = File::open(path)?;
        let mut octets = vec![0; PREFIX_OCTETS];
        file.read_exact(&mut octets)?;
        // At most `wire::batch::MAX_HEADER_OCTETS`, and no more than there are.
        let whole = header_octets(&octets).ok();
        let Some(rest) = whole.and_then(|whole| whole.checked_sub(PREFIX_OCTETS)) else {
            return Ok(None);
        };
        file.take(rest as u64).read_to_end(&mut octets)?;
        Ok(Header::parse(&octets).ok().map(|(header, _)| header))
    };
    match read() {
        Ok(Some(header)) => Said::Header(Box::new(header)),
        Ok(None) => Said::Nothing,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Said::Nothing,
        Err(_) => Said::Unknown,
    }
}

/// What may have been in a batch that says nothing: it may have been any.
const EVERYTHING: [Part; 3] = [Part::Whole, Part::Changes, Part::Documents];
/// What the name of a reason ends with.
const REASON: &str = ".reason";
