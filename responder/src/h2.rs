//! HTTP/2: on the plain port with prior knowledge (RFC 9113 §3.3), behind TLS by ALPN.
//!
//! A client that opens a connection with the [`PREFACE`] speaks HTTP/2 from there on. Upgrade from HTTP/1.1 is gone from the standard and not offered.
//!
//! What a client can make us hold or do is bounded by the constants at the foot: streams at once, octets of header fields,
//! octets waiting to be sent for each stream, resets that we remember. Beyond them hyper answers with a reset or with
//! GOAWAY (`ENHANCE_YOUR_CALM`). A connection may hold a hundred times what an HTTP/1 connection can, so only one in
//! [`ONE_IN`] of a worker's connections may speak HTTP/2.

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

/// One of the connections that may speak HTTP/2; given back when dropped.
pub(crate) struct Share(Rc<Worker>);

impl Share {
    /// None if they are all taken: the connection is closed.
    pub(crate) fn take(worker: &Rc<Worker>) -> Option<Self> {
        let limit = (worker.policy.max_connections / ONE_IN).max(1);
        if !worker.connections.begin_http2(limit) {
            worker.counters.count(Event::Http2LimitReached);
            return None;
        }
        worker.counters.count(Event::Http2);
        Some(Self(Rc::clone(worker)))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.connections.end_http2();
    }
}

/// hyper as we need it.
pub(crate) fn settings() -> http2::Builder<OnThisThread> {
    let mut http = http2::Builder::new(OnThisThread);
    http.max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_OCTETS)
        .initial_stream_window_size(STREAM_WINDOW_OCTETS)
        .initial_connection_window_size(CONNECTION_WINDOW_OCTETS)
        .max_send_buf_size(MAX_SEND_OCTETS)
        .max_pending_accept_reset_streams(MAX_RESETS_UNSEEN)
        .max_local_error_reset_streams(MAX_RESETS_OF_OURS);
    http
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

/// Streams that we may have had to reset for errors of the client.
const MAX_RESETS_OF_OURS: usize = 100;

/// One in so many connections may speak HTTP/2: each may hold [`MAX_STREAMS`] × ([`MAX_SEND_OCTETS`] + its fields).
const ONE_IN: usize = 8;

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
}
