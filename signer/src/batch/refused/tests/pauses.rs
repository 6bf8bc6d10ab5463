//! What is refused again: when the next is tried, and what of it is remembered till then.

use super::*;

/// Looks and signs for three hours after a refusal. What makes up for it is ten pieces of half a minute each, of which the
/// loader refuses some. When each was signed, and which it was.
fn three_hours(is_refused: fn(usize) -> bool) -> Vec<(u64, usize)> {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    let refused = place.begin(4);
    let (mut newest, mut next) = (4, 0);
    let mut signed = Vec::new();
    for now in (0..10_800).step_by(30) {
        place.look(&refused, newest, 100 + now);
        if refused.voids(&delta(newest)) {
            next = 0;
        }
        if next < 10 {
            newest = place.taken.get() + 1;
            if is_refused(next) {
                place.refuse(newest, Kind::Delta);
            }
            signed.push((now, next));
            next += 1;
        }
    }
    signed
}

#[test]
fn what_takes_longer_to_say_than_the_pause_is_never_said_to_its_end() {
    for is_refused in [|piece| piece == 0, |piece| piece == 9, |_| true] {
        let signed = three_hours(is_refused);
        assert!(signed.iter().any(|(_, piece)| *piece == 9), "{signed:?}");
        // And whoever is refused all the time signs most of it not.
        let late = signed.iter().filter(|(at, _)| *at > 7_200).count();
        assert!((1..=20).contains(&late), "{signed:?}");
    }
}

#[test]
fn a_pause_that_grew_holds_up_what_is_refused_on_another_day() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    let refused = place.begin(4);
    let mut now = 100;
    let void_at = |now| {
        let newest = place.taken.get() + 1;
        place.refuse(newest, Kind::Delta);
        place.look(&refused, newest, now);
        refused.voids(&delta(newest))
    };
    for pause in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
        assert!(!void_at(now + pause - 1), "{pause}");
        now += pause;
        assert!(void_at(now), "{pause}");
    }
    now += QUIET_SECS;
    assert!(void_at(now));
    assert!(!void_at(now + 59));
    assert!(void_at(now + 60));
}

#[test]
fn refused_changes_wait_an_hour_for_a_base_that_is_refused_too() {
    for with_changes in [true, false] {
        let place = Place::new(4);
        place.refuse(4, Kind::Full);
        if with_changes {
            place.refuse(3, Kind::Delta);
        }
        let refused = place.begin(4);
        let mut again = place.taken.get() + 1;
        for (now, is_void) in [(159, false), (160, with_changes), (279, false)] {
            place.refuse(again, Kind::Full);
            place.look(&refused, again, now);
            assert_eq!(refused.voids(&record(again)), is_void, "{now}");
            again += 1;
        }
        place.look(&refused, again, 100 + PAUSE_SECS);
        assert!(refused.voids(&record(again - 1)));
    }
}

#[test]
fn what_is_refused_within_the_pause_is_forgotten_with_its_file() {
    for (kind, stored) in [
        (Kind::Delta, BatchKind::Delta),
        (Kind::Documents, BatchKind::Crl),
        (Kind::Shard, BatchKind::Shard),
    ] {
        let of = |number| BatchRecord {
            shard: 3,
            ..of_kind(stored, number)
        };
        let place = Place::new(3);
        place.refuse(3, kind);
        let refused = place.begin(3);
        let again = place.taken.get() + 1;
        place.refuse(again, kind);
        place.look(&refused, again, 110);
        place.empty();
        place.look(&refused, again, 111);
        assert!(!refused.voids(&of(again)), "not at once");
        place.look(&refused, again, 100 + PAUSE_SECS);
        assert!(refused.voids(&of(again)), "{kind:?}");
        let settled = place.taken.get() + 1;
        place.look(&refused, settled, 101 + PAUSE_SECS);
        assert!(!refused.voids(&of(settled)), "once a refusal");
    }
}

#[test]
fn what_is_refused_within_the_pause_is_forgotten_by_who_goes_on() {
    let place = Place::new(4);
    place.refuse(3, Kind::Delta);
    let refused = place.begin(4);
    let again = place.taken.get() + 1;
    place.refuse(again, Kind::Delta);
    place.look(&refused, again, 110);
    place.look(&refused, again + 1, 111);
    drop(refused);
    place.empty();
    // At once, and what was made since, without knowing, too.
    assert!(place.begin(again + 1).voids(&delta(again + 1)));
    let made = place.taken.get() + 1;
    assert!(!place.begin(made).voids(&delta(made)), "at each start");
}
