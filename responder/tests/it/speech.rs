//! What is not a request is answered in the language it was asked in, or the connection is closed; never more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::edge::{Edge, request};
use crate::forms::{get, post};
use crate::process::{Running, Says};

// RFC 6960 §A.2: every OCSPResponse travels with status 200, errors too.
#[test]
fn garbage_in_http_is_answered_with_a_network_error() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for path in ["", "%", "favicon.ico", "MFEw", "%%%%", "MA==MA=="] {
        let response = responder.ask(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(response.says(), Says::Malformed, "{path}");
    }
    let good = request(1000);
    for body in [
        &b""[..],
        b"\x30\x00",
        &good[..good.len() - 1],
        &[good.as_slice(), b"\0"].concat(),
        &[0; 4096],
    ] {
        assert_eq!(
            responder.ask(post(body)).says(),
            Says::Malformed,
            "{body:02x?}"
        );
    }
}

#[test]
fn every_single_flipped_bit_of_a_request_is_survived() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    let good = request(1000);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wire.send(post(&flipped));
        wire.read().says();
    }
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
}

#[test]
fn octets_that_are_not_http_are_not_survived() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
    ] {
        let mut wire = responder.connect();
        wire.send(octets);
        if let Some(response) = wire.try_read() {
            assert!(
                (400..500).contains(&response.status),
                "{octets:?}: {response:?}"
            );
            assert!(wire.is_closed(), "{octets:?}");
        }
    }
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
    assert!(responder.metric("hufu_http_refused_total{reason=\"syntax\"}") >= 5.0);
}

// RFC 9110 §15.5.6: 405 MUST say in Allow which methods there are.
#[test]
fn other_methods_do_something() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let path = STANDARD.encode(request(1000));
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"] {
        let response = responder.ask(format!("{method} /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), "GET, HEAD, POST");
        assert_eq!(response.header("cache-control"), "no-store");
    }
    let response =
        responder.ask("POST /crl/test.crl HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        (response.status, response.header("allow")),
        (405, "GET, HEAD")
    );
}

#[test]
fn requests_fill_the_log() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let before = responder.log_lines();
    for _ in 0..20 {
        responder.ask(get(1000));
        responder.ask(get(5));
        responder.ask("GET /nonsense HTTP/1.1\r\nHost: x\r\n\r\n");
        responder.ask("nonsense\r\n\r\n");
    }
    assert_eq!(responder.log_lines(), before);
}
