//! HTTP/2 with prior knowledge: what a good client gets is curl's to judge (`tests/it/http2.rs`); here are the bad ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::edge::{Edge, request};
use crate::forms::get;
use crate::process::{PATIENCE, Running, Says, wait_for};

/// A connection on which frames are written by hand.
pub(crate) struct Frames {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// Type, flags, stream and payload of a frame.
#[derive(Debug)]
pub(crate) struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frames {
    /// Connected, preface and empty SETTINGS sent.
    fn open(responder: &Running) -> Self {
        Self::open_on(TcpStream::connect(responder.ocsp).unwrap(), &[])
    }

    /// The same on a connection that is there, with such settings.
    pub(crate) fn open_on(stream: TcpStream, settings: &[u8]) -> Self {
        let mut frames = Self::on(stream);
        // In one write: after the first octets the connection may have been refused already.
        let length = u8::try_from(settings.len()).unwrap();
        let head = [0, 0, length, SETTINGS, 0, 0, 0, 0, 0];
        let octets = [PREFACE, &head, settings].concat();
        frames.stream.write_all(&octets).unwrap();
        frames
    }

    fn bare(responder: &Running) -> Self {
        Self::on(TcpStream::connect(responder.ocsp).unwrap())
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.try_send(kind, flags, stream, payload).unwrap();
    }

    fn try_send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    /// How many streams the responder allows at once.
    pub(crate) fn streams_allowed(&mut self) -> u32 {
        let settings = self.until(SETTINGS).unwrap();
        let told = settings.payload.chunks(6).find(|one| one[..2] == [0, 3]);
        u32::from_be_bytes(told.unwrap()[2..].try_into().unwrap())
    }

    /// From here on the connection as a whole may be sent whatever there is.
    pub(crate) fn take_everything(&mut self) {
        self.send(WINDOW_UPDATE, 0, 0, &0x3FFF_FFFF_u32.to_be_bytes());
    }

    /// Asks for a document in a stream of its own.
    pub(crate) fn ask_for(&mut self, stream: u32, path: &str) {
        self.ask(stream, "GET", path, END_STREAM);
    }

    /// A request of these fields, whole or with a body to come.
    fn ask(&mut self, stream: u32, method: &str, path: &str, flags: u8) {
        let fields = fields(&[
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "x"),
        ]);
        self.send(HEADERS, flags | END_HEADERS, stream, &fields);
    }

    /// The next frame; none if the connection has been closed.
    fn next(&mut self) -> Option<Frame> {
        loop {
            if let [a, b, c, kind, flags, s, t, u, v, rest @ ..] = &self.unread[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if let Some(payload) = rest.get(..length) {
                    let frame = Frame {
                        kind: *kind,
                        flags: *flags,
                        stream: u32::from_be_bytes([*s, *t, *u, *v]),
                        payload: payload.to_vec(),
                    };
                    self.unread.drain(..9 + length);
                    return Some(frame);
                }
            }
            let mut space = [0; 65_536];
            match self.stream.read(&mut space) {
                Ok(0) => return None,
                Ok(octets) => self.unread.extend_from_slice(&space[..octets]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next frame of that kind; none if the connection closes first.
    fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The body of the next whole answer.
    fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.until(DATA).expect("an answer");
            body.extend(frame.payload);
            if frame.flags & END_STREAM != 0 {
                return body;
            }
        }
    }
}

/// Fields without compression: literal, never indexed, names and values as they are.
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0x10);
        for text in [name, value] {
            // An integer with a prefix of seven bits.
            let mut rest = text.len();
            if rest < 127 {
                block.push(rest as u8);
            } else {
                block.push(127);
                rest -= 127;
                while rest >= 128 {
                    block.push((rest % 128) as u8 | 128);
                    rest /= 128;
                }
                block.push(rest as u8);
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Whether header fields hold this status, plain or in Huffman's code.
fn has_status(frame: &Frame, plain: &[u8; 3], coded: &[u8; 3]) -> bool {
    let mut threes = frame.payload.windows(3);
    threes.any(|three| three == plain || three == coded)
}

fn target(number: u64) -> String {
    let line = get(number);
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn preface_that_comes_octet_by_octet_is_not_understood() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut frames = Frames::bare(&responder);
    for octet in PREFACE {
        frames.stream.write_all(&[*octet]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    frames.send(SETTINGS, 0, 0, &[]);
    frames.ask(1, "GET", &target(1007), END_STREAM);
    assert_eq!(frames.until(HEADERS).unwrap().stream, 1);
    assert!(frames.body().len() > 100);
    assert_eq!(responder.metric("hufu_http2_connections_total"), 1.0);
}

#[test]
fn request_that_only_begins_like_http_2_is_not_refused_in_http_1() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let response = responder.ask("PRI /x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(response.status, 405);
}

#[test]
fn streams_without_number_are_opened() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut frames = Frames::open(&responder);
    // SETTINGS_MAX_CONCURRENT_STREAMS is told, and what is beyond it is refused.
    assert_eq!(frames.streams_allowed(), 100);
    for place in 0..101 {
        frames.ask(1 + 2 * place, "POST", "/", 0);
    }
    let refused = frames
        .until(RST_STREAM)
        .expect("the stream too many is reset");
    assert_eq!(refused.stream, 201);
    // The others are served on.
    frames.send(DATA, END_STREAM, 1, &request(1000));
    assert_eq!(frames.until(HEADERS).unwrap().stream, 1);
}

#[test]
fn header_fields_without_end_are_gathered() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut frames = Frames::open(&responder);
    let long = "c".repeat(12_000);
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "x"),
        ("cookie", &long),
    ]);
    frames.send(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    let refused = frames.next_of(&[HEADERS, RST_STREAM, GOAWAY]);
    // 431, as indexed or literal field; or the stream or the connection is ended.
    if refused.kind == HEADERS {
        assert!(has_status(&refused, b"431", b"\x69\x90\xff"), "{refused:?}");
    }
    // A block that never ends (CVE-2024-27316) ends the connection.
    let mut frames = Frames::open(&responder);
    frames.send(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET")]));
    let began = Instant::now();
    while frames
        .try_send(CONTINUATION, 0, 1, &fields(&[("x", &long)]))
        .is_ok()
    {
        assert!(began.elapsed() < PATIENCE, "still gathered");
    }
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
    wait_for("the refusal to be counted", || {
        let refused = responder.metric("hufu_http_refused_total{reason=\"http2\"}");
        (refused >= 1.0).then_some(())
    });
}

impl Frames {
    fn next_of(&mut self, kinds: &[u8]) -> Frame {
        loop {
            let frame = self.next().expect("one of these frames");
            if kinds.contains(&frame.kind) {
                return frame;
            }
        }
    }
}

#[test]
fn flood_of_resets_costs_nothing_but_the_responder() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut frames = Frames::open(&responder);
    let began = Instant::now();
    // CVE-2023-44487: opened and reset at once, over and over.
    let mut stream = 1;
    loop {
        let block = fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "x"),
        ]);
        let sent = frames
            .try_send(HEADERS, END_HEADERS, stream, &block)
            .and_then(|()| frames.try_send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        if sent.is_err() {
            break;
        }
        stream += 2;
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{stream} streams and no end"
        );
    }
    wait_for("the flood to be counted", || {
        let refused = responder.metric("hufu_http_refused_total{reason=\"http2\"}");
        (refused >= 1.0).then_some(())
    });
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
}

#[test]
fn frames_that_are_none_are_survived() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for (kind, flags, stream, payload) in [
        (DATA, 0, 1, &b"for no stream"[..]),
        (HEADERS, END_HEADERS, 2, b"even"),
        (HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        (SETTINGS, 0, 0, b"five5"),
        (WINDOW_UPDATE, 0, 0, &[0; 4]),
        (PING, 0, 0, b"seven77"),
        (CONTINUATION, END_HEADERS, 1, b""),
    ] {
        let mut frames = Frames::open(&responder);
        frames.send(kind, flags, stream, payload);
        assert!(
            frames.until(GOAWAY).is_some(),
            "{kind} {stream} {payload:?}"
        );
    }
    let mut frames = Frames::bare(&responder);
    frames.stream.write_all(PREFACE).unwrap();
    frames
        .stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    while frames.next().is_some() {}
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
}

#[test]
fn body_that_never_ends_holds_a_connection() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--request-secs", "1"]);
    let mut frames = Frames::open(&responder);
    frames.ask(1, "POST", "/", 0);
    while frames.next().is_some() {}
    assert_eq!(
        responder.metric("hufu_connection_timeouts_total{in=\"request\"}"),
        1.0
    );
}

#[test]
fn resting_connection_is_kept_for_ever() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--idle-secs", "1"]);
    let mut frames = Frames::open(&responder);
    frames.ask(1, "GET", &target(1000), END_STREAM);
    assert!(!frames.body().is_empty());
    while frames.next().is_some() {}
    assert_eq!(
        responder.metric("hufu_connection_timeouts_total{in=\"idle\"}"),
        1.0
    );
    assert_eq!(responder.metric("hufu_connections_open"), 0.0);
}

#[test]
fn body_longer_than_a_request_is_read() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut frames = Frames::open(&responder);
    frames.ask(1, "POST", "/", 0);
    frames.send(DATA, 0, 1, &[0x30; 4097]);
    let refused = frames.until(HEADERS).unwrap();
    assert!(has_status(&refused, b"413", b"\x68\x2c\xff"), "{refused:?}");
    // The connection goes on.
    frames.ask(3, "POST", "/", 0);
    frames.send(DATA, END_STREAM, 3, &request(1007));
    assert_eq!(frames.until(HEADERS).unwrap().stream, 3);
}

#[test]
fn all_connections_speak_http_2_and_each_holds_a_hundred_streams() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--workers", "1", "--max-connections", "16"]);
    let mut kept: Vec<Frames> = (0..2).map(|_| Frames::open(&responder)).collect();
    for frames in &mut kept {
        assert!(frames.until(SETTINGS).is_some());
    }
    let mut refused = Frames::open(&responder);
    assert!(refused.next().is_none());
    assert_eq!(
        responder.metric("hufu_http_refused_total{reason=\"http2_limit\"}"),
        1.0
    );
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
    drop(kept.pop());
    wait_for("the place that became free", || {
        Frames::open(&responder).until(SETTINGS)
    });
}

#[test]
fn client_that_did_not_know_how_many_streams_it_may_open_is_an_offender() {
    let edge = Edge::filled();
    // Few for each.
    let responder = Running::start_with(&edge, &["--workers", "1", "--max-connections", "16"]);
    let mut frames = Frames::open(&responder);
    for place in 0..300 {
        frames.ask(1 + 2 * place, "POST", "/", 0);
    }
    frames.send(PING, 0, 0, b"are you?");
    let said = frames.next_of(&[PING, GOAWAY]);
    assert_eq!(said.kind, PING, "{said:?}");
    frames.send(DATA, END_STREAM, 1, &request(1000));
    assert!(!frames.body().is_empty());
}

#[test]
fn drain_cuts_off_a_stream_in_progress() {
    let edge = Edge::filled();
    let mut responder = Running::start_with(&edge, &["--drain-secs", "60"]);
    let mut frames = Frames::open(&responder);
    frames.ask(1, "POST", "/", 0);
    assert!(frames.until(SETTINGS).is_some());
    frames.send(PING, 0, 0, b"are you?");
    assert!(frames.until(PING).is_some());
    responder.terminate();
    assert!(
        frames.until(GOAWAY).is_some(),
        "the client is not told to go elsewhere"
    );
    frames.send(DATA, END_STREAM, 1, &request(1000));
    assert_eq!(frames.until(HEADERS).expect("an answer").stream, 1);
    assert!(!frames.body().is_empty());
    // It does not answer the PING that ends a connection in good order.
    drop(frames);
    assert!(responder.wait().success());
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
