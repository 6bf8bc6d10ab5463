//! Keeps the children running until a signal ends the service, and says when it is ready.
//!
//! Signer, loader and follower are restarted for ever: while one of them is down the responder serves what is fresh and
//! its metrics say so. A responder that cannot live is another matter, since it is what all this is for: after
//! [`RESPONDER_TRIES`] short lives in a row the service gives up and exits 1, so that whoever started it learns of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::children::Child;
use crate::error::UpError;
use crate::probe::{Readiness, readiness};
use crate::program::Program;
use crate::step::say;

/// The name of the child that is the service.
pub(crate) const RESPONDER: &str = "responder";

/// The children in the order they are started and, upstream first, ended: what is on its way still arrives.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) program: Program,
    pub(crate) children: Vec<Child>,
    pub(crate) admin: SocketAddr,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    child: Signal,
}

impl Service {
    /// Runs until SIGTERM or SIGINT; `on_ready` once, when `/readyz` first says so.
    pub(crate) fn run(mut self, on_ready: impl FnOnce()) -> Result<(), UpError> {
        // A runtime on this very thread: the children are bound to the thread that starts them.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .map_err(|source| UpError::Signals { source })?
            .block_on(async {
                let mut signals =
                    Signals::listen().map_err(|source| UpError::Signals { source })?;
                let outcome = self.serve(&mut signals, on_ready).await;
                let ended = self.end_in_order(&mut signals).await;
                outcome.and(ended)
            })
    }

    async fn serve(
        &mut self,
        signals: &mut Signals,
        on_ready: impl FnOnce(),
    ) -> Result<(), UpError> {
        let mut on_ready = Some(on_ready);
        let started = Instant::now();
        let mut patience = FIRST_PATIENCE;
        // Asked on a thread of its own, so that children are tended and signals heard while an answer is awaited.
        let mut asked = ask(self.admin, Duration::ZERO);
        loop {
            let now = Instant::now();
            let mut look_again = None;
            for child in &mut self.children {
                look_again = earlier(look_again, child.tend(&self.program, now));
                if child.name == RESPONDER && child.short_lives >= RESPONDER_TRIES {
                    return Err(UpError::ResponderGivesUp {
                        times: child.short_lives,
                    });
                }
            }
            let pause = look_again.map_or(LONGEST_SLEEP, |at| {
                at.saturating_duration_since(Instant::now())
            });
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.child.recv() => {}
                () = sleep(pause) => {}
                answer = &mut asked, if on_ready.is_some() => {
                    match answer.unwrap_or(Readiness::Silent) {
                        Readiness::Ready => on_ready.take().into_iter().for_each(|tell| tell()),
                        not_yet if started.elapsed() > patience => {
                            patience *= 2;
                            say(&format!(
                                "not ready after {} s: {}",
                                started.elapsed().as_secs(),
                                explain(not_yet)
                            ));
                        }
                        _ => {}
                    }
                    asked = ask(self.admin, READY_POLL);
                }
            }
        }
    }

    /// Each in turn: asked, waited for, killed when its time is over. A second signal ends the waiting.
    async fn end_in_order(&mut self, signals: &mut Signals) -> Result<(), UpError> {
        say("\nstopping: signer, loader, follower, then the responder");
        let mut killed = Vec::new();
        let mut impatient = false;
        for child in &mut self.children {
            child.ask_to_end();
            let deadline = Instant::now() + DRAIN;
            while !child.has_ended() {
                if impatient || Instant::now() >= deadline {
                    child.kill();
                    killed.push(child.name);
                    break;
                }
                tokio::select! {
                    _ = signals.terminate.recv() => impatient = true,
                    _ = signals.interrupt.recv() => impatient = true,
                    _ = signals.child.recv() => {}
                    () = sleep(DRAIN_POLL) => {}
                }
            }
        }
        if killed.is_empty() {
            Ok(())
        } else {
            Err(UpError::Killed {
                killed: killed.join(", "),
            })
        }
    }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            child: signal(SignalKind::child())?,
        })
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The answer of `/readyz`, asked after a pause.
fn ask(admin: SocketAddr, pause: Duration) -> JoinHandle<Readiness> {
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(pause);
        readiness(admin)
    })
}

fn explain(readiness: Readiness) -> String {
    match readiness {
        Readiness::Ready => "ready".to_owned(),
        Readiness::NotYet(why) => why,
        Readiness::Silent => "the responder's admin port does not answer".to_owned(),
    }
}

const RESPONDER_TRIES: u32 = 8;
/// How often `/readyz` is asked until it first says ready.
const READY_POLL: Duration = Duration::from_millis(20);
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// Signals wake the loop; this is only a second look at the children.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// What each child gets to end in order. The responder answers what it has begun and then cuts off who is too slow, by its
/// own deadline ([`DRAIN_SECS`](hufu_responder::config::DRAIN_SECS)); to kill it at that same moment would make a failure
/// of every stop with one slow client.
const DRAIN: Duration = Duration::from_secs(15);
const DRAIN_POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responder_is_killed_while_it_still_drains() {
        let its_own = Duration::from_secs(u64::from(hufu_responder::config::DRAIN_SECS));
        assert!(DRAIN >= its_own + Duration::from_secs(3), "{DRAIN:?}");
    }
}
