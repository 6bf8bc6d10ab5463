//! HTTP/2: on the plain port with prior knowledge (RFC 9113 §3.3), behind TLS by ALPN.
//!
//! A client that opens a connection with the [`PREFACE`] speaks HTTP/2 from there on. Upgrade from HTTP/1.1 is gone from the standard and not offered.
//!
//! What a client can make us hold or do is bounded by the constants at the foot: streams at once, octets of header fields,
//! octets waiting to be sent for each stream, resets that we remember. Beyond them hyper answers with a reset or with
//! GOAWAY (`ENHANCE_YOUR_CALM`). A stream may hold what an HTTP/1 connection can, so all that the connections of a worker may
//! open are together no more than it may have connections: each gets half of what is left, [`MAX_STREAMS`] at most, beside
//! [`FEW_STREAMS`] for each of those that may still come. One in [`ONE_IN`] of a worker's connections may speak HTTP/2.

use std::io;
use std::rc::Rc;

use hyper::server::conn::http2;
use tokio::task::spawn_local;

use crate::metrics::Event;
use crate::worker::Worker;

/// What the first octets of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Opening {
    /// HTTP/2.
    Http2,
    /// The beginning of what would be HTTP/2: more must be read.
    NotYet,
    /// Anything else.
    Other,
}

/// Judges the first octets of a connection. RFC 9113 §3.4: the preface of a client is these 24 octets.
pub(crate) fn opening(octets: &[u8]) -> Opening {
    if octets.starts_with(PREFACE) {
        Opening::Http2
    } else if PREFACE.starts_with(octets) {
        Opening::NotYet
    } else {
        Opening::Other
    }
}

/// One of the connections that may speak HTTP/2, and the streams that it may open at once; given back when dropped.
pub(crate) struct Share {
    worker: Rc<Worker>,
    streams: u32,
}

impl Share {
    /// None if they are all taken: the connection is closed.
    pub(crate) fn take(worker: &Rc<Worker>) -> Option<Self> {
        let streams =
            streams_for_one_more(worker.policy.max_connections, worker.connections.http2());
        let Some(streams) = streams else {
            worker.counters.count(Event::Http2LimitReached);
            return None;
        };
        worker.connections.begin_http2(streams as usize);
        worker.counters.count(Event::Http2);
        Some(Self {
            worker: Rc::clone(worker),
            streams,
        })
    }

    /// hyper as we need it.
    pub(crate) fn settings(&self) -> http2::Builder<OnThisThread> {
        let mut http = http2::Builder::new(OnThisThread);
        http.max_concurrent_streams(self.streams)
            .max_header_list_size(MAX_HEADER_OCTETS)
            .initial_stream_window_size(STREAM_WINDOW_OCTETS)
            .initial_connection_window_size(CONNECTION_WINDOW_OCTETS)
            .max_send_buf_size(MAX_SEND_OCTETS)
            .max_pending_accept_reset_streams(MAX_RESETS_UNSEEN)
            .max_local_error_reset_streams(MAX_RESETS_OF_OURS);
        http
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.worker.connections.end_http2(self.streams as usize);
    }
}

/// How many streams one more connection may open, if there may be one more beside those that there are.
fn streams_for_one_more(
    max_connections: usize,
    (connections, streams): (usize, usize),
) -> Option<u32> {
    let may_be = (max_connections / ONE_IN).max(1);
    let may_come = may_be.checked_sub(connections + 1)?;
    let kept = may_come * FEW_STREAMS as usize;
    let left = max_connections.saturating_sub(streams + kept);
    let half = u32::try_from(left / 2).unwrap_or(MAX_STREAMS);
    Some(half.clamp(FEW_STREAMS, MAX_STREAMS))
}

/// True if a connection ended by the client's fault, not by its leaving.
pub(crate) fn is_offence(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    !cause.is_some_and(|cause| cause.is::<io::Error>())
}

/// Runs hyper's tasks where their connection lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnThisThread;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

/// The first octets of a client that speaks HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Streams at once on a connection. RFC 9113 §6.5.2: no fewer than 100 is recommended.
const MAX_STREAMS: u32 = 100;

/// The same where many connections speak HTTP/2: to open more is refused, and the client asks again after the others. (A
/// worker that may have fewer connections than this allows one of them as many streams all the same.)
const FEW_STREAMS: u32 = 4;

/// Header fields of a request, as RFC 9113 §6.5.2 counts them: a target of 6 KiB and what belongs to it.
const MAX_HEADER_OCTETS: u32 = 8 * 1024;

/// Octets of a body on their way: the longest request that is read, and a little to see that it is longer.
const STREAM_WINDOW_OCTETS: u32 = 8 * 1024;

/// The same of all streams of a connection together; the smallest there is.
const CONNECTION_WINDOW_OCTETS: u32 = 65_535;

/// Octets of each response that wait for the client: an answer, or a piece of a list.
const MAX_SEND_OCTETS: usize = 8 * 1024;

/// Streams that a client may have opened and reset before we looked at them (the flood of CVE-2023-44487).
const MAX_RESETS_UNSEEN: usize = 20;

/// Streams of a connection that we may have had to reset: for errors of the client, and those it opened before it knew how many
/// it may. (A client may begin with a hundred, and h2 never forgets one.)
const MAX_RESETS_OF_OURS: usize = 1024;

/// One in so many connections may speak HTTP/2: each holds tens of kilobytes even when it rests.
const ONE_IN: usize = 8;

// There are a few streams for each of them.
const _: () = assert!(FEW_STREAMS as usize <= ONE_IN);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_in_http_1_is_taken_for_http_2() {
        for cut in 0..PREFACE.len() {
            assert_eq!(opening(&PREFACE[..cut]), Opening::NotYet, "{cut}");
        }
        assert_eq!(opening(PREFACE), Opening::Http2);
        assert_eq!(opening(&[PREFACE, b"\0\0\0\x04"].concat()), Opening::Http2);
        for other in [
            &b"POST / HTTP/1.1\r\n"[..],
            b"PRI / HTTP/1.1\r\n",
            b"G",
            b"PRI * HTTP/1.1\r\n",
        ] {
            assert_eq!(opening(other), Opening::Other, "{other:?}");
        }
    }

    #[test]
    fn connections_at_their_limit_may_open_a_hundred_streams_each() {
        for max_connections in [8, 16, 100, 800, 8192, 60_000] {
            let mut worker = Worker::empty();
            worker.policy.max_connections = max_connections;
            let worker = Rc::new(worker);
            let shares: Vec<Share> = std::iter::from_fn(|| Share::take(&worker)).collect();
            assert_eq!(shares.len(), max_connections / ONE_IN);
            let streams: u32 = shares.iter().map(|share| share.streams).sum();
            assert!(streams as usize <= max_connections, "{streams}");
            assert!(shares.iter().all(|share| share.streams >= FEW_STREAMS));
            // Who comes first, to a worker that has room, is not held short.
            assert!(max_connections < 800 || shares[0].streams == MAX_STREAMS);
            drop(shares);
            assert_eq!(worker.connections.http2(), (0, 0));
        }
    }
}
