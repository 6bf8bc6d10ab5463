//! The hot path allocates nothing, whatever it is asked: a program of its own, because it counts every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::Snapshot;
use hufu_responder::answer::{Answer, MAX_ANSWER_OCTETS, Refusal, answer};
use wire::cert_id::CertIdHash;
use wire::request::{build_request, build_request_for};

#[path = "it/edge.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod edge;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, octets: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(octets, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn hot_path_allocates() {
    let edge = edge::Edge::filled();
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
        (about(CertIdHash::Sha256, Some(&[1; 32])), now, None),
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
        let before = ALLOCATIONS.get();
        let outcome = black_box(answer(black_box(&request), &snapshot, now, &mut out));
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(allocations, 0, "{outcome:?}");
        match expected {
            Some(expected) => assert_eq!(outcome, expected),
            None => assert!(matches!(outcome, Answer::Signed(_)), "{outcome:?}"),
        }
    }
}

#[test]
fn counter_counts_nothing() {
    let before = ALLOCATIONS.get();
    drop(black_box(vec![1u8]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
