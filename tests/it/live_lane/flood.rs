//! More than the lane bears, and what is no request at all: on the way through a responder, and on the lane's own port.

use std::time::Duration;

use hufu_tests::http;
use hufu_tests::pki::{Answer, Status, request};
use hufu_tests::process::wait_until;

use super::rig::{Rig, lane_metric};
use super::{ANSWERED, FELL_BACK, NONCE};

#[test]
fn flood_of_nonces_takes_the_answers_from_the_others() {
    let rig = Rig::start("queue = 2", &["--live-queue", "4", "--live-rate", "50"]);
    let usual = rig.usual(&rig.serials[0]);
    let plain = request(&[&usual], None);
    let with_nonce = request(&[&usual], Some(NONCE));
    let (ocsp, floods) = (rig.responder.ocsp, 8);
    std::thread::scope(|scope| {
        let flood = || {
            let mut connection = http::Connection::open(ocsp).unwrap();
            for _ in 0..150 {
                let answer = Answer::read(&connection.ask(&with_nonce).unwrap().body);
                assert_eq!(answer.single().status, Status::Good);
            }
        };
        for _ in 0..floods {
            scope.spawn(flood);
        }
        let mut connection = http::Connection::open(ocsp).unwrap();
        for _ in 0..300 {
            let answer = Answer::read(&connection.ask(&plain).unwrap().body);
            assert_eq!(answer.single().status, Status::Good);
        }
    });
    let (fell_back, answered) = (rig.metric(FELL_BACK), rig.metric(ANSWERED));
    assert!(fell_back > 0.0, "nothing was turned away");
    assert!(rig.metric("hufu_live_requests_total{outcome=\"full\"}") > 0.0);
    assert_eq!(fell_back + answered, f64::from(floods * 150));
}

/// The responder bears more than the lane does: who is turned away, is so by the lane.
#[test]
fn full_lane_turns_nobody_away_or_costs_answers() {
    let further = ["--live-queue", "64", "--live-rate", "1000000"];
    let rig = Rig::start("queue = 1", &further);
    let with_nonce = request(&[&rig.usual(&rig.serials[0])], Some(NONCE));
    let (ocsp, clients, round) = (rig.responder.ocsp, 8, 25);
    let mut asked = 0;
    wait_until("the lane is full", Duration::from_secs(120), || {
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut connection = http::Connection::open(ocsp).unwrap();
                    for _ in 0..round {
                        let answer = Answer::read(&connection.ask(&with_nonce).unwrap().body);
                        assert_eq!(answer.single().status, Status::Good);
                    }
                });
            }
        });
        asked += clients * round;
        lane_metric(rig.live, "full") > 0.0
    });
    assert!(rig.metric("hufu_live_requests_total{outcome=\"full\"}") > 0.0);
    assert_eq!(
        rig.metric(FELL_BACK) + rig.metric(ANSWERED),
        f64::from(asked)
    );
}

#[test]
fn garbage_stops_the_lane_or_a_slow_head_keeps_its_place() {
    let rig = Rig::start("", &[]);
    let live = rig.live;
    let open = || http::Connection::open(live).unwrap();
    let (mut silent, mut slow) = (open(), open());
    slow.write(b"POST /ocsp HTTP/1.1\r\nContent-Le").unwrap();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"POST /ocsp HTTP/1.1\r\nContent-Length: 4096x\r\n\r\n",
        b"GET\r\n\r\n",
        b"\0\r\n\r\n",
    ] {
        let mut connection = open();
        connection.write(garbage).unwrap();
        // A 400 or nothing, and the end: whichever way the kernel tells of it.
        if let Ok(response) = connection.receive(false) {
            assert_eq!(response.status, 400);
        }
    }
    let mut connection = open();
    let head = b"POST /ocsp HTTP/1.1\r\nContent-Length: 5000\r\n\r\n";
    connection.write(head).unwrap();
    assert_eq!(connection.receive(false).unwrap().status, 413);
    for octets in [&b""[..], &[0x30; 4_096]] {
        let sent = open().send("POST /ocsp HTTP/1.1", &["Host: a"], octets);
        let answer = Answer::read(&sent.unwrap().body);
        assert!(matches!(answer, Answer::Refused(1)), "{answer:?}");
    }
    assert!(silent.closed() && slow.closed());
    let usual = rig.usual(&rig.serials[0]);
    wait_until("the lane answers", Duration::from_secs(60), || {
        rig.signed(&[&usual], Some(NONCE)).nonce().is_some()
    });
}
