//! What must be signed now: pure functions of what the registry says, what was written before, and the clock. Which base
//! shard has its turn is `plan/rota.rs`.

pub mod rota;

use crate::registry::{BatchRecord, Revision};
use wire::batch::Window;
use wire::time::UnixSeconds;

/// The revision up to which all changes have left, if there is anything to add changes to. `delta` is the newest batch of
/// changes that was not refused, `base` the batches that hold everything of their shard, refused or not.
///
/// Each batch of changes begins where the one before it ended, whatever base batches said meanwhile: one of those may be
/// refused after all, and what only it said would be said nowhere. Before there is any base there is nothing to add to;
/// while a refused one is signed anew, changes go out all the same.
#[must_use]
pub fn covered(base: &[Option<BatchRecord>], delta: Option<&BatchRecord>) -> Option<Revision> {
    // A shard that was never there will hold all that changed before it came.
    let oldest = || base.iter().flatten().map(|record| record.revision).min();
    delta.map(|delta| delta.revision).or_else(oldest)
}

/// What the loader holds of an issuer, whatever it was signed for: of each shard its newest batch.
#[must_use]
pub fn held(full: Option<BatchRecord>, shards: Vec<BatchRecord>) -> Vec<Option<BatchRecord>> {
    let newest = full
        .iter()
        .chain(&shards)
        .max_by_key(|record| record.number);
    let count = newest.map_or(1, |newest| newest.shards);
    base(full, shards, count, None)
}

/// Of each shard the newest batch that holds everything of it: its own or a full one, whichever is newer. Batches that
/// divide the issuer into another number of shards, or were signed for other CertID forms than `variants`, hold nothing
/// that counts.
#[must_use]
pub fn base(
    full: Option<BatchRecord>,
    shards: Vec<BatchRecord>,
    count: u32,
    variants: Option<u64>,
) -> Vec<Option<BatchRecord>> {
    let counts = |record: &BatchRecord| {
        record.shards == count && variants.is_none_or(|variants| record.variants == variants)
    };
    let full_number = full.as_ref().map_or(0, |full| full.number);
    let full = full.filter(counts);
    let mut base = vec![full; count.max(1) as usize];
    for record in shards {
        if record.number > full_number
            && let Some(place) = base.get_mut(record.shard as usize)
        {
            // One that does not count hides the full one behind it: the loader holds the newer.
            *place = Some(record).filter(counts);
        }
    }
    base
}

/// Whether a full batch is to be made anew: at half of its windows, or when it was made by a clock that was ahead.
#[must_use]
pub fn is_due(full: &BatchRecord, now: UnixSeconds) -> bool {
    now >= full.renew_at || is_ahead(full.created_at, now)
}

/// Whether something was dated by a clock that was ahead of ours: it would not fall due for as long as that clock was wrong.
#[must_use]
pub fn is_ahead(made_at: UnixSeconds, now: UnixSeconds) -> bool {
    made_at > now.saturating_add(CLOCK_LEEWAY_SECS)
}

/// The window of responses signed now: it begins now, lasts `validity` seconds, and ends before the responder's certificate
/// does and before `limit` (the nextUpdate of a foreign CRL), if there is one.
///
/// thisUpdate is not rounded down: a response must not claim a time before the revocation it reports.
#[must_use]
pub fn window(
    now: UnixSeconds,
    validity: u64,
    responder_not_after: UnixSeconds,
    limit: Option<UnixSeconds>,
) -> Window {
    let end = (now + validity)
        .min(responder_not_after)
        .min(limit.unwrap_or(u64::MAX));
    Window {
        this_update: now,
        next_update: end,
        produced_at: now,
        group: 0,
    }
}

/// When responses of a window are signed again: at half of it.
#[must_use]
pub fn renew_at(window: &Window) -> UnixSeconds {
    window.this_update + window.next_update.saturating_sub(window.this_update) / 2
}

/// Whether a certificate's status is (still) signed: until its archive period ends.
#[must_use]
pub fn is_kept(not_after: UnixSeconds, now: UnixSeconds, archive_secs: u64) -> bool {
    now < not_after.saturating_add(archive_secs)
}

/// A step of this size is what clocks do when they are set.
const CLOCK_LEEWAY_SECS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::BatchKind;

    fn record(kind: BatchKind, revision: Revision, renew_at: UnixSeconds) -> BatchRecord {
        BatchRecord {
            issuer: [0; 16],
            number: 1,
            kind,
            shard: 0,
            shards: 1,
            variants: 3,
            revision,
            created_at: 0,
            next_update: 2 * renew_at,
            renew_at,
            records: 1,
        }
    }

    fn covering(kind: BatchKind, number: u64, shard: u32, revision: Revision) -> BatchRecord {
        BatchRecord {
            number,
            shard,
            shards: 2,
            variants: 3,
            ..record(kind, revision, 43_200)
        }
    }

    #[test]
    fn a_change_is_neither_missed_nor_signed_twice() {
        let base = [Some(record(BatchKind::Full, 7, 43_200))];
        let delta = record(BatchKind::Delta, 9, 43_200);
        assert_eq!(covered(&base, None), Some(7));
        assert_eq!(covered(&base, Some(&delta)), Some(9));
        let half = [None, Some(record(BatchKind::Shard, 7, 43_200))];
        assert_eq!(
            covered(&half, None),
            Some(7),
            "a shard is there to be added to"
        );
        assert_eq!(covered(&[None, None], None), None);
    }

    #[test]
    fn a_revocation_waits_for_a_base_that_was_refused_or_is_lost_with_it() {
        let delta = record(BatchKind::Delta, 9, 43_200);
        assert_eq!(covered(&[None, None], Some(&delta)), Some(9));
        // What the base says from 9 to 12 may be refused with it.
        let base = [Some(record(BatchKind::Full, 12, 43_200))];
        assert_eq!(covered(&base, Some(&delta)), Some(9));
    }

    #[test]
    fn a_revocation_is_missed_because_one_shard_is_newer() {
        let shard = |shard, revision| Some(covering(BatchKind::Shard, 1, shard, revision));
        let both = [shard(0, 9), shard(1, 5)];
        assert_eq!(covered(&both, None), Some(5));
    }

    #[test]
    fn a_batch_of_another_division_or_other_forms_counts() {
        let full = covering(BatchKind::Full, 5, 0, 7);
        let of = |record: &BatchRecord| record.number;
        let base_of = |shards: Vec<BatchRecord>, count, variants| {
            let base = base(Some(full.clone()), shards, count, Some(variants));
            base.iter().map(|r| r.as_ref().map(of)).collect::<Vec<_>>()
        };
        let newer = covering(BatchKind::Shard, 6, 1, 8);
        let older = covering(BatchKind::Shard, 4, 0, 6);
        let both = vec![older, newer.clone()];
        assert_eq!(base_of(both, 2, 3), [Some(5), Some(6)]);
        assert_eq!(base_of(vec![newer.clone()], 4, 3), [None; 4]);
        assert_eq!(base_of(vec![newer.clone()], 2, 7), [None, None]);
        let poorer = BatchRecord {
            variants: 1,
            ..newer
        };
        assert_eq!(base_of(vec![poorer.clone()], 2, 3), [Some(5), None]);
        // Whatever it was signed for, it is what changes are added to.
        let held = held(Some(full.clone()), vec![poorer]);
        assert_eq!(covered(&held, None), Some(7));
    }

    #[test]
    fn no_window_outlives_its_responder_or_its_crl() {
        assert_eq!(window(100, 1_000, 500, None).next_update, 500);
        assert_eq!(window(100, 1_000, 5_000, Some(700)).next_update, 700);
        assert_eq!(window(100, 1_000, 5_000, None).next_update, 1_100);
        assert_eq!(renew_at(&window(100, 1_000, 5_000, None)), 600);
    }
}
