//! Bad input on the lane's port: each hits the limit that has a name, and the lane lives on. One limit is short in each
//! test, the others last an hour: what ends is ended by that one.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex, join};
use tokio::net::{TcpListener, TcpStream};
use wire::request::MAX_REQUEST_OCTETS;

use super::rig::{Adopted, GENEROUS, LONG, empty_lane, runtime, within};
use crate::live::lane::Lane;
use crate::live::line::Patience;
use crate::live::server::{Limits, serve, speak};
use crate::registry::SqliteStore;

const SHORT: Duration = Duration::from_millis(50);

fn patient() -> Patience {
    Patience {
        head: LONG,
        body: LONG,
        taking: LONG,
        rest: LONG,
    }
}

/// What a lane writes to whoever does this, until it closes. It has a task of its own, as on its port: in the client's own
/// it would be asked whenever the client is, and never notice that nothing else wakes it.
async fn told<F: Future<Output = DuplexStream>>(
    lane: Lane<SqliteStore>,
    patience: Patience,
    client: impl FnOnce(DuplexStream) -> F,
) -> String {
    let (ours, theirs) = duplex(ROOM);
    let lane = Arc::new(lane);
    let speaking = tokio::spawn(async move { speak(&lane, theirs, patience).await });
    let talk = async {
        let mut stream = client(ours).await;
        let mut told = Vec::new();
        // Who is turned away in the middle of what he says finds the pipe broken.
        let _ = stream.read_to_end(&mut told).await;
        speaking.await.unwrap();
        String::from_utf8_lossy(&told).into_owned()
    };
    let told = tokio::time::timeout(GENEROUS, talk).await;
    told.expect("the connection is still open")
}

fn tell(patience: Patience, octets: &[u8]) -> String {
    let (_folder, lane): (TempDir, _) = empty_lane();
    runtime().block_on(told(lane, patience, |mut stream| async {
        let _ = stream.write_all(octets).await;
        stream
    }))
}

#[test]
fn garbage_is_answered_or_kept() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"POST /ocsp HTTP/9.9\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let told = tell(patient(), garbage);
        let name = String::from_utf8_lossy(garbage);
        assert!(
            told.is_empty() || told.starts_with("HTTP/1.1 400 "),
            "{name}: {told}"
        );
    }
    let long = [b"GET /metrics HTTP/1.1\r\nX: ", &[b'x'; 40_000][..]].concat();
    let told = tell(patient(), &long);
    assert!(
        told.is_empty() || told.starts_with("HTTP/1.1 431 "),
        "{told}"
    );
}

#[test]
fn a_head_that_comes_slowly_keeps_its_place() {
    let short = Patience {
        head: SHORT,
        ..patient()
    };
    for head in [
        &b""[..],
        b"POST /o",
        b"POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Le",
    ] {
        assert_eq!(tell(short, head), "", "{}", String::from_utf8_lossy(head));
    }
    // Octet by octet, each in time.
    let (_folder, lane) = empty_lane();
    let told = runtime().block_on(told(lane, short, |mut stream| async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
        stream
    }));
    assert_eq!(told, "");
}

#[test]
fn a_connection_that_rests_is_cut_off_as_one_whose_head_is_slow() {
    // The second request begins long after the first: a limit for heads would have run out.
    let (_folder, lane) = empty_lane();
    let patience = Patience {
        head: SHORT,
        ..patient()
    };
    let asking = |mut stream: DuplexStream| async {
        for _ in 0..2 {
            stream
                .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            let mut told = Vec::new();
            while !told.ends_with(b"\r\n\r\n") {
                told.push(stream.read_u8().await.unwrap());
            }
            assert!(told.starts_with(b"HTTP/1.1 404"));
            tokio::time::sleep(patience.head * 2).await;
        }
        stream.shutdown().await.unwrap();
        stream
    };
    assert_eq!(runtime().block_on(told(lane, patience, asking)), "");
    // But it does not rest for ever, and behind an answer a slow head is one again.
    let rest = Patience {
        rest: SHORT,
        ..patient()
    };
    let told = tell(rest, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 404"), "{told}");
    let (_folder, lane) = empty_lane();
    let told = runtime().block_on(self::told(lane, patience, |mut stream| async {
        let asked = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        let mut told = Vec::new();
        while !told.ends_with(b"\r\n\r\n") {
            told.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"POST").await.unwrap();
        stream
    }));
    assert_eq!(told, "");
}

#[test]
fn after_a_signed_answer_a_silent_responder_holds_its_place_for_ever() {
    let rig = Adopted::new();
    let (lane, tray) = rig.lane(1);
    tray.attend(1).unwrap();
    let rest = Patience {
        rest: SHORT,
        ..patient()
    };
    let question = rig.question(Some(b"a nonce"));
    let head = format!(
        "POST /ocsp HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        question.len()
    );
    let request = [head.as_bytes(), question.as_slice()].concat();
    // What wakes the connection last is the desk.
    let told = runtime().block_on(told(lane, rest, |mut stream| async move {
        stream.write_all(&request).await.unwrap();
        stream
    }));
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
}

/// Comes whole, and at the very moment when its time is past: nothing else asks again.
struct LastMoment {
    asked: u32,
}

impl AsyncRead for LastMoment {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.asked += 1;
        if self.asked != 2 {
            return Poll::Pending;
        }
        buffer.put_slice(b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n");
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_head_that_is_whole_is_cut_off_as_a_slow_one() {
    let (_folder, lane) = empty_lane();
    let lane = Arc::new(lane);
    let short = Patience {
        head: SHORT,
        ..patient()
    };
    let told = within(&runtime(), async {
        let (mut ours, theirs) = duplex(ROOM);
        let stream = join(LastMoment { asked: 0 }, theirs);
        let speaking = tokio::spawn(async move { speak(&lane, stream, short).await });
        let mut told = String::new();
        let _ = ours.read_to_string(&mut told).await.unwrap();
        speaking.await.unwrap();
        told
    });
    assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
}

#[test]
fn a_body_that_is_too_long_is_read_or_one_that_does_not_come_is_waited_for() {
    let head = |length: usize| format!("POST /ocsp HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
    // Not one octet of it has come.
    let told = tell(patient(), head(MAX_REQUEST_OCTETS + 1).as_bytes());
    assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
    let chunk = [
        &b"POST /ocsp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n"[..],
        &[0; MAX_REQUEST_OCTETS + 1],
    ];
    let told = tell(patient(), &chunk.concat());
    assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
    let short = Patience {
        body: SHORT,
        ..patient()
    };
    let told = tell(
        short,
        [head(40).as_bytes(), b"half of it"].concat().as_slice(),
    );
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[test]
fn who_goes_in_the_middle_leaves_his_connection_behind() {
    for half in [
        &b""[..],
        b"POST /ocsp HT",
        b"POST /ocsp HTTP/1.1\r\nContent-Length: 40\r\n\r\nhalf of it",
    ] {
        let (_folder, lane) = empty_lane();
        let told = runtime().block_on(told(lane, patient(), |mut stream| async {
            let _ = stream.write_all(half).await;
            stream.shutdown().await.unwrap();
            stream
        }));
        let name = String::from_utf8_lossy(half);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 4"), "{name}");
    }
}

#[test]
fn a_client_that_does_not_read_or_hardly_does_keeps_its_answers_in_memory() {
    let patience = Patience {
        taking: SHORT,
        ..patient()
    };
    for hardly in [false, true] {
        let (_folder, lane) = empty_lane();
        let lane = Arc::new(lane);
        // The answer is longer than what the pipe holds.
        let (mut ours, theirs) = duplex(64);
        within(&runtime(), async {
            let speaking = tokio::spawn(async move { speak(&lane, theirs, patience).await });
            let asked = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
            ours.write_all(asked).await.unwrap();
            // Octet by octet, each in time.
            while hardly && ours.read_u8().await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
            speaking.await.unwrap();
        });
        drop(ours);
    }
}

#[test]
fn a_silent_client_holds_the_last_place_for_ever() {
    let (_folder, lane) = empty_lane();
    let limits = Limits {
        connections: 1,
        patience: Patience {
            head: SHORT,
            ..patient()
        },
    };
    runtime().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let lane = Arc::new(lane);
        let served = tokio::spawn(serve(Arc::clone(&lane), listener, None, limits));
        let silent = TcpStream::connect(address).await.unwrap();
        let answered = async {
            loop {
                // On a busy machine its own first head may come too late.
                let mut stream = TcpStream::connect(address).await.unwrap();
                let asked = b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(asked).await;
                let mut told = Vec::new();
                let _ = stream.read_to_end(&mut told).await;
                if told.starts_with(b"HTTP/1.1 404") {
                    break;
                }
            }
        };
        let answered = tokio::time::timeout(GENEROUS, answered).await;
        assert!(answered.is_ok(), "nobody else is let in");
        drop(silent);
        served.abort();
    });
}

#[test]
fn a_request_for_which_there_is_no_room_is_left_hanging() {
    let rig = Adopted::new();
    let (lane, _tray) = rig.lane(1);
    let question = rig.question(None);
    let lane = Arc::new(lane);
    let ask = |mut stream: DuplexStream| {
        let head = format!(
            "POST /ocsp HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            question.len()
        );
        let request = [head.as_bytes(), question.as_slice()].concat();
        async move {
            stream.write_all(&request).await.unwrap();
            stream
        }
    };
    runtime().block_on(async {
        let (first, theirs) = duplex(ROOM);
        let waiting = Arc::clone(&lane);
        let first = ask(first).await;
        let place = tokio::spawn(async move { speak(&waiting, theirs, patient()).await });
        let taken = async {
            while lane.places.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(GENEROUS, taken).await.unwrap();
        let (second, theirs) = duplex(ROOM);
        let mut second = ask(second).await;
        let talk = async {
            let mut told = Vec::new();
            let read = second.read_to_end(&mut told);
            let (_, read) = tokio::join!(speak(&lane, theirs, patient()), read);
            let _ = read.unwrap();
            String::from_utf8_lossy(&told).into_owned()
        };
        let told = tokio::time::timeout(GENEROUS, talk).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        assert_eq!(lane.metrics.full.get(), 1);
        drop(first);
        place.abort();
    });
}

/// Octets of a pipe: more than any answer here but that to `/metrics`.
const ROOM: usize = 4_096;
