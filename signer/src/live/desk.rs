//! The signing threads. What waits for them is bounded by the lane's queue; what nobody waits for any more is not signed.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::book::Signatory;
use crate::error::sentence;

/// Why a response was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// As much waits as may: what its askers gave up is still to be taken off the desk.
    Full,
    /// The key refuses, or the threads are gone.
    Failed,
}

/// A response to be signed.
struct Job {
    tbs: Vec<u8>,
    signatory: Arc<Signatory>,
    done: oneshot::Sender<Option<Bytes>>,
}

/// Where responses are laid down to be signed.
pub(super) struct Desk(SyncSender<Job>);

/// What lies there, for those who sign.
pub(super) struct Tray(Arc<Mutex<Receiver<Job>>>);

impl Tray {
    /// Starts this many threads; they end with the desk.
    pub(super) fn attend(&self, threads: usize) -> io::Result<()> {
        for number in 0..threads {
            let waiting = Arc::clone(&self.0);
            std::thread::Builder::new()
                .name(format!("sign-{number}"))
                .spawn(move || work(&waiting))?;
        }
        Ok(())
    }
}

impl Desk {
    /// A desk for this many, and what lies on it: nobody signs yet.
    pub(super) fn new(queue: usize) -> (Self, Tray) {
        let (jobs, waiting) = sync_channel(queue);
        (Self(jobs), Tray(Arc::new(Mutex::new(waiting))))
    }

    /// Has a response signed.
    pub(super) async fn sign(
        &self,
        tbs: Vec<u8>,
        signatory: Arc<Signatory>,
    ) -> Result<Bytes, Unsigned> {
        let (done, signed) = oneshot::channel();
        let job = Job {
            tbs,
            signatory,
            done,
        };
        match self.0.try_send(job) {
            Ok(()) => signed.await.ok().flatten().ok_or(Unsigned::Failed),
            Err(TrySendError::Full(_)) => Err(Unsigned::Full),
            Err(TrySendError::Disconnected(_)) => Err(Unsigned::Failed),
        }
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.recv()
        };
        let Ok(job) = job else {
            return;
        };
        // Past its deadline: whoever asked has been told so.
        if job.done.is_closed() {
            continue;
        }
        let signed = signed(&job);
        let _ = job.done.send(signed);
    }
}

fn signed(job: &Job) -> Option<Bytes> {
    let responder = &job.signatory.responder;
    let signature = match responder.key.sign(&job.tbs) {
        Ok(signature) => signature,
        Err(error) => {
            let cause = sentence(&error);
            tracing::error!(%cause, "a response cannot be signed");
            return None;
        }
    };
    let algorithm = responder.key.algorithm();
    let certs = &job.signatory.certs;
    let response = wire::response::assemble_several(&job.tbs, algorithm, &signature, certs).ok()?;
    Some(Bytes::from(response))
}
