//! The way to the signer's live lane: what is not signed ahead is asked there, one request on one connection at a time.
//!
//! | request | goes live if |
//! |---|---|
//! | with a nonce | the policy (`nonce = "live"`, for all or for its issuer) says so |
//! | about several certificates | its first is of an issuer served here |
//! | by a form of `CertID` that is not signed ahead | likewise |
//! | about a serial that is not found | its issuer is known by its CRL only, or the policy says so |
//!
//! Nothing here may slow what is signed ahead. A worker has so many places and no more, starts so many exchanges a second
//! and no more, and what finds no room is answered from the packs in the same turn, as is what comes back late, not at all,
//! or unfit. What only the lane could answer is then `tryLater`.
//!
//! `directory` knows issuers, `settings` what the operator wants, `client` the connections, `reply` what is believed.

mod budget;
mod client;
mod directory;
mod reply;
pub mod settings;
mod tls;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use bytes::Bytes;
use hufu_loader::snapshot::Snapshot;
use wire::request::OcspRequest;

use crate::answer::{Answer, Nonce, Refusal};
use crate::metrics::Event;
use crate::worker::Worker;
use budget::Budget;
use client::{Client, Failure};
use directory::Directory;
use reply::Fresh;
use settings::Live;

/// The issuers of the newest generation, and what goes live: written by `reload`, read by workers.
#[derive(Clone)]
pub(crate) struct Shelf {
    settings: Arc<Live>,
    newest: Arc<ArcSwap<Directory>>,
}

impl Shelf {
    pub(crate) fn new(settings: &Live) -> Self {
        Self {
            settings: Arc::new(settings.clone()),
            newest: Arc::default(),
        }
    }

    /// Learns the issuers of a generation; before workers see it, so that nothing older than it is believed from then on.
    pub(crate) fn learn(&self, snapshot: &Snapshot) {
        let before = self.newest.load();
        let directory = Directory::of(snapshot, &self.settings.policies, &before);
        self.newest.store(Arc::new(directory));
    }
}

/// One worker's way to the lane.
pub(crate) struct Lane {
    settings: Arc<Live>,
    directory: RefCell<Cache<Arc<ArcSwap<Directory>>, Arc<Directory>>>,
    client: Client,
    places: usize,
    taken: Cell<usize>,
    budget: RefCell<Budget>,
    late_in_a_row: Cell<u32>,
    away_until: Cell<Option<Instant>>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Way {
    /// The packs: nothing about this request is the lane's.
    Packs,
    /// The lane.
    Live,
    /// The lane, had it room: what the packs say, or `tryLater`.
    NoRoom,
}

impl Lane {
    pub(crate) fn new(shelf: &Shelf, workers: usize) -> Self {
        let settings = Arc::clone(&shelf.settings);
        let places = settings.queue.div_ceil(workers).max(1);
        Self {
            directory: RefCell::new(Cache::new(Arc::clone(&shelf.newest))),
            client: Client::new(&settings, places),
            places,
            taken: Cell::new(0),
            budget: RefCell::new(Budget::new(
                settings.rate / workers as u64,
                u32::try_from(places).unwrap_or(u32::MAX),
            )),
            late_in_a_row: Cell::new(0),
            away_until: Cell::new(None),
            settings,
        }
    }

    /// Who is to answer `request`, for which the packs have `answer`. Costs the plain answer one comparison.
    #[inline]
    pub(crate) fn way(&self, answer: &Answer, request: &[u8], now: Instant) -> Way {
        match answer {
            Answer::Signed(signed) if signed.nonce == Nonce::Absent => Way::Packs,
            _ => self.way_of_others(answer, request, now),
        }
    }

    fn way_of_others(&self, answer: &Answer, request: &[u8], now: Instant) -> Way {
        let wanted = match answer {
            Answer::Signed(_) => self.settings.policies.any_nonce_goes_live(),
            Answer::Refused(refusal) => refusal.may_be_known_live(),
        };
        if !wanted {
            return Way::Packs;
        }
        let Ok(asked) = OcspRequest::parse(request) else {
            return Way::Packs;
        };
        let mut cache = self.directory.borrow_mut();
        let Some(issuer) = cache.load().find(asked.first.prefix) else {
            return Way::Packs;
        };
        let wanted = match answer {
            Answer::Signed(_) => issuer.nonce_goes_live,
            Answer::Refused(Refusal::UnknownSerial) => issuer.unknown_serials_go_live,
            Answer::Refused(_) => true,
        };
        match wanted {
            false => Way::Packs,
            true if self.has_room(now) => Way::Live,
            true => Way::NoRoom,
        }
    }

    fn has_room(&self, now: Instant) -> bool {
        self.taken.get() < self.places
            && self.away_until.get().is_none_or(|until| now >= until)
            && self.budget.borrow_mut().has_one(now)
    }

    /// Notes how an exchange went: a lane that is away or stuck is left alone for a while.
    fn note(&self, outcome: Result<(), Failure>, now: Instant) {
        let late = match outcome {
            Err(Failure::Late) => self.late_in_a_row.get() + 1,
            _ => 0,
        };
        let gone = outcome == Err(Failure::Away) || late >= LATE_IN_A_ROW;
        self.late_in_a_row.set(if gone { 0 } else { late });
        if gone {
            self.away_until.set(Some(now + AWAY));
        }
    }
}

/// A place among the requests in flight, given back when dropped, however the exchange ends.
struct Place<'l>(&'l Lane, &'l Worker);

impl<'l> Place<'l> {
    fn take(lane: &'l Lane, worker: &'l Worker) -> Self {
        lane.taken.set(lane.taken.get() + 1);
        worker.counters.note_live(lane.taken.get());
        Self(lane, worker)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.1.counters.note_live(self.0.taken.get());
    }
}

/// What came of asking.
pub(crate) enum Told {
    /// The lane's answer.
    Live(Fresh, Bytes),
    /// What is said without it.
    ByPacks(Answer, Bytes),
}

/// What the lane said, where that was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// That it knows none: `unauthorized`.
    Unauthorized,
    /// Nothing to go by.
    Nothing,
}

/// Asks the lane; what the packs say if it fails. To be called for requests whose [`Way`] is [`Live`](Way::Live).
pub(crate) async fn ask(worker: &Worker, request: Bytes) -> Told {
    let by_packs = |said| {
        let (answer, octets) = worker.answer_after(said, &request);
        Told::ByPacks(answer, octets)
    };
    let Some(lane) = &worker.live else {
        return by_packs(Said::Nothing);
    };
    // A stream of HTTP/2 is a task of its own: its turns are not those in which the connection reads the clock.
    worker.read_clock();
    let begun = worker.began();
    // Looked at again: over HTTP/2 a hundred requests are sent this way before the first of them comes here.
    if !lane.has_room(begun) {
        worker.counters.count(Event::LiveFull);
        return by_packs(Said::Nothing);
    }
    lane.budget.borrow_mut().spend_one();
    let exchanged = {
        let _place = Place::take(lane, worker);
        let exchange = lane.client.exchange(request.clone());
        match tokio::time::timeout(lane.settings.deadline, exchange).await {
            Ok(exchanged) => exchanged,
            Err(_) => Err(Failure::Late),
        }
    };
    worker.read_clock();
    let ended = worker.began();
    worker
        .counters
        .note_exchange(ended.saturating_duration_since(begun));
    let outcome = exchanged.as_ref().map(|_| ()).map_err(|failure| *failure);
    lane.note(outcome, ended);
    let judged = exchanged.and_then(|reply| {
        let asked = OcspRequest::parse(&request).map_err(|_| Failure::Unfit)?;
        // Taken now, not when it was asked: a generation may have come meanwhile.
        let floor = {
            let mut cache = lane.directory.borrow_mut();
            cache
                .load()
                .find(asked.first.prefix)
                .map(|issuer| issuer.revision)
        };
        let floor = floor.ok_or(Failure::Unfit)?;
        reply::judge(&asked, &reply, floor, worker.now()).map(|fresh| (fresh, reply))
    });
    match judged {
        Ok((fresh, reply)) => {
            worker.counters.count(match reply.was_kept {
                true => Event::LiveCached,
                false => Event::LiveAnswered,
            });
            worker.counters.count(match fresh.revoked {
                true => Event::Revoked,
                false => Event::Good,
            });
            Told::Live(fresh, reply.octets)
        }
        Err(failure) => {
            worker.counters.count(failure.event());
            let said = match failure {
                Failure::Refused => Said::Unauthorized,
                _ => Said::Nothing,
            };
            by_packs(said)
        }
    }
}

/// So many late replies one after another, and the lane counts as stuck.
const LATE_IN_A_ROW: u32 = 3;

/// How long a lane that is away or stuck is left alone.
const AWAY: Duration = Duration::from_millis(250);
