//! The hot path allocates nothing, whatever it is asked, nor does the express lane around it, and a resting connection takes
//! little: a program of its own, because it counts every allocation (`counting`).

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::Snapshot;
use hufu_responder::answer::{Answer, MAX_ANSWER_OCTETS, Refusal, answer};
use wire::algorithm::SignatureAlgorithm::{EcdsaP256Sha256, Ed25519, Sm2Sm3};
use wire::cert_id::CertIdHash;
use wire::request::{build_request, build_request_for};

use counting::{alone, everywhere, here};
use served::{Served, exchange, get, length_of_answer, post};

mod counting;
#[path = "../it/edge.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod edge;
#[path = "../it/ports.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod ports;
mod resting;
mod served;

#[test]
fn hot_path_allocates() {
    let _alone = alone();
    let edge = filled();
    let pins = read_pins(&edge.pin()).unwrap();
    let snapshot = Snapshot::open(&edge.root(), &pins, None).unwrap();
    let now = edge::now();
    let mut out = vec![0; MAX_ANSWER_OCTETS];
    let sha1 = edge::prefix(CertIdHash::Sha1);
    let serial = edge::serial(1000);
    let about =
        |hash, nonce: Option<&[u8]>| build_request(&edge::prefix(hash), serial.content(), nonce);
    let refused = |refusal| Some(Answer::Refused(refusal));

    for (request, now, expected) in [
        (edge::request(1000), now, None),
        (edge::request(1007), now, None),
        // From the delta.
        (edge::request(1010), now, None),
        (edge::request(5000), now, None),
        (about(CertIdHash::Sha256, Some(&[1; 32])), now, None),
        (edge::request_preferring(1000, &[Ed25519]), now, None),
        (edge::request_preferring(1010, &[Sm2Sm3; 30]), now, None),
        (edge::request(5), now, refused(Refusal::UnknownSerial)),
        (
            about(CertIdHash::Sm3, None),
            now,
            refused(Refusal::UnknownIssuer),
        ),
        (
            edge::request(1000),
            now + 90_000,
            refused(Refusal::PastNextUpdate),
        ),
        (
            edge::request(1000),
            now - 3600,
            refused(Refusal::NotYetValid),
        ),
        (vec![0; 500], now, refused(Refusal::Malformed)),
        (vec![], now, refused(Refusal::Malformed)),
        (
            build_request_for([(&sha1[..], serial.content()); 2], None),
            now,
            refused(Refusal::SeveralCertIds),
        ),
    ] {
        let before = here();
        let outcome = black_box(answer(black_box(&request), &snapshot, now, &mut out));
        let allocations = here() - before;
        assert_eq!(allocations, 0, "{outcome:?}");
        match expected {
            Some(expected) => assert_eq!(outcome, expected),
            None => assert!(matches!(outcome, Answer::Signed(_)), "{outcome:?}"),
        }
    }
}

#[test]
fn counter_counts_nothing() {
    let _alone = alone();
    let before = here();
    drop(black_box(vec![1u8]));
    assert_eq!(here() - before, 1);
}

/// Serials 1000 to 1999 in a base, 1010 and 5000 in a delta, each signed with two algorithms.
fn filled() -> edge::Edge {
    let mut edge = edge::Edge::new();
    let revoked = edge::status_of(7);
    edge.publish(&edge::Generation {
        changed: vec![(1010, revoked), (5000, revoked)],
        algorithms: [(); 2].map(|()| vec![EcdsaP256Sha256, Ed25519]),
        ..edge::Generation::default()
    });
    edge
}

/// Allocations of all threads while `work` is done: the fewest of some rounds, because others have threads too.
fn allocations(mut work: impl FnMut()) -> u64 {
    // Warm: buffers, tables of the runtime, the dates of a window.
    work();
    let rounds = (0..ROUNDS).map(|_| {
        let before = everywhere();
        work();
        everywhere() - before
    });
    rounds.min().unwrap_or_default()
}

/// Requests of a round: so few that even on a busy machine most rounds fall between two ticks of the others' clocks.
const ROUND: usize = 50;
const ROUNDS: usize = 32;

/// What is longer than this is several requests, and does not end with the first.
const MAX_SINGLE: usize = 1_000;

#[test]
fn lane_allocates() {
    let _alone = alone();
    let edge = filled();
    let address = Served::start(&edge, 100).ocsp;
    let tag = tag_of(address, &get(1000, ""));
    let asked_again = format!("If-None-Match: {tag}\r\n");
    for (name, request) in [
        ("hit", get(1000, "")),
        ("revoked", get(1007, "")),
        ("miss", get(5, "")),
        ("delta hit", get(1010, "")),
        ("304", get(1000, &asked_again)),
        ("HEAD", get(1000, "").replace("GET", "HEAD")),
        ("sixteen at once", get(1000, "").repeat(16)),
    ]
    .map(|(name, request)| (name, request.into_bytes()))
    .into_iter()
    .chain([
        ("POST", post(1000, "")),
        ("POST, miss", post(5, "")),
        (
            "a wish",
            served::get_of(&edge::request_preferring(1000, &[Ed25519]), "").into_bytes(),
        ),
    ]) {
        let mut space = vec![0; length_of_answer(address, &request)];
        let mut stream = TcpStream::connect(address).expect("it listens");
        let count = allocations(|| exchange(&mut stream, &request, &mut space, ROUND));
        assert_eq!(count, 0, "{name}, {ROUND} times on a kept connection");
        if request.len() > MAX_SINGLE {
            continue;
        }
        let count = allocations(|| {
            for _ in 0..ROUND {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.write_all(&closing(&request)).expect("it reads");
                while stream.read(&mut space).expect("it answers") > 0 {}
            }
        });
        // The client makes one for each request that it closes after.
        assert_eq!(count, ROUND as u64, "{name}, {ROUND} connections");
    }
    for (name, request) in [
        ("GET", get(1000, "Range: none\r\n").into_bytes()),
        ("POST", post(1000, "Range: none\r\n")),
    ] {
        let mut space = vec![0; length_of_answer(address, &request)];
        let mut stream = TcpStream::connect(address).expect("it listens");
        let count = allocations(|| exchange(&mut stream, &request, &mut space, ROUND));
        println!(
            "{name} on hyper's way: {:.2} allocations a request",
            count as f64 / ROUND as f64
        );
    }
}

/// The same, and the connection ends after the answer, or after the first of several.
fn closing(request: &[u8]) -> Vec<u8> {
    let mut closing = request.to_vec();
    let version = closing.windows(8).position(|eight| eight == b"HTTP/1.1");
    closing[version.expect("a version") + 7] = b'0';
    closing
}

fn tag_of(address: SocketAddr, request: &str) -> String {
    let octets = served::whole(address, request.as_bytes());
    let text = String::from_utf8_lossy(&octets);
    let (_, rest) = text.split_once("etag: ").expect("a tag");
    rest.split("\r\n").next().expect("a line").to_owned()
}
