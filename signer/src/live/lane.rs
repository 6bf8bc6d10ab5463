//! The way of a request: read → its issuer's revision → what is kept → statuses → signature.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wire::response::{
    ExtendedRevoke, INTERNAL_ERROR, MALFORMED_REQUEST, Said, SeveralParts, SingleStatus, TRY_LATER,
    UNAUTHORIZED, write_several,
};
use wire::serial::Serial;
use wire::time::UnixSeconds;

use super::book::{Book, Shelf, Source};
use super::cache::{Cache, Kept};
use super::desk::{Desk, Unsigned};
use super::flights::{self, Flights, Seat};
use super::list::List;
use super::metrics::Metrics;
use super::question::{Question, Unanswerable};
use super::status::{Known, Told};
use crate::batch::plan;
use crate::registry::{Answer, AuthorityId, RegistryError, Revision, Store};

/// Everything a request meets.
pub(super) struct Lane<S> {
    pub(super) store: S,
    pub(super) shelf: Shelf,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    /// Places of the queue.
    pub(super) places: Semaphore,
    pub(super) queue: usize,
    pub(super) deadline: Duration,
    pub(super) archive_secs: u64,
    pub(super) metrics: Metrics,
    pub(super) desk: Desk,
    pub(super) clock: fn() -> UnixSeconds,
}

/// What goes back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// An `OCSPResponse`.
    pub(super) octets: Bytes,
    /// The revision at which statuses were read.
    pub(super) revision: Revision,
    /// It was signed before, and nothing changed since.
    pub(super) is_kept: bool,
}

impl Reply {
    fn plain(octets: &'static [u8], revision: Revision) -> Self {
        Self {
            octets: Bytes::from_static(octets),
            revision,
            is_kept: false,
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// As many requests wait as may.
    Full,
    /// It took too long.
    Late,
}

/// Why nothing was signed.
enum Trouble {
    /// There is no room.
    Busy(Busy),
    /// The registry cannot be read.
    Registry(RegistryError),
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// Statuses of one moment.
struct View {
    known: Vec<Known>,
    revision: Revision,
    changed_at: Revision,
}

impl<S> Lane<S> {
    /// The text that Prometheus reads.
    pub(super) fn metrics(&self) -> Result<String, prometheus::Error> {
        let depth = self.queue - self.places.available_permits();
        self.metrics.text(depth, self.cache.len())
    }
}

impl<S: Store> Lane<S> {
    /// Answers a request, or says at once that there is no room, or in the end that there was no time.
    pub(super) async fn answer(&self, octets: &[u8]) -> Result<Reply, Busy> {
        let timer = self.metrics.duration.start_timer();
        let answered = match self.places.try_acquire() {
            Err(_) => Err(Busy::Full),
            Ok(_place) => tokio::time::timeout(self.deadline, self.answer_in_time(octets))
                .await
                .unwrap_or(Err(Busy::Late)),
        };
        match answered {
            Ok(_) => timer.observe_duration(),
            Err(busy) => {
                timer.stop_and_discard();
                match busy {
                    Busy::Full => self.metrics.full.inc(),
                    Busy::Late => self.metrics.late.inc(),
                }
            }
        }
        answered
    }

    async fn answer_in_time(&self, octets: &[u8]) -> Result<Reply, Busy> {
        let (book, now) = (self.shelf.newest(), (self.clock)());
        let question = match Question::read(octets, &book, now) {
            Ok(question) => question,
            Err(why) => {
                self.metrics.refused.inc();
                return Ok(Reply::plain(
                    match why {
                        Unanswerable::Malformed => &MALFORMED_REQUEST,
                        Unanswerable::Unauthorized => &UNAUTHORIZED,
                        Unanswerable::TryLater => &TRY_LATER,
                    },
                    book.revision,
                ));
            }
        };
        let answered = if question.nonce.is_some() {
            self.sign(&question, now).await
        } else {
            self.share(&question, &book, now).await
        };
        match answered {
            Ok(reply) => Ok(reply),
            Err(Trouble::Busy(busy)) => Err(busy),
            Err(Trouble::Registry(error)) => {
                let cause = crate::error::sentence(&error);
                tracing::error!(%cause, "the registry cannot be read");
                self.metrics.failed.inc();
                Ok(Reply::plain(&INTERNAL_ERROR, book.revision))
            }
        }
    }

    /// One without nonce: kept, being signed for somebody else, or signed now.
    async fn share(
        &self,
        question: &Question,
        book: &Book,
        now: UnixSeconds,
    ) -> Result<Reply, Trouble> {
        let (revision, changed_at) = match &question.issuer.source {
            Source::Registry(authority) => self.store.live_revision(*authority).await?,
            Source::List(Some(list)) => (list.revision, list.revision),
            Source::List(None) => return Ok(Reply::plain(&TRY_LATER, book.revision)),
        };
        let name = question.name();
        if let Some(octets) = self.cache.find(&name, changed_at, now) {
            self.metrics.kept.inc();
            return Ok(Reply {
                octets,
                revision,
                is_kept: true,
            });
        }
        match self.flights.join(name, changed_at) {
            Seat::First(leader) => {
                let reply = self.sign(question, now).await?;
                leader.tell(&reply);
                Ok(reply)
            }
            Seat::Beside(others) => match flights::told(others).await {
                Some(reply) => {
                    self.metrics.shared.inc();
                    Ok(reply)
                }
                // The first one gave up or failed.
                None => self.sign(question, now).await,
            },
        }
    }

    /// Reads the statuses and has the answer signed.
    async fn sign(&self, question: &Question, now: UnixSeconds) -> Result<Reply, Trouble> {
        let (view, list) = match &question.issuer.source {
            Source::Registry(authority) => {
                (self.by_registry(*authority, question, now).await?, None)
            }
            Source::List(Some(list)) => (by_list(list, question), Some(&**list)),
            Source::List(None) => return Ok(Reply::plain(&TRY_LATER, 0)),
        };
        // The clock once more: no answer may be dated before the revocation it reports.
        let now = (self.clock)().max(now);
        let Some((tbs, until)) = self.compose(question, &view, list, now) else {
            self.metrics.refused.inc();
            return Ok(Reply::plain(&UNAUTHORIZED, view.revision));
        };
        if until <= now {
            self.metrics.refused.inc();
            return Ok(Reply::plain(&TRY_LATER, view.revision));
        }
        let signatory = Arc::clone(&question.signatory);
        let octets = match self.desk.sign(tbs, signatory).await {
            Ok(octets) => octets,
            Err(Unsigned::Full) => return Err(Trouble::Busy(Busy::Full)),
            Err(Unsigned::Failed) => {
                self.metrics.failed.inc();
                return Ok(Reply::plain(&INTERNAL_ERROR, view.revision));
            }
        };
        self.metrics.signed.inc();
        if question.nonce.is_none() && question.asked.len() == 1 {
            let kept = Kept {
                octets: octets.clone(),
                changed_at: view.changed_at,
                // As what is signed ahead: signed anew at half of its life.
                until: now + (until - now) / 2,
            };
            self.cache.keep(question.name(), kept);
        }
        Ok(Reply {
            octets,
            revision: view.revision,
            is_kept: false,
        })
    }

    async fn by_registry(
        &self,
        authority: AuthorityId,
        question: &Question,
        now: UnixSeconds,
    ) -> Answer<View> {
        let serials: Vec<Serial> = question.asked.iter().map(|(_, serial)| *serial).collect();
        let found = self.store.live_statuses(authority, &serials).await?;
        let known = serials.iter().map(|serial| {
            let row = found.rows.iter().find(|row| row.serial == *serial);
            Known::by_registry(row, now, self.archive_secs)
        });
        Ok(View {
            known: known.collect(),
            revision: found.revision,
            changed_at: found.changed_at,
        })
    }

    /// The octets to sign and the end of their window; none if the answer is `unauthorized`.
    fn compose(
        &self,
        question: &Question,
        view: &View,
        list: Option<&List>,
        now: UnixSeconds,
    ) -> Option<(Vec<u8>, UnixSeconds)> {
        let issuer = &question.issuer;
        let told: Option<Vec<Told>> = view
            .known
            .iter()
            .map(|known| known.told(issuer.never_issued, list.is_none()))
            .collect();
        let told = told?;
        let responder = &question.signatory.responder;
        // RFC 9919 §3.2.4: nextUpdate is there, and never after the end of the responder's certificate or of the list.
        let limit = list.and_then(|list| list.until);
        let mut window = plan::window(now, issuer.validity_secs, responder.not_after, limit);
        if let Some(list) = list.filter(|list| !list.is_replayed) {
            // What the list says was true at its thisUpdate; of later we know nothing.
            window.this_update = list.this_update.max(responder.not_before).min(now);
        }
        let said: Vec<Said<'_>> = question
            .asked
            .iter()
            .zip(&told)
            .map(|((cert_id, _), told)| Said {
                cert_id,
                status: told.status,
                this_update: window.this_update,
                next_update: window.next_update,
                // RFC 6960 §4.4.4: producedAt less the time for which the status of expired certificates is kept.
                archive_cutoff: told
                    .expired_at
                    .map(|_| now.saturating_sub(self.archive_secs)),
                // Of who is good a list says nothing; our own statuses come from the registry, and the newest list may not
                // have them yet.
                // RFC 6960 §4.4.2: the list is named to who asks about the revoked and the held that stand on it.
                found_on: list
                    .filter(|_| matches!(told.status, SingleStatus::Revoked { .. }))
                    .and_then(List::reference),
            })
            .collect();
        let is_extended = told
            .iter()
            .any(|told| told.extended_revoke == ExtendedRevoke::Present);
        let parts = SeveralParts {
            key_hash: &responder.key_hash,
            produced_at: window.produced_at,
            said: &said,
            nonce: question.nonce.as_deref(),
            extended_revoke: if is_extended {
                ExtendedRevoke::Present
            } else {
                ExtendedRevoke::Absent
            },
        };
        let mut tbs = Vec::new();
        write_several(&parts, &mut tbs).ok()?;
        Some((tbs, window.next_update))
    }
}

fn by_list(list: &List, question: &Question) -> View {
    let serials = question.asked.iter().map(|(_, serial)| serial);
    View {
        known: serials.map(|serial| Known::by_list(list, serial)).collect(),
        revision: list.revision,
        changed_at: list.revision,
    }
}
