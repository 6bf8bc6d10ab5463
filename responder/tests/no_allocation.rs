//! The hot path allocates nothing, whatever it is asked, nor does the express lane around it, and a resting connection takes
//! little: a program of its own, because it counts every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::OsString;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// Those of all threads.
static EVERYWHERE: AtomicU64 = AtomicU64::new(0);
/// Octets allocated and not freed, by all threads.
static HELD: AtomicI64 = AtomicI64::new(0);
/// One test at a time: the others' allocations would count.
static ALONE: Mutex<()> = Mutex::new(());

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        EVERYWHERE.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, octets: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(octets, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn hot_path_allocates() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
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
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let before = ALLOCATIONS.get();
    drop(black_box(vec![1u8]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

/// Serials 1000 to 1999 in a base, 1010 and 5000 in a delta.
fn filled() -> edge::Edge {
    let mut edge = edge::Edge::new();
    let revoked = edge::status_of(7);
    edge.publish(&edge::Generation {
        changed: vec![(1010, revoked), (5000, revoked)],
        ..edge::Generation::default()
    });
    edge
}

/// A responder in this very process, so that its allocations count; it ends with it.
fn serve(edge: &edge::Edge, connections: usize) -> SocketAddr {
    let [ocsp, admin] = free_addresses();
    let args: Vec<OsString> = [
        "hufu-responder",
        "--workers",
        "1",
        // No look at the folder, no timeout falls into a measurement.
        "--poll-millis",
        "60000",
        "--idle-secs",
        "600",
        "--max-connections",
        &connections.to_string(),
        "--ocsp",
        &ocsp.to_string(),
        "--admin",
        &admin.to_string(),
        "--edge",
    ]
    .map(OsString::from)
    .into_iter()
    .chain([
        edge.root().into(),
        OsString::from("--pin"),
        edge.pin().into(),
    ])
    .collect();
    std::thread::spawn(move || hufu_responder::cli::run(args));
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(ocsp).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    ocsp
}

/// From below the range that outgoing connections take their ports from.
fn free_addresses() -> [SocketAddr; 2] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    std::array::from_fn(|_| {
        loop {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) + u64::from(std::process::id()) * 7;
            let port = u16::try_from(10_000 + step % 20_000).expect("below 32768");
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    })
}

/// Sends `request` and reads `octets`, on one connection, `times` times.
fn exchange(stream: &mut TcpStream, request: &[u8], space: &mut [u8], times: usize) {
    for _ in 0..times {
        stream.write_all(request).expect("it reads");
        stream.read_exact(space).expect("it answers");
    }
}

/// Octets of the one answer to `request`.
fn length_of_answer(address: SocketAddr, request: &[u8]) -> usize {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request).expect("it reads");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("it answers");
    octets.len()
}

/// Allocations of all threads while `work` is done: the fewest of some rounds, because others have threads too.
fn allocations(mut work: impl FnMut()) -> u64 {
    // Warm: buffers, tables of the runtime, the dates of a window.
    work();
    let rounds = (0..8).map(|_| {
        let before = EVERYWHERE.load(Ordering::Relaxed);
        work();
        EVERYWHERE.load(Ordering::Relaxed) - before
    });
    rounds.min().unwrap_or_default()
}

const ROUND: usize = 200;

/// What is longer than this is several requests, and does not end with the first.
const MAX_SINGLE: usize = 1_000;

#[test]
fn lane_allocates() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let edge = filled();
    let address = serve(&edge, 100);
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
    .chain([("POST", post(1000, "")), ("POST, miss", post(5, ""))])
    {
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

#[test]
fn resting_connection_takes_a_buffer() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let edge = edge::Edge::filled();
    let address = serve(&edge, 100_000);
    // Both ends are this process.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let connections = resting().min(files.unwrap_or(u64::MAX).saturating_sub(500) as usize / 2);
    let request = get(1000, "").into_bytes();
    let mut space = vec![0; length_of_answer(address, &request)];
    let mut open = Vec::with_capacity(connections);
    let mut held = Vec::with_capacity(3);
    for _ in 0..3 {
        for _ in 0..connections / 3 {
            let mut stream = TcpStream::connect(address).expect("it listens");
            exchange(&mut stream, &request, &mut space, 2);
            open.push(stream);
        }
        held.push(HELD.load(Ordering::Relaxed));
    }
    // The first third also grew the tables, which double.
    let octets = (held[2] - held[0]) as f64 / (connections / 3 * 2) as f64;
    println!("{octets:.0} octets of memory for each of {connections} resting connections");
    assert!(octets < 1_500.0, "{octets}");
}

/// How many to open: `HUFU_RESTING=50000`, if the limit of open files allows twice that.
fn resting() -> usize {
    let wanted = std::env::var("HUFU_RESTING").ok();
    wanted
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or(3_000)
}

fn get(number: u64, fields: &str) -> String {
    use base64::Engine as _;
    let path = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(edge::request(number));
    format!("GET /{path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

fn post(number: u64, fields: &str) -> Vec<u8> {
    let body = edge::request(number);
    let head = format!(
        "POST / HTTP/1.1\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// The same, and the connection ends after the answer, or after the first of several.
fn closing(request: &[u8]) -> Vec<u8> {
    let mut closing = request.to_vec();
    let version = closing.windows(8).position(|eight| eight == b"HTTP/1.1");
    closing[version.expect("a version") + 7] = b'0';
    closing
}

fn tag_of(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("it answers");
    let text = String::from_utf8_lossy(&octets);
    let (_, rest) = text.split_once("etag: ").expect("a tag");
    rest.split("\r\n").next().expect("a line").to_owned()
}
