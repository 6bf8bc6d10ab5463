//! The octets of a connection on the lane: read into one buffer that its worker's connections share, and kept by the
//! connection itself only while they are an unfinished request. So a resting connection holds no buffer.

use std::task::{Context, Poll, ready};

use wire::request::MAX_REQUEST_OCTETS;

use crate::connection::Connection;
use crate::deadlines::Phase;
use crate::lane::parse::MAX_HEAD_OCTETS;
use crate::lane::{Served, Then, serve};

/// What a connection has read and not answered.
#[derive(Debug, Default)]
pub(crate) struct Held {
    octets: Vec<u8>,
    /// They are to be looked at before more is read.
    is_due: bool,
    /// Reads that the request at the front has come in so far.
    pieces: u32,
}

/// How a turn on the lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    /// The last answer is written: send it, then close.
    Close,
    /// The same, but the client has sent more, and may still: a close now could reset the connection, and what it was told
    /// would be lost.
    CloseSlowly,
    /// The client has gone.
    Gone,
    /// The connection, and what is held, is hyper's.
    HandOver,
}

impl Held {
    /// What is left of `octets` after they have been served.
    pub(crate) fn left_of(octets: &[u8], served: Served) -> Self {
        let mut held = Self::default();
        held.keep(octets, served);
        held
    }

    /// Octets that the lane has not answered; they are the caller's now.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Reads and answers until the client has no more for now.
    // RFC 9112 §9.3.2: pipelined requests are answered in the order they came.
    pub(crate) fn turn(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<Turn> {
        let worker = &*connection.worker;
        for _ in 0..MAX_READS {
            // 1. What has been written goes out, so that there is room and the client has something to read.
            if ready!(connection.push_out(cx)).is_err() {
                return Poll::Ready(Turn::Gone);
            }
            if !self.is_empty() && !self.is_due && connection.watch.phase() == Phase::Idle {
                let tick = worker.connections.tick();
                connection.watch.wait(Phase::Receiving, tick);
            }

            // 2. What is held comes first, then what the socket has.
            let mut inbox = worker.inbox.borrow_mut();
            let mut filled = self.octets.len();
            if !self.is_due {
                match ready!(connection.read_raw(cx, &mut inbox[filled..])) {
                    Ok(octets @ 1..) => filled += octets,
                    Ok(_) if self.is_empty() => return Poll::Ready(Turn::Close),
                    // A request that ends in its middle: hyper knows what to say.
                    Ok(_) => return Poll::Ready(Turn::HandOver),
                    Err(_) => return Poll::Ready(Turn::Gone),
                }
            }
            inbox[..self.octets.len()].copy_from_slice(&self.octets);

            // 3. The answers.
            let octets = &inbox[..filled];
            let served = serve(worker, octets, &mut worker.cork.borrow_mut());
            self.keep(octets, served);
            if served.used > 0 {
                // From here on it is the client that is waited for, even if it does not take an octet of the answer.
                let tick = worker.connections.tick();
                connection.watch.wait(Phase::Idle, tick);
            }
            match served.then {
                Then::Read if self.pieces > MAX_PIECES => return Poll::Ready(Turn::HandOver),
                then => {
                    if let Some(end) = self.end(then) {
                        return Poll::Ready(end);
                    }
                }
            }
        }
        // There is more, but the others on this core want their turn.
        cx.waker().wake_by_ref();
        match connection.push_out(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(Turn::Gone),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// How the connection's time on the lane ends, if it does.
    pub(crate) fn end(&self, then: Then) -> Option<Turn> {
        match then {
            Then::Close if self.is_empty() => Some(Turn::Close),
            Then::Close => Some(Turn::CloseSlowly),
            Then::HandOver => Some(Turn::HandOver),
            Then::Read | Then::Send => None,
        }
    }

    fn keep(&mut self, octets: &[u8], served: Served) {
        let rest = &octets[served.used..];
        if served.used > 0 {
            self.pieces = 0;
        }
        self.pieces += 1;
        self.is_due = served.then == Then::Send;
        // The buffer of an unfinished request is not kept for the rest of a long connection.
        self.octets = rest.to_vec();
    }
}

/// Octets that the worker's connections read into: some forty pipelined requests.
pub(crate) const INBOX_OCTETS: usize = 16 * 1024;

// Behind the longest unfinished request there is room for more of it.
const _: () = assert!(MAX_HEAD_OCTETS + MAX_REQUEST_OCTETS < INBOX_OCTETS);

/// Reads in a turn.
const MAX_READS: u32 = 16;

/// Pieces a request may come in. Each is looked at from the front, so a client that sends octet by octet would cost the
/// square of its length; few requests come in more than two.
const MAX_PIECES: u32 = 8;
