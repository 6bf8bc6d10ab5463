//! The express lane: the simple request, answered before hyper sees the connection.
//!
//! hyper is right about all of HTTP and pays for it with allocations and a state machine; nearly every request of an OCSP
//! client needs none of that. So the octets of a connection come here first. What [`parse`] knows to be simple is answered
//! in place by `respond`, sixteen pipelined requests with one write; at the first thing that is not simple the connection
//! becomes hyper's with all octets that have not been answered (`conversation`), and stays hyper's.
//!
//! | simple | hyper's |
//! |---|---|
//! | GET and HEAD whose path is base64; POST of `application/ocsp-request` with one Content-Length | `/crl/`, `/ca/`, queries, paths that are not base64, other methods and types |
//! | HTTP/1.0 and 1.1, `Connection: close` or `keep-alive` | HTTP/2, Upgrade, other connection options |
//! | If-None-Match, If-Modified-Since, once each | the other conditions, ranges, a field twice that may stand once |
//! | fields that mean nothing to us | Transfer-Encoding, Expect, Trailer |
//! | lines that end in CR LF | bare CR or LF, folded lines, control characters |
//!
//! Nothing is forgiven here: the lane never reads leniently, and never refuses. Doubt is hyper's to decide, so there is one
//! set of rules for what is wrong. What an answer looks like is `reply`, the same for both, and a test compares the octets.
//!
//! Nothing here allocates once its worker has warmed up (`tests/no_allocation`).

mod first;
pub(crate) mod held;
mod parse;
mod respond;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

pub(crate) use first::{Begun, greet};

use crate::answer::MAX_ANSWER_OCTETS;
use crate::worker::Worker;
use parse::{After, Stop, parse};
use respond::{Outcome, respond};

/// What became of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Served {
    /// How many at their front have been answered.
    pub(crate) used: usize,
    /// What is to be done with the rest.
    pub(crate) then: Then,
}

/// What is to be done after some requests have been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The rest, if any, is the beginning of a request: more must come.
    Read,
    /// The rest may hold whole requests, for whose answers there is no room until these are sent.
    Send,
    /// The last answer ends the connection.
    Close,
    /// The rest is not simple: hyper's.
    HandOver,
}

/// Answers the requests at the front of `octets`, and appends the answers to `into`.
pub(crate) fn serve(worker: &Worker, octets: &[u8], into: &mut Vec<u8>) -> Served {
    let mut used = 0;
    let then = loop {
        let rest = &octets[used..];
        if rest.is_empty() {
            break Then::Read;
        }
        // The last words to each client are hyper's.
        if worker.connections.is_draining() {
            break Then::HandOver;
        }
        if into.len() + MAX_REPLY_OCTETS > MAX_GATHERED_OCTETS {
            break Then::Send;
        }
        let request = match parse(rest) {
            Ok(request) => request,
            Err(Stop::Partial) => break Then::Read,
            Err(Stop::NotSimple) => break Then::HandOver,
        };
        match respond(worker, &request, into) {
            Outcome::NotSimple => break Then::HandOver,
            Outcome::Answered => used += request.octets,
        }
        if request.after == After::Close {
            break Then::Close;
        }
    };
    Served { used, then }
}

/// Answers gathered for one write: sixteen of the largest that are common (RSA-4096 with its certificate).
pub(crate) const MAX_GATHERED_OCTETS: usize = 64 * 1024;

/// An answer with its head, which takes some 400 octets.
const MAX_REPLY_OCTETS: usize = MAX_ANSWER_OCTETS + 1024;
