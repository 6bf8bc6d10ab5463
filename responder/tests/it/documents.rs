//! CRLs and issuer certificates come from the same generation.

use std::time::Duration;

use crate::edge::{Edge, Generation};
use crate::forms::get;
use crate::process::{Running, Says};

fn fetch(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[test]
fn crl_or_certificate_is_not_found_or_mistaken_for_ocsp() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let crl = responder.ask(fetch("/crl/test.crl"));
    assert_eq!(
        (crl.status, crl.header("content-type")),
        (200, "application/pkix-crl")
    );
    assert_eq!(crl.body, b"a CRL");
    assert_eq!(crl.header("etag"), format!("\"{}\"", blake3_of(b"a CRL")));
    assert!(crl.headers.contains_key("expires"));

    let certificate = responder.ask(fetch("/ca/test.cer"));
    assert_eq!(
        (certificate.status, certificate.header("content-type")),
        (200, "application/pkix-cert")
    );
    assert_eq!(certificate.body, b"a certificate");
    assert!(!certificate.headers.contains_key("expires"));

    for path in [
        "/crl/other.crl",
        "/ca/",
        "/crl/../ca/test.cer",
        "/crl/test.crl/",
        "/ca/test.crl",
    ] {
        assert_eq!(responder.ask(fetch(path)).status, 404, "{path}");
    }
}

fn blake3_of(octets: &[u8]) -> String {
    hufu_loader::digest::Digest::of(octets).to_string()
}

#[test]
fn unchanged_crl_is_downloaded_again() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let tag = responder
        .ask(fetch("/crl/test.crl"))
        .header("etag")
        .to_owned();
    let conditional =
        format!("GET /crl/test.crl HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n");
    let mut wire = responder.connect();
    wire.send(conditional + &fetch("/crl/test.crl").replace("GET", "HEAD"));
    assert_eq!(wire.read().status, 304);
    assert_eq!(wire.read_head().header("content-length"), "5");
}

#[test]
fn large_crl_is_torn_or_copied_whole_for_each_client() {
    let crl: Vec<u8> = (0..24_000_000u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: crl.clone(),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = responder.connect();
            // A pipelined request behind it must wait its turn.
            wire.send(fetch("/crl/test.crl") + &get(1007));
            wire
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let anonymous = anonymous_octets(responder.pid());
    assert!(
        anonymous < 24_000_000,
        "{anonymous} octets for 20 clients that do not read yet"
    );
    for mut wire in slow {
        assert!(wire.read().body == crl);
        assert_eq!(wire.read().says(), Says::Revoked);
    }
}

/// What the process holds that is no file's page.
fn anonymous_octets(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn client_that_reads_slowly_gets_half_of_two_crls_when_they_change() {
    let old = vec![b'o'; 8_000_000];
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: old.clone(),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    wire.send(fetch("/crl/test.crl"));
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..3 {
        let number = edge.publish(&Generation::default());
        crate::reload::wait_until_served(&responder, number);
    }
    assert!(wire.read().body == old);
    assert_eq!(responder.ask(fetch("/crl/test.crl")).body, b"a CRL");
}
