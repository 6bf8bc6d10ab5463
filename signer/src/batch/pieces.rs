//! Changes leave in pieces: what was revoked, held or released first, then what was issued, so that after a long stop a
//! revocation waits for one piece at most and not for the millions issued meanwhile.
//!
//! The registry remembers of the newest batch of changes the revision up to which *all* is told; a piece behind which there
//! is more repeats the one before it there. How far the pieces have come is known to this process only: one that is killed
//! begins again behind what the registry remembers, and says some things twice.
//!
//! A piece bears the revision up to which everything that turned is told. The first one after a start or a refusal bears the
//! newest instead, and none behind it bears less: it may begin far behind what the loader holds, which takes none that goes
//! back. Not all of them do, for the loader joins neighbours, and what it joined counts as known at the later one's revision:
//! a base pack read in between, that says a later piece's revocation already, would be hidden until that piece comes.
//!
//! Papers of an authority go out behind what stands on them, so that a list finds in the packs what it revokes.

use super::own::{Clerk, Piece, Written};
use super::{BatchError, Row, Spooler, plan};
use crate::ca::Issuer;
use crate::office::Office;
use crate::registry::{Changes, IssuerId, Rest, Revision, StatusRow, Store, Told};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wire::batch::Kind;

/// How far the pieces of each issuer have come; shared by the signer's threads.
#[derive(Debug, Default)]
pub struct Pieces {
    known: Mutex<BTreeMap<IssuerId, Known>>,
    /// Of each issuer's newest pieces, by number, what all up to was told before they were written.
    behind: Mutex<BTreeMap<IssuerId, BTreeMap<u64, Revision>>>,
    /// Held by whoever makes one of an issuer: two made at once would begin at the same place, and the later one would not
    /// know of the earlier.
    making: Mutex<BTreeMap<IssuerId, Arc<Mutex<()>>>>,
}

/// What the next piece of an issuer begins behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The newest batch of changes that counts.
    pub(super) newest: Option<u64>,
    /// Up to which revision all is told, as the registry remembers it.
    pub(super) covered: Revision,
    /// What is told beyond that.
    pub(super) told: Told,
    /// The revision of the newest piece since the last start or refusal, if there was one.
    pub(super) borne: Option<Revision>,
}

impl Known {
    /// Up to which revision everything that turned is told.
    pub(super) fn turned(&self) -> Revision {
        self.told.turned
    }
}

impl Pieces {
    /// How far the pieces have come behind a batch that covers all up to a revision. What was told behind another one is
    /// none of its: that was refused, or this one was written by somebody else.
    pub(super) fn known(&self, issuer: &IssuerId, newest: Option<u64>, covered: Revision) -> Known {
        let pieces = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Known| known.newest == newest && known.covered == covered;
        let known = pieces.get(issuer).filter(same).copied();
        known.unwrap_or(Known {
            newest,
            covered,
            told: Told::all(covered),
            borne: None,
        })
    }

    /// Where what makes up for void pieces begins, if those of this process tell: a base that came since may say what was
    /// lost, and may be refused itself, or stand behind a pack that the loader joined of older pieces.
    pub(super) fn behind_void(&self, issuer: &IssuerId) -> Option<Revision> {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.get(issuer)?.values().min().copied()
    }

    /// Remembers what a piece was put behind.
    fn put_behind(&self, issuer: IssuerId, number: u64, covered: Revision) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = behind.entry(issuer).or_default();
        pieces.insert(number, covered);
        while pieces.len() > MOST_REMEMBERED {
            pieces.pop_first();
        }
    }

    /// One piece of an issuer at a time.
    fn making(&self, issuer: IssuerId) -> Arc<Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(making.entry(issuer).or_default())
    }

    /// Remembers how far they have come.
    pub(super) fn note(&self, issuer: IssuerId, known: Known) {
        let mut pieces = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.insert(issuer, known);
    }
}

/// What came of a look at the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Piecework {
    /// The piece that was written, if there was anything to say.
    pub written: Option<Written>,
    /// Whether another is waiting.
    pub rest: Rest,
}

/// Signs a piece of what changed since the last batch of changes, revocations first: the quick way for them.
///
/// # Errors
/// [`BatchError`].
pub fn changes<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    spooler: Spooler<'_>,
) -> Result<Piecework, BatchError> {
    let making = spooler.pieces.making(issuer.issuer_id());
    // Nothing is behind it that a panic could have left half done.
    let _alone = making.lock().unwrap_or_else(PoisonError::into_inner);
    let clerk = Clerk {
        office,
        issuer,
        spooler,
    };
    let nothing = Piecework {
        written: None,
        rest: Rest::Nothing,
    };
    if !spooler.refused.has_looked(&issuer.issuer_id()) {
        return Ok(nothing);
    }
    let Some(known) = clerk.known()? else {
        return Ok(nothing);
    };
    let revision = office.registry.wait(|store| store.revision())?;
    if known.told.reaches(revision) {
        return Ok(nothing);
    }
    let (piece, rows) = next_piece(&clerk, known.told)?;
    if rows.is_empty() {
        // Another authority's change took the revision.
        let told = piece.told;
        spooler
            .pieces
            .note(issuer.issuer_id(), Known { told, ..known });
        return Ok(nothing);
    }
    let number = clerk.number()?;
    // What was voided while the rows were read is void up to a lower number: this batch would count, and must not.
    if clerk.known()? != Some(known) {
        return Ok(Piecework {
            written: None,
            rest: Rest::More,
        });
    }
    let told = piece.told;
    let borne = known
        .borne
        .map_or(piece.revision, |borne| borne.max(told.turned));
    let covered = match piece.rest {
        Rest::Nothing => told.turned,
        Rest::More => known.covered,
    };
    let order = Piece {
        kind: Kind::Delta,
        number,
        shard: 0,
        shards: issuer.row.shards,
        revision: borne,
        covers: covered,
    };
    let pieces = spooler.pieces;
    pieces.put_behind(issuer.issuer_id(), number, known.covered);
    let responder = clerk.responder_at_hand()?;
    let threads = office.settings.threads();
    let written = clerk.put(order, rows, Vec::new(), &responder, threads)?;
    let newest = Some(number);
    let known = Known {
        newest,
        covered,
        told,
        borne: Some(borne),
    };
    spooler.pieces.note(issuer.issuer_id(), known);
    Ok(Piecework {
        written: Some(written),
        rest: piece.rest,
    })
}

/// The next piece that says anything, or the last one; and those of its statuses that are still answered for.
fn next_piece<S: Store>(
    clerk: &Clerk<'_, S>,
    mut told: Told,
) -> Result<(Changes, Vec<Row>), BatchError> {
    let settings = &clerk.office.settings;
    let (authority, now) = (clerk.issuer.id(), (clerk.spooler.clock)());
    loop {
        let piece = clerk
            .office
            .registry
            .wait(|store| store.changes(authority, told, settings.delta_records))?;
        let kept = |row: &&StatusRow| plan::is_kept(row.not_after, now, settings.archive_secs);
        let rows = piece.rows.iter().filter(kept).map(|row| Row {
            serial: row.serial,
            status: row.status,
        });
        let rows: Vec<Row> = rows.collect();
        if !rows.is_empty() || piece.rest == Rest::Nothing {
            return Ok((piece, rows));
        }
        told = piece.told;
    }
}

/// Pieces of which it is remembered what they were put behind: the loader has judged those before.
const MOST_REMEMBERED: usize = 256;
