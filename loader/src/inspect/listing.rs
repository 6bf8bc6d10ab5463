//! What a manifest says of a generation whose files are elsewhere.

use std::fmt;

use serde::Serialize;
use wire::time::UnixSeconds;

use super::date;
use crate::digest::Digest;
use crate::manifest::{IssuerHex, Manifest, ObjectEntry, Role};

/// A generation, by its manifest alone.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// Its number.
    pub number: u64,
    /// The number of the one before.
    pub previous: Option<u64>,
    /// The highest registry revision in it.
    pub revision: u64,
    /// When it was sealed.
    pub sealed_at: UnixSeconds,
    /// Until when it proves that nothing was revoked since.
    pub valid_until: UnixSeconds,
    /// Octets of all its files: what a new edge fetches.
    pub octets: u64,
    /// Its files, by issuer and name.
    pub objects: Vec<ObjectLine>,
}

/// A file.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectLine {
    /// For people; the last part of a document's path.
    pub name: String,
    /// `base`, `delta`, `crl` or `certificate`.
    pub kind: &'static str,
    /// Whose.
    pub issuer: IssuerHex,
    /// Its length.
    pub octets: u64,
    /// Records of a pack.
    pub records: Option<u64>,
    /// Of these, revoked.
    pub revoked: Option<u64>,
    /// Its name in the store.
    pub blake3: Digest,
}

impl Listing {
    /// Of a manifest that is believed.
    pub fn of(manifest: &Manifest) -> Listing {
        let mut objects: Vec<ObjectLine> =
            manifest.files().map(|file| ObjectLine::of(&file)).collect();
        objects.sort_by(|one, other| (one.issuer, &one.name).cmp(&(other.issuer, &other.name)));
        Listing {
            number: manifest.number,
            previous: manifest.previous.map(|previous| previous.number),
            revision: manifest.revision,
            sealed_at: manifest.sealed_at,
            valid_until: manifest.valid_until,
            octets: objects.iter().map(|object| object.octets).sum(),
            objects,
        }
    }
}

impl ObjectLine {
    fn of(entry: &ObjectEntry) -> ObjectLine {
        let (kind, note) = match &entry.role {
            Role::Base(note) => ("base", Some(note)),
            Role::Delta(note) => ("delta", Some(note)),
            Role::Crl(_) => ("crl", None),
            Role::Certificate(_) => ("certificate", None),
        };
        ObjectLine {
            name: entry.name.clone(),
            kind,
            issuer: entry.issuer,
            octets: entry.octets,
            records: note.map(|note| note.records),
            revoked: note.map(|note| note.revoked),
            blake3: entry.blake3,
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "generation {}, revision {}, sealed {}, valid until {}, {} octets in {} files",
            self.number,
            self.revision,
            date(self.sealed_at),
            date(self.valid_until),
            self.octets,
            self.objects.len()
        )?;
        for object in &self.objects {
            let issuer = String::from(object.issuer);
            let ObjectLine {
                name, kind, octets, ..
            } = object;
            write!(f, "{issuer} {kind} {name}: {octets} octets")?;
            if let (Some(records), Some(revoked)) = (object.records, object.revoked) {
                write!(f, ", {records} records ({revoked} revoked)")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
