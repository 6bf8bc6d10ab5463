//! Any octets on the OCSP port: an answer or a closed connection, and no line in the log.

use std::io::ErrorKind;

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http::{self, Connection};
use hufu_tests::pki::{Answer, Hash, Parameters, cert_id, request};

/// OCSPResponse { responseStatus malformedRequest(1) }.
const MALFORMED: [u8; 5] = [0x30, 0x03, 0x0A, 0x01, 0x01];

#[test]
fn octets_that_are_no_request_get_malformed_request() {
    let demo = Demo::shared();
    let issuer = demo.certificate(Authority::P256, "issuer");
    let right = request(
        &[&cert_id(Hash::Sha1, Parameters::Null, &issuer, &[1])],
        None,
    );
    let mut tried: Vec<Vec<u8>> = vec![
        b"hello".to_vec(),
        vec![0x30],
        vec![0x30, 0x80, 0, 0],
        vec![0xFF; 4096],
    ];
    for length in 1..right.len() {
        tried.push(right[..length].to_vec());
    }
    tried.push([&right[..], b"\0"].concat());
    let mut connection = Connection::open(demo.ocsp).unwrap();
    for octets in tried {
        let response = connection.ask(&octets).unwrap();
        assert_eq!(
            (response.status, &response.body[..]),
            (200, &MALFORMED[..]),
            "{octets:02x?}"
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_request_never_hangs_or_closes_the_port() {
    let demo = Demo::shared();
    let issuer = demo.certificate(Authority::P256, "issuer");
    let serial = demo.certificate(Authority::P256, "good").serial;
    let right = request(
        &[&cert_id(Hash::Sha1, Parameters::Null, &issuer, &serial)],
        Some(&[7; 16]),
    );
    let mut connection = Connection::open(demo.ocsp).unwrap();
    for bit in 0..right.len() * 8 {
        let mut octets = right.clone();
        octets[bit / 8] ^= 1 << (bit % 8);
        let response = connection.ask(&octets).unwrap();
        assert_eq!(response.status, 200);
        let _ = Answer::read(&response.body);
    }
}

#[test]
fn a_body_of_more_than_4_kib_is_not_read() {
    let demo = Demo::shared();
    let response = http::ask(demo.ocsp, &[0x30; 4097]).unwrap();
    assert_eq!(response.status, 413);
    // Announced, never sent: the answer comes at once, not when the body would.
    let mut connection = Connection::open(demo.ocsp).unwrap();
    connection
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        .unwrap();
    assert_eq!(connection.receive(false).unwrap().status, 413);
}

#[test]
fn a_target_that_no_request_needs_is_too_long() {
    let demo = Demo::shared();
    let response = http::get(demo.ocsp, &format!("/{}", "A".repeat(6200))).unwrap();
    assert_eq!(response.status, 414);
}

#[test]
fn other_methods_and_other_protocols_are_refused() {
    let demo = Demo::shared();
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let response = Connection::open(demo.ocsp)
            .unwrap()
            .send(
                &format!("{method} / HTTP/1.1"),
                &["Host: localhost", "Connection: close"],
                b"",
            )
            .unwrap();
        assert_eq!(response.status, 405, "{method}");
    }
    let noise: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ];
    for octets in noise {
        let mut connection = Connection::open(demo.ocsp).unwrap();
        connection.write(octets).unwrap();
        match connection.receive(false) {
            Ok(response) => assert!(
                (400..500).contains(&response.status),
                "{octets:?}: {response:?}"
            ),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ),
                "{octets:?}: {error}"
            ),
        }
    }
}

#[test]
fn garbage_leaves_no_line_in_the_log() {
    let demo = Demo::shared();
    let mut connection = Connection::open(demo.ocsp).unwrap();
    let before = demo.up.said().len();
    for _ in 0..500 {
        assert_eq!(connection.ask(b"garbage").unwrap().body, MALFORMED);
    }
    // Other lines may come meanwhile (a publish, a re-seal), but not one for each of these.
    let said = demo.up.said();
    let lines = said[before..].lines().count();
    assert!(lines < 50, "{lines} lines:\n{}", &said[before..]);
}
