//! CRLs and issuer certificates come from the same generation.

use std::time::Duration;

use crate::crowd::anonymous_octets;
use crate::edge::{Edge, Generation};
use crate::forms::get;
use crate::process::{Running, Says};

fn fetch(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// The list, with more header lines.
fn fetch_with(lines: &str) -> String {
    format!("GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n")
}

/// A generation whose list is worth compressing.
fn compressible() -> (Edge, Vec<u8>) {
    let crl: Vec<u8> = (0..100_000u32).map(|i| (i / 7 % 251) as u8).collect();
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: crl.clone(),
        ..Generation::default()
    });
    (edge, crl)
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

    // RFC 5280 §4.2.2.1: a certs-only message SHOULD be application/pkcs7-mime.
    let message = responder.ask(fetch("/ca/test.p7c"));
    assert_eq!(message.header("content-type"), "application/pkcs7-mime");
    assert_eq!(message.body, b"certificates");

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

// RFC 9110 §15.4.5: 304 MUST repeat ETag, Expires, Cache-Control and Vary of the 200, and SHOULD NOT describe the octets.
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
    let unchanged = wire.read();
    assert_eq!(unchanged.status, 304);
    assert_eq!(unchanged.header("etag"), tag);
    assert!(!unchanged.headers.contains_key("content-type"));
    assert_eq!(wire.read_head().header("content-length"), "5");
}

// RFC 9110 §15.3.7.1: a single part MUST be sent with Content-Range.
#[test]
fn interrupted_download_begins_anew_or_at_the_wrong_octet() {
    let (edge, crl) = compressible();
    let responder = Running::start(&edge);
    let whole = responder.ask(fetch("/crl/test.crl"));
    assert_eq!(
        (whole.status, whole.header("accept-ranges")),
        (200, "bytes")
    );
    let tag = whole.header("etag").to_owned();
    let mut wire = responder.connect();
    for (range, told, octets) in [
        ("0-0", "bytes 0-0/100000", 0..1),
        ("99000-", "bytes 99000-99999/100000", 99_000..100_000),
        ("-10", "bytes 99990-99999/100000", 99_990..100_000),
        ("50-1000000", "bytes 50-99999/100000", 50..100_000),
    ] {
        for condition in [String::new(), format!("\r\nIf-Range: {tag}")] {
            wire.send(fetch_with(&format!("Range: bytes={range}{condition}")));
            let part = wire.read();
            assert_eq!((part.status, part.header("content-range")), (206, told));
            assert_eq!(part.header("etag"), tag);
            assert_eq!(part.header("content-type"), "application/pkix-crl");
            assert!(part.body == crl[octets.clone()], "{range}");
        }
    }
    // RFC 9110 §13.1.5: another document than the client has is sent whole; so is what is asked in several parts.
    for lines in [
        "Range: bytes=5-\r\nIf-Range: \"another\"",
        "Range: bytes=0-1,5-6",
        "Range: lines=1-2",
    ] {
        wire.send(fetch_with(lines));
        let all = wire.read();
        assert_eq!(all.status, 200, "{lines}");
        assert!(all.body == crl, "{lines}");
    }
    // RFC 9110 §15.5.17: beyond the end there is nothing, and the client is told where the end is.
    wire.send(fetch_with("Range: bytes=100000-"));
    let none = wire.read();
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, "bytes */100000")
    );
    // RFC 9110 §14.2: HEAD tells of the whole.
    wire.send(fetch_with("Range: bytes=0-0").replace("GET", "HEAD"));
    let head = wire.read_head();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, "100000")
    );
    // RFC 9110 §13.1.1: a condition that does not hold is said, not passed over.
    wire.send(fetch_with("If-Match: \"another\"\r\nRange: bytes=0-0"));
    assert_eq!(wire.read().status, 412);
}

// RFC 9110 §12.5.5: what was chosen by Accept-Encoding says so, or a cache gives one client's form to another.
// RFC 9110 §8.8.3.3: two encodings of a document need two strong tags.
#[test]
fn client_gets_a_form_of_the_list_that_it_cannot_read_or_a_cache_mixes_them_up() {
    let (edge, crl) = compressible();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    let mut tags = Vec::new();
    for (accepts, encoding) in [
        ("identity", None),
        ("gzip", Some("gzip")),
        ("gzip, deflate, br, zstd", Some("zstd")),
    ] {
        wire.send(fetch_with(&format!("Accept-Encoding: {accepts}")));
        let response = wire.read();
        assert_eq!(response.status, 200);
        assert_eq!(
            response.headers.get("content-encoding").map(String::as_str),
            encoding
        );
        assert_eq!(response.header("vary"), "accept-encoding");
        let plain = match encoding {
            None => response.body.clone(),
            Some(program) => decoded_by(program, &response.body),
        };
        assert!(plain == crl, "{accepts}");
        let tag = response.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", blake3_of(&response.body)));
        // A part is a part of the form that was chosen.
        wire.send(fetch_with(&format!(
            "Accept-Encoding: {accepts}\r\nRange: bytes=-9\r\nIf-Range: {tag}"
        )));
        let part = wire.read();
        assert_eq!(part.status, 206);
        assert!(part.body == response.body[response.body.len() - 9..]);
        wire.send(fetch_with(&format!(
            "Accept-Encoding: {accepts}\r\nIf-None-Match: {tag}"
        )));
        let unchanged = wire.read();
        assert_eq!(
            (unchanged.status, unchanged.header("vary")),
            (304, "accept-encoding")
        );
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "two forms share a strong tag: {tags:?}");
    // Half of gzip and half of the list make nothing.
    wire.send(fetch_with(&format!(
        "Range: bytes=9-\r\nIf-Range: {}",
        tags[1]
    )));
    assert_eq!(wire.read().status, 200);
    wire.send(fetch_with("Accept-Encoding: br, identity;q=0"));
    let refused = wire.read();
    assert_eq!(
        (refused.status, refused.header("cache-control")),
        (406, "no-store")
    );
    // What has no forms varies with nothing.
    wire.send(fetch("/ca/test.cer").replace("Host", "Accept-Encoding: gzip\r\nHost"));
    let certificate = wire.read();
    assert!(!certificate.headers.contains_key("vary"));
    assert!(!certificate.headers.contains_key("content-encoding"));
}

/// What `gzip -dc` or `zstd -dc` make of it.
fn decoded_by(program: &str, octets: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut child = Command::new(program)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let octets = octets.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&octets));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn large_crl_is_torn_or_copied_whole_for_each_client() {
    let crl: Vec<u8> = (0..50_000_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: crl.clone(),
        ..Generation::default()
    });
    // Those that wait for their turn rest meanwhile.
    let responder = Running::start_with(&edge, &["--idle-secs", "3600"]);
    let mut slow: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = responder.connect();
            // A pipelined request behind it must wait its turn.
            wire.send(fetch("/crl/test.crl") + &get(1007));
            wire
        })
        .collect();
    let began = anonymous_octets(responder.pid());
    std::thread::sleep(Duration::from_millis(500));
    // Some read a little, so that every stage of sending is met.
    for (place, wire) in slow.iter_mut().enumerate() {
        wire.read_some(place * 50_000);
    }
    std::thread::sleep(Duration::from_millis(200));
    let anonymous = anonymous_octets(responder.pid());
    println!(
        "20 slow clients of 50,000,000 octets: RssAnon {began} before, {anonymous} meanwhile, {} each",
        anonymous.saturating_sub(began) / 20
    );
    // One copy of the list would be five times this.
    assert!(
        anonymous < 10_000_000,
        "{anonymous} octets for 20 clients that hardly read"
    );
    for mut wire in slow {
        assert!(wire.read().body == crl);
        assert_eq!(wire.read().says(), Says::Revoked);
    }
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
    // The answer has begun: it is that of the old list.
    wire.read_some(1);
    for _ in 0..3 {
        let number = edge.publish(&Generation::default());
        crate::reload::wait_until_served(&responder, number);
    }
    assert!(wire.read().body == old);
    assert_eq!(responder.ask(fetch("/crl/test.crl")).body, b"a CRL");
}
