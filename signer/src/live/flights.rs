//! Identical questions without nonce, asked while the first of them is still being answered, share its answer.
//!
//! Only such as were asked at the same revision of their issuer: who asks after a revocation does not share an answer that was
//! begun before it.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use super::lane::Reply;
use crate::registry::Revision;

type Name = (Revision, Vec<u8>);

/// The questions being answered. As many at most as requests may wait.
#[derive(Default)]
pub(super) struct Flights(DashMap<Name, watch::Receiver<Option<Reply>>>);

/// Who answers.
pub(super) enum Seat<'f> {
    /// This one, for all.
    First(Leader<'f>),
    /// Somebody did already begin to.
    Beside(watch::Receiver<Option<Reply>>),
}

/// The one that answers; whatever becomes of it, the others learn of it.
pub(super) struct Leader<'f> {
    flights: &'f Flights,
    name: Name,
    told: watch::Sender<Option<Reply>>,
}

impl Flights {
    pub(super) fn join(&self, name: Vec<u8>, changed_at: Revision) -> Seat<'_> {
        let name = (changed_at, name);
        match self.0.entry(name.clone()) {
            Entry::Occupied(flight) => Seat::Beside(flight.get().clone()),
            Entry::Vacant(place) => {
                let (told, others) = watch::channel(None);
                place.insert(others);
                Seat::First(Leader {
                    flights: self,
                    name,
                    told,
                })
            }
        }
    }
}

impl Leader<'_> {
    pub(super) fn tell(self, reply: &Reply) {
        // Nobody else may have asked.
        let _ = self.told.send(Some(reply.clone()));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.flights.0.remove(&self.name);
    }
}

/// What the first one was told; none if it gave up.
pub(super) async fn told(mut beside: watch::Receiver<Option<Reply>>) -> Option<Reply> {
    let reply = beside.wait_for(Option::is_some).await.ok()?;
    reply.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::tests::rig::{runtime, within};
    use bytes::Bytes;

    fn reply(revision: Revision) -> Reply {
        Reply {
            octets: Bytes::from_static(b"an answer"),
            revision,
            is_kept: false,
        }
    }

    fn wait(beside: watch::Receiver<Option<Reply>>) -> Option<Reply> {
        within(&runtime(), told(beside))
    }

    #[test]
    fn an_answer_is_shared_with_who_asked_something_else_or_after_a_change() {
        let flights = Flights::default();
        let Seat::First(leader) = flights.join(vec![1], 7) else {
            panic!("nobody asked before")
        };
        let Seat::Beside(beside) = flights.join(vec![1], 7) else {
            panic!("asked twice at once")
        };
        for (name, changed_at) in [(2, 7), (1, 8)] {
            assert!(matches!(
                flights.join(vec![name], changed_at),
                Seat::First(_)
            ));
        }
        leader.tell(&reply(9));
        assert_eq!(wait(beside).map(|reply| reply.revision), Some(9));
        // Whoever asks now asks anew: there is no memory here.
        assert!(matches!(flights.join(vec![1], 7), Seat::First(_)));
        assert!(flights.0.is_empty(), "as many as are being answered");
    }

    #[test]
    fn who_sits_beside_one_that_failed_waits_for_ever() {
        let flights = Flights::default();
        let Seat::First(leader) = flights.join(vec![1], 7) else {
            panic!("nobody asked before")
        };
        let Seat::Beside(beside) = flights.join(vec![1], 7) else {
            panic!("asked twice at once")
        };
        drop(leader);
        assert!(wait(beside).is_none());
        assert!(flights.0.is_empty());
    }
}
