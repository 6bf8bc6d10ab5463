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
            (Deltas::Written, None) => Beside::Empty,
            (Deltas::Written, Some(base)) => Beside::Since(base),
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
        // A list that names deltas makes clients look for them until its end: the sooner the last such is out, the better.
        (Deltas::None, _) if changed_since(newest) || newest.names_deltas => full,
        (Deltas::None, Some(delta)) => last_deltas(standing, delta, changed_since(delta), now),
        (Deltas::None, None) => Work::Nothing,
        // The full list does not say yet that there are deltas.
        (Deltas::Written, _) if !newest.names_deltas => full,
        (Deltas::Written, None) => full,
        (Deltas::Written, Some(delta)) => {
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

/// Until when clients may hold a full list that names deltas, if any may.
// RFC 5280 §5.2.6: freshestCRL says how the deltas of that list are had, so there are some as long as it is held.
pub(super) fn named_until(standing: &Standing, now: UnixSeconds) -> Option<UnixSeconds> {
    let naming = standing.full.iter().filter(|note| note.names_deltas);
    let held = naming.filter(|note| note.next_update > now && !is_ahead(note.this_update, now));
    held.map(|note| note.next_update).max()
}

/// Deltas that shall be no more are written until no client holds a list that names them.
fn last_deltas(standing: &Standing, delta: &CrlNote, changed: bool, now: UnixSeconds) -> Work {
    let (Some(until), Some(base)) = (named_until(standing, now), base(standing, now)) else {
        return Work::Nothing;
    };
    let newest = standing.full.last().map_or(0, |full| full.revision);
    let ends_early = delta.next_update < until;
    if changed || delta.revision < newest || is_old(delta, now) && ends_early {
        Work::Delta(base)
    } else {
        Work::Nothing
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
            names_deltas: form == ListForm::Full,
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
            delta_validity_secs: 100,
        }
    }

    fn work(full: &[CrlNote], deltas: &[CrlNote], changed: Option<u64>, now: u64) -> Work {
        let standing = Standing {
            full: full.to_vec(),
            deltas: deltas.to_vec(),
        };
        decide(
            &standing,
            &policy(Deltas::Written),
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

    // RFC 5280 §5.2.6: as long as a list that names deltas is held, there are some.
    #[test]
    fn deltas_that_are_turned_off_go_before_the_lists_that_name_them_or_never() {
        let naming = full(1, 5, 0);
        let plain = CrlNote {
            names_deltas: false,
            ..full(3, 5, 20)
        };
        let work = |full: &[CrlNote], delta: CrlNote, changed, now| {
            let standing = Standing {
                full: full.to_vec(),
                deltas: vec![delta],
            };
            let policy = policy(Deltas::None);
            decide(&standing, &policy, changed, Urgency::Due, now)
        };
        let last = CrlNote {
            next_update: 110,
            ..delta(2, 5, 10)
        };
        // At once a full list that does not name them, though nothing changed.
        let written = work(&[naming], last, None, 20);
        let alone = |work| {
            matches!(
                work,
                Work::Full {
                    delta: Beside::None,
                    ..
                }
            )
        };
        assert!(alone(written), "{written:?}");
        let both = [naming, plain];
        assert_eq!(work(&both, last, None, 30), Work::Nothing);
        assert_eq!(
            work(&both, last, None, 70),
            Work::Delta(naming),
            "it grows old"
        );
        // A change is in a full list, and then in a delta for those who hold the one before.
        assert!(alone(work(&both, last, Some(6), 30)));
        let newer = CrlNote {
            names_deltas: false,
            ..full(4, 6, 30)
        };
        let three = [naming, plain, newer];
        assert_eq!(work(&three, last, None, 31), Work::Delta(naming));
        // The list that named them ends at 1000.
        let until_the_end = CrlNote {
            next_update: 1_000,
            ..delta(9, 6, 950)
        };
        assert_eq!(
            work(&[naming, plain], until_the_end, None, 990),
            full_of(plain)
        );
        let young = CrlNote {
            this_update: 900,
            next_update: 1_900,
            ..plain
        };
        assert_eq!(
            work(&[naming, young], until_the_end, None, 990),
            Work::Nothing
        );
        assert_eq!(
            work(&[naming, young], until_the_end, None, 1_001),
            Work::Nothing
        );
    }

    fn full_of(before: CrlNote) -> Work {
        Work::Full {
            cut: Some(Cut {
                time: before.this_update,
                revision: before.revision,
            }),
            delta: Beside::None,
        }
    }

    #[test]
    fn a_crash_between_a_full_list_and_its_delta_leaves_the_old_delta() {
        let lists = [full(1, 5, 0), full(2, 6, 400)];
        let deltas = [delta(1, 5, 0)];
        assert_eq!(work(&lists, &deltas, None, 410), Work::Delta(lists[0]));
    }
}
