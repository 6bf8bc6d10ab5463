//! Thousands of connections that rest: what each of them costs, printed.
//!
//! For the figure of a large site: `HUFU_CROWD=50000 cargo test -p hufu-responder --test it -- crowd --nocapture`, where
//! `ulimit -n` lets both ends have as many.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::edge::{Edge, Generation, request};
use crate::forms::post;
use crate::http2::Frames;
use crate::process::{Running, Says, wait_for};

/// So many, unless `HUFU_CROWD` says otherwise; fewer if this process may not open as many.
const CROWD: usize = 5_000;

/// Descriptors that this process and the responder need beside.
const OTHERS: usize = 1_500;

/// Anonymous octets of the responder for each connection that rests, at most: hyper's buffer and what goes with it.
const MOST_OCTETS: u64 = 16 * 1024;

/// Connections from one address: fewer than the kernel has ports for it.
const FROM_ONE: usize = 20_000;

#[test]
fn memory_grows_without_bound_with_resting_connections() {
    let wanted = std::env::var("HUFU_CROWD").map_or(CROWD, |number| number.parse().unwrap());
    let files = descriptors();
    let crowd = wanted.min(files.saturating_sub(OTHERS));
    if crowd < wanted {
        println!("{crowd} instead of {wanted}: a process may open {files} files here (ulimit -n)");
    }
    let edge = Edge::filled();
    let flags = [
        "--workers",
        "1",
        "--max-connections",
        "60000",
        "--idle-secs",
        "3600",
    ];
    let responder = Running::start_with(&edge, &flags);
    assert_eq!(responder.ask(post(&request(1000))).says(), Says::Good);
    let empty = anonymous_octets(responder.pid());
    let each = |connections: usize| {
        anonymous_octets(responder.pid()).saturating_sub(empty) / connections as u64
    };

    let mut resting: Vec<TcpStream> = (0..crowd)
        .map(|place| connect(responder.ocsp, place))
        .collect();
    wait_until_open(&responder, crowd);
    let fresh = each(crowd);

    for stream in &mut resting {
        answered(stream, &post(&request(1000)));
    }
    let asked = each(crowd);

    // What is not simple goes to hyper, which keeps its buffer from then on.
    let some = crowd / 10;
    let part = b"GET /crl/test.crl HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n";
    let before = anonymous_octets(responder.pid());
    for stream in &mut resting[..some] {
        answered(stream, part);
    }
    let handed_over = anonymous_octets(responder.pid()).saturating_sub(before) / some as u64;

    println!(
        "{crowd} resting connections: {fresh} octets each before a request, {asked} after one, {handed_over} more \
         for each that hyper has taken"
    );
    assert!(fresh.max(asked) < MOST_OCTETS, "{fresh} {asked}");
    assert!(handed_over < 2 * MOST_OCTETS, "{handed_over}");
    // Nobody is turned away for them.
    assert_eq!(responder.ask(post(&request(1007))).says(), Says::Revoked);
    drop(resting);
    wait_until_open(&responder, 0);
}

fn wait_until_open(responder: &Running, connections: usize) {
    wait_for("the connections to be counted", || {
        let open = responder.metric("hufu_connections_open");
        (open as usize == connections).then_some(())
    });
}

#[test]
fn connections_of_http_2_that_read_nothing_hold_gigabytes_together() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: vec![b'l'; 4_000_000],
        ..Generation::default()
    });
    let flags = ["--workers", "1", "--max-connections", "800"];
    let responder = Running::start_with(&edge, &[&flags[..], &["--idle-secs", "3600"]].concat());
    assert_eq!(responder.ask(post(&request(1000))).says(), Says::Good);
    let empty = anonymous_octets(responder.pid());

    let mut streams = 0_u32;
    let kept: Vec<Frames> = (0..IN_STREAMS)
        .map(|_| {
            let stream = reading_little(responder.ocsp);
            // SETTINGS_INITIAL_WINDOW_SIZE: each answer may come whole, and none is read.
            let mut frames = Frames::open_on(stream, &[0, 4, 0x3F, 0xFF, 0xFF, 0xFF]);
            frames.take_everything();
            for place in 0..frames.streams_allowed() {
                frames.ask_for(1 + 2 * place, "/crl/test.crl");
                streams += 1;
            }
            frames
        })
        .collect();

    assert!(streams <= 800, "{streams} streams");
    wait_for("all of them to be served", || {
        let served = responder.metric("hufu_documents_total{result=\"served\"}");
        (served == f64::from(streams)).then_some(())
    });
    let held = anonymous_octets(responder.pid()).saturating_sub(empty);
    println!("{held} octets for {IN_STREAMS} connections and {streams} streams");
    let most = IN_STREAMS * MOST_OF_A_CONNECTION + u64::from(streams) * MOST_OF_A_STREAM;
    assert!(held < most, "{held} of {most}");
    // The others are served as ever.
    assert_eq!(responder.ask(post(&request(1007))).says(), Says::Revoked);
    drop(kept);
    wait_until_open(&responder, 0);
}

/// One in eight of the connections that are allowed.
const IN_STREAMS: u64 = 100;

/// Octets for a connection in HTTP/2 that is stuck, and for each of its streams.
const MOST_OF_A_CONNECTION: u64 = 128 * 1024;
const MOST_OF_A_STREAM: u64 = 24 * 1024;

/// A connection whose client has little room for what it does not read.
fn reading_little(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

fn connect(address: SocketAddr, place: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(place / FROM_ONE).unwrap());
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// Asks, and reads the answer to its end.
fn answered(stream: &mut TcpStream, octets: &[u8]) {
    stream.write_all(octets).unwrap();
    let mut answer = Vec::new();
    let mut space = [0; 4096];
    loop {
        let read = stream.read(&mut space).unwrap();
        assert_ne!(read, 0, "closed");
        answer.extend_from_slice(&space[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        if answer.len() == end + 4 + length {
            return;
        }
    }
}

/// How many files this process may open, once it has asked for all it can get.
fn descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let most = getrlimit(Resource::Nofile).current;
    usize::try_from(most.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// What the process holds that is no file's page.
pub(crate) fn anonymous_octets(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}
