//! Approved applications become certificates: reserve, sign, store, deliver.
//!
//! The order is the promise: serial and to-be-signed octets are durable before the key is used, so a crash
//! leaves a reservation that [`resume`] finishes, never a certificate nobody knows of. A reservation is also what a process
//! that lives has not signed yet, so only whoever holds [`Issuing`] finishes those of others: signed twice, one serial would
//! name two certificates. OCSP signers are reserved and finished by the holder of the spool alone.

use super::lint::{Linted, Purpose, Signatory, lint};
use super::prepare::{self, Prepared};
use super::sign::sign;
use super::{CaError, Issuer, delivery, subject};
use crate::home::Home;
use crate::key::Signer;
use crate::office::Office;
use crate::ra::approval::{Approved, ApprovedItem};
use crate::registry::{
    By, CertificateFilter, CertificateId, CertificateKind, Issued, ItemId, Reservation, Reserved,
    Revision, Store,
};
use der::Decode;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::serial::Serial;
use x509_cert::Certificate;

/// What became of one submission.
#[derive(Debug, Default)]
#[must_use]
pub struct IssueReport {
    /// Certificates issued now, those a crash had left half done included.
    pub issued: u64,
    /// Items that could not be issued, each with its reason; the others went on.
    pub refused: Vec<(ItemId, CaError)>,
    /// The newest revision taken, if any.
    pub revision: Option<Revision>,
}

/// Issues every open item of an approved submission.
///
/// # Errors
/// [`CaError`] if registry, disk or the authority's key fail; a fault of one item is in the report.
pub fn issue<S: Store>(
    office: &Office<S>,
    approved: Approved,
    by: By<'_>,
    mut progress: impl FnMut(u64),
) -> Result<IssueReport, CaError> {
    let issuer = office.issuer(approved.alias())?;
    refuse_if_revoked(office, &issuer)?;
    let issuing = Issuing::wait(&office.home)?;
    let mut report = resume(office, &issuing, &issuer, by)?;
    let key = issuer.open_key(&office.keyring)?;
    for chunk in approved.into_items().chunks(CHUNK) {
        issue_chunk(office, &issuer, &*key, chunk, by, &mut report)?;
        progress(report.issued);
    }
    Ok(report)
}

/// An authority whose own certificate is revoked certifies nobody any more; its lists and answers go on.
fn refuse_if_revoked<S: Store>(office: &Office<S>, issuer: &Issuer) -> Result<(), CaError> {
    let Some(parent) = &issuer.row.parent else {
        return Ok(());
    };
    let unreadable = || CaError::Stored {
        alias: issuer.alias().to_owned(),
        what: "certificate",
    };
    let certificate = Certificate::from_der(&issuer.row.certificate).map_err(|_| unreadable())?;
    let number = certificate.tbs_certificate().serial_number();
    let serial = Serial::from_content(number.as_bytes()).map_err(|_| unreadable())?;
    let parent = office.issuer(parent)?.id();
    let row = office
        .registry
        .wait(|store| store.certificate(parent, &serial))?;
    match row.and_then(|row| row.revoked) {
        Some(_) => Err(CaError::Revoked(issuer.alias().to_owned())),
        None => Ok(()),
    }
}

/// Held by the one process that reserves and finishes certificates, as long as it does.
#[derive(Debug)]
pub struct Issuing(#[expect(dead_code, reason = "the lock ends with the open file")] File);

impl Issuing {
    /// Waits until nobody else issues.
    ///
    /// # Errors
    /// [`CaError::File`].
    pub fn wait(home: &Home) -> Result<Self, CaError> {
        let path = home.issuing_lock();
        let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
        locked
            .map(Self)
            .map_err(|source| CaError::File { path, source })
    }

    /// Nothing if somebody else issues just now.
    ///
    /// # Errors
    /// [`CaError::File`].
    pub fn try_now(home: &Home) -> Result<Option<Self>, CaError> {
        let path = home.issuing_lock();
        let failed = |source| CaError::File {
            path: path.clone(),
            source,
        };
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// A reserved certificate that waits for its signature.
struct Waiting {
    id: CertificateId,
    linted: Linted,
    key_file: Option<String>,
}

/// Two transactions a chunk: one reserves, one stores.
fn issue_chunk<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    key: &dyn Signer,
    items: &[ApprovedItem],
    by: By<'_>,
    report: &mut IssueReport,
) -> Result<(), CaError> {
    let waiting = reserve(office, issuer, items, by, report)?;
    if !waiting.is_empty() {
        let revision = finish(office, issuer, key, &waiting, by)?;
        report.revision = report.revision.max(Some(revision));
        report.issued += waiting.len() as u64;
    }
    Ok(())
}

fn reserve<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    items: &[ApprovedItem],
    by: By<'_>,
    report: &mut IssueReport,
) -> Result<Vec<Waiting>, CaError> {
    let mut linted = Vec::with_capacity(items.len());
    let mut reservations = Vec::with_capacity(items.len());
    for (item, drafted) in items.iter().zip(side_by_side(items, |item| {
        draft_item(office, issuer, item, by)
    })) {
        match drafted {
            Ok((checked, key_file)) => {
                reservations.push(Reservation {
                    authority: issuer.id(),
                    serial: checked.serial(),
                    item: Some(item.id()),
                    kind: CertificateKind::Subject,
                    tbs: checked.tbs().to_vec(),
                    not_before: checked.not_before(),
                    not_after: checked.not_after(),
                    key_file: key_file.clone(),
                    crl_partition: checked.partition(),
                });
                linted.push((checked, key_file));
            }
            Err(fault @ (CaError::Lint { .. } | CaError::Encode { .. } | CaError::Builder(_))) => {
                report.refused.push((item.id(), fault));
            }
            Err(fatal) => return Err(fatal),
        }
    }
    let ids = match reservations.as_slice() {
        [] => Vec::new(),
        some => office.registry.wait(|store| store.reserve(some, by))?,
    };
    let waiting = ids.into_iter().zip(linted);
    Ok(waiting
        .map(|(id, (linted, key_file))| Waiting {
            id,
            linted,
            key_file,
        })
        .collect())
}

/// Does `work` for each item on a few threads; the results stand in the order of the items.
///
/// Keys and deliveries are many small files that must be on the disk: what is flushed at the same time shares a flush.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(FLUSHING_THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(|| items.iter().map(&work).collect::<Vec<_>>()))
            .collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What a process does that is killed between reserving and signing.
#[cfg(test)]
pub(crate) fn reserve_only<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    items: &[ApprovedItem],
    by: By<'_>,
) {
    reserve(office, issuer, items, by, &mut IssueReport::default()).expect("reserving works");
}

/// From an approved item to something that may be reserved. The name of the demonstration key, if we hold it.
fn draft_item<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    item: &ApprovedItem,
    by: By<'_>,
) -> Result<(Linted, Option<String>), CaError> {
    let (public_key_der, key_file) = match item.spki() {
        Some(spki) => (spki.to_vec(), None),
        None => {
            let name = format!("{HOLDERS_KEY}{}", item.id().0);
            let key = if office.keyring.holds(&name) {
                office.keyring.signer(&name, issuer.algorithm)?
            } else {
                office.keyring.make(&name, issuer.algorithm)?
            };
            (key.public_key_der().to_vec(), Some(name))
        }
    };
    let draft = subject::draft(office, issuer, item, public_key_der, by.at)?;
    let prepared = prepare::prepare(issuer, &draft)?;
    let checked = lint(prepared, &Signatory::from(issuer), Purpose::Subject);
    let linted = checked.map_err(|source| CaError::Lint {
        artefact: format!("certificate of item {}", item.id().0),
        source,
    })?;
    Ok((linted, key_file))
}

/// Signs and stores what is reserved, then delivers demonstration keys.
fn finish<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    key: &dyn Signer,
    waiting: &[Waiting],
    by: By<'_>,
) -> Result<Revision, CaError> {
    let mut issued = Vec::with_capacity(waiting.len());
    for Waiting { id, linted, .. } in waiting {
        let certificate = sign(key, linted, &linted.serial().to_string())?;
        issued.push(Issued {
            id: *id,
            certificate,
        });
    }
    let revision = office
        .registry
        .wait(|store| store.record_issued(&issued, by))?;
    let chain = chain(office, issuer)?;
    let work: Vec<_> = waiting.iter().zip(&issued).collect();
    let delivered = side_by_side(
        &work,
        |(
            Waiting {
                linted, key_file, ..
            },
            issued,
        )| {
            match key_file
                .as_deref()
                .filter(|name| name.starts_with(HOLDERS_KEY))
            {
                Some(name) => deliver(office, name, linted.serial(), &issued.certificate, &chain),
                None => Ok(()),
            }
        },
    );
    delivered.into_iter().collect::<Result<(), _>>()?;
    Ok(revision)
}

/// Packs a demonstration key for its holder and forgets it.
fn deliver<S>(
    office: &Office<S>,
    key_file: &str,
    serial: Serial,
    certificate: &[u8],
    chain: &[Vec<u8>],
) -> Result<(), CaError> {
    let pkcs8 = office.keyring.load(key_file)?;
    let mut certificates = vec![certificate];
    certificates.extend(chain.iter().map(Vec::as_slice));
    delivery::deliver(&office.home, &serial.to_string(), &pkcs8, &certificates)?;
    Ok(office.keyring.remove(key_file)?)
}

/// Delivers what a crash between storing and delivering left: a holder's key still here whose certificate is issued.
fn deliver_rest<S: Store>(office: &Office<S>, issuer: &Issuer) -> Result<(), CaError> {
    let left = office.keyring.names_beginning(HOLDERS_KEY)?;
    if left.is_empty() {
        return Ok(());
    }
    let chain = chain(office, issuer)?;
    for key_file in left {
        // One question a key, answered by an index: a key may wait here long, and every pass asks.
        let item = key_file.strip_prefix(HOLDERS_KEY);
        let Some(item) = item.and_then(|number| number.parse().ok()) else {
            continue;
        };
        let filter = CertificateFilter {
            alias: Some(issuer.alias().to_owned()),
            item: Some(ItemId(item)),
            ..CertificateFilter::default()
        };
        for row in office.registry.wait(|store| store.certificates(&filter))? {
            if let (Some(named), Some(certificate)) = (&row.key_file, &row.certificate)
                && *named == key_file
            {
                deliver(office, &key_file, row.serial, certificate, &chain)?;
            }
        }
    }
    Ok(())
}

/// The authority's certificate and those above it.
fn chain<S: Store>(office: &Office<S>, issuer: &Issuer) -> Result<Vec<Vec<u8>>, CaError> {
    let mut chain = vec![issuer.row.certificate.clone()];
    let mut parent = issuer.row.parent.clone();
    while let Some(alias) = parent {
        let above = office.issuer(&alias)?;
        chain.push(above.row.certificate.clone());
        parent = above.row.parent.clone();
    }
    Ok(chain)
}

/// Signs what a crash left reserved, OCSP signers aside, and delivers what it left undelivered. What no longer passes the
/// linter stays reserved and is reported.
///
/// # Errors
/// As [`issue`].
pub fn resume<S: Store>(
    office: &Office<S>,
    _held: &Issuing,
    issuer: &Issuer,
    by: By<'_>,
) -> Result<IssueReport, CaError> {
    let mut unfinished = office
        .registry
        .wait(|store| store.unfinished(issuer.id()))?;
    unfinished.retain(|reserved| reserved.reservation.kind != CertificateKind::OcspSigner);
    let report = finish_reserved(office, issuer, unfinished, by)?;
    deliver_rest(office, issuer)?;
    Ok(report)
}

/// Signs OCSP signers that a crash left reserved: for whoever holds the spool, and nobody else.
///
/// # Errors
/// As [`issue`].
pub(super) fn resume_ocsp_signers<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    by: By<'_>,
) -> Result<(), CaError> {
    let mut unfinished = office
        .registry
        .wait(|store| store.unfinished(issuer.id()))?;
    unfinished.retain(|reserved| reserved.reservation.kind == CertificateKind::OcspSigner);
    if !unfinished.is_empty() {
        let _ = finish_reserved(office, issuer, unfinished, by)?;
    }
    Ok(())
}

/// Reservations whose to-be-signed octets break a rule of the linter. They are durable, so they break it for ever: they are
/// linted and told once, not in every pass.
#[derive(Debug, Default)]
pub struct Broken(Mutex<BTreeSet<CertificateId>>);

impl Broken {
    fn note(&self, id: CertificateId) {
        self.ids().insert(id);
    }

    fn holds(&self, id: CertificateId) -> bool {
        self.ids().contains(&id)
    }

    fn ids(&self) -> MutexGuard<'_, BTreeSet<CertificateId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish_reserved<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    mut unfinished: Vec<Reserved>,
    by: By<'_>,
) -> Result<IssueReport, CaError> {
    let mut report = IssueReport::default();
    unfinished.retain(|reserved| !office.broken.holds(reserved.id));
    if unfinished.is_empty() {
        return Ok(report);
    }
    let key = issuer.open_key(&office.keyring)?;
    for chunk in unfinished.chunks(CHUNK) {
        let mut waiting = Vec::with_capacity(chunk.len());
        for reserved in chunk {
            match relint(issuer, reserved) {
                Ok(linted) => {
                    let key_file = reserved.reservation.key_file.clone();
                    waiting.push(Waiting {
                        id: reserved.id,
                        linted,
                        key_file,
                    });
                }
                Err(source) => {
                    let artefact = format!("reservation {}", reserved.reservation.serial);
                    office.broken.note(reserved.id);
                    tracing::error!(%artefact, rule = %source, "a reservation breaks a rule and is not signed");
                    if let Some(item) = reserved.reservation.item {
                        report
                            .refused
                            .push((item, CaError::Lint { artefact, source }));
                    }
                }
            }
        }
        if !waiting.is_empty() {
            let revision = finish(office, issuer, &*key, &waiting, by)?;
            tracing::info!(
                authority = issuer.alias(),
                count = waiting.len(),
                "finished reservations"
            );
            report.issued += waiting.len() as u64;
            report.revision = Some(revision);
        }
    }
    Ok(report)
}

fn relint(issuer: &Issuer, reserved: &Reserved) -> Result<Linted, super::lint::LintError> {
    let purpose = match reserved.reservation.kind {
        CertificateKind::Subject => Purpose::Subject,
        CertificateKind::OcspSigner => Purpose::OcspSigner,
        CertificateKind::Authority => Purpose::Authority,
    };
    lint(
        Prepared::from_reserved(reserved),
        &Signatory::from(issuer),
        purpose,
    )
}

/// Certificates a transaction: large enough to share one fsync, small enough to show progress.
const CHUNK: usize = 256;
/// Threads that wait for the disk most of their time.
const FLUSHING_THREADS: usize = 16;
/// File names of keys made for their holders begin with this.
const HOLDERS_KEY: &str = "item-";
