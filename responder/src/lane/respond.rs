//! A simple request → the octets of its answer, head and body.

use hyper::header::HeaderName;

use crate::answer::Answer;
use crate::caching::names_copy;
use crate::metrics::Event;
use crate::reply::{Fields, Keep, Telling, Value, put_fields};
use crate::worker::{Asked, Worker};

use super::parse::{After, Conditions, Question, Request, Version};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Outcome {
    Answered,
    /// It is not for the lane after all; nothing has been counted or written.
    NotSimple,
}

/// Answers one request; the answer is appended to `into`.
#[inline]
pub(super) fn respond(worker: &Worker, request: &Request<'_>, into: &mut Vec<u8>) -> Outcome {
    let (asked, method) = match request.question {
        Question::Get(path, _) | Question::Head(path, _) => (Asked::InPath(path), Event::ByGet),
        Question::Post(body) => (Asked::InBody(body), Event::ByPost),
    };
    let written = worker.answer_in_place(asked, |answer, octets| {
        worker.counters.count(method);
        write(worker, request, answer, octets, into);
    });
    match written {
        Some(()) => Outcome::Answered,
        None => Outcome::NotSimple,
    }
}

/// Writes it as hyper would: `tests.rs` compares the two.
fn write(
    worker: &Worker,
    request: &Request<'_>,
    answer: &Answer,
    octets: &[u8],
    into: &mut Vec<u8>,
) {
    let keep = Keep::of(answer);
    let telling = match request.question {
        Question::Get(_, conditions) | Question::Head(_, conditions) => {
            Telling::of(worker, keep, |tag, date| conditions.name(tag, date))
        }
        // RFC 9110 §13.1: conditions are looked at for GET and HEAD only.
        Question::Post(_) => Telling::Whole,
    };
    into.extend_from_slice(match (request.version, telling) {
        (Version::Http11, Telling::Whole) => b"HTTP/1.1 200 OK\r\n",
        (Version::Http10, Telling::Whole) => b"HTTP/1.0 200 OK\r\n",
        (Version::Http11, Telling::NotModified) => b"HTTP/1.1 304 Not Modified\r\n",
        (Version::Http10, Telling::NotModified) => b"HTTP/1.0 304 Not Modified\r\n",
    });
    put_fields(worker, keep, telling, &mut Lines(into));
    // RFC 9112 §9.3: HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 the other way round; what is not the version's habit is said.
    into.extend_from_slice(match (request.version, request.after) {
        (Version::Http11, After::Close) => b"connection: close\r\n",
        (Version::Http10, After::Keep) => b"connection: keep-alive\r\n",
        (Version::Http11, After::Keep) | (Version::Http10, After::Close) => b"",
    });
    if telling == Telling::Whole {
        into.extend_from_slice(b"content-length: ");
        write_decimal(octets.len(), into);
        into.extend_from_slice(b"\r\n");
    }
    // RFC 9110 §6.6.1: a server with a clock MUST say the Date.
    into.extend_from_slice(b"date: ");
    into.extend_from_slice(&worker.date());
    into.extend_from_slice(b"\r\n\r\n");
    if telling == Telling::Whole && !matches!(request.question, Question::Head(..)) {
        into.extend_from_slice(octets);
    }
}

impl Conditions<'_> {
    fn name(&self, tag: &[u8], date: Option<u64>) -> bool {
        let tags = self.if_none_match.into_iter();
        names_copy(tags, self.if_modified_since, tag, date)
    }
}

/// Fields as lines.
struct Lines<'a>(&'a mut Vec<u8>);

impl Fields for Lines<'_> {
    #[inline]
    fn put(&mut self, name: HeaderName, value: Value<'_>) {
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(match value {
            Value::Kept(value) => value.as_bytes(),
            Value::Made(octets) => octets,
        });
        self.0.extend_from_slice(b"\r\n");
    }
}

fn write_decimal(mut number: usize, into: &mut Vec<u8>) {
    let mut digits = [0; MAX_DIGITS];
    let mut first = MAX_DIGITS;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[first..]);
}

/// Of a 64-bit number.
const MAX_DIGITS: usize = 20;
