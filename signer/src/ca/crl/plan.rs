//! Which list of a scope is due: a pure function of the lists there are, what changed, and the clock.

use super::Urgency;
use super::policy::{Deltas, ListPolicy};
use crate::batch::plan::is_ahead;
use crate::registry::{CrlNote, Cut, Revision};
use wire::time::UnixSeconds;

/// The kept lists of one scope, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Full ones.
    pub full: Vec<CrlNote>,
    /// Deltas.
    pub deltas: Vec<CrlNote>,
}

/// What is to be written for a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Work {
    /// What there is will do.
    Nothing,
    /// What changed since the list of that note.
    Delta(CrlNote),
    /// All of it; and, if there are deltas, what changed since an older one, under the same number. Without an older one
    /// the delta changes the list it comes with, and says nothing.
    Full {
        /// What has left it.
        cut: Option<Cut>,
        /// The delta beside it.
        delta: Beside,
    },
}

/// A delta that is written with a full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// There are no deltas.
    None,
    /// It changes the full list itself.
    Empty,
    /// It changes an older full list.
    Since(CrlNote),
}

/// Decides. `changed` is the newest revision that changed a status in this scope, if one is known.
pub(super) fn decide(
    standing: &Standing,
    policy: &ListPolicy,
    changed: Option<Revision>,
    urgency: Urgency,
    now: UnixSeconds,
) -> Work {
    let full = Work::Full {
        cut: standing.full.last().map(|before| Cut {
            time: before.this_update,
            revision: before.revision,
        }),
        delta: match (policy.deltas, base(standing, now)) {
            (Deltas::None, _) => Beside::None,
            (Deltas::ValidFor(_), None) => Beside::Empty,
            (Deltas::ValidFor(_), Some(base)) => Beside::Since(base),
        },
    };
    let Some(newest) = standing.full.last() else {
        return full;
    };
    let changed_since = |note: &CrlNote| changed.is_some_and(|changed| changed > note.revision);
    if urgency == Urgency::Now || is_old(newest, now) {
        return full;
    }
    match (policy.deltas, standing.deltas.last()) {
        (Deltas::None, _) if changed_since(newest) => full,
        (Deltas::None, _) => Work::Nothing,
        // The full list does not say yet that there are deltas.
        (Deltas::ValidFor(_), None) => full,
        (Deltas::ValidFor(_), Some(delta)) => {
            let due = delta.number < newest.number || is_old(delta, now) || changed_since(delta);
            match base(standing, now) {
                Some(base) if due => Work::Delta(base),
                // Nothing a delta could change.
                None if due => full,
                _ => Work::Nothing,
            }
        }
    }
}

/// Half of its life is over, or it is dated by a clock that was ahead: it would stay for as long as that clock was wrong.
fn is_old(note: &CrlNote, now: UnixSeconds) -> bool {
    let half = note.this_update + note.next_update.saturating_sub(note.this_update) / 2;
    now >= half || is_ahead(note.this_update, now)
}

/// The list a delta changes: the oldest that a client may still hold, so that each of them can use the delta.
fn base(standing: &Standing, now: UnixSeconds) -> Option<CrlNote> {
    let held = |note: &&CrlNote| note.next_update > now && !is_ahead(note.this_update, now);
    standing.full.iter().find(held).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{AuthorityId, ListForm, ListScope};

    fn note(form: ListForm, number: u64, revision: u64, this_update: u64) -> CrlNote {
        CrlNote {
            authority: AuthorityId(1),
            scope: ListScope::Whole,
            form,
            number,
            revision,
            this_update,
            next_update: this_update + 1_000,
            cut: None,
        }
    }

    fn full(number: u64, revision: u64, at: u64) -> CrlNote {
        note(ListForm::Full, number, revision, at)
    }

    fn delta(number: u64, revision: u64, at: u64) -> CrlNote {
        note(ListForm::Delta { base: 1 }, number, revision, at)
    }

    fn policy(deltas: Deltas) -> ListPolicy {
        ListPolicy {
            partitions: None,
            deltas,
            whole: super::super::policy::WholeList::Always,
            validity_secs: 1_000,
        }
    }

    fn work(full: &[CrlNote], deltas: &[CrlNote], changed: Option<u64>, now: u64) -> Work {
        let standing = Standing {
            full: full.to_vec(),
            deltas: deltas.to_vec(),
        };
        decide(
            &standing,
            &policy(Deltas::ValidFor(100)),
            changed,
            Urgency::Due,
            now,
        )
    }

    #[test]
    fn a_revocation_waits_for_the_next_full_list_though_there_are_deltas() {
        let (base, first) = (full(1, 5, 0), delta(1, 5, 0));
        assert_eq!(work(&[base], &[first], Some(5), 10), Work::Nothing);
        assert_eq!(work(&[base], &[first], Some(6), 10), Work::Delta(base));
        let written = delta(2, 6, 10);
        assert_eq!(work(&[base], &[first, written], Some(6), 20), Work::Nothing);
    }

    #[test]
    fn a_delta_leaves_out_clients_that_hold_an_older_full_list() {
        let lists = [full(1, 5, 0), full(3, 7, 600), full(5, 9, 1_200)];
        let deltas = [delta(5, 9, 1_200)];
        // At 1300 the first is past its nextUpdate, the second is not.
        assert_eq!(
            work(&lists, &deltas, Some(11), 1_300),
            Work::Delta(lists[1])
        );
    }

    #[test]
    fn a_full_list_is_written_without_the_delta_beside_it() {
        let base = full(1, 5, 0);
        let due = work(&[base], &[delta(1, 5, 0)], None, 500);
        let cut = Some(Cut {
            time: 0,
            revision: 5,
        });
        let delta = Beside::Since(base);
        assert_eq!(due, Work::Full { cut, delta });
        let first = work(&[], &[], None, 0);
        let delta = Beside::Empty;
        assert_eq!(first, Work::Full { cut: None, delta });
    }

    #[test]
    fn turning_deltas_on_or_off_takes_effect_at_half_of_a_lists_life_only() {
        let base = full(1, 5, 0);
        assert!(matches!(work(&[base], &[], None, 10), Work::Full { .. }));
        let standing = Standing {
            full: vec![base],
            deltas: vec![delta(2, 6, 10)],
        };
        let off = decide(&standing, &policy(Deltas::None), Some(6), Urgency::Due, 20);
        assert!(matches!(
            off,
            Work::Full {
                delta: Beside::None,
                ..
            }
        ));
    }

    #[test]
    fn a_crash_between_a_full_list_and_its_delta_leaves_the_old_delta() {
        let lists = [full(1, 5, 0), full(2, 6, 400)];
        let deltas = [delta(1, 5, 0)];
        assert_eq!(work(&lists, &deltas, None, 410), Work::Delta(lists[0]));
    }
}
