//! Certificate revocation lists (RFC 5280 §5): of all certificates or of partitions, full and delta, roots included.
//!
//! A list is due when there is none, when half of its validity is over, or when a status on it changed; with deltas the
//! change goes out in a delta and full lists wait for their time. `policy.rs` says which lists an authority has, `plan.rs`
//! which of them are due (pure), the registry what stands on them, `lint.rs` looks at each before it is recorded. The
//! certificate's word for its list is [`Issuer::list_uri`], and so is the list's own.
//!
//! certificateHold is not among the grounds (GM/T 0015 §6.2 does not suggest it) but is written if the registry has it.

mod lint;
mod plan;
pub mod policy;

use super::{CaError, Issuer};
use crate::key::Signer;
use crate::key::verify::Prepared;
use crate::office::Office;
use crate::registry::{
    By, Crl, CrlNote, Cut, DeltaSince, ListForm, ListQuery, ListScope, Listed, Listing, Part,
    Revision, Store,
};
use lint::{Case, Linted};
use plan::{Beside, Standing, Work};
use policy::{Deltas, ListPolicy, WholeList};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint, assemble_crl};
use wire::serial::Serial;
use wire::time::UnixSeconds;

/// Whether lists are written that need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Only what is due.
    Due,
    /// All: an operator asked.
    Now,
}

/// Writes the lists that are due; answers the newest lists of every authority as [`write_notes`] does.
///
/// # Errors
/// [`CaError`], see there.
pub fn write<S: Store>(
    office: &Office<S>,
    issuers: &[Issuer],
    urgency: Urgency,
    by: By<'_>,
) -> Result<Vec<Crl>, CaError> {
    let notes = write_notes(office, issuers, urgency, by)?;
    let mut lists = Vec::with_capacity(notes.len());
    for note in notes {
        lists.extend(office.registry.wait(|store| store.crl(&note))?);
    }
    Ok(lists)
}

/// The same without the documents: lists may be large, and every pass asks which there are. In the order of authorities;
/// of each the list of all first, then partitions, a full list before its delta.
///
/// # Errors
/// [`CaError`], see there.
pub fn write_notes<S: Store>(
    office: &Office<S>,
    issuers: &[Issuer],
    urgency: Urgency,
    by: By<'_>,
) -> Result<Vec<CrlNote>, CaError> {
    let mut notes = Vec::with_capacity(issuers.len());
    for issuer in issuers {
        notes.extend(Clerk::of(office, issuer, by)?.write(urgency)?);
    }
    Ok(notes)
}

/// The newest lists there are, without writing any; in the same order.
///
/// # Errors
/// [`CaError::Registry`].
pub fn newest<S: Store>(office: &Office<S>, issuer: &Issuer) -> Result<Vec<CrlNote>, CaError> {
    let kept = office.registry.wait(|store| store.crl_notes(issuer.id()))?;
    let newest = by_scope(&kept).into_values().flat_map(|standing| {
        let Standing { full, deltas } = standing;
        full.last()
            .copied()
            .into_iter()
            .chain(deltas.last().copied())
    });
    Ok(newest.collect())
}

fn by_scope(kept: &[CrlNote]) -> BTreeMap<ListScope, Standing> {
    let mut scopes: BTreeMap<ListScope, Standing> = BTreeMap::new();
    for note in kept {
        let standing = scopes.entry(note.scope).or_default();
        match note.form {
            ListForm::Full => standing.full.push(*note),
            ListForm::Delta { .. } => standing.deltas.push(*note),
        }
    }
    scopes
}

/// One authority's lists at one moment.
struct Clerk<'a, S> {
    office: &'a Office<S>,
    issuer: &'a Issuer,
    policy: ListPolicy,
    by: By<'a>,
    scopes: BTreeMap<ListScope, Standing>,
    last_number: u64,
    /// Opened for the first list: there may be thousands, and opening takes longer than signing.
    key: OnceCell<Box<dyn Signer>>,
}

impl<'a, S: Store> Clerk<'a, S> {
    fn of(office: &'a Office<S>, issuer: &'a Issuer, by: By<'a>) -> Result<Self, CaError> {
        let kept = office.registry.wait(|store| store.crl_notes(issuer.id()))?;
        Ok(Self {
            office,
            issuer,
            policy: office.settings.lists(issuer.alias(), issuer.is_root()),
            by,
            scopes: by_scope(&kept),
            last_number: kept.iter().map(|note| note.number).max().unwrap_or(0),
            key: OnceCell::new(),
        })
    }

    fn write(mut self, urgency: Urgency) -> Result<Vec<CrlNote>, CaError> {
        let wanted = self.wanted()?;
        let changes = self.changes(&wanted)?;
        let mut notes = Vec::new();
        for scope in wanted {
            let standing = self.scopes.remove(&scope).unwrap_or_default();
            let changed = match scope {
                ListScope::Whole => changes.values().max(),
                ListScope::Partition(number) => changes.get(&Some(number)),
            };
            let work = plan::decide(
                &standing,
                &self.policy,
                changed.copied(),
                urgency,
                self.by.at,
            );
            let mut full = standing.full.last().copied();
            let mut delta = standing.deltas.last().copied();
            for written in self.write_one(scope, &standing, work)? {
                match written.form {
                    ListForm::Full => full = Some(written),
                    ListForm::Delta { .. } => delta = Some(written),
                }
            }
            // One that is no more named and has ended is gone: the loader drops it, and it is not handed over again.
            let deltas = self.policy.deltas;
            let served =
                delta.filter(|note| deltas == Deltas::Written || note.next_update > self.by.at);
            notes.extend(full.into_iter().chain(served));
        }
        Ok(notes)
    }

    /// Every list that a certificate names, or will name, and the list of all unless nobody wants it.
    fn wanted(&self) -> Result<BTreeSet<ListScope>, CaError> {
        let mut wanted: BTreeSet<ListScope> = BTreeSet::new();
        if let Some(partitions) = self.policy.partitions {
            wanted.extend((1..=partitions.get()).map(ListScope::Partition));
        }
        // One more list after the last certificate that names it has expired (RFC 5280 §3.3).
        let since = self.by.at.saturating_sub(2 * self.policy.validity_secs);
        let named = self
            .office
            .registry
            .wait(|store| store.named_lists(self.issuer.id(), since))?;
        wanted.extend(named.into_iter().map(|name| match name {
            Some(number) => ListScope::Partition(number),
            None => ListScope::Whole,
        }));
        if self.policy.whole == WholeList::Always {
            wanted.insert(ListScope::Whole);
        }
        Ok(wanted)
    }

    /// Of each partition the newest revision that changed a status on its list.
    fn changes(
        &self,
        wanted: &BTreeSet<ListScope>,
    ) -> Result<BTreeMap<Option<u32>, Revision>, CaError> {
        let newest = |scope: &ListScope| {
            let standing = self.scopes.get(scope)?;
            let notes = standing
                .full
                .last()
                .into_iter()
                .chain(standing.deltas.last());
            notes.map(|note| note.revision).max()
        };
        // Before there is any list all are written, whatever changed.
        let Some(since) = wanted.iter().filter_map(newest).min() else {
            return Ok(BTreeMap::new());
        };
        let changes = self
            .office
            .registry
            .wait(|store| store.list_changes(self.issuer.id(), since))?;
        Ok(changes.into_iter().collect())
    }

    fn write_one(
        &mut self,
        scope: ListScope,
        standing: &Standing,
        work: Work,
    ) -> Result<Vec<CrlNote>, CaError> {
        let (full, cut, delta) = match work {
            Work::Nothing => return Ok(Vec::new()),
            Work::Delta(base) => {
                let cut = standing.full.last().and_then(|newest| newest.cut);
                (Part::Unwanted, cut, Beside::Since(base))
            }
            Work::Full { cut, delta } => (Part::Wanted, cut, delta),
        };
        let mut listing = self.listing(scope, full, cut, delta)?;
        // The registry promises no order; lists are sorted so that they compress and compare well.
        sort(&mut listing.full);
        listing.delta.sort_unstable_by_key(|entry| entry.serial);
        let number = self
            .office
            .registry
            .wait(|store| store.next_crl_number(self.issuer.id()))?;
        let edition = |form, cut| Edition {
            number,
            revision: listing.revision,
            scope,
            form,
            cut,
            until: self.until(standing, form),
        };
        let mut linted = Vec::with_capacity(2);
        if full == Part::Wanted {
            let edition = edition(ListForm::Full, cut);
            let expired = std::mem::take(&mut listing.expired);
            linted.push(self.sign(edition, &listing.full, expired)?);
        }
        let base = match delta {
            Beside::None => None,
            Beside::Empty => Some(number),
            Beside::Since(base) => Some(base.number),
        };
        if let Some(base) = base {
            let edition = edition(ListForm::Delta { base }, None);
            linted.push(self.sign(edition, &listing.delta, Vec::new())?);
        }
        self.last_number = number;
        linted.into_iter().map(|list| self.record(list)).collect()
    }

    /// nextUpdate.
    fn until(&self, standing: &Standing, form: ListForm) -> UnixSeconds {
        let now = self.by.at;
        match (form, self.policy.deltas) {
            (ListForm::Full, _) => now + self.policy.validity_secs,
            (ListForm::Delta { .. }, Deltas::Written) => now + self.policy.delta_validity_secs,
            // No update is promised for a time when nobody looks for one.
            (ListForm::Delta { .. }, Deltas::None) => (now + self.policy.delta_validity_secs)
                .min(plan::named_until(standing, now).unwrap_or(UnixSeconds::MAX)),
        }
    }

    fn listing(
        &self,
        scope: ListScope,
        full: Part,
        cut: Option<Cut>,
        delta: Beside,
    ) -> Result<Listing, CaError> {
        let settings = &self.office.settings;
        // Packs of before may answer for a little longer than the archive lasts.
        let answered = settings.archive_secs + settings.response_validity_secs + 86_400;
        let query = ListQuery {
            authority: self.issuer.id(),
            scope,
            cut,
            archived_since: self.by.at.saturating_sub(answered),
            full,
            delta: match delta {
                Beside::None | Beside::Empty => None,
                Beside::Since(base) => Some(DeltaSince {
                    revision: base.revision,
                    cut: base.cut,
                }),
            },
        };
        Ok(self.office.registry.wait(|store| store.listing(&query))?)
    }

    fn sign(
        &self,
        edition: Edition,
        listed: &[Listed],
        expired: Vec<Serial>,
    ) -> Result<Linted, CaError> {
        let (issuer, form) = (self.issuer, edition.form);
        let point = match edition.scope {
            ListScope::Whole => None,
            // RFC 5280 §5.2.4: a delta has the very distribution point of the list it changes.
            ListScope::Partition(_) => Some(issuer.list_uri(edition.scope)),
        };
        let name = point.as_deref().map(IssuingDistributionPoint::name_of_uri);
        // RFC 5280 §5.2.6: a full list says where its deltas are, a delta does not.
        let names_deltas = self.policy.deltas == Deltas::Written && !form.is_delta();
        let freshest = names_deltas.then(|| issuer.delta_uri(edition.scope));
        let base_number = match form {
            ListForm::Delta { base } => Some(base),
            ListForm::Full => None,
        };
        let header = CrlHeader {
            algorithm: issuer.algorithm,
            issuer: &issuer.name_der,
            this_update: self.by.at,
            // A list must not promise an update after its signer's own end.
            next_update: edition.until.min(issuer.not_after),
            number: edition.number,
            key_identifier: &issuer.key_identifier,
            base_number,
            distribution_point: name.as_deref().map(|name| IssuingDistributionPoint {
                name: Some(name),
                ..IssuingDistributionPoint::default()
            }),
            freshest_uri: freshest.as_deref(),
        };
        let mut writer = CrlWriter::with_capacity(listed.len());
        for entry in listed {
            writer.push(
                entry.serial.content(),
                entry.at,
                Some(entry.reason),
                entry.invalidity_date,
            );
        }
        let tbs = writer.finish(&header);
        let key = self.key()?;
        let prepare = || Prepared::new(issuer.algorithm, &issuer.public_key_der, &tbs).ok();
        // A long one is hashed by who verifies it while it is hashed by who signs it.
        let (raw, prepared) = if listed.len() > LONG {
            std::thread::scope(|scope| {
                let prepared = scope.spawn(prepare);
                (key.sign(&tbs), prepared.join().ok().flatten())
            })
        } else {
            (key.sign(&tbs), None)
        };
        let raw = raw?;
        let der = assemble_crl(&tbs, header.algorithm, &raw)
            .expect("a raw signature has its algorithm's length");
        let crl = Crl {
            note: CrlNote {
                authority: issuer.id(),
                scope: edition.scope,
                form,
                number: edition.number,
                revision: edition.revision,
                this_update: header.this_update,
                next_update: header.next_update,
                cut: edition.cut,
                names_deltas,
            },
            expired,
            der,
        };
        let case = Case {
            issuer,
            header,
            point: point.as_deref(),
            last_number: self.last_number,
            listed,
            prepared,
        };
        lint::lint(crl, &case).map_err(|source| CaError::Lint {
            artefact: format!("CRL {} of {}", edition.number, issuer.alias()),
            source,
        })
    }

    fn key(&self) -> Result<&dyn Signer, CaError> {
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let opened = self.issuer.open_key(&self.office.keyring)?;
                self.key.get_or_init(|| opened)
            }
        };
        Ok(&**key)
    }

    fn record(&self, linted: Linted) -> Result<CrlNote, CaError> {
        let crl = linted.crl();
        self.office
            .registry
            .wait(|store| store.record_crl(crl, self.by))?;
        tracing::info!(
            authority = self.issuer.alias(),
            partition = crl.scope.code(),
            delta = crl.form.is_delta(),
            number = crl.number,
            revision = crl.revision,
            octets = crl.der.len(),
            "CRL"
        );
        Ok(linted.into_crl().note)
    }
}

/// By serial. A list of a million entries is waited for: its halves are sorted at once, and joined by a sort that takes
/// such runs as they are.
fn sort(entries: &mut [Listed]) {
    if entries.len() > LONG {
        let (one, other) = entries.split_at_mut(entries.len() / 2);
        std::thread::scope(|scope| {
            scope.spawn(|| one.sort_unstable_by_key(|entry| entry.serial));
            other.sort_unstable_by_key(|entry| entry.serial);
        });
    }
    entries.sort_by_key(|entry| entry.serial);
}

/// Entries from which a second thread is worth its start.
const LONG: usize = 20_000;

/// What a list is. RFC 5280 §5.2.3: a full list and a delta written at one time have one number, and say the same.
#[derive(Clone, Copy)]
struct Edition {
    number: u64,
    revision: Revision,
    scope: ListScope,
    form: ListForm,
    cut: Option<Cut>,
    until: UnixSeconds,
}

impl Issuer {
    /// File name of a full list, under `/crl/`.
    #[must_use]
    pub fn list_name(&self, scope: ListScope) -> String {
        match scope {
            ListScope::Whole => format!("{}.crl", self.alias()),
            ListScope::Partition(number) => format!("{}.{number}.crl", self.alias()),
        }
    }

    /// File name of the delta beside it.
    #[must_use]
    pub fn delta_name(&self, scope: ListScope) -> String {
        match scope {
            ListScope::Whole => format!("{}.delta.crl", self.alias()),
            ListScope::Partition(number) => format!("{}.{number}.delta.crl", self.alias()),
        }
    }

    /// Where a full list is: what certificates say, and the list of a partition itself, octet for octet.
    #[must_use]
    pub fn list_uri(&self, scope: ListScope) -> String {
        format!("{}/crl/{}", self.base_url(), self.list_name(scope))
    }

    /// Where its delta is.
    #[must_use]
    pub fn delta_uri(&self, scope: ListScope) -> String {
        format!("{}/crl/{}", self.base_url(), self.delta_name(scope))
    }
}

#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod tests;
