//! The express lane answers as hyper does, octet for octet, and in as few system calls as can be.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::edge::{Edge, request};
use crate::forms::{get, post};
use crate::process::{PATIENCE, Running, wait_for};

/// All that is said to `pieces`, sent one after the other, until the connection is closed. The date is that of no day.
fn said(responder: &Running, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(responder.ocsp).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            // So that it comes in a read of its own, mostly.
            std::thread::sleep(Duration::from_micros(500));
        }
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    // Bodies are no text: keep every octet apart.
    let text: String = octets.into_iter().map(char::from).collect();
    let mut parts = text.split("\r\ndate: ");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        said.push_str("\r\ndate: never");
        said.push_str(&part["Sun, 06 Nov 1994 08:49:37 GMT".len()..]);
    }
    said
}

/// The same request with a field that means nothing here, but is not the lane's.
fn for_hyper(request: &[u8]) -> Vec<u8> {
    let line = request
        .windows(2)
        .position(|two| two == b"\r\n")
        .unwrap_or_default()
        + 2;
    [&request[..line], b"Range: none\r\n", &request[line..]].concat()
}

/// Requests of every simple kind; the first ones leave the connection open.
fn simple_requests(responder: &Running) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let answer = responder.ask(get(1000));
    let (tag, date) = (answer.header("etag"), answer.header("last-modified"));
    let with = |field: &str| {
        get(1000)
            .replace("Host: x\r\n", &format!("Host: x\r\n{field}\r\n"))
            .into_bytes()
    };
    let mut kept = vec![
        get(1000).into_bytes(),
        get(1007).into_bytes(),
        get(5).into_bytes(),
        get(1000).replace("Host: x\r\n", "").into_bytes(),
        get(1001).replace("GET", "HEAD").into_bytes(),
        get(5).replace("GET", "HEAD").into_bytes(),
        get(1001).replace("GET /", "GET ///").into_bytes(),
        b"GET /MFEw HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        post(&request(1002)),
        post(&request(1007)),
        post(&request(5)),
        post(b""),
        post(&[0x30; 4096]),
        get(1000)
            .replace("HTTP/1.1", "HTTP/1.0")
            .replace("Host: x", "Connection: Keep-Alive")
            .into_bytes(),
    ];
    for field in [
        &format!("If-None-Match: {tag}")[..],
        &format!("if-none-match:W/{tag} , \"x\""),
        "If-None-Match: \"x\"",
        "If-None-Match: *",
        "If-None-Match:",
        &format!("If-Modified-Since: {date}"),
        "If-Modified-Since: yesterday",
        &format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}"),
        "Connection: keep-alive",
        "Accept: */*\r\nUser-Agent: a\r\nX: \u{e9}\tb",
    ] {
        kept.push(with(field));
        kept.push(
            String::from_utf8(with(field))
                .unwrap()
                .replace("GET", "HEAD")
                .into_bytes(),
        );
    }
    let closed = vec![
        with("Connection: close"),
        with(&format!("Connection: CLOSE\r\nIf-None-Match: {tag}")),
        get(1007).replace("HTTP/1.1", "HTTP/1.0").into_bytes(),
        get(1000)
            .replace("HTTP/1.1\r\nHost: x", "HTTP/1.0")
            .into_bytes(),
        older(with(&format!("If-None-Match: {tag}"))),
        older(post(&request(1000))),
    ];
    (kept, closed)
}

/// The same in HTTP/1.0.
fn older(mut request: Vec<u8>) -> Vec<u8> {
    let at = request.windows(8).position(|eight| eight == b"HTTP/1.1");
    request[at.unwrap() + 7] = b'0';
    request
}

#[test]
fn lane_and_hyper_answer_differently() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let (kept, closed) = simple_requests(&responder);
    for request in kept.iter().chain(&closed) {
        let lane = said(&responder, &[request]);
        let hyper = said(&responder, &[&for_hyper(request)]);
        assert!(lane.starts_with("HTTP/1."), "{lane}");
        assert_eq!(lane, hyper, "{}", String::from_utf8_lossy(request));
    }
    // All of them in one write, answered by the lane, by hyper, and by the one after the other.
    let last = &closed[0];
    let pipelined = [kept.concat(), last.clone()].concat();
    let lane = said(&responder, &[&pipelined]);
    assert_eq!(lane.matches("\r\ndate: never").count(), kept.len() + 1);
    assert_eq!(lane, said(&responder, &[&for_hyper(&pipelined)]));
    let middle = kept.len() / 2;
    let mixed = [
        kept[..middle].concat(),
        for_hyper(&kept[middle..].concat()),
        last.clone(),
    ]
    .concat();
    assert_eq!(lane, said(&responder, &[&mixed]));
}

#[test]
fn document_between_two_questions_is_lost() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let document = b"GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked =
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n0\r\n\r\n";
    let around = [
        get(1000).as_bytes(),
        document,
        get(1007).as_bytes(),
        chunked,
        &post(&request(1001)),
    ]
    .concat();
    let lane = said(&responder, &[&around]);
    assert_eq!(lane.matches("HTTP/1.1 200 OK").count(), 5);
    assert_eq!(lane, said(&responder, &[&for_hyper(&around)]));
}

#[test]
fn request_cut_at_some_octet_is_answered_otherwise() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let both = [get(1000).into_bytes(), post(&request(1007))].concat();
    let whole = said(&responder, &[&both]);
    assert_eq!(whole.matches("HTTP/1.1 200 OK").count(), 2);
    for cut in 1..both.len() {
        let (first, second) = both.split_at(cut);
        assert_eq!(said(&responder, &[first, second]), whole, "cut at {cut}");
    }
    let octets: Vec<&[u8]> = both.chunks(1).collect();
    assert_eq!(said(&responder, &octets), whole, "octet by octet");
}

#[test]
fn client_that_does_not_read_is_answered_for_ever() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--idle-secs", "1", "--workers", "1"]);
    let mut stream = TcpStream::connect(responder.ocsp).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let flood = get(1000).repeat(1000);
    // Unread answers fill the buffers between us; then requests do; then the responder closes.
    while stream.write_all(flood.as_bytes()).is_ok() {}
    assert_eq!(
        responder.metric("hufu_connection_timeouts_total{in=\"idle\"}"),
        1.0
    );
    let resident = fs::read_to_string(format!("/proc/{}/status", responder.pid())).unwrap();
    let resident = resident.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes: u64 = resident
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    assert!(kibibytes < 100_000, "{kibibytes} KiB");
}

/// The system calls of the serving thread, while `strace` watched it.
struct Trace {
    strace: Child,
    folder: tempfile::TempDir,
}

impl Trace {
    fn begin(responder: &Running) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let strace = Command::new("strace")
            .args(["-ff", "-qq", "-s", "0", "-e", CALLS, "-o"])
            .arg(folder.path().join("calls"))
            .args(["-p", &responder.pid().to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("strace to watch every thread", || {
            let threads = fs::read_dir(format!("/proc/{}/task", responder.pid())).unwrap();
            let mut threads = threads.map(|thread| {
                let status = thread.unwrap().path().join("status");
                fs::read_to_string(status).unwrap_or_default()
            });
            threads
                .all(|status| status.contains("TracerPid:") && !status.contains("TracerPid:\t0\n"))
                .then_some(())
        });
        Self { strace, folder }
    }

    /// All calls, once there are as many as `expected`: what a client sees of one comes before strace has written it.
    fn end(mut self, expected: usize) -> Vec<String> {
        wait_for("as many calls", || {
            (self.calls().len() >= expected).then_some(())
        });
        let pid = Pid::from_raw(self.strace.id() as i32).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.strace.wait().unwrap();
        self.calls()
    }

    /// Names of the calls that did something, in order, of the thread that accepts.
    fn calls(&self) -> Vec<String> {
        // A file a thread: in one for all, a call that another thread's interrupts is written as two lines.
        let mut threads = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|thread| fs::read_to_string(thread.unwrap().path()).unwrap());
        let worker = threads.find(|calls| calls.contains("accept4"));
        worker
            .unwrap_or_default()
            .lines()
            .filter(|call| finished(call))
            .filter_map(|call| call.split_once('('))
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

/// The calls of `client`'s conversation with a responder of one worker, if it is `expected` of them; else those of the
/// last of some tries. (A client that is held up between connecting and asking for longer than `TCP_DEFER_ACCEPT` is
/// accepted before it has asked, which takes one call more.)
fn traced<T>(expected: &[&str], client: impl Fn(&Running) -> T) -> Vec<String> {
    let edge = Edge::filled();
    let mut calls = Vec::new();
    for _ in 0..TRIES {
        let responder = Running::start_with(&edge, &["--workers", "1"]);
        let trace = Trace::begin(&responder);
        let _kept_open = client(&responder);
        calls = trace.end(expected.len());
        if calls == expected {
            break;
        }
    }
    calls
}

const TRIES: u32 = 5;

/// Whether strace wrote the result of `call`, and it is not an error: a call in which strace leaves ends `<detached ...>`.
fn finished(call: &str) -> bool {
    let (_, result) = call.rsplit_once(" = ").unwrap_or_default();
    result.starts_with(|first: char| first.is_ascii_digit())
}

/// Not `fcntl`, which checks of debug builds call before a descriptor is closed or registered.
const CALLS: &str = "trace=accept,accept4,recvfrom,recvmsg,read,readv,sendto,sendmsg,write,writev,\
    shutdown,close,epoll_ctl,setsockopt,getsockopt,ioctl,getpeername,getsockname";

#[test]
fn connection_a_request_costs_more_than_four_calls() {
    let get = get(1000).replace("HTTP/1.1", "HTTP/1.0");
    let post = older(post(&request(1007)));
    let expected = ["accept4", "recvfrom", "sendto", "close"].repeat(2);
    let calls = traced(&expected, |responder| {
        for request in [get.as_bytes(), &post] {
            assert!(said(responder, &[request]).starts_with("HTTP/1.0 200 OK"));
        }
    });
    assert_eq!(calls, expected);
}

#[test]
fn kept_connection_costs_more_than_two_calls_a_request() {
    let first = ["accept4", "recvfrom", "sendto", "epoll_ctl"];
    let expected = [&first[..], &["recvfrom", "sendto"].repeat(4)].concat();
    let calls = traced(&expected, |responder| {
        let mut wire = responder.connect();
        for _ in 0..5 {
            wire.send(get(1000));
            wire.read();
        }
        wire
    });
    assert_eq!(calls, expected);
}

#[test]
fn sixteen_requests_at_once_cost_more_calls_than_one() {
    let first = ["accept4", "recvfrom", "sendto", "epoll_ctl"];
    let expected = [&first[..], &["recvfrom", "sendto"]].concat();
    let calls = traced(&expected, |responder| {
        let mut wire = responder.connect();
        for _ in 0..2 {
            wire.send(get(1000).repeat(16));
            for _ in 0..16 {
                wire.read();
            }
        }
        wire
    });
    assert_eq!(calls, expected);
}
