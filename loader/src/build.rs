//! From a batch to sealed packs and documents, while it is judged: one reading, bounded memory.
//!
//! Packs lie in the store's `tmp/` until the whole batch was admitted and a generation is published; a refused batch
//! leaves files there that are removed at once, and by the next run if this one is killed.

use std::path::PathBuf;

use wire::batch::{Document, DocumentKind, Header, Kind};
use wire::cert_id::IssuerId;
use wire::record::RecordRef;

use crate::durable::{Disk, DiskError};
use crate::import::admit::{AdmitError, Admitted, Candidate, Gate, RecordSink};
use crate::import::guard::Place;
use crate::manifest::DocumentNote;
use crate::object::{DocumentKind as Served, NewDocument, Sealed, seal_document};
use crate::pack::{PackSpec, PackWriter, Scope, WriteError};
use crate::store::Store;

/// What came of a batch.
#[derive(Debug)]
pub struct Built {
    /// The batch.
    pub admitted: Admitted,
    /// Its packs: one a shard, or one delta; none of documents.
    pub packs: Vec<Sealed>,
}

/// Judges a batch and builds its packs into the store's `tmp/`.
pub fn build(
    disk: &dyn Disk,
    store: &Store,
    candidate: Candidate,
    gate: &Gate<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Built, AdmitError> {
    let header = candidate.header.clone();
    let mut shards = Shards {
        disk,
        store,
        header: &header,
        open: None,
        sealed: Vec::new(),
        begun: Vec::new(),
    };
    let packs = candidate
        .read(gate, &mut shards, progress)
        .and_then(|admitted| {
            let packs = if header.kind == Kind::Documents {
                Vec::new()
            } else {
                shards.finish()?
            };
            Ok(Built { admitted, packs })
        });
    if packs.is_err() {
        for leftover in &shards.begun {
            // It is of no use to anyone; if it stays, the next run removes it.
            let _ = disk.remove(leftover);
        }
    }
    packs
}

/// Packs being written one after the other, as a batch goes through the shards.
struct Shards<'a> {
    disk: &'a dyn Disk,
    store: &'a Store,
    header: &'a Header,
    open: Option<(u32, PackWriter)>,
    sealed: Vec<Sealed>,
    /// Every file begun, to be removed if the batch is refused.
    begun: Vec<PathBuf>,
}

impl RecordSink for Shards<'_> {
    fn take(&mut self, place: Place, record: &RecordRef<'_>) -> Result<(), WriteError> {
        let shard = if self.header.kind == Kind::Delta {
            0
        } else {
            place.shard
        };
        self.writer(shard)?.push_record(*record, record.window())
    }
}

impl Shards<'_> {
    /// The writer of `shard`. Shards before it are closed, empty ones too: a base is whole or not a base. The guard saw
    /// to it that shards only rise.
    fn writer(&mut self, shard: u32) -> Result<&mut PackWriter, WriteError> {
        while self.open.as_ref().is_none_or(|(open, _)| *open < shard) {
            self.open_next()?;
        }
        let (_, writer) = self
            .open
            .as_mut()
            .expect("the loop above ends with a writer");
        Ok(writer)
    }

    fn open_next(&mut self) -> Result<(), WriteError> {
        let next = match self.open.take() {
            None => self.first(),
            Some((shard, writer)) => {
                self.sealed.push(writer.finish()?);
                shard + 1
            }
        };
        let scope = match self.header.kind {
            Kind::Delta => Scope::Delta,
            _ => Scope::Base {
                shards: self.header.shards,
                shard: next,
            },
        };
        let records_about = match self.header.kind {
            Kind::Full => self.header.record_count / u64::from(self.header.shards),
            _ => self.header.record_count,
        };
        let spec = PackSpec::from_batch(self.header, scope, records_about)?;
        let path = self.temp(next);
        self.begun.push(path.clone());
        self.open = Some((next, PackWriter::create(self.disk, &path, &spec)?));
        Ok(())
    }

    /// Closes the last pack, after those of empty shards behind the last record.
    fn finish(&mut self) -> Result<Vec<Sealed>, WriteError> {
        let last = match self.header.kind {
            Kind::Full => self.header.shards - 1,
            _ => self.first(),
        };
        self.writer(last)?;
        if let Some((_, writer)) = self.open.take() {
            self.sealed.push(writer.finish()?);
        }
        Ok(std::mem::take(&mut self.sealed))
    }

    fn first(&self) -> u32 {
        self.header.shard
    }

    fn temp(&self, shard: u32) -> PathBuf {
        self.store.temp().join(format!(
            "pack-{}-{}-{shard}",
            self.header.issuer_id, self.header.number
        ))
    }
}

/// Seals a document into the store's `tmp/`.
pub fn build_document(
    disk: &dyn Disk,
    store: &Store,
    issuer: IssuerId,
    document: &Document,
    note: &DocumentNote,
) -> Result<Sealed, DiskError> {
    let kind = match document.kind {
        DocumentKind::Crl => Served::Crl,
        DocumentKind::IssuerCertificate
        | DocumentKind::OtherCertificate
        | DocumentKind::CertificateBundle => Served::Certificate,
    };
    let document = NewDocument {
        kind,
        name: &document.name,
        issuer,
        last_modified: note.last_modified,
        expires: note.expires,
        octets: &document.octets,
    };
    seal_document(disk, store, &document).map(|sealed| sealed.with_list(note.list.clone()))
}
