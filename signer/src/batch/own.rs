//! Batches of our own authorities: from the registry into the spool.

use super::papers::Papers;
use super::plan::{self, Situation, Work};
use super::{BatchError, Order, Row, Spooler, Subject, default_forms, make};
use crate::ca::ocsp_signer::Responder;
use crate::ca::{CaError, Issuer, ocsp_signer};
use crate::durable::{self, Existing, Secrecy};
use crate::office::Office;
use crate::registry::{BatchKind, BatchRecord, By, Revision, Store};
use der::Decode;
use spki::SubjectPublicKeyInfoRef;
use std::path::PathBuf;
use wire::algorithm::SignatureAlgorithm;
use wire::batch::{Document, Kind, Source};
use wire::cert_id::IssuerId;
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
    /// The revision it shows.
    pub revision: Revision,
}

/// Our own authority as batches know it.
///
/// # Errors
/// [`BatchError::Authority`] if its public key cannot be read.
pub fn subject(issuer: &Issuer) -> Result<Subject, BatchError> {
    let key = SubjectPublicKeyInfoRef::from_der(&issuer.public_key_der)
        .map_err(CaError::encode("public key"))?;
    Ok(Subject {
        issuer_id: IssuerId(issuer.issuer_id()),
        hash_key: SerialHashKey(issuer.row.hash_key),
        shards: issuer.row.shards,
        issuer_certificate: issuer.row.certificate.clone(),
        name_der: issuer.name_der.clone(),
        key_bits: key.subject_public_key.raw_bytes().to_vec(),
        forms: default_forms(issuer.algorithm == SignatureAlgorithm::Sm2Sm3),
        source: Source::Registry,
    })
}

/// What of an authority's work is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Changes only: the quick way for a revocation.
    Changes,
    /// Everything due, documents included.
    Everything,
}

/// Writes what is due for one issuing authority.
///
/// # Errors
/// [`BatchError`].
pub fn write<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    papers: &Papers,
    errand: Errand,
    spooler: Spooler<'_>,
) -> Result<Vec<Written>, BatchError> {
    let id = issuer.issuer_id();
    let latest = |kind| {
        let latest = office
            .registry
            .wait(|store| store.latest_batch(&id, kind, 0));
        latest.map(|latest| latest.filter(|record| !spooler.refused.voids(record)))
    };
    let (mut full, delta) = (latest(BatchKind::Full)?, latest(BatchKind::Delta)?);
    if let (Some(record), Errand::Everything) = (&full, errand) {
        // Clients believe nothing that a revoked signer signed: it does not count either.
        let (authority, since) = (issuer.id(), record.revision);
        if office
            .registry
            .wait(|store| store.ocsp_signer_revoked(authority, since))?
        {
            full = None;
        }
    }
    let situation = Situation {
        full: full.as_ref(),
        delta: delta.as_ref(),
        revision: office.registry.wait(|store| store.revision())?,
        now: (spooler.clock)(),
    };
    let clerk = Clerk {
        office,
        issuer,
        spooler,
    };
    let mut written = Vec::new();
    match errand {
        Errand::Changes => {
            if let Some(since) = plan::uncovered(&situation) {
                written.extend(clerk.changes(since)?);
            }
        }
        Errand::Everything => match plan::decide(&situation) {
            Work::All => written.push(clerk.everything(papers)?),
            Work::Since(revision) => {
                written.extend(clerk.changes(revision)?);
                written.extend(clerk.documents(papers)?);
            }
            Work::Nothing => written.extend(clerk.documents(papers)?),
        },
    }
    Ok(written)
}

/// One authority's batches at one moment.
struct Clerk<'a, S> {
    office: &'a Office<S>,
    issuer: &'a Issuer,
    spooler: Spooler<'a>,
}

impl<S: Store> Clerk<'_, S> {
    fn changes(&self, since: Revision) -> Result<Option<Written>, BatchError> {
        let (revision, rows) = self.rows(Some(since))?;
        if rows.is_empty() {
            // Another authority's change took the revision.
            return Ok(None);
        }
        let responder = self.responder()?;
        self.put(Kind::Delta, revision, rows, Vec::new(), &responder)
            .map(Some)
    }

    fn everything(&self, papers: &Papers) -> Result<Written, BatchError> {
        // Before the rows are read: a new responder's own certificate is among them then.
        let responder = self.responder()?;
        let (revision, rows) = self.rows(None)?;
        let documents = papers.read(self.office)?;
        let written = self.put(Kind::Full, revision, rows, documents, &responder)?;
        self.note_documents(papers)?;
        Ok(written)
    }

    /// A batch of files only, if they are not what was sent last.
    fn documents(&self, papers: &Papers) -> Result<Option<Written>, BatchError> {
        let sent = std::fs::read_to_string(self.note()).unwrap_or_default();
        let Some(news) = papers.news(&sent) else {
            return Ok(None);
        };
        let written = self.put(
            Kind::Documents,
            papers.revision(),
            Vec::new(),
            news.read(self.office)?,
            &self.responder()?,
        )?;
        self.note_documents(papers)?;
        Ok(Some(written))
    }

    fn responder(&self) -> Result<Responder, BatchError> {
        Ok(ocsp_signer::current(
            self.office,
            self.issuer,
            By::signer((self.spooler.clock)()),
        )?)
    }

    fn rows(&self, since: Option<Revision>) -> Result<(Revision, Vec<Row>), BatchError> {
        let archive = self.office.settings.archive_secs;
        let (authority, now) = (self.issuer.id(), (self.spooler.clock)());
        let mut rows = Vec::new();
        let revision = self.office.registry.wait(|store| {
            store.each_status(authority, since, |row| {
                if plan::is_kept(&row, now, archive) {
                    rows.push(Row {
                        serial: row.serial,
                        status: row.status,
                    });
                }
            })
        })?;
        Ok((revision, rows))
    }

    fn put(
        &self,
        kind: Kind,
        revision: Revision,
        rows: Vec<Row>,
        documents: Vec<Document>,
        responder: &Responder,
    ) -> Result<Written, BatchError> {
        let validity = self.office.settings.response_validity_secs;
        let now = (self.spooler.clock)();
        let window = plan::window(now, validity, responder.not_after, None);
        let subject = subject(self.issuer)?;
        let id = self.issuer.issuer_id();
        let number = self
            .office
            .registry
            .wait(|store| store.next_batch_number(&id))?;
        let records = rows.len() as u64;
        let order = Order {
            subject: &subject,
            kind,
            number,
            revision,
            now,
            window,
            responder,
            rows,
            documents,
        };
        let path = self.office.home.batch(&id, number);
        let threads = self.office.settings.threads();
        make(order, path, &self.spooler, threads)?;
        let record = BatchRecord {
            issuer: id,
            number,
            kind: batch_kind(kind),
            shard: 0,
            revision,
            created_at: now,
            next_update: window.next_update,
            renew_at: plan::renew_at(&window),
            records,
        };
        self.office
            .registry
            .wait(|store| store.record_batch(&record))?;
        tracing::info!(
            authority = self.issuer.alias(),
            ?kind,
            number,
            records,
            revision,
            "batch"
        );
        let issuer = self.issuer.alias().to_owned();
        Ok(Written {
            issuer,
            kind,
            number,
            records,
            revision,
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

/// The registry's word for a kind of batch.
pub(crate) fn batch_kind(kind: Kind) -> BatchKind {
    match kind {
        Kind::Full => BatchKind::Full,
        Kind::Shard => BatchKind::Shard,
        Kind::Delta => BatchKind::Delta,
        Kind::Documents => BatchKind::Crl,
    }
}
