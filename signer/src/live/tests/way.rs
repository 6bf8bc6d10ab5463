//! Single flight, the bounded queue, the deadline. The desk is attended to when a test says so: what waits is known, and no
//! test waits for time to pass but the one about the deadline.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use wire::response::{OcspResponse, SingleStatus};

use super::rig::{Adopted, GENEROUS, once, runtime, within};
use crate::live::lane::{Busy, Lane, Reply};
use crate::registry::SqliteStore;

/// The outcomes counted: signed, shared, full, late.
fn counted(lane: &Lane<SqliteStore>) -> [u64; 4] {
    let metrics = &lane.metrics;
    [
        &metrics.signed,
        &metrics.shared,
        &metrics.full,
        &metrics.late,
    ]
    .map(prometheus::IntCounter::get)
}

fn says_revoked(answered: Result<Reply, Busy>) -> Reply {
    let reply = answered.unwrap();
    let basic = OcspResponse::parse(&reply.octets).unwrap().basic.unwrap();
    assert!(matches!(basic.first.status, SingleStatus::Revoked { .. }));
    reply
}

#[test]
fn identical_questions_are_each_signed_or_one_with_a_nonce_gets_anothers_answer() {
    let rig = Adopted::new();
    let (lane, tray) = rig.lane(8);
    let plain = rig.question(None);
    let nonces = ["a nonce", "another", "a nonce"];
    let with_nonces = nonces.map(|nonce| rig.question(Some(nonce.as_bytes())));
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(lane.answer(&plain))).collect();
    let mut apart: Vec<_> = with_nonces
        .iter()
        .map(|asked| Box::pin(lane.answer(asked)))
        .collect();
    for one in waiting.iter_mut().chain(&mut apart) {
        assert!(once(one.as_mut()).is_pending());
    }
    tray.attend(1).unwrap();
    let replies: Vec<_> = waiting
        .into_iter()
        .map(|one| says_revoked(within(&runtime, one)).octets)
        .collect();
    assert!(replies.iter().all(|octets| *octets == replies[0]));
    let nonce_of = |octets: &[u8]| {
        let basic = OcspResponse::parse(octets).unwrap().basic.unwrap();
        basic.nonce().map(<[u8]>::to_vec)
    };
    assert_eq!(nonce_of(&replies[0]), None);
    let an_octet_string = |text: &str| [&[0x04, 7][..], text.as_bytes()].concat();
    for (one, asked) in apart.into_iter().zip(nonces) {
        let reply = says_revoked(within(&runtime, one));
        assert_eq!(nonce_of(&reply.octets), Some(an_octet_string(asked)));
    }
    // One for the five, one for each with a nonce, though two have the same.
    assert_eq!(counted(&lane), [4, 4, 0, 0]);
}

#[test]
fn who_waits_for_another_ones_answer_waits_for_ever_when_that_one_gives_up() {
    let rig = Adopted::new();
    let (lane, tray) = rig.lane(8);
    let question = rig.question(None);
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut first = Box::pin(lane.answer(&question));
    let mut beside = pin!(lane.answer(&question));
    assert!(once(first.as_mut()).is_pending());
    assert!(once(beside.as_mut()).is_pending());
    drop(first);
    assert!(once(beside.as_mut()).is_pending(), "it asks for itself now");
    tray.attend(1).unwrap();
    let _ = says_revoked(within(&runtime, beside));
    assert_eq!(counted(&lane), [1, 0, 0, 0]);
}

#[test]
fn more_wait_than_may_or_a_place_is_not_given_back() {
    let rig = Adopted::new();
    let (lane, tray) = rig.lane(1);
    let question = rig.question(None);
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut first: Pin<Box<_>> = Box::pin(lane.answer(&question));
    assert!(once(first.as_mut()).is_pending());
    assert!(lane.metrics().unwrap().contains("hufu_lane_queue_length 1"));
    for turned_away in 1..=3 {
        let second = once(pin!(lane.answer(&question)));
        assert!(
            matches!(second, Poll::Ready(Err(Busy::Full))),
            "not at once"
        );
        assert_eq!(counted(&lane), [0, 0, turned_away, 0]);
    }
    tray.attend(1).unwrap();
    let _ = says_revoked(within(&runtime, first));
    let _ = says_revoked(within(&runtime, lane.answer(&question)));
    assert!(lane.metrics().unwrap().contains("hufu_lane_queue_length 0"));
    assert_eq!(counted(&lane), [2, 0, 3, 0]);
}

#[test]
fn a_question_waits_past_its_deadline_or_leaves_no_room_for_ever() {
    let rig = Adopted::new();
    let (mut lane, tray) = rig.lane(1);
    let question = rig.question(None);
    let runtime = runtime();
    lane.deadline = Duration::from_millis(1);
    let answered = within(&runtime, lane.answer(&question));
    assert_eq!(answered.err(), Some(Busy::Late));
    assert_eq!(counted(&lane), [0, 0, 0, 1]);
    // Its place is free, but it lies on the desk still: there is no room for more.
    lane.deadline = super::rig::LONG;
    let answered = within(&runtime, lane.answer(&question));
    assert_eq!(answered.err(), Some(Busy::Full));
    tray.attend(1).unwrap();
    let mut answered = within(&runtime, lane.answer(&question));
    let began = Instant::now();
    while answered.as_ref().err() == Some(&Busy::Full) {
        assert!(began.elapsed() < GENEROUS, "its place is never free");
        std::thread::yield_now();
        answered = within(&runtime, lane.answer(&question));
    }
    let _ = says_revoked(answered);
    let [signed, shared, _, late] = counted(&lane);
    assert_eq!([signed, shared, late], [1, 0, 1]);
}
