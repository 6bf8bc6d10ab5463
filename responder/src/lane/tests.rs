//! The lane's reader against malformed and doubtful heads, and its answers split in every way.

use std::path::Path;

use super::fuzz::fuzz_head;
use super::parse::{After, Question, Stop, Version, parse};
use super::{Served, Then, serve};
use crate::worker::Worker;

const GET: &[u8] = b"GET /MFEwTzBNMEswSTAJBgUrDgMCGgUABBR%2BAA%3D%3D HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] =
    b"POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: 5\r\n\r\n12345";

fn served(worker: &Worker, octets: &[u8]) -> (Served, Vec<u8>) {
    let mut into = Vec::new();
    let served = serve(worker, octets, &mut into);
    (served, into)
}

/// `GET` with these lines for its field lines.
fn with_fields(fields: &str) -> Vec<u8> {
    format!("GET /MFEw HTTP/1.1\r\n{fields}\r\n").into_bytes()
}

/// `POST` of five octets with these lines for its field lines.
fn post_with(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nContent-Type: application/ocsp-request\r\n{fields}\r\n12345")
        .into_bytes()
}

// RFC 9110 §5.1: fields that a recipient does not know are ignored.
#[test]
fn simple_request_is_left_to_hyper() {
    let worker = Worker::empty();
    for request in [
        GET,
        POST,
        b"GET / HTTP/1.0\r\n\r\n",
        b"HEAD //MFEw HTTP/1.1\r\nhOST:x\r\n\r\n",
        b"POST /ocsp/a-b_c.d~e HTTP/1.1\r\ncontent-length:0\r\nContent-Type: Application/OCSP-Request \r\n\r\n",
        &with_fields(""),
        &with_fields("Host: x\r\nAccept: */*\r\nUser-Agent:\tcurl/7.88.1 (\u{e9})\r\nX-Forwarded-For: \r\n"),
        &with_fields("Connection: Keep-Alive\r\nCache-Control: no-cache\r\nAccept-Encoding: gzip, br\r\n"),
        &with_fields("If-None-Match: \"a\", W/\"b\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
    ] {
        let (served, answer) = served(&worker, request);
        let text = String::from_utf8_lossy(request);
        assert_eq!(served.used, request.len(), "{text}");
        assert!(matches!(served.then, Then::Read | Then::Close), "{text}");
        assert!(answer.starts_with(b"HTTP/1."), "{text}");
        fuzz_head(request);
    }
}

// RFC 9112 §2.2: a bare CR is no line's end; a bare LF may be one, and is hyper's.
// RFC 9112 §5.1: no space stands between a field's name and its colon.
// RFC 9112 §5.2: a folded line, which has no name, is not accepted.
// RFC 9112 §6.3: lengths that contradict one another, or a length beside Transfer-Encoding, are never read leniently.
// RFC 9110 §5.6.2: what names are made of.
#[test]
fn doubtful_request_is_answered_without_hyper() {
    let worker = Worker::empty();
    for request in [
        &b"\r\nGET / HTTP/1.1\r\n\r\n"[..],
        b"PUT / HTTP/1.1\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET http://x/MFEw HTTP/1.1\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET /  HTTP/1.1\r\n\r\n",
        b"GET /MFEw MFEw HTTP/1.1\r\n\r\n",
        b"GET /MFEw\t HTTP/1.1\r\n\r\n",
        b"GET /MFEw?x HTTP/1.1\r\n\r\n",
        b"GET /MFEw#x HTTP/1.1\r\n\r\n",
        b"GET /M HTTP/1.1\r\n\r\n",
        b"GET /MFEw\xff HTTP/1.1\r\n\r\n",
        b"GET /crl/test.crl HTTP/1.1\r\n\r\n",
        b"GET /ca/test.cer HTTP/1.1\r\n\r\n",
        b"HEAD /crl/x HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET / HTTP/1.1\rHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        &with_fields("Host: a\r\nHost: b\r\n"),
        &with_fields("Host : x\r\n"),
        &with_fields(" Host: x\r\n"),
        &with_fields("Host: x\r\n folded\r\n"),
        &with_fields("no colon\r\n"),
        &with_fields(": x\r\n"),
        &with_fields("A: \0\r\n"),
        &with_fields("A: \u{7f}\r\n"),
        &with_fields("A: a\rb\r\n"),
        &with_fields("A(b): c\r\n"),
        &with_fields("Connection: upgrade\r\n"),
        &with_fields("Connection: keep-alive, close\r\n"),
        &with_fields("Connection: close\r\nConnection: close\r\n"),
        &with_fields("Upgrade: h2c\r\n"),
        &with_fields("Expect: 100-continue\r\n"),
        &with_fields("Content-Length: 0\r\n"),
        &with_fields("Content-Length: 5\r\n"),
        &with_fields("Transfer-Encoding: chunked\r\n"),
        &with_fields("Range: bytes=0-1\r\n"),
        &with_fields("If-Match: \"a\"\r\n"),
        &with_fields("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n"),
        &with_fields(&"A: b\r\n".repeat(65)),
        &with_fields(&format!("A: {}\r\n", "b".repeat(8_000))),
        &post_with(""),
        &post_with("Content-Length: 5\r\nContent-Length: 5\r\n"),
        &post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        &post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        &post_with("Content-Length: +5\r\n"),
        &post_with("Content-Length: -5\r\n"),
        &post_with("Content-Length: 5, 5\r\n"),
        &post_with("Content-Length: 0x5\r\n"),
        &post_with("Content-Length: 5 5\r\n"),
        &post_with("Content-Length:\r\n"),
        &post_with("Content-Length: 4097\r\n"),
        &post_with("Content-Length: 00005\r\n"),
        &post_with("Content-Length: 18446744073709551621\r\n"),
        &post_with("Content-Length: 5\r\nContent-Type: text/plain\r\n"),
        &post_with("Content-Length: 5\r\nContent-Encoding: gzip\r\n"),
        &post_with("Content-Length: 5\r\nTrailer: x\r\n"),
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n12345",
        b"POST /crl/test.crl HTTP/1.1\r\nContent-Type: application/ocsp-request\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (served, answer) = served(&worker, request);
        let text = String::from_utf8_lossy(request);
        assert_eq!((served.used, served.then), (0, Then::HandOver), "{text}");
        assert!(answer.is_empty(), "{text}");
        fuzz_head(request);
    }
}

#[test]
fn request_that_comes_in_pieces_is_answered_otherwise() {
    let worker = Worker::empty();
    let both = [GET, POST].concat();
    let (whole, expected) = served(&worker, &both);
    assert_eq!((whole.used, whole.then), (both.len(), Then::Close));
    for cut in 0..both.len() {
        let (first, mut answers) = served(&worker, &both[..cut]);
        assert_eq!(first.then, Then::Read, "cut at {cut}");
        let (rest, second) = served(&worker, &both[first.used..]);
        assert_eq!(
            (first.used + rest.used, rest.then),
            (both.len(), Then::Close)
        );
        answers.extend_from_slice(&second);
        assert_eq!(answers, expected, "cut at {cut}");
    }
}

#[test]
fn what_follows_the_last_request_is_answered_or_lost() {
    let worker = Worker::empty();
    let (closed, _) = served(&worker, &[POST, GET].concat());
    assert_eq!((closed.used, closed.then), (POST.len(), Then::Close));
    let odd = b"PUT / HTTP/1.1\r\n\r\n";
    let (handed, answers) = served(&worker, &[GET, GET, odd, GET].concat());
    assert_eq!((handed.used, handed.then), (2 * GET.len(), Then::HandOver));
    assert_eq!(answers, served(&worker, &[GET, GET].concat()).1);
}

#[test]
fn answers_that_wait_to_be_sent_grow_without_bound() {
    let worker = Worker::empty();
    let flood = GET.repeat(1_000);
    let mut answers = Vec::with_capacity(super::MAX_GATHERED_OCTETS);
    let room = answers.capacity();
    let served = serve(&worker, &flood, &mut answers);
    assert_eq!(served.then, Then::Send);
    assert!(served.used > 16 * GET.len());
    assert_eq!(answers.capacity(), room, "it has not grown");
}

#[test]
fn worker_that_drains_answers_as_if_it_went_on() {
    let worker = Worker::empty();
    worker.connections.begin_drain();
    let (served, answers) = served(&worker, GET);
    assert_eq!((served.used, served.then), (0, Then::HandOver));
    assert!(answers.is_empty());
}

// RFC 9112 §9.3: HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 the other way round; what is not the version's habit is said.
#[test]
fn connection_is_kept_or_closed_against_the_clients_word() {
    for (line, fields, version, after) in [
        ("HTTP/1.0", "", Version::Http10, After::Close),
        (
            "HTTP/1.0",
            "connection: KEEP-ALIVE\r\n",
            Version::Http10,
            After::Keep,
        ),
        ("HTTP/1.1", "", Version::Http11, After::Keep),
        (
            "HTTP/1.1",
            "Connection:  close \r\n",
            Version::Http11,
            After::Close,
        ),
    ] {
        let octets = format!("GET / {line}\r\n{fields}\r\n").into_bytes();
        let request = parse(&octets).unwrap();
        assert_eq!(
            (request.version, request.after),
            (version, after),
            "{line} {fields}"
        );
    }
}

#[test]
fn body_is_read_past_its_length() {
    let octets = [POST, b"67890"].concat();
    let request = parse(&octets).unwrap();
    assert_eq!(request.question, Question::Post(b"12345"));
    assert_eq!(request.octets, POST.len());
    assert_eq!(parse(&POST[..POST.len() - 1]), Err(Stop::Partial));
}

/// Files are what real clients sent (`corpus/head/README.md`), and attacks.
#[test]
fn the_corpus_panics_nowhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/head");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        fuzz_head(&octets);
        for cut in 0..octets.len() {
            fuzz_head(&octets[..cut]);
        }
        // Every single change of an octet that parsers have tripped over.
        for at in 0..octets.len() {
            for other in [
                0, b'\t', b'\n', b'\r', b' ', b'%', b',', b':', b'9', 0x7f, 0xff,
            ] {
                let mut changed = octets.clone();
                changed[at] = other;
                fuzz_head(&changed);
            }
        }
        files += 1;
    }
    assert!(files >= 8, "{} holds {files} files", folder.display());
}
