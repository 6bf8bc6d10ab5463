//! The rota under an injected clock: flat, forgetful, and right after every kind of step.

use super::*;
use crate::registry::BatchKind;
use std::collections::BTreeMap;

const DAY: u64 = 86_400;
const PACE: Pace = Pace {
    refresh: DAY / 2,
    age_objective: DAY / 4 * 3,
    offset: 12_345,
};

fn signed(shard: u32, at: UnixSeconds) -> Option<BatchRecord> {
    Some(BatchRecord {
        issuer: [0; 16],
        number: 1,
        kind: BatchKind::Shard,
        shard,
        shards: 64,
        variants: 3,
        revision: 7,
        created_at: at,
        next_update: at + DAY,
        renew_at: at + DAY / 2,
        records: 1,
    })
}

/// Signs whatever is due, one shard a step of `step` seconds, from `from` to `to`; how many in each hour.
fn run(
    latest: &mut [Option<BatchRecord>],
    pace: &Pace,
    (from, to): (u64, u64),
    step: u64,
) -> BTreeMap<u64, u32> {
    let mut hours = BTreeMap::new();
    let mut now = from;
    while now < to {
        if let Some(due) = most_urgent(latest, pace, now) {
            latest[due.shard as usize] = signed(due.shard, now);
            *hours.entry((now - from) / 3_600).or_default() += 1;
        }
        now += step;
    }
    hours
}

#[test]
fn a_founding_is_followed_by_a_burst_every_period() {
    let mut latest = vec![None; 64];
    let begun = 1_800_000_000;
    let first = run(&mut latest, &PACE, (begun, begun + 640), 10);
    assert_eq!(
        first.values().sum::<u32>(),
        64,
        "all at once: nothing was there"
    );
    let hours = run(&mut latest, &PACE, (begun + 640, begun + 10 * DAY), 10);
    // 64 shards in twelve hours: five or six an hour, the first half period none.
    assert!(
        hours.values().all(|count| (4..=7).contains(count)),
        "{hours:?}"
    );
    let total: u32 = hours.values().sum();
    assert!((1_200..=1_260).contains(&total), "{total}");
}

#[test]
fn responses_grow_older_than_they_may() {
    let mut latest = vec![None; 64];
    let begun = 1_800_000_000;
    let pace = Pace {
        age_objective: PACE.refresh + 60,
        ..PACE
    };
    run(&mut latest, &pace, (begun, begun + 640), 10);
    for now in (begun + 640..begun + 3 * DAY).step_by(10) {
        if let Some(due) = most_urgent(&latest, &pace, now) {
            latest[due.shard as usize] = signed(due.shard, now);
        }
        let oldest = latest.iter().flatten().map(|r| r.created_at).min().unwrap();
        assert!(now - oldest <= pace.age_objective + 640, "{}", now - oldest);
    }
}

#[test]
fn after_a_week_without_power_what_ends_last_is_signed_first() {
    let begun = 1_800_000_000;
    let mut latest: Vec<_> = (0..64)
        .map(|i| signed(i, begun + u64::from(63 - i)))
        .collect();
    let now = begun + 7 * DAY;
    let mut order = Vec::new();
    while let Some(due) = most_urgent(&latest, &PACE, now) {
        assert_eq!(due.why, Why::Overdue);
        order.push(due.shard);
        latest[due.shard as usize] = signed(due.shard, now);
    }
    assert_eq!(
        order,
        (0..64).rev().collect::<Vec<_>>(),
        "oldest first, each once"
    );
    // The burst is not repeated.
    let hours = run(&mut latest, &PACE, (now, now + 5 * DAY), 10);
    assert!(hours.values().all(|count| *count <= 7), "{hours:?}");
}

#[test]
fn a_clock_that_steps_stops_the_rota_or_makes_it_race() {
    let begun = 1_800_000_000;
    let mut latest = vec![None; 64];
    run(&mut latest, &PACE, (begun, begun + 2 * DAY), 10);
    let quiet = latest.clone();
    // Back by an hour, within what windows allow for: what was signed since then is dated ahead and signed again at once.
    let back = begun + 2 * DAY - 3_600;
    let ahead = latest
        .iter()
        .flatten()
        .filter(|r| r.created_at > back + 300)
        .count();
    let mut again = 0;
    while let Some(due) = most_urgent(&latest, &PACE, back) {
        assert_eq!(due.why, Why::ClockWasAhead);
        latest[due.shard as usize] = signed(due.shard, back);
        again += 1;
    }
    assert_eq!(again, ahead, "those, and no others");
    assert!((3..=8).contains(&again), "{again}");
    let hours = run(&mut latest, &PACE, (back, back + 3 * DAY), 10);
    assert!(hours.values().all(|count| *count <= 8), "{hours:?}");
    // Ahead by a month and back again: nothing dated in that month counts.
    let mut latest = quiet;
    let month = begun + 32 * DAY;
    run(&mut latest, &PACE, (month, month + 640), 10);
    let now = begun + 2 * DAY;
    let mut again = 0;
    while let Some(due) = most_urgent(&latest, &PACE, now) {
        latest[due.shard as usize] = signed(due.shard, now);
        again += 1;
    }
    assert_eq!(again, 64);
}

#[test]
fn a_shorter_period_or_age_waits_for_the_old_one() {
    let begun = 1_800_000_000;
    let mut latest: Vec<_> = (0..64).map(|i| signed(i, begun)).collect();
    let now = begun + DAY / 4;
    assert_eq!(most_urgent(&latest, &PACE, begun + 60), None);
    let strict = Pace {
        age_objective: 3_600,
        refresh: 1_800,
        ..PACE
    };
    let due = most_urgent(&latest, &strict, now).unwrap();
    assert_eq!((due.why, due.deadline), (Why::Overdue, begun + 3_600));
    // A longer period than the windows last does not let them end.
    let slack = Pace {
        refresh: 30 * DAY,
        age_objective: 30 * DAY,
        ..PACE
    };
    let due = most_urgent(&latest, &slack, begun + DAY / 4 * 3).unwrap();
    assert_eq!(due.why, Why::Overdue);
    // What does not count goes before all of them.
    latest[9] = None;
    assert_eq!(most_urgent(&latest, &strict, now).unwrap().shard, 9);
}

#[test]
fn shards_change_with_every_certificate() {
    assert_eq!(shards_for(0, 65_536, 1), 1);
    assert_eq!(
        shards_for(131_072, 65_536, 1),
        1,
        "twice as many as wanted: stays"
    );
    assert_eq!(shards_for(131_073, 65_536, 1), 4);
    assert_eq!(shards_for(10_000_000, 65_536, 1), 256);
    assert_eq!(shards_for(10_000_000, 65_536, 256), 256);
    assert_eq!(shards_for(3_000_000, 65_536, 256), 256);
    assert_eq!(shards_for(2_000_000, 65_536, 256), 32);
    assert_eq!(shards_for(u64::MAX, 1, 1), 4_096);
}
