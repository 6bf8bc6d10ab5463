//! Responses signed ahead of time: `plan.rs` says what is due (pure), `own.rs` gathers changes from the registry, `base.rs`
//! base shards from the status file, `ended.rs` what of them has expired and is signed seldom, `papers.rs` the files that are
//! served beside, `sign.rs` signs on some or all cores, `output.rs` writes the file the loader takes (`wire::batch`) and
//! reads it back.
//!
//! [`make`] is the way through: statuses in, one file in the spool out.
//!
//! Numbers rise from batch to batch of an issuer, whoever of the signer's threads makes it. A long one may arrive after
//! a change that took its number later: the loader holds numbers of one kind against one another, not across kinds.

pub mod base;
pub mod ended;
pub mod output;
pub mod own;
pub mod papers;
pub mod pieces;
pub mod plan;
pub mod refused;
pub mod sign;

use crate::ca::CaError;
use crate::ca::ocsp_signer::{Group, Signers};
use crate::key::{Signer, verify::VerifyError};
use crate::registry::RegistryError;
use crate::status::StatusError;
use aws_lc_rs::digest;
use ended::Ended;
use sm3::Digest;
use std::{io, path::PathBuf};
use wire::batch::{self, Document, Header, Kind, Source, Variant, Window};
use wire::cert_id::{CertIdForm, CertIdHash, IssuerId, Parameters};
use wire::record::RecordLayout;
use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

/// What goes wrong between plan and spool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The registry refused or failed.
    #[error("registry")]
    Registry(#[from] RegistryError),
    /// Certificates, keys or lists failed.
    #[error("authority")]
    Authority(#[from] CaError),
    /// The status file failed.
    #[error("statuses")]
    Status(#[from] StatusError),
    /// The program was told to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// A response could not be signed.
    #[error("signing")]
    Key(#[from] crate::key::KeyError),
    /// A signing thread ended without its piece of work.
    #[error("a signing thread was lost")]
    Lost,
    /// The header cannot be written: more windows or octets than the format holds.
    #[error("the batch header does not fit its format: {0}")]
    Header(wire::Rule),
    /// A status that no response can say, such as a revocation after 2106.
    #[error("the status of {0} cannot be said in a response")]
    Unsayable(Serial),
    /// A file cannot be written or read back.
    #[error("batch file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was read back is not what was written.
    #[error("batch file {} does not read back as written: {why}", path.display())]
    ReadBack {
        /// Which file.
        path: PathBuf,
        /// What differs.
        why: &'static str,
    },
    /// A signature in the file does not verify.
    #[error("a signature on {serial} does not verify")]
    Signature {
        /// Whose status.
        serial: Serial,
        /// Why.
        source: VerifyError,
    },
}

/// Everything about an issuer's batches that does not depend on the moment.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Issuer name and key, hashed.
    pub issuer_id: IssuerId,
    /// The key of shards and buckets.
    pub hash_key: SerialHashKey,
    /// Base shards.
    pub shards: u32,
    /// The issuer's certificate, DER.
    pub issuer_certificate: Vec<u8>,
    /// The issuer's Name, DER.
    pub name_der: Vec<u8>,
    /// Content of the BIT STRING of the issuer's public key: what CertID hashes.
    pub key_bits: Vec<u8>,
    /// CertID forms that are signed ahead.
    pub forms: Vec<CertIdForm>,
    /// Where the status comes from.
    pub source: Source,
}

/// One status to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub serial: Serial,
    /// What is said.
    pub status: CertStatus,
}

/// One batch about to be made.
pub struct Order<'a> {
    /// Whose.
    pub subject: &'a Subject,
    /// What it does to the issuer's packs.
    pub kind: Kind,
    /// Which base shard, for [`Kind::Shard`]; else 0.
    pub shard: u32,
    /// Its number.
    pub number: u64,
    /// The registry's revision that a base shows; of a piece of changes that at which its own rows are true.
    pub revision: u64,
    /// When it is made.
    pub now: UnixSeconds,
    /// The window of all its records.
    pub window: Window,
    /// Who signs: of each algorithm one, by slot.
    pub group: &'a Group,
    /// What is signed; sorted here.
    pub rows: Vec<Row>,
    /// Files that come along.
    pub documents: Vec<Document>,
}

/// Who puts batches into the spool, and when.
#[derive(Clone, Copy)]
pub struct Spooler<'a> {
    /// Signs the files.
    pub batch_key: &'a dyn Signer,
    /// The time, asked after the statuses were read: no response is dated before the revocation it reports.
    pub clock: &'a dyn Fn() -> UnixSeconds,
    /// What was written and still is not covered.
    pub refused: &'a refused::Refused,
    /// How far the changes have been told.
    pub pieces: &'a pieces::Pieces,
    /// Who signs, by authority.
    pub signers: &'a Signers,
    /// Hears how many records were signed since it heard last.
    pub progress: &'a dyn Fn(u64),
    /// Whether to leave off what is not done yet; asked between two pieces.
    pub stop: &'a dyn Fn() -> bool,
}

/// CertID forms for an issuer: what stock clients ask with. SM3 with absent parameters is GmSSL's, with NULL OpenSSL's.
#[must_use]
pub fn default_forms(issuer_is_sm2: bool) -> Vec<CertIdForm> {
    let mut forms = vec![
        CertIdForm::new(CertIdHash::Sha1, Parameters::Null),
        CertIdForm::new(CertIdHash::Sha256, Parameters::Null),
    ];
    if issuer_is_sm2 {
        forms.push(CertIdForm::new(CertIdHash::Sm3, Parameters::Absent));
        forms.push(CertIdForm::new(CertIdHash::Sm3, Parameters::Null));
    }
    forms
}

/// The hash a CertID asks for.
#[must_use]
pub fn cert_id_hash(hash: CertIdHash, octets: &[u8]) -> Vec<u8> {
    match hash {
        CertIdHash::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets)
            .as_ref()
            .to_vec(),
        CertIdHash::Sha256 => digest::digest(&digest::SHA256, octets).as_ref().to_vec(),
        CertIdHash::Sm3 => sm3::Sm3::digest(octets).to_vec(),
    }
}

impl Subject {
    /// The ways this issuer's responses are signed by a group: all forms by the first of it, then all by the next.
    fn variants(&self, group: &Group) -> Vec<Variant> {
        let mut variants = Vec::with_capacity(self.forms.len() * group.responders().len());
        for (slot, responder) in (0..).zip(group.responders()) {
            variants.extend(self.forms.iter().map(|form| Variant {
                form: *form,
                algorithm: responder.key.algorithm(),
                slot,
                name_hash: cert_id_hash(form.hash, &self.name_der),
                key_hash: cert_id_hash(form.hash, &self.key_bits),
            }));
        }
        variants
    }
}

impl Order<'_> {
    /// The header of the file; `ended` has windows and responders of its own.
    fn header(&self, extent: Extent, ended: &Ended) -> Header {
        let group = self.group.responders();
        let own = group.iter().map(|responder| batch::Responder {
            algorithm: responder.key.algorithm(),
            key_hash: responder.key_hash,
            not_before: responder.not_before,
            not_after: responder.not_after,
            certificate: responder.certificate.clone(),
        });
        Header {
            kind: self.kind,
            issuer_id: self.subject.issuer_id,
            number: self.number,
            revision: self.revision,
            created_at: self.now,
            hash_key: self.subject.hash_key,
            shards: self.subject.shards,
            shard: self.shard,
            source: self.subject.source,
            serial_octets: extent.serial_octets,
            record_count: extent.records,
            issuer_certificate: self.subject.issuer_certificate.clone(),
            variants: self.subject.variants(self.group),
            slots: u16::try_from(group.len()).expect("there are seven algorithms"),
            responders: own.chain(ended.responders.iter().cloned()).collect(),
            // The own one first, also where nothing is said in it: the loader takes its age for the batch's.
            windows: [vec![self.window], ended.windows.clone()].concat(),
            documents: self.documents.clone(),
        }
    }

    /// The order of records in a batch: shard, rest of the hash, serial.
    fn sort(&mut self) {
        let (key, shards) = (self.subject.hash_key, self.subject.shards);
        self.rows.sort_by_cached_key(|row| {
            let (shard, rest) = shard(key.hash(row.serial.content()), shards);
            (shard, rest, row.serial)
        });
    }
}

/// Signs an order and puts it into the spool; answers the file's path.
///
/// # Errors
/// [`BatchError`]; nothing is left in the spool then.
pub fn make(
    mut order: Order<'_>,
    path: PathBuf,
    spooler: &Spooler<'_>,
    threads: usize,
) -> Result<PathBuf, BatchError> {
    order.sort();
    let mut extent = Extent::default();
    order.rows.iter().for_each(|row| extent.add(&row.serial));
    let mut rows = Some(std::mem::take(&mut order.rows));
    let mut lot = Lot {
        extent,
        ended: &Ended::default(),
        threads,
        written: &mut |_, _| {},
    };
    let (path, _) = make_long(&order, &mut lot, path, spooler, &mut || Ok(rows.take()))?;
    Ok(path)
}

/// What else a long batch is made of.
pub struct Lot<'a> {
    /// How much it holds.
    pub extent: Extent,
    /// What of it is said otherwise than the rest.
    pub ended: &'a Ended,
    /// Signing threads.
    pub threads: usize,
    /// Sees the records as they are written, whole ones, in order.
    pub written: &'a mut dyn FnMut(&RecordLayout, &[u8]),
}

/// How much a batch holds: what its header says of its records before the first is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// How many.
    pub records: u64,
    /// Octets of the longest serial.
    pub serial_octets: u8,
}

impl Extent {
    /// Counts one more.
    pub fn add(&mut self, serial: &Serial) {
        let octets = u8::try_from(serial.content().len()).expect("a serial has at most 32 octets");
        self.records += 1;
        self.serial_octets = self.serial_octets.max(octets);
    }
}

/// As [`make`], of more rows than fit into memory: `next` hands them out in their order, some at a time, as many as the
/// lot's extent says. Answers the header too.
///
/// # Errors
/// [`BatchError`]; nothing is left in the spool then.
pub fn make_long(
    order: &Order<'_>,
    lot: &mut Lot<'_>,
    path: PathBuf,
    spooler: &Spooler<'_>,
    next: &mut dyn FnMut() -> Result<Option<Vec<Row>>, BatchError>,
) -> Result<(PathBuf, Header), BatchError> {
    let extent = Extent {
        serial_octets: lot.extent.serial_octets.max(1),
        ..lot.extent
    };
    let header = order.header(extent, lot.ended);
    let layout = header.layout().map_err(BatchError::Header)?;
    let group = order.group.responders().iter();
    let keys: Vec<_> = group.map(|responder| &*responder.key).collect();
    let mut file = output::BatchFile::create(path, &header)?;
    while let Some(rows) = next()? {
        let job = sign::Job::new(&header, &keys, &rows, lot.ended)?;
        sign::run(&job, lot.threads, |octets| {
            if (spooler.stop)() {
                return Err(BatchError::Stopped);
            }
            file.append(octets)?;
            (lot.written)(&layout, octets);
            (spooler.progress)(octets.len() as u64 / job.record_octets() as u64);
            Ok(())
        })?;
    }
    let path = file.finish(&header, spooler.batch_key, &keys)?;
    Ok((path, header))
}

#[cfg(test)]
pub(crate) mod tests;
