//! Where one batch is judged and built, apart from the store's publisher: a large one may be read while others are published.

use std::path::PathBuf;
use std::sync::Arc;

use wire::batch::Kind;
use wire::time::UnixSeconds;

use super::report::{Taken, kind_name};
use crate::build::{Built, build, build_document};
use crate::digest::Digest;
use crate::draft::{Draft, Newest};
use crate::durable::{Disk, DiskError};
use crate::expired;
use crate::home::Home;
use crate::import::admit::{AdmitError, Candidate, Gate};
use crate::manifest::DocumentNote;
use crate::object::Sealed;
use crate::pack::WriteError;
use crate::publish::HashKeys;
use crate::seal::PublicKey;
use crate::sort::Sorting;
use crate::spool::Waiting;
use crate::store::Store;

/// What judging and building need: nothing that publishing changes.
pub(crate) struct Workplace<'d> {
    pub(super) disk: &'d dyn Disk,
    pub(super) store: Store,
    pub(super) data: PathBuf,
    pub(super) signer: PublicKey,
    pub(super) sorting: Sorting,
    pub(super) hash_keys: Arc<HashKeys>,
}

/// A batch that was judged, with its packs and documents built.
pub(crate) struct Prepared {
    built: Built,
    documents: Vec<Sealed>,
    note: Taken,
}

impl Workplace<'_> {
    /// Judges and builds one batch that is to go into `draft`; or, a batch of files, into what `newest` says in the end: the
    /// same after some changes.
    pub(crate) fn build(
        &self,
        batch: &Waiting,
        draft: &Draft,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        newest: &Newest<'_>,
    ) -> Result<Prepared, AdmitError> {
        let (disk, store) = (self.disk, &self.store);
        let gate = Gate {
            disk,
            sorting: &self.sorting,
            data: &self.data,
            signer: &self.signer,
            now,
        };
        let floor = draft.floor(batch.issuer);
        let mut candidate = Candidate::open(&batch.path, batch.issuer, batch.number, &floor)?;
        draft.pass_over_older(store, &mut candidate);
        draft.check(store, &self.hash_keys, &candidate)?;
        let records = candidate.header.record_count;
        let standing = draft.standing(store, &candidate);
        if candidate.header.kind == Kind::Documents {
            // Before anything long is done: it would be done again at every look.
            standing.check_opens()?;
        }
        let built = build(disk, store, candidate, &gate, &mut |read| {
            progress(read, records);
        })?;
        let home = Home::at(&self.data);
        let seal = |(document, note): &(wire::batch::Document, DocumentNote)| {
            // What the note names lies there before the note does.
            if let Some(list) = &document.list {
                expired::keep(disk, &home, &list.expired)?;
            }
            build_document(disk, store, batch.issuer, document, note).map_err(WriteError::from)
        };
        let documents = &built.admitted.documents;
        let documents: Vec<Sealed> = documents.iter().map(seal).collect::<Result<_, _>>()?;
        draft
            .check_agreement(disk, &home, &built, &documents, (standing, newest))
            .map_err(WriteError::from)??;
        let header = &built.admitted.header;
        let note = Taken {
            issuer: batch.issuer.to_string(),
            number: batch.number,
            kind: kind_name(header.kind),
            revision: header.revision,
            records,
            verified: built.admitted.witnessed,
        };
        Ok(Prepared {
            built,
            documents,
            note,
        })
    }
}

impl Prepared {
    pub(super) fn into_draft(
        self,
        draft: &mut Draft,
        disk: &dyn Disk,
        batch: Waiting,
    ) -> Result<(Waiting, Taken, Digest), DiskError> {
        let digest = self.built.admitted.digest;
        draft.take(disk, self.built, self.documents)?;
        Ok((batch, self.note, digest))
    }
}
