//! What a generation holds, for people and for `--json`: read from its packs here; `listing.rs`: what a manifest says of one
//! elsewhere.

pub mod listing;

use std::fmt;

use serde::Serialize;
use wire::time::UnixSeconds;

use crate::manifest::{EncodedNote, IssuerHex, Role};
use crate::pack::{Pack, Variant};
use crate::snapshot::Snapshot;

/// A generation.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Its number.
    pub number: u64,
    /// The highest registry revision in it.
    pub revision: u64,
    /// When it was sealed.
    pub sealed_at: UnixSeconds,
    /// Until when it proves that nothing was revoked since.
    pub valid_until: UnixSeconds,
    /// Its packs, by issuer, in the order in which they are asked.
    pub packs: Vec<PackLine>,
    /// Its documents, by path.
    pub documents: Vec<DocumentLine>,
}

/// A pack.
#[derive(Debug, Clone, Serialize)]
pub struct PackLine {
    /// Whose certificates.
    pub issuer: IssuerHex,
    /// `base` or `delta`.
    pub kind: &'static str,
    /// Which shard.
    pub shard: u32,
    /// Of how many.
    pub shards: u32,
    /// What its records are signed with: the algorithm of the first variant.
    pub algorithm: &'static str,
    /// Each signature of a record: `CertID` form and algorithm.
    pub variants: Vec<String>,
    /// How many records.
    pub records: u64,
    /// Of these, revoked.
    pub revoked: u64,
    /// The whole file.
    pub octets: u64,
    /// The whole file ÷ records; none for an empty pack.
    pub octets_per_record: Option<f64>,
    /// The registry revision that a base reaches; what a delta says is true at it.
    pub revision: u64,
    /// The newest signer batch in it.
    pub batch: u64,
    /// How many windows.
    pub windows: usize,
    /// thisUpdate of the oldest.
    pub oldest_this_update: Option<UnixSeconds>,
    /// nextUpdate of the one that ends first.
    pub soonest_next_update: Option<UnixSeconds>,
    /// The clock by which a replayed CRL was judged.
    pub replayed_as_of: Option<UnixSeconds>,
    /// Its name in the store.
    pub blake3: String,
}

/// A CRL or certificate.
#[derive(Debug, Clone, Serialize)]
pub struct DocumentLine {
    /// Where it is served.
    pub path: String,
    /// Whose.
    pub issuer: IssuerHex,
    /// Its length.
    pub octets: u64,
    /// nextUpdate of a CRL.
    pub expires: Option<UnixSeconds>,
    /// Its name in the store.
    pub blake3: String,
    /// Its encoded forms.
    pub encodings: Vec<EncodedLine>,
}

/// A document in a content coding.
#[derive(Debug, Clone, Serialize)]
pub struct EncodedLine {
    /// `gzip` or `zstd`.
    pub encoding: &'static str,
    /// Its length.
    pub octets: u64,
    /// Its name in the store.
    pub blake3: String,
}

impl Inspection {
    /// Of an open generation. Reads windows, not records.
    pub fn of(snapshot: &Snapshot) -> Inspection {
        let manifest = snapshot.manifest();
        let mut packs = Vec::new();
        let mut documents = Vec::new();
        for entry in &manifest.objects {
            match &entry.role {
                Role::Base(note) | Role::Delta(note) => {
                    let pack = snapshot
                        .pack(entry.blake3)
                        .expect("every pack of the manifest is open");
                    packs.push(PackLine::of(pack, note.revoked, entry.blake3.to_string()));
                }
                Role::Crl(note) | Role::Certificate(note) => documents.push(DocumentLine {
                    path: entry.role.path(&entry.name).unwrap_or_default(),
                    issuer: entry.issuer,
                    octets: entry.octets,
                    expires: note.expires,
                    blake3: entry.blake3.to_string(),
                    encodings: note.encodings.iter().map(EncodedLine::of).collect(),
                }),
            }
        }
        packs.sort_by_key(|pack| {
            (
                pack.issuer,
                pack.kind == "base",
                std::cmp::Reverse(pack.revision),
                pack.shard,
            )
        });
        documents.sort_by(|one, other| one.path.cmp(&other.path));
        Inspection {
            number: manifest.number,
            revision: manifest.revision,
            sealed_at: manifest.sealed_at,
            valid_until: manifest.valid_until,
            packs,
            documents,
        }
    }
}

impl EncodedLine {
    fn of(note: &EncodedNote) -> EncodedLine {
        EncodedLine {
            encoding: note.encoding.token(),
            octets: note.octets,
            blake3: note.blake3.to_string(),
        }
    }
}

impl PackLine {
    fn of(pack: &Pack, revoked: u64, blake3: String) -> PackLine {
        let (shards, shard) = pack.shards();
        let (revision, batch) = pack.age();
        let records = pack.record_count();
        let octets = pack.octets().len() as u64;
        let variants = &pack.shared().variants;
        let name =
            |variant: &Variant| format!("{}/{}", variant.form.name(), variant.algorithm.name());
        PackLine {
            issuer: IssuerHex(pack.issuer()),
            kind: if pack.is_delta() { "delta" } else { "base" },
            shard,
            shards,
            algorithm: variants
                .first()
                .map_or("", |variant| variant.algorithm.name()),
            variants: variants.iter().map(name).collect(),
            records,
            revoked,
            octets,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a ratio for people; 52 bits are plenty"
            )]
            octets_per_record: (records > 0).then(|| octets as f64 / records as f64),
            revision,
            batch,
            windows: pack.windows().count(),
            oldest_this_update: pack.windows().map(|window| window.this_update).min(),
            soonest_next_update: pack.windows().map(|window| window.next_update).min(),
            replayed_as_of: pack.as_of(),
            blake3,
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "generation {}, revision {}, sealed {}, valid until {}",
            self.number,
            self.revision,
            date(self.sealed_at),
            date(self.valid_until)
        )?;
        for pack in &self.packs {
            writeln!(f, "{pack}")?;
        }
        for document in &self.documents {
            let expires = document
                .expires
                .map(|time| format!(", until {}", date(time)));
            let expires = expires.unwrap_or_default();
            write!(f, "{} ({} octets", document.path, document.octets)?;
            for form in &document.encodings {
                write!(f, ", {} in {}", form.octets, form.encoding)?;
            }
            writeln!(f, "{expires})")?;
        }
        Ok(())
    }
}

impl fmt::Display for PackLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PackLine {
            kind,
            shard,
            shards,
            records,
            revoked,
            octets,
            revision,
            windows,
            ..
        } = self;
        write!(f, "{} {kind}", String::from(self.issuer))?;
        if self.kind == "base" {
            write!(f, " {}/{shards}", shard + 1)?;
        }
        write!(
            f,
            ": {records} records ({revoked} revoked), {octets} octets"
        )?;
        if let Some(ratio) = self.octets_per_record {
            write!(f, " ({ratio:.1} each)")?;
        }
        write!(f, ", revision {revision}, {windows} windows")?;
        if let Some(time) = self.soonest_next_update {
            write!(f, " until {}", date(time))?;
        }
        write!(f, ", {}", self.variants.join(" "))?;
        if let Some(time) = self.replayed_as_of {
            write!(f, ", REPLAYED as of {}", date(time))?;
        }
        Ok(())
    }
}

/// RFC 3339, or the number where that has no such form.
fn date(time: UnixSeconds) -> String {
    let moment = i64::try_from(time)
        .ok()
        .and_then(|time| jiff::Timestamp::from_second(time).ok());
    moment.map_or_else(|| time.to_string(), |moment| moment.to_string())
}
