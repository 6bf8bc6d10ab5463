//! Base shards of our own authorities: from the status file into the spool, one shard at a time.
//!
//! `plan/rota.rs` says which shard is due. A small issuer is signed in one full batch; one that is divided otherwise than
//! before needs one. Everything else is a batch of one shard: some tens of thousands of records, so that nothing that
//! goes through loader, store and edges is ever large, and a revocation never waits long behind it.

use super::ended::{self, Ended, Kept};
use super::own::{Clerk, Piece, Written, forms, variant_bits};
use super::plan::rota::{self, Due, Pace, Why};
use super::{BatchError, Extent, Lot, Order, Row, Spooler, make_long, plan};
use crate::ca::Issuer;
use crate::ca::ocsp_signer::Group;
use crate::error::sentence;
use crate::key::Signer;
use crate::office::Office;
use crate::registry::{BatchKind, BatchRecord, By, IssuerId, Store};
use crate::settings::Terms;
use crate::status::{Book, Identity, StatusError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wire::batch::{Header, Kind};
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

/// The books of all authorities, and when each was held against the database.
#[derive(Debug, Default)]
pub struct Bases(BTreeMap<IssuerId, Held>);

#[derive(Debug)]
struct Held {
    book: Book,
    checked_at: Option<UnixSeconds>,
}

/// A base batch that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    due: Due,
    /// Everything in one batch.
    whole: bool,
    shards: u32,
}

impl Task {
    /// The lower the sooner.
    #[must_use]
    pub fn due(&self) -> Due {
        self.due
    }
}

impl Bases {
    /// What of an authority's base is to be signed next, if anything is due.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn next<S: Store>(
        &mut self,
        office: &Office<S>,
        issuer: &Issuer,
        spooler: &Spooler<'_>,
    ) -> Result<Option<Task>, BatchError> {
        let id = issuer.issuer_id();
        let book = self.caught_up(office, issuer, spooler)?;
        let records = book.records_about();
        let settings = &office.settings;
        let shards = match settings.shards {
            0 => rota::shards_for(records, settings.shard_records, issuer.row.shards),
            fixed => fixed,
        };
        if shards != issuer.row.shards {
            let by = By::signer((spooler.clock)());
            let authority = issuer.id();
            office
                .registry
                .wait(|store| store.set_shards(authority, shards, by))?;
            tracing::info!(
                authority = issuer.alias(),
                records,
                shards,
                before = issuer.row.shards,
                "divided anew"
            );
        }
        let written = office.registry.wait(|store| store.latest_shards(&id))?;
        let full = office
            .registry
            .wait(|store| store.latest_batch(&id, BatchKind::Full, 0))?;
        let newest = full
            .iter()
            .chain(&written)
            .max_by_key(|record| record.number);
        // What the loader holds and what comes must divide the issuer alike, or all comes at once.
        let divided_otherwise = newest.is_some_and(|newest| {
            newest.shards != shards || (full.is_some() && spooler.refused.voids(newest))
        });
        let records_of_base = full.into_iter().chain(written).collect();
        let (full, counting) = counting(office, issuer, records_of_base, spooler)?;
        let terms = settings.terms(issuer.alias());
        let bits = variant_bits(&forms(issuer, &terms), &terms.further);
        let base = plan::base(full, counting, shards, Some(bits));
        let nothing_counts = base.iter().all(Option::is_none);
        let small = shards == 1 || records <= settings.shard_records;
        let due = rota::most_urgent(&base, &pace(issuer, &terms), (spooler.clock)());
        Ok(due.map(|due| Task {
            due,
            whole: shards == 1 || nothing_counts && (small || divided_otherwise),
            shards,
        }))
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`BatchError`]; nothing is left in the spool then.
    pub fn sign<S: Store>(
        &mut self,
        office: &Office<S>,
        issuer: &Issuer,
        task: &Task,
        spooler: Spooler<'_>,
    ) -> Result<Written, BatchError> {
        let clerk = Clerk {
            office,
            issuer,
            spooler,
        };
        // Before the rows are read: new responders' own certificates are among them then.
        let group = clerk.responder()?;
        let book = self.caught_up(office, issuer, &spooler)?;
        let piece = Piece {
            kind: if task.whole { Kind::Full } else { Kind::Shard },
            number: clerk.number()?,
            shard: if task.whole { 0 } else { task.due.shard },
            shards: task.shards,
            revision: book.revision(),
            covers: book.revision(),
        };
        let now = (spooler.clock)();
        let terms = office.settings.terms(issuer.alias());
        // What was refused, or was dated by a wrong clock, is not said again.
        let carries = matches!(task.due.why, Why::Turn | Why::Overdue);
        let mut reader = Reader {
            book,
            shards: task.shards,
            archive: office.settings.archive_secs,
            now,
        };
        let threads = match task.due.why {
            Why::Turn => office.settings.refresh_threads(),
            Why::Unsigned | Why::ClockWasAhead | Why::Overdue => office.settings.threads(),
        };
        let shelf = Shelf {
            folder: office.home.ended(&issuer.issuer_id()),
            shard: piece.shard,
            terms,
            longer: office.settings.expired_validity_secs,
            carries: match (carries, task.whole) {
                (true, _) => Carries::WhatStillCounts,
                (false, true) => Carries::NothingOfAnyShard,
                (false, false) => Carries::Nothing,
            },
        };
        shelf.clear();
        let written = reader.put(&clerk, piece, &group, threads, &shelf)?;
        if task.whole {
            // Nothing that an ended signer signed is published any more.
            spooler.signers.forget_keys(office, issuer, now)?;
        }
        Ok(written)
    }

    /// Holds an authority's book against the database if it is time for that.
    ///
    /// # Errors
    /// [`BatchError::Status`].
    pub fn check<S: Store>(
        &mut self,
        office: &Office<S>,
        issuer: &Issuer,
        now: UnixSeconds,
    ) -> Result<(), BatchError> {
        let held = self.held(office, issuer);
        let every = office.settings.status_check_secs;
        let is_recent = |at: UnixSeconds| (at..at.saturating_add(every)).contains(&now);
        if held.checked_at.is_some_and(is_recent) {
            return Ok(());
        }
        let _told = held.book.check(&office.registry)?;
        held.checked_at = Some(now);
        Ok(())
    }

    fn held<S>(&mut self, office: &Office<S>, issuer: &Issuer) -> &mut Held {
        self.0.entry(issuer.issuer_id()).or_insert_with(|| {
            let identity = Identity {
                issuer: wire::cert_id::IssuerId(issuer.issuer_id()),
                hash_key: SerialHashKey(issuer.row.hash_key),
            };
            let path = office.home.status(&issuer.issuer_id());
            let most = office.settings.status_rows();
            Held {
                book: Book::at(&path, identity, issuer.id(), most),
                checked_at: None,
            }
        })
    }

    /// The book at the registry's newest revision. Damage is told and mended.
    fn caught_up<S: Store>(
        &mut self,
        office: &Office<S>,
        issuer: &Issuer,
        spooler: &Spooler<'_>,
    ) -> Result<&mut Book, BatchError> {
        self.check(office, issuer, (spooler.clock)())?;
        let book = &mut self.held(office, issuer).book;
        match book.catch_up(&office.registry) {
            Err(error @ StatusError::Damaged { .. }) => {
                tracing::error!(cause = %sentence(&error), "the status file is built anew");
                book.rebuild(&office.registry)?;
            }
            other => {
                other?;
            }
        }
        Ok(book)
    }
}

/// The base batches that still count, a full one and those of shards: not refused, not by a responder that was revoked
/// since. Clients believe nothing that such a one signed.
fn counting<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    mut records: Vec<BatchRecord>,
    spooler: &Spooler<'_>,
) -> Result<(Option<BatchRecord>, Vec<BatchRecord>), BatchError> {
    let revoked_since = |since| {
        let authority = issuer.id();
        office
            .registry
            .wait(|store| store.ocsp_signer_revoked(authority, since))
    };
    records.retain(|record| !spooler.refused.voids(record));
    let oldest = records.iter().map(|record| record.revision).min();
    // Asked once for all; one by one only in the rare case.
    if let Some(oldest) = oldest
        && revoked_since(oldest)?
    {
        let mut counting = Vec::with_capacity(records.len());
        for record in records {
            if !revoked_since(record.revision)? {
                counting.push(record);
            }
        }
        records = counting;
    }
    let (mut full, shards): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.kind == BatchKind::Full);
    Ok((full.pop(), shards))
}

fn pace(issuer: &Issuer, terms: &Terms) -> Pace {
    let id = wire::cert_id::IssuerId(issuer.issuer_id());
    Pace {
        refresh: terms.refresh,
        age_objective: terms.age_objective,
        offset: rota::offset(&id, terms.refresh),
    }
}

/// Where signatures of expired certificates lie, and whether they are used.
struct Shelf {
    folder: PathBuf,
    shard: u32,
    terms: Terms,
    /// How long expired certificates are answered for.
    longer: u64,
    carries: Carries,
}

/// What of the signatures of before is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// What says the same for long enough, of the shard.
    WhatStillCounts,
    /// The shard was refused, or dated by a wrong clock, or an operator wants it anew.
    Nothing,
    /// The same, of all shards, whose place one batch takes.
    NothingOfAnyShard,
}

impl Shelf {
    fn path(&self) -> PathBuf {
        self.folder.join(self.shard.to_string())
    }

    /// Removes what must not be used again, before anything is signed in its place.
    fn clear(&self) {
        let gone = match self.carries {
            Carries::WhatStillCounts => Ok(()),
            Carries::Nothing => std::fs::remove_file(self.path()),
            Carries::NothingOfAnyShard => std::fs::remove_dir_all(&self.folder),
        };
        if let Err(error) = gone
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "old signatures of expired certificates cannot be removed");
        }
    }

    /// How the batch says what it has of expired certificates.
    fn plan<S: Store>(
        &self,
        clerk: &Clerk<'_, S>,
        order: &Order<'_>,
        extent: Extent,
        over: &[Row],
    ) -> Result<Ended, BatchError> {
        if over.is_empty() {
            return Ok(Ended::default());
        }
        let (authority, now) = (clerk.issuer.id(), order.now);
        let registry = &clerk.office.registry;
        let trusted = registry.wait(|store| store.ocsp_signers(authority, now))?;
        let kept = match self.carries {
            Carries::WhatStillCounts => {
                let order = order.header(extent, &Ended::default());
                Kept::read(&self.path(), &order, clerk.spooler.batch_key)
            }
            Carries::Nothing | Carries::NothingOfAnyShard => None,
        };
        let terms = ended::Terms {
            now,
            validity: self.terms.validity,
            group: order.group,
            trusted: &trusted,
            window: plan::window(now, self.longer, order.group.not_after(), None),
        };
        Ok(Ended::plan(over, kept.as_ref(), &terms))
    }

    /// Keeps the signatures of a batch that is in the spool. They are a convenience.
    fn put(&self, header: &Header, records: &[u8], batch_key: &dyn Signer) {
        let path = self.path();
        let done = if records.is_empty() {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(BatchError::File { path, source })
                }
                _ => Ok(()),
            }
        } else {
            Kept::write(&path, header, records, batch_key)
        };
        if let Err(error) = done {
            tracing::warn!(cause = %sentence(&error), "signatures of expired certificates are not kept; they are made anew");
        }
    }
}

/// Rows of a book, shard by shard.
struct Reader<'a> {
    book: &'a mut Book,
    shards: u32,
    archive: u64,
    now: UnixSeconds,
}

impl Reader<'_> {
    fn put<S: Store>(
        &mut self,
        clerk: &Clerk<'_, S>,
        piece: Piece,
        group: &Group,
        threads: usize,
        shelf: &Shelf,
    ) -> Result<Written, BatchError> {
        let shards = match piece.kind {
            Kind::Full => 0..self.shards,
            _ => piece.shard..piece.shard + 1,
        };
        // One shard's are kept in one file; a batch of several comes when all is divided anew.
        let seldom = shards.len() == 1 && shelf.longer > shelf.terms.validity;
        // The header comes first and says how many: all are read twice, which costs a thousandth of signing them.
        let (mut extent, mut over, now) = (Extent::default(), Vec::new(), self.now);
        for shard in shards.clone() {
            self.each(shard, &mut |row, not_after| {
                extent.add(&row.serial);
                if seldom && ended::is_over(not_after, now) {
                    over.push(row);
                }
            })?;
        }
        let mut shards = shards;
        clerk.put_with(piece, extent, Vec::new(), group, |order, path| {
            let ended = shelf.plan(clerk, &order, extent, &over)?;
            let mut kept = Vec::new();
            let mut lot = Lot {
                extent,
                ended: &ended,
                threads,
                written: &mut |layout, records| ended.keep(layout, records, &mut kept),
            };
            let (_, header) = make_long(&order, &mut lot, path, &clerk.spooler, &mut || {
                let Some(shard) = shards.next() else {
                    return Ok(None);
                };
                let mut rows = Vec::new();
                self.each(shard, &mut |row, _| rows.push(row))?;
                Ok(Some(rows))
            })?;
            shelf.put(&header, &kept, clerk.spooler.batch_key);
            Ok(ended.carried())
        })
    }

    fn each(
        &mut self,
        shard: u32,
        each: &mut dyn FnMut(Row, UnixSeconds),
    ) -> Result<(), BatchError> {
        let (now, archive) = (self.now, self.archive);
        self.book.shard(shard, self.shards, &mut |entry| {
            if plan::is_kept(entry.not_after, now, archive) {
                let row = Row {
                    serial: entry.serial,
                    status: entry.status,
                };
                each(row, entry.not_after);
            }
        })?;
        Ok(())
    }
}
