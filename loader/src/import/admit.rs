//! May this batch in? Everything that is judged of it, in one reading from front to back.
//!
//! Cheap things first: place, number, header, responders, documents. Then each record (codes, order, window), one in 4,096
//! with its signatures, all of them against our own reading of a staged CRL, and on to whoever builds packs of them; at
//! the end hash and signature of the whole. Only then is there an [`Admitted`], without which nothing is published.

use std::collections::BTreeMap;
use std::path::Path;

use wire::batch::{Document, Header, Kind, Source};
use wire::cert_id::IssuerId;
use wire::record::RecordRef;
use wire::time::UnixSeconds;

use super::agree::{Agreement, WalkError};
use super::batch::{BatchReader, BatchRefusal};
use super::certificate::Certificate;
use super::crl::{CLOCK_LEEWAY, Judging};
use super::documents::check_documents;
use super::guard::{Place, RecordGuard};
use super::lines::{LinesError, LinesReader};
use super::listed::{NUMBERED_OCTETS, SettleError, Settled};
use super::responder::{Responders, latest_end};
use super::together::{Reading, Said, TogetherError};
use super::trust::WeakPolicy;
use super::whose::Parties;
use super::witness::Witness;
use crate::digest::Digest;
use crate::durable::Disk;
use crate::manifest::DocumentNote;
use crate::pack::WriteError;
use crate::seal::PublicKey;
use crate::sort::{SortError, Sorter, Sorting};
use crate::staged::{self, StagedError, Trust};

/// What a batch is held against.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// Where a staged list that memory does not hold is sorted.
    pub disk: &'a dyn Disk,
    /// In which folder, and in how much memory.
    pub sorting: &'a Sorting,
    /// The data folder, for staged CRLs.
    pub data: &'a Path,
    /// The signer's batch key.
    pub signer: &'a PublicKey,
    /// The clock.
    pub now: UnixSeconds,
}

/// What was taken of an issuer before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floor {
    /// The last number of a delta that was taken; a delta must be above.
    pub delta_number: u64,
    /// The last number of a batch of documents; such a one must be above.
    pub documents_number: u64,
    /// Of each shard that has a base pack, what its next one must not be below.
    pub bases: BTreeMap<u32, BaseFloor>,
    /// The highest revision of the deltas; a delta never goes below.
    pub delta_revision: u64,
}

/// What the next base pack of a shard must be above, and not below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BaseFloor {
    /// Number of the batch it came with.
    pub number: u64,
    /// Its revision.
    pub revision: u64,
}

/// A batch whose header was judged and whose records were not yet read.
#[derive(Debug)]
pub struct Candidate {
    /// What it says of itself, without the documents; not signed for before the end.
    pub header: Header,
    /// Who signs its answers.
    pub responders: Responders,
    /// Its documents, with what HTTP says of them.
    pub documents: Vec<(Document, DocumentNote)>,
    /// Its issuer's certificate.
    pub issuer: Certificate,
    reader: BatchReader,
}

/// A batch that is in. Only [`Candidate::read`] makes one.
#[derive(Debug)]
pub struct Admitted {
    /// What it says, without the documents.
    pub header: Header,
    /// Its documents, with what HTTP says of them.
    pub documents: Vec<(Document, DocumentNote)>,
    /// Signatures that were verified as clients will.
    pub witnessed: u64,
    /// The hash in its trailer: what it is known by.
    pub digest: Digest,
}

/// Whoever builds something of the records.
pub trait RecordSink {
    /// Takes the next record, which was judged.
    fn take(&mut self, place: Place, record: &RecordRef<'_>) -> Result<(), WriteError>;
}

/// Why a batch did not come in.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The batch is at fault: it is set aside.
    #[error(transparent)]
    Refused(#[from] BatchRefusal),
    /// What should hold its records could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The list it repeats could not be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
}

impl From<WalkError> for AdmitError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Disagrees(error) => BatchRefusal::from(error).into(),
            WalkError::List(error) => error.into(),
        }
    }
}

impl From<SettleError> for AdmitError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Fault(fault) => BatchRefusal::Crl(fault.into()).into(),
            SettleError::Sort(error) => error.into(),
            twice @ SettleError::Twice { .. } => not_staged(&twice).into(),
        }
    }
}

impl Candidate {
    /// Opens the batch at `path`, which lies in the folder of `issuer` under `number`, and judges its header.
    pub fn open(
        path: &Path,
        issuer: IssuerId,
        number: u64,
        floor: &Floor,
    ) -> Result<Self, BatchRefusal> {
        let (mut header, reader) = BatchReader::open(path)?;
        check_place(&header, issuer, number, floor)?;
        let (responders, issuer) = Responders::judge(&header)?;
        // Moved out: a list of millions is there once, however often the header is copied.
        let documents = check_documents(std::mem::take(&mut header.documents), &issuer)?;
        Ok(Self {
            header,
            responders,
            issuer,
            documents,
            reader,
        })
    }

    /// Reads and judges all records, hands each to `sink`, tells `progress` how many were read.
    pub fn read(
        mut self,
        gate: &Gate<'_>,
        sink: &mut dyn RecordSink,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Admitted, AdmitError> {
        check_clock(&self.header, gate.now)?;
        let witnessed = match OwnReading::of(&self.header, gate)? {
            None => self.read_records(None, sink, progress)?,
            Some(own) => {
                let settled = own.settle(&self.header, &self.issuer, gate)?;
                let agreement = Agreement::begin(&self.header, settled)?;
                self.read_records(Some(agreement), sink, progress)?
            }
        };
        let verified = self.reader.finish(gate.signer)?;
        let digest = Digest::from_octets(verified.blake3());
        Ok(Admitted {
            header: self.header,
            documents: self.documents,
            witnessed,
            digest,
        })
    }

    /// Gives how many signatures were verified.
    fn read_records(
        &mut self,
        mut agreement: Option<Agreement>,
        sink: &mut dyn RecordSink,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, AdmitError> {
        let layout = self.reader.layout;
        let mut guard = RecordGuard::new(&self.header);
        let mut witness = Witness::new(self.header.record_count);
        let mut number = 0;
        while let Some(chunk) = self.reader.next_chunk()? {
            for octets in chunk.chunks_exact(layout.record_octets()) {
                number += 1;
                let record = layout
                    .record(octets)
                    .expect("chunks have the record's width");
                let place = guard
                    .admit(&record)
                    .map_err(|fault| BatchRefusal::Record { number, fault })?;
                witness
                    .see(&self.header, &self.responders, &record)
                    .map_err(|fault| BatchRefusal::Witness { number, fault })?;
                if let Some(agreement) = &mut agreement {
                    agreement.see(place, &record)?;
                }
                sink.take(place, &record)?;
            }
            progress(number);
        }
        if let Some(agreement) = agreement {
            agreement.finish()?;
        }
        Ok(witness.verified)
    }
}

fn check_place(
    header: &Header,
    issuer: IssuerId,
    number: u64,
    floor: &Floor,
) -> Result<(), BatchRefusal> {
    if header.issuer_id != issuer || header.number != number {
        return Err(BatchRefusal::Misplaced {
            number: header.number,
            issuer: header.issuer_id.to_string(),
        });
    }
    // Within a kind numbers rise, so that nothing taken once is ever taken again. Across kinds they need not: which pack
    // answers is decided by revision and number, not by who came first, and a delta must not wait for a base shard.
    let bases = || floor.bases.values();
    let (last_number, last) = match header.kind {
        Kind::Full => (
            bases().map(|base| base.number).max().unwrap_or(0),
            bases().map(|base| base.revision).max().unwrap_or(0),
        ),
        Kind::Shard => {
            let base = floor.bases.get(&header.shard).copied().unwrap_or_default();
            (base.number, base.revision)
        }
        Kind::Delta => (floor.delta_number, floor.delta_revision),
        Kind::Documents => (floor.documents_number, 0),
    };
    if number <= last_number {
        return Err(BatchRefusal::LowerNumber {
            number,
            last: last_number,
        });
    }
    if header.revision < last {
        return Err(BatchRefusal::LowerRevision {
            revision: header.revision,
            last,
        });
    }
    if header.kind != Kind::Documents && header.variants.is_empty() {
        return Err(BatchRefusal::NoVariants);
    }
    Ok(())
}

/// Windows against our own clock. Old ones of a delta go in: what it revokes is then not answered, instead of `good`.
fn check_clock(header: &Header, now: UnixSeconds) -> Result<(), BatchRefusal> {
    if header.kind == Kind::Documents {
        return Ok(());
    }
    for (number, window) in header.windows.iter().enumerate() {
        let at = window.this_update.max(window.produced_at);
        if at > now.saturating_add(CLOCK_LEEWAY) {
            return Err(BatchRefusal::ClockBehind {
                window: number,
                at,
                now,
            });
        }
        if window.next_update <= now && header.kind != Kind::Delta {
            return Err(BatchRefusal::Stale {
                window: number,
                next_update: window.next_update,
                now,
            });
        }
    }
    Ok(())
}

/// The loader's own copy of what a batch repeats.
struct OwnReading {
    staged: staged::Opened,
    judging: Judging,
}

impl OwnReading {
    /// Finds it; none for the signer's own registry.
    fn of(header: &Header, gate: &Gate<'_>) -> Result<Option<Self>, BatchRefusal> {
        let Source::ForeignCrl { blake3, as_of, .. } = header.source else {
            return Ok(None);
        };
        if header.kind == Kind::Documents {
            return Ok(None);
        }
        let staged = staged::open(gate.data, &header.issuer_id.to_string())
            .map_err(|error| match error {
                StagedError::Io { .. } => BatchRefusal::Staged(error),
                _ => not_staged(&error),
            })?
            .ok_or_else(|| not_staged(&"there is none of this issuer"))?;
        if staged.options.crl_blake3 != blake3 {
            return Err(not_staged(&"the one staged is another"));
        }
        if staged.options.as_of != as_of {
            return Err(not_staged(&"it was staged with another --as-of"));
        }
        let weak = WeakPolicy::of(staged.options.allow_weak);
        Ok(Some(Self {
            staged,
            judging: Judging {
                now: gate.now,
                as_of,
                weak,
            },
        }))
    }

    /// Reads and judges it anew, in the batch's order.
    fn settle(
        &self,
        header: &Header,
        issuer: &Certificate,
        gate: &Gate<'_>,
    ) -> Result<Said, AdmitError> {
        if let Some(trust) = &self.staged.options.trust {
            return self.settle_lines(header, trust, gate).map(Said::from);
        }
        let crl_issuer = self.staged.crl_issuer.as_deref();
        let crl_issuer = crl_issuer.map(Certificate::from_der).transpose();
        let crl_issuer = crl_issuer.map_err(|error| not_staged(&error))?;
        let reading = Reading {
            disk: gate.disk,
            sorting: gate.sorting,
            key: header.hash_key,
            parties: Parties {
                issuer,
                crl_issuer: crl_issuer.as_ref(),
            },
        };
        let together = match reading.read(&self.staged.lists, &|_| self.judging) {
            Ok(together) => together,
            Err(TogetherError::Sort(error)) => return Err(error.into()),
            Err(TogetherError::Refused { refusal, .. }) => {
                return Err(BatchRefusal::Crl(refusal).into());
            }
            Err(TogetherError::Staged(error @ StagedError::Io { .. })) => {
                return Err(BatchRefusal::Staged(error).into());
            }
            Err(TogetherError::Staged(error)) => return Err(not_staged(&error).into()),
        };
        // A window ends no later than its CRL's nextUpdate, of several the first one's; a replay lifts this.
        match (together.next_update, latest_end(header)) {
            (Some(next_update), Some(end)) if end > next_update && self.judging.as_of.is_none() => {
                Err(BatchRefusal::PastCrl.into())
            }
            _ => Ok(together.said),
        }
    }

    /// The same of a list that no CA has signed: whoever vouches for it did so for a time.
    fn settle_lines(
        &self,
        header: &Header,
        trust: &Trust,
        gate: &Gate<'_>,
    ) -> Result<Settled, AdmitError> {
        let list = self.staged.first();
        let sorter = Sorter::begin(gate.disk, gate.sorting, NUMBERED_OCTETS)?;
        let reader = LinesReader::new(sorter, header.hash_key, gate.now);
        let read = match reader.read(self.staged.options.form, &list.file) {
            Ok(read) => read,
            Err(LinesError::Sort(error)) => return Err(error.into()),
            Err(LinesError::Io(error)) => {
                return Err(BatchRefusal::Staged(list.unreadable(error)).into());
            }
        };
        list.expect_unchanged(&read.blake3)
            .map_err(|error| not_staged(&error))?;
        if let Some(fault) = read.faults.first() {
            return Err(not_staged(fault).into());
        }
        match latest_end(header) {
            Some(end) if end > trust.until => Err(BatchRefusal::PastCrl.into()),
            _ => Ok(read.settled()),
        }
    }
}

fn not_staged(why: &dyn std::fmt::Display) -> BatchRefusal {
    BatchRefusal::NotStaged {
        why: why.to_string(),
    }
}
