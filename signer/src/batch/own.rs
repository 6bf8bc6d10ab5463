//! Batches of our own authorities, from the registry into the spool: what they have in common, and documents. Changes are
//! `pieces.rs`, base shards `base.rs`.

use super::papers::Papers;
use super::pieces::{Known, changes};
use super::{BatchError, Extent, Order, Row, Spooler, Subject, default_forms, make, plan};
use crate::ca::ocsp_signer::Group;
use crate::ca::{CaError, Issuer};
use crate::durable::{self, Existing, Secrecy};
use crate::office::Office;
use crate::registry::{BatchKind, BatchRecord, By, Revision, Store};
use crate::settings::Terms;
use der::Decode;
use spki::SubjectPublicKeyInfoRef;
use std::path::PathBuf;
use wire::algorithm::SignatureAlgorithm;
use wire::batch::{Document, Kind, Source};
use wire::cert_id::{CertIdForm, IssuerId};
use wire::serial::SerialHashKey;

/// A batch that was put into the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whose: alias of our own, hexadecimal issuer id of foreign ones.
    pub issuer: String,
    /// What it does.
    pub kind: Kind,
    /// Its number.
    pub number: u64,
    /// Records in it.
    pub records: u64,
    /// Of these, those whose signatures were carried over: expired certificates.
    pub carried: u64,
    /// The revision that a base shows; of a piece of changes that at which its own rows are true, see [`super::pieces`].
    pub revision: Revision,
}

/// Our own authority as batches know it.
///
/// # Errors
/// [`BatchError::Authority`] if its public key cannot be read.
pub fn subject(issuer: &Issuer, terms: &Terms) -> Result<Subject, BatchError> {
    let key = SubjectPublicKeyInfoRef::from_der(&issuer.public_key_der)
        .map_err(CaError::encode("public key"))?;
    Ok(Subject {
        issuer_id: IssuerId(issuer.issuer_id()),
        hash_key: SerialHashKey(issuer.row.hash_key),
        shards: issuer.row.shards,
        issuer_certificate: issuer.row.certificate.clone(),
        name_der: issuer.name_der.clone(),
        key_bits: key.subject_public_key.raw_bytes().to_vec(),
        forms: forms(issuer, terms),
        source: Source::Registry,
    })
}

/// The CertID forms that are signed ahead for an authority.
#[must_use]
pub fn forms(issuer: &Issuer, terms: &Terms) -> Vec<CertIdForm> {
    let usual = || default_forms(issuer.algorithm == SignatureAlgorithm::Sm2Sm3);
    terms.forms.clone().unwrap_or_else(usual)
}

/// Variants as a batch's record holds them: one bit for each form, by code, and from `FURTHER` on one for each algorithm beside
/// the authority's own, which can be no other as long as the authority is.
#[must_use]
pub fn variant_bits(forms: &[CertIdForm], further: &[SignatureAlgorithm]) -> u64 {
    let bit = |place: u32| 1_u64.checked_shl(place).unwrap_or(0);
    let forms = forms.iter().map(|form| bit(form.code().into()));
    let further = further
        .iter()
        .map(|one| bit(FURTHER + u32::from(one.code())));
    forms.chain(further).fold(0, |bits, bit| bits | bit)
}

/// The newest batch of a part of an issuer, if it still counts.
pub(crate) fn latest<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    kind: BatchKind,
    spooler: &Spooler<'_>,
) -> Result<Option<BatchRecord>, BatchError> {
    let id = issuer.issuer_id();
    let latest = office
        .registry
        .wait(|store| store.latest_batch(&id, kind, 0))?;
    Ok(latest.filter(|record| !spooler.refused.voids(record)))
}

/// A batch of files only, if they are not what was sent last; before it the changes that stand on the lists, unless they
/// were sent: the loader holds lists against its packs, and would refuse what those do not say yet.
///
/// # Errors
/// [`BatchError`].
pub fn documents<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    papers: &Papers,
    spooler: Spooler<'_>,
) -> Result<Vec<Written>, BatchError> {
    let clerk = Clerk {
        office,
        issuer,
        spooler,
    };
    let mut written = Vec::new();
    if !spooler.refused.has_looked(&issuer.issuer_id()) {
        return Ok(written);
    }
    let sent = clerk.sent()?;
    let Some(news) = papers.news(&sent.text) else {
        return Ok(written);
    };
    let began = (spooler.clock)();
    let in_time = began..began.saturating_add(LONGEST_BEFORE_PAPERS_SECS);
    for _ in 0..PIECES_BEFORE_PAPERS {
        if !clerk.is_ahead(papers)? || (spooler.stop)() {
            break;
        }
        written.extend(changes(office, issuer, spooler)?.written);
        // One piece is long where the signing key is slow.
        if !in_time.contains(&(spooler.clock)()) {
            break;
        }
    }
    if clerk.is_ahead(papers)? {
        // More than that, or what was refused is said again: others' papers do not wait for it, and these come next time.
        return Ok(written);
    }
    let number = clerk.number()?;
    // As for changes: the files before, which these only add to, may have been voided meanwhile.
    if clerk.sent()? != sent {
        return Ok(written);
    }
    let order = Piece {
        kind: Kind::Documents,
        number,
        shard: 0,
        shards: issuer.row.shards,
        revision: papers.revision(),
        covers: papers.revision(),
    };
    let documents = news.read(office)?;
    let responder = clerk.responder_at_hand()?;
    written.push(clerk.put(order, Vec::new(), documents, &responder, 1)?);
    clerk.note_documents(papers)?;
    Ok(written)
}

/// The files that were sent last and not refused.
#[derive(PartialEq, Eq)]
struct Sent {
    number: Option<u64>,
    /// As [`Papers::fingerprint`] says it.
    text: String,
}

/// What a batch is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) shard: u32,
    pub(super) shards: u32,
    /// The revision that a base shows; of a piece of changes that at which its own rows are true, see [`super::pieces`].
    pub(super) revision: Revision,
    /// The revision up to which nothing is left to be said behind it.
    pub(super) covers: Revision,
}

/// One authority's batches at one moment.
pub(super) struct Clerk<'a, S> {
    pub(super) office: &'a Office<S>,
    pub(super) issuer: &'a Issuer,
    pub(super) spooler: Spooler<'a>,
}

impl<S: Store> Clerk<'_, S> {
    /// Who signs a base shard; successors are made here.
    pub(super) fn responder(&self) -> Result<Group, BatchError> {
        let by = By::signer((self.spooler.clock)());
        let signers = self.spooler.signers;
        Ok(signers.current(self.office, self.issuer, by)?)
    }

    /// Who signs what waits for no successor.
    pub(super) fn responder_at_hand(&self) -> Result<Group, BatchError> {
        let by = By::signer((self.spooler.clock)());
        let signers = self.spooler.signers;
        Ok(signers.at_hand(self.office, self.issuer, by)?)
    }

    /// Takes the next number.
    pub(super) fn number(&self) -> Result<u64, BatchError> {
        let id = self.issuer.issuer_id();
        let registry = &self.office.registry;
        Ok(registry.wait(|store| store.next_batch_number(&id))?)
    }

    /// What changes begin behind; none before there is anything to add them to.
    pub(super) fn known(&self) -> Result<Option<Known>, BatchError> {
        let (registry, id) = (&self.office.registry, self.issuer.issuer_id());
        // Void ones too: what they said may be said nowhere else yet, and where it began is behind them in any case.
        let full = registry.wait(|store| store.latest_batch(&id, BatchKind::Full, 0))?;
        let shards = registry.wait(|store| store.latest_shards(&id))?;
        let delta = latest(self.office, self.issuer, BatchKind::Delta, &self.spooler)?;
        let held = plan::held(full, shards);
        let mut covered = plan::covered(&held, delta.as_ref());
        if let (None, Some(base)) = (&delta, &mut covered) {
            let behind = self.spooler.pieces.behind_void(&id);
            *base = behind.unwrap_or(*base).min(*base);
        }
        let newest = delta.map(|delta| delta.number);
        Ok(covered.map(|covered| self.spooler.pieces.known(&id, newest, covered)))
    }

    fn sent(&self) -> Result<Sent, BatchError> {
        let sent = latest(self.office, self.issuer, BatchKind::Crl, &self.spooler)?;
        // What was sent and refused was not sent.
        let text = sent
            .as_ref()
            .and_then(|_| std::fs::read_to_string(self.note()).ok());
        Ok(Sent {
            number: sent.map(|sent| sent.number),
            text: text.unwrap_or_default(),
        })
    }

    /// Whether the lists say what no batch has said yet.
    fn is_ahead(&self, papers: &Papers) -> Result<bool, BatchError> {
        let Some(known) = self.known()? else {
            return Ok(false);
        };
        let (authority, turned) = (self.issuer.id(), known.turned());
        if turned >= papers.revision() {
            return Ok(false);
        }
        // Also one that came after the list: it may have taken the place, in the registry, of what the list says.
        let registry = &self.office.registry;
        let next = registry.wait(|store| store.next_turn(authority, turned))?;
        Ok(next.is_some())
    }

    pub(super) fn put(
        &self,
        piece: Piece,
        rows: Vec<Row>,
        documents: Vec<Document>,
        group: &Group,
        threads: usize,
    ) -> Result<Written, BatchError> {
        let mut extent = Extent::default();
        rows.iter().for_each(|row| extent.add(&row.serial));
        self.put_with(piece, extent, documents, group, |order, path| {
            let order = Order { rows, ..order };
            make(order, path, &self.spooler, threads)?;
            Ok(0)
        })
    }

    /// Has the batch made, remembers what it covers. `make` answers how many signatures it carried over.
    pub(super) fn put_with(
        &self,
        piece: Piece,
        extent: Extent,
        documents: Vec<Document>,
        group: &Group,
        make: impl FnOnce(Order<'_>, PathBuf) -> Result<u64, BatchError>,
    ) -> Result<Written, BatchError> {
        let Self { office, issuer, .. } = *self;
        let terms = office.settings.terms(issuer.alias());
        let now = (self.spooler.clock)();
        let window = plan::window(now, terms.validity, group.not_after(), None);
        let subject = subject(issuer, &terms)?;
        let (id, number) = (issuer.issuer_id(), piece.number);
        let order = Order {
            subject: &Subject {
                shards: piece.shards,
                ..subject
            },
            kind: piece.kind,
            shard: piece.shard,
            number,
            revision: piece.revision,
            now,
            window,
            group,
            rows: Vec::new(),
            documents,
        };
        let variants = variant_bits(&order.subject.forms, &terms.further);
        let carried = make(order, office.home.batch(&id, number))?;
        let record = BatchRecord {
            issuer: id,
            number,
            kind: batch_kind(piece.kind),
            shard: piece.shard,
            shards: piece.shards,
            variants,
            revision: piece.covers,
            created_at: now,
            next_update: window.next_update,
            renew_at: plan::renew_at(&window),
            records: extent.records,
        };
        office.registry.wait(|store| store.record_batch(&record))?;
        tracing::info!(
            authority = issuer.alias(),
            kind = ?piece.kind,
            number,
            shard = piece.shard,
            records = extent.records,
            carried,
            revision = piece.revision,
            "batch"
        );
        Ok(Written {
            issuer: issuer.alias().to_owned(),
            kind: piece.kind,
            number,
            records: extent.records,
            carried,
            revision: piece.revision,
        })
    }

    /// Remembers what was sent. Losing this file costs one needless batch, nothing else.
    fn note_documents(&self, papers: &Papers) -> Result<(), BatchError> {
        let path = self.note();
        let text = papers.fingerprint();
        durable::write(&path, text.as_bytes(), Secrecy::Public, Existing::Replace)
            .map_err(|source| BatchError::File { path, source })
    }

    fn note(&self) -> PathBuf {
        self.office
            .home
            .signer()
            .join(format!("documents-{}", self.issuer.alias()))
    }
}

/// Pieces of changes that are signed before an authority's papers, at most: more than come between two rounds, of which the
/// thread of the changes says most.
const PIECES_BEFORE_PAPERS: usize = 4;
/// No further piece is begun before an authority's papers when they took so long: others' papers wait behind it.
const LONGEST_BEFORE_PAPERS_SECS: u64 = 2;

/// Where bits of algorithms begin.
const FURTHER: u32 = 32;

/// The registry's word for a kind of batch.
pub(crate) fn batch_kind(kind: Kind) -> BatchKind {
    match kind {
        Kind::Full => BatchKind::Full,
        Kind::Shard => BatchKind::Shard,
        Kind::Delta => BatchKind::Delta,
        Kind::Documents => BatchKind::Crl,
    }
}
