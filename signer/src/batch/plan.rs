//! What must be signed now: a pure function of what the registry says, what was written before, and the clock.

use crate::registry::{BatchRecord, CertificateState, Revision, StatusRow};
use wire::batch::Window;
use wire::time::UnixSeconds;

/// What the plan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The newest batch that holds all records.
    pub full: Option<&'a BatchRecord>,
    /// The newest batch of changes.
    pub delta: Option<&'a BatchRecord>,
    /// The registry's newest revision.
    pub revision: Revision,
    /// Now.
    pub now: UnixSeconds,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Work {
    /// Sign everything.
    All,
    /// Sign what changed after this revision, if anything did.
    Since(Revision),
    /// Nothing changed and nothing is due.
    Nothing,
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Work {
    match situation.full {
        Some(full) if !is_due(full, situation.now) => match uncovered(situation) {
            Some(since) => Work::Since(since),
            None => Work::Nothing,
        },
        _ => Work::All,
    }
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

/// The revision after which changes have not left yet, if there may be any; none before the first full batch, which holds
/// them all.
#[must_use]
pub fn uncovered(situation: &Situation<'_>) -> Option<Revision> {
    let full = situation.full?;
    let covered = situation
        .delta
        .map_or(full.revision, |delta| delta.revision.max(full.revision));
    (situation.revision > covered).then_some(covered)
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
pub fn is_kept(row: &StatusRow, now: UnixSeconds, archive_secs: u64) -> bool {
    row.state != CertificateState::Reserved && now < row.not_after.saturating_add(archive_secs)
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
            revision,
            created_at: 0,
            next_update: 2 * renew_at,
            renew_at,
            records: 1,
        }
    }

    #[test]
    fn a_week_without_power_does_not_leave_stale_responses() {
        let full = record(BatchKind::Full, 7, 43_200);
        let now = 7 * 86_400;
        let situation = Situation {
            full: Some(&full),
            delta: None,
            revision: 7,
            now,
        };
        assert_eq!(decide(&situation), Work::All);
    }

    #[test]
    fn a_change_is_neither_missed_nor_signed_twice() {
        let full = record(BatchKind::Full, 7, 43_200);
        let delta = record(BatchKind::Delta, 9, 43_200);
        let decide = |delta, revision| {
            decide(&Situation {
                full: Some(&full),
                delta,
                revision,
                now: 100,
            })
        };
        assert_eq!(decide(None, 8), Work::Since(7));
        assert_eq!(decide(Some(&delta), 9), Work::Nothing);
        assert_eq!(decide(Some(&delta), 10), Work::Since(9));
        let old = record(BatchKind::Delta, 3, 43_200);
        assert_eq!(
            decide(Some(&old), 8),
            Work::Since(7),
            "a delta older than the base counts nothing"
        );
    }

    #[test]
    fn a_clock_that_was_once_ahead_stops_renewals_for_as_long() {
        let full = BatchRecord {
            created_at: 1_000_000,
            ..record(BatchKind::Full, 7, 1_043_200)
        };
        let decide = |now| {
            decide(&Situation {
                full: Some(&full),
                delta: None,
                revision: 7,
                now,
            })
        };
        assert_eq!(decide(1_000_000 - 301), Work::All);
        assert_eq!(decide(1_000_000 - 300), Work::Nothing);
    }

    #[test]
    fn a_change_waits_for_the_full_batch_that_is_due() {
        let full = record(BatchKind::Full, 7, 100);
        let mut situation = Situation {
            full: Some(&full),
            delta: None,
            revision: 8,
            now: 100,
        };
        assert_eq!(decide(&situation), Work::All);
        assert_eq!(uncovered(&situation), Some(7));
        situation.revision = 7;
        assert_eq!(uncovered(&situation), None);
        situation.full = None;
        assert_eq!(uncovered(&situation), None);
    }

    #[test]
    fn no_window_outlives_its_responder_or_its_crl() {
        assert_eq!(window(100, 1_000, 500, None).next_update, 500);
        assert_eq!(window(100, 1_000, 5_000, Some(700)).next_update, 700);
        assert_eq!(window(100, 1_000, 5_000, None).next_update, 1_100);
        assert_eq!(renew_at(&window(100, 1_000, 5_000, None)), 600);
    }
}
