//! What one serving core has to itself: its view of the newest generation, its clock, its counters, its buffers.
//!
//! Nothing in here is shared with another core except by reading: the generation pointer is compared once for each
//! request, the counters are written by this core alone.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwapOption, Cache};
use bytes::Bytes;
use hufu_loader::snapshot::Snapshot;
use wire::request::MAX_REQUEST_OCTETS;
use wire::time::{UnixSeconds, http_date};

use crate::answer::{Answer, MAX_ANSWER_OCTETS, Refusal, answer};
use crate::caching::FreshnessCache;
use crate::config::PastValidUntil;
use crate::deadlines::Connections;
use crate::lane::MAX_GATHERED_OCTETS;
use crate::lane::held::INBOX_OCTETS;
use crate::live::{Lane, Said, Way};
use crate::metrics::{Counters, Event};
use crate::target;

/// The newest generation, as `reload` leaves it and workers find it. None until the first has been opened.
pub(crate) type Current = Arc<ArcSwapOption<Snapshot>>;

/// Limits and policies that a worker applies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Connections open at once on this core.
    pub(crate) max_connections: usize,
    /// Seconds from a request's first octet to its last.
    pub(crate) request_secs: u32,
    /// Seconds without progress before a connection is closed.
    pub(crate) idle_secs: u32,
    /// Upper limit of `max-age`.
    pub(crate) max_age_secs: u32,
    /// What is answered past `valid_until`.
    pub(crate) past_valid_until: PastValidUntil,
}

/// An OCSP request as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// The path of a GET.
    InPath(&'a [u8]),
    /// The body of a POST.
    InBody(&'a [u8]),
}

/// One core's state. Lives on its thread, shared by the connections there.
pub(crate) struct Worker {
    pub(crate) policy: Policy,
    pub(crate) counters: Arc<Counters>,
    pub(crate) connections: Connections,
    /// Where the connections on the express lane read to; means nothing between turns.
    pub(crate) inbox: RefCell<Box<[u8; INBOX_OCTETS]>>,
    /// Octets to send, gathered over one turn of one connection; empty between turns.
    pub(crate) cork: RefCell<Vec<u8>>,
    pub(crate) freshness: RefCell<FreshnessCache>,
    /// The way to the live lane, if there is one.
    pub(crate) live: Option<Lane>,
    now: Cell<UnixSeconds>,
    date: Cell<[u8; DATE_OCTETS]>,
    /// When this turn began, by a clock that nobody sets.
    began: Cell<Instant>,
    view: RefCell<Cache<Current, Option<Arc<Snapshot>>>>,
    scratch: RefCell<Scratch>,
}

struct Scratch {
    request: Box<[u8; MAX_REQUEST_OCTETS]>,
    answer: Box<[u8; MAX_ANSWER_OCTETS]>,
}

impl Worker {
    pub(crate) fn new(policy: Policy, counters: Arc<Counters>, current: Current) -> Self {
        let worker = Self {
            policy,
            counters,
            connections: Connections::default(),
            inbox: RefCell::new(Box::new([0; INBOX_OCTETS])),
            cork: RefCell::new(Vec::with_capacity(MAX_GATHERED_OCTETS)),
            freshness: RefCell::new(FreshnessCache::new()),
            live: None,
            now: Cell::new(0),
            date: Cell::new(http_date(0)),
            began: Cell::new(Instant::now()),
            view: RefCell::new(Cache::new(current)),
            scratch: RefCell::new(Scratch {
                request: Box::new([0; MAX_REQUEST_OCTETS]),
                answer: Box::new([0; MAX_ANSWER_OCTETS]),
            }),
        };
        worker.read_clock();
        worker
    }

    /// Reads the clock; once for each turn of a connection, not once for each of its pipelined requests.
    pub(crate) fn read_clock(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        if self.now.replace(now) != now {
            self.date.set(http_date(now));
        }
        self.began.set(Instant::now());
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> UnixSeconds {
        self.now.get()
    }

    /// When this turn began, by a clock that nobody sets.
    pub(crate) fn began(&self) -> Instant {
        self.began.get()
    }

    /// The same as HTTP writes it, formatted once a second.
    pub(crate) fn date(&self) -> [u8; DATE_OCTETS] {
        self.date.get()
    }

    /// The newest generation; with it, one that has been replaced is let go.
    pub(crate) fn with_snapshot<T>(&self, look: impl FnOnce(Option<&Snapshot>) -> T) -> T {
        look(self.view.borrow_mut().load().as_deref())
    }

    /// Answers a request given as octets; the octets of a signed answer are in the returned handle. None if it is to be asked
    /// live, and then nothing has been counted.
    pub(crate) fn answer(&self, request: &[u8]) -> Option<(Answer, Bytes)> {
        let answer = &mut self.scratch.borrow_mut().answer[..];
        self.answer_into(request, answer)
    }

    /// Answers a request given as the path of a GET; its octets come back if it is to be asked live.
    pub(crate) fn answer_path(&self, path: &[u8]) -> Result<(Answer, Bytes), Bytes> {
        let Scratch { request, answer } = &mut *self.scratch.borrow_mut();
        // What is not base64 is not a request: let the parser refuse the empty one.
        let octets = target::decode(path, &mut request[..]).unwrap_or(0);
        let request = &request[..octets];
        self.answer_into(request, &mut answer[..])
            .ok_or_else(|| Bytes::copy_from_slice(request))
    }

    /// Answers a request for which the live lane had no answer.
    pub(crate) fn answer_after(&self, lane: Said, request: &[u8]) -> (Answer, Bytes) {
        let answer = &mut self.scratch.borrow_mut().answer[..];
        let outcome = self.without_lane(lane, self.outcome(request, answer));
        self.give(outcome, request, answer)
    }

    /// Answers without taking the octets anywhere: `tell` sees them where they were put together. None, and nothing is
    /// counted, if what should be base64 is not, or if it is to be asked live.
    #[inline]
    pub(crate) fn answer_in_place<T>(
        &self,
        asked: Asked<'_>,
        tell: impl FnOnce(&Answer, &[u8]) -> T,
    ) -> Option<T> {
        let Scratch { request, answer } = &mut *self.scratch.borrow_mut();
        let question = match asked {
            Asked::InPath(path) => {
                let octets = target::decode(path, &mut request[..]).ok()?;
                &request[..octets]
            }
            Asked::InBody(body) => body,
        };
        let outcome = self.outcome_here(question, &mut answer[..])?;
        self.counters.note(&outcome, question, self.began.get());
        let octets = match &outcome {
            Answer::Signed(signed) => &answer[..signed.octets],
            Answer::Refused(refusal) => refusal.octets(),
        };
        Some(tell(&outcome, octets))
    }

    fn answer_into(&self, request: &[u8], out: &mut [u8]) -> Option<(Answer, Bytes)> {
        let outcome = self.outcome_here(request, out)?;
        Some(self.give(outcome, request, out))
    }

    /// What is to be said without asking anybody else; None if it is to be asked live.
    #[inline]
    fn outcome_here(&self, request: &[u8], out: &mut [u8]) -> Option<Answer> {
        let outcome = self.outcome(request, out);
        let Some(live) = &self.live else {
            return Some(outcome);
        };
        match live.way(&outcome, request, self.began()) {
            Way::Packs => Some(outcome),
            Way::Live => None,
            Way::NoRoom => {
                self.counters.count(Event::LiveFull);
                Some(self.without_lane(Said::Nothing, outcome))
            }
        }
    }

    /// What is said when the lane does not answer: the pre-signed answer, or that it may be asked again later.
    fn without_lane(&self, lane: Said, outcome: Answer) -> Answer {
        match (outcome, lane) {
            (Answer::Signed(_), _) => {
                self.counters.count(Event::LiveFellBack);
                outcome
            }
            (Answer::Refused(refusal), Said::Nothing) if refusal.may_be_known_live() => {
                self.counters.count(Event::LiveTryLater);
                Answer::Refused(Refusal::LiveAway)
            }
            (Answer::Refused(_), _) => outcome,
        }
    }

    /// On hyper's way an answer has octets of its own: cut from a block that others share, one that nobody reads would keep all
    /// of the block.
    fn give(&self, outcome: Answer, request: &[u8], out: &[u8]) -> (Answer, Bytes) {
        self.counters.note(&outcome, request, self.began.get());
        let octets = match &outcome {
            Answer::Signed(signed) => Bytes::copy_from_slice(&out[..signed.octets]),
            Answer::Refused(refusal) => Bytes::from_static(refusal.octets()),
        };
        (outcome, octets)
    }

    /// Who gets to see a generation at all, then [`answer`].
    fn outcome(&self, request: &[u8], out: &mut [u8]) -> Answer {
        self.with_snapshot(|snapshot| {
            let Some(snapshot) = snapshot else {
                return Answer::Refused(Refusal::NoGeneration);
            };
            let expired = self.now() > snapshot.valid_until();
            if expired && self.policy.past_valid_until == PastValidUntil::TryLater {
                return Answer::Refused(Refusal::PastValidUntil);
            }
            answer(request, snapshot, self.now(), out)
        })
    }
}

const DATE_OCTETS: usize = b"Sun, 06 Nov 1994 08:49:37 GMT".len();

#[cfg(test)]
impl Worker {
    /// One for tests, without a generation: every question is answered with `tryLater`.
    pub(crate) fn empty() -> Self {
        let policy = Policy {
            max_connections: 1,
            request_secs: 1,
            idle_secs: 1,
            max_age_secs: 1,
            past_valid_until: PastValidUntil::Serve,
        };
        Self::new(policy, Arc::new(Counters::default()), Current::default())
    }
}
