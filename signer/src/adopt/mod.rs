//! Other authorities' lists: staged by the loader, judged here anew, signed ahead under the local responder.
//!
//! `staged.rs` reads what lies there, `judge.rs`, `whose.rs`, `entries.rs`, `together.rs` and `lines.rs` decide whether it is true and
//! what it says, `floor.rs` keeps it from going back, `documents.rs` has what is served beside the answers, `outcome.rs` names what can come of it, `responder.rs` holds the certificate that answers. An adoption takes one
//! registry revision; a list that did not change is not adopted again, only signed again when its windows are half over.

mod documents;
pub mod entries;
mod floor;
pub mod judge;
pub mod lines;
pub mod outcome;
pub mod responder;
pub mod staged;
mod together;
mod whose;

use crate::batch::own::{Written, batch_kind, variant_bits};
use crate::batch::{BatchError, Order, Spooler, Subject, default_forms, make, plan};
use crate::ca::CaError;
use crate::ca::ocsp_signer::Group;
use crate::office::Office;
use crate::registry::{Adoption, BatchKind, BatchRecord, By, Foreign, Revision, Store};
use aws_lc_rs::digest;
pub use outcome::{Outcome, Refusal, log};

use floor::Floor;
use judge::Judged;
use staged::{Options, Staged, StagedError};
use std::collections::BTreeMap;
use std::path::Path;
use wire::batch::{Kind, Source, Window};
use wire::cert_id::IssuerId;
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

/// Which staged lists were refused lately: judging a large list every second would only warm the room.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<IssuerId, (Options, UnixSeconds)>);

/// Looks at everything that is staged.
///
/// # Errors
/// [`BatchError`] if the registry or the staged folder fail; what becomes of one list is an [`Outcome`].
pub fn pass<S: Store>(
    office: &Office<S>,
    memory: &mut Memory,
    spooler: Spooler<'_>,
) -> Result<Vec<Outcome>, BatchError> {
    let folders = match staged::folders(&office.home.staged()) {
        Ok(folders) => folders,
        Err(StagedError::File { path, source }) => return Err(BatchError::File { path, source }),
        Err(_) => Vec::new(),
    };
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let known = office.registry.wait(|store| store.foreign())?;
    let mut outcomes = Vec::with_capacity(folders.len());
    for (issuer, folder) in folders {
        let now = (spooler.clock)();
        let adopter = Adopter {
            office,
            spooler,
            now,
        };
        let options = Options::read(&folder);
        if let (Ok(options), Some((refused, at))) = (&options, memory.0.get(&issuer))
            && refused == options
            && now < at + REFUSED_SECS
        {
            outcomes.push(Outcome::StillRefused(issuer));
            continue;
        }
        memory.0.remove(&issuer);
        let before = known.iter().find(|row| row.adoption.issuer == issuer.0);
        outcomes.push(match adopter.look(issuer, &folder, before) {
            Ok(outcome) => outcome,
            Err(Fault::Refused(why)) => {
                if let Ok(options) = options {
                    memory.0.insert(issuer, (options, now));
                }
                Outcome::Refused { issuer, why }
            }
            Err(Fault::Fatal(error)) => Outcome::Failed { issuer, error },
        });
    }
    Ok(outcomes)
}

/// One look at the staged folders.
struct Adopter<'a, S> {
    office: &'a Office<S>,
    spooler: Spooler<'a>,
    now: UnixSeconds,
}

impl<S: Store> Adopter<'_, S> {
    fn look(
        &self,
        issuer: IssuerId,
        folder: &Path,
        before: Option<&Foreign>,
    ) -> Result<Outcome, Fault> {
        let options = Options::read(folder).map_err(Refusal::from)?;
        let same = before.filter(|row| {
            row.adoption.crl_blake3 == options.crl_blake3
                && row.adoption.as_of == options.as_of
                && row.adoption.allow_weak == options.allow_weak
                // Of a list without a signature, only its import and the end of the trust in it are new.
                && options.trusted.is_none_or(|(since, until)| {
                    row.adoption.this_update == since && row.adoption.next_update == Some(until)
                })
        });
        if let Some(row) = same {
            let full = self.latest_full(issuer)?;
            let fresh = |full: &BatchRecord| {
                full.revision >= row.revision
                    && !plan::is_due(full, self.now)
                    && !self.spooler.refused.voids(full)
            };
            if full.as_ref().is_some_and(fresh) {
                return Ok(Outcome::Unchanged(issuer));
            }
        }
        let staged = Staged::read(folder, &options).map_err(Refusal::from)?;
        let judged = judge::judge(issuer, &staged, &options, self.now)?;
        if let Some(row) = same {
            let taken = Taken {
                hash_key: row.adoption.hash_key,
                revision: row.revision,
            };
            let written = self.sign(issuer, taken, &staged, judged, &options)?;
            return Ok(Outcome::Renewed(written));
        }
        self.adopt(issuer, &staged, judged, &options, before)
    }

    fn adopt(
        &self,
        issuer: IssuerId,
        staged: &Staged,
        judged: Judged,
        options: &Options,
        before: Option<&Foreign>,
    ) -> Result<Outcome, Fault> {
        let by = By::signer(self.now);
        let floor = Floor::read(self.office, issuer)?;
        match options.as_of {
            Some(_) => floor.forget(&judged, self.office, issuer, by)?,
            None => {
                floor.judge(&judged, before.map(|row| &row.adoption))?;
                floor.raise(&judged, self.office, issuer, by)?;
            }
        }
        let mut hash_key = [0; 16];
        match before {
            Some(row) => hash_key = row.adoption.hash_key,
            None => getrandom::fill(&mut hash_key)
                .map_err(|_| BatchError::Key(crate::key::KeyError::Random))?,
        }
        let adoption = Adoption {
            issuer: issuer.0,
            certificate: staged.issuer.clone(),
            hash_key,
            crl_blake3: options.crl_blake3,
            crl_number: judged.number.clone(),
            // Of several lists the newest one's: what never goes back, whichever of them comes anew.
            this_update: judged.newest,
            next_update: judged.next_update,
            as_of: options.as_of,
            allow_weak: options.allow_weak,
            records: judged.rows.len() as u64,
        };
        let revision = self
            .office
            .registry
            .wait(|store| store.adopt(&adoption, by));
        let revision = revision.map_err(BatchError::from)?;
        let name = judged.name.clone();
        let (repeated, cleared, others) = (judged.repeated, judged.cleared, judged.others);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &staged.issuer).as_ref());
        let taken = Taken { hash_key, revision };
        let written = self.sign(issuer, taken, staged, judged, options)?;
        let as_of = options.as_of;
        Ok(Outcome::Adopted {
            issuer,
            name,
            fingerprint,
            revision,
            as_of,
            repeated,
            cleared,
            others,
            written,
        })
    }

    fn sign(
        &self,
        issuer: IssuerId,
        taken: Taken,
        staged: &Staged,
        judged: Judged,
        options: &Options,
    ) -> Result<Written, Fault> {
        let by = By::signer(self.now);
        let responder = responder::current(self.office, by).map_err(BatchError::from)?;
        let validity = self.office.settings.response_validity_secs;
        let limit = judged.next_update.filter(|_| options.as_of.is_none());
        let mut window = plan::window(self.now, validity, responder.not_after, limit);
        let renew_at = renew_at(&window, limit);
        if options.as_of.is_none() {
            // What the list says was true at its thisUpdate; present time is claimed for replays only, which are marked.
            window.this_update = judged.this_update.max(responder.not_before).min(self.now);
        }
        let number = self
            .office
            .registry
            .wait(|store| store.next_batch_number(&issuer.0));
        let number = number.map_err(BatchError::from)?;
        let records = judged.rows.len() as u64;
        let subject = Subject {
            issuer_id: issuer,
            hash_key: SerialHashKey(taken.hash_key),
            shards: 1,
            issuer_certificate: staged.issuer.clone(),
            name_der: judged.name_der,
            key_bits: judged.key_bits,
            forms: default_forms(judged.is_sm2),
            source: Source::ForeignCrl {
                blake3: options.crl_blake3,
                next_update: judged.next_update,
                as_of: options.as_of,
            },
        };
        let order = Order {
            subject: &subject,
            kind: Kind::Full,
            shard: 0,
            number,
            revision: taken.revision,
            now: self.now,
            window,
            group: &Group::from(responder),
            rows: judged.rows,
            documents: documents::of(issuer, staged, options.form),
        };
        let variants = variant_bits(&subject.forms, &[]);
        let path = self.office.home.batch(&issuer.0, number);
        make(order, path, &self.spooler, self.office.settings.threads())?;
        let record = BatchRecord {
            issuer: issuer.0,
            number,
            kind: batch_kind(Kind::Full),
            shard: 0,
            shards: 1,
            variants,
            revision: taken.revision,
            created_at: self.now,
            next_update: window.next_update,
            renew_at,
            records,
        };
        let recorded = self
            .office
            .registry
            .wait(|store| store.record_batch(&record));
        recorded.map_err(BatchError::from)?;
        Ok(Written {
            issuer: issuer.to_string(),
            kind: Kind::Full,
            number,
            records,
            carried: 0,
            revision: taken.revision,
        })
    }

    fn latest_full(&self, issuer: IssuerId) -> Result<Option<BatchRecord>, Fault> {
        let latest = self
            .office
            .registry
            .wait(|store| store.latest_batch(&issuer.0, BatchKind::Full, 0));
        Ok(latest.map_err(BatchError::from)?)
    }
}

/// Whether lists are older than those adopted, by date or by number, where none of their scopes is known. Whoever replays lists chooses their order; one that
/// was replayed sets no limit.
fn goes_back(before: &Adoption, list: &Judged) -> bool {
    let numbers = (list.number.as_deref(), before.crl_number.as_deref());
    let lower = matches!(numbers, (Some(now), Some(then)) if magnitude(now) < magnitude(then));
    before.as_of.is_none() && (list.newest < before.this_update || lower)
}

/// Content octets of a non-negative INTEGER, in an order that is the numbers'.
fn magnitude(content: &[u8]) -> (usize, &[u8]) {
    let zeros = content.iter().take_while(|octet| **octet == 0).count();
    let digits = content.get(zeros..).unwrap_or_default();
    (digits.len(), digits)
}

/// What an adoption fixed.
#[derive(Clone, Copy)]
struct Taken {
    hash_key: [u8; 16],
    revision: Revision,
}

/// At half of the window; but one that ends with its list gains nothing from being signed again.
fn renew_at(window: &Window, limit: Option<UnixSeconds>) -> UnixSeconds {
    match limit {
        Some(limit) if window.next_update >= limit => limit,
        _ => plan::renew_at(window),
    }
}

/// A refused list is judged again after so long: its issuer's certificate may have become valid.
const REFUSED_SECS: u64 = 60;

/// A list that is not believed, or a failure of ours.
enum Fault {
    Refused(Refusal),
    Fatal(BatchError),
}

impl From<Refusal> for Fault {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<BatchError> for Fault {
    fn from(error: BatchError) -> Self {
        Self::Fatal(error)
    }
}

impl From<CaError> for Fault {
    fn from(error: CaError) -> Self {
        Self::Fatal(error.into())
    }
}

#[cfg(test)]
pub(crate) mod tests;
