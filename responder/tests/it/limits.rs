//! Every limit has a name and holds.

use std::time::Duration;

use crate::edge::{Edge, request};
use crate::forms::{get, post};
use crate::process::{Running, Says, wait_for};

// RFC 9110 §15.5.14: a body longer than is taken is refused, and the connection may be closed.
#[test]
fn body_of_any_length_is_read() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for octets in [4097, 8192, 100_000, 10_000_000] {
        let mut wire = responder.connect();
        // Whoever is refused early may not be able to send all of it.
        let _ = wire.try_send(&post(&vec![0x30; octets]));
        let response = wire.read();
        assert_eq!(response.status, 413, "{octets}");
        assert_eq!(response.header("connection"), "close");
    }
    assert_eq!(
        responder.ask(post(&vec![0x30; 4096])).says(),
        Says::Malformed
    );
    assert_eq!(
        responder.metric("hufu_http_refused_total{reason=\"body_too_long\"}"),
        4.0
    );
}

// RFC 9112 §9.6: a server that closes does so in stages, so that no reset loses its last answer.
#[test]
fn refusal_is_lost_in_the_reset_of_a_body_nobody_reads() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for (line, status) in [
        ("PUT /", 405),
        ("DELETE /", 405),
        ("POST /crl/test.crl", 405),
        ("GET /", 200),
    ] {
        for octets in [1, 20_000, 200_000] {
            let mut wire = responder.connect();
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {octets}\r\n\r\n");
            // What waits unread in the kernel when a socket is closed resets the connection.
            wire.try_send(&[head.into_bytes(), vec![0; octets]].concat())
                .unwrap();
            let response = wire.read();
            assert_eq!(response.status, status, "{line} {octets}");
            assert_eq!(response.header("connection"), "close");
            assert!(wire.is_closed(), "in good order: {line} {octets}");
        }
    }
}

#[test]
fn chunked_body_of_any_length_is_read() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    wire.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [&b"400\r\n"[..], &[0x30; 1024], b"\r\n"].concat();
    for _ in 0..64 {
        if wire.try_send(&chunk).is_err() {
            break;
        }
    }
    assert_eq!(wire.read().status, 413);
}

#[test]
fn announced_body_is_waited_for_before_it_is_refused() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    wire.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n");
    assert_eq!(wire.read().status, 413);
    assert!(wire.is_closed());
}

// RFC 9110 §15.5.15: a target longer than any question needs is refused.
#[test]
fn target_of_any_length_is_read() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for octets in [6144, 7000, 8000, 9000, 100_000] {
        let mut wire = responder.connect();
        let _ = wire.try_send(
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "M".repeat(octets)).as_bytes(),
        );
        assert_eq!(wire.read().status, 414, "{octets}");
    }
    assert_eq!(
        responder.metric("hufu_http_refused_total{reason=\"target_too_long\"}"),
        5.0
    );
}

#[test]
fn header_fields_of_any_length_are_read() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    let _ = wire.try_send(
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n",
            "c".repeat(100_000)
        )
        .as_bytes(),
    );
    assert_eq!(wire.read().status, 431);
}

#[test]
fn client_that_sends_an_octet_now_and_then_holds_a_connection() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--request-secs", "1"]);
    let mut wire = responder.connect();
    let mut request = b"GET /MFEw".iter().cycle();
    wait_for("the connection to be given up", || {
        std::thread::sleep(Duration::from_millis(100));
        wire.try_send(&[*request.next().unwrap()]).err()
    });
    assert_eq!(
        responder.metric("hufu_connection_timeouts_total{in=\"request\"}"),
        1.0
    );
}

#[test]
fn body_that_never_ends_holds_a_connection() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--request-secs", "1"]);
    let mut wire = responder.connect();
    wire.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0");
    assert!(wire.is_closed());
}

#[test]
fn resting_connection_is_kept_for_ever() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--idle-secs", "1"]);
    let mut wire = responder.connect();
    wire.send(get(1000));
    assert_eq!(wire.read().says(), Says::Good);
    assert!(wire.is_closed());
    assert_eq!(
        responder.metric("hufu_connection_timeouts_total{in=\"idle\"}"),
        1.0
    );
    assert_eq!(responder.metric("hufu_connections_open"), 0.0);
}

// RFC 9919 §8.4: a responder SHOULD keep floods of requests from denying its service: connections are counted.
#[test]
fn connections_beyond_the_limit_are_never_served_or_break_the_others() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--workers", "1", "--max-connections", "4"]);
    let mut wires: Vec<_> = (0..12).map(|_| responder.connect()).collect();
    for wire in &mut wires {
        wire.send(post(&request(1000)));
    }
    // None of those that have been answered goes before the limit has been felt.
    wait_for("the limit to be reached", || {
        (responder.metric("hufu_connection_limit_reached_total") >= 1.0).then_some(())
    });
    // With none to spare, those that rest may have gone again.
    assert!(responder.metric("hufu_connections_open") <= 4.0);
    // Those that go make room for those that wait.
    for mut wire in wires {
        assert_eq!(wire.read().says(), Says::Good);
    }
}

#[test]
fn client_that_never_reads_its_list_or_has_vanished_holds_a_connection() {
    let mut edge = Edge::new();
    edge.publish(&crate::edge::Generation {
        crl: vec![b'l'; 20_000_000],
        ..Default::default()
    });
    let responder = Running::start_with(&edge, &["--idle-secs", "1"]);
    let mut wire = responder.connect();
    // To the responder, one that has lost its network looks the same: nothing is acknowledged any more.
    wire.send("GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n");
    crate::process::wait_for("the connection to be given up", || {
        let idle = responder.metric("hufu_connection_timeouts_total{in=\"idle\"}");
        let open = responder.metric("hufu_connections_open");
        (idle == 1.0 && open == 0.0).then_some(())
    });
}
