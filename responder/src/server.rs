//! The serving threads: one a core, each with its own listener, its own runtime and its own connections.
//!
//! Nothing moves between them once they run. A connection is greeted (`lane`) as soon as it is accepted, and only what that
//! did not finish becomes a task. They end when told to drain: what is in progress is finished, what comes meanwhile is
//! answered once, and after the deadline the rest is dropped.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::lane::greet;
use crate::listen;
use crate::live::{Lane, Shelf};
use crate::metrics::{Counters, Event};
use crate::reload::Edge;
use crate::tls::{self, Credentials};
use crate::worker::{Current, Policy, Worker};

/// The running workers.
pub(crate) struct Server {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    drain: watch::Sender<bool>,
    threads: Vec<JoinHandle<usize>>,
    counters: Vec<Arc<Counters>>,
}

impl Server {
    /// Binds the public address and starts the workers. Nothing runs if the address is taken.
    pub(crate) fn start(
        config: &Config,
        edge: &Edge,
        credentials: Option<&Arc<Credentials>>,
    ) -> io::Result<Self> {
        let listeners = listen::listeners(config.ocsp, config.workers)?;
        let address = listeners[0].local_addr()?;
        let mut tls_listeners = match &config.tls {
            Some(tls) => listen::listeners(tls.address, config.workers).map_err(|error| {
                io::Error::new(error.kind(), format!("TLS on {}: {error}", tls.address))
            })?,
            None => Vec::new(),
        };
        let tls_address = tls_listeners
            .first()
            .map(TcpListener::local_addr)
            .transpose()?;
        let policy = Policy {
            max_connections: config.max_connections / config.workers,
            request_secs: config.request_secs,
            idle_secs: config.idle_secs,
            max_age_secs: config.max_age_secs,
            past_valid_until: config.past_valid_until,
        };
        let cores = allowed_cores();
        let (drain, drained) = watch::channel(false);
        let mut server = Self {
            address,
            tls_address,
            drain,
            threads: Vec::new(),
            counters: Vec::new(),
        };
        for (index, listener) in listeners.into_iter().enumerate() {
            let counters = Arc::new(Counters::default());
            server.counters.push(Arc::clone(&counters));
            let mut start = Start {
                core: cores.get(index % cores.len().max(1)).copied(),
                listener,
                tls: tls_listeners.pop().zip(credentials.cloned()),
                policy,
                counters,
                current: Arc::clone(&edge.current),
                live: edge.live.clone().map(|shelf| (shelf, config.workers)),
                drained: drained.clone(),
                deadline: config.drain,
            };
            // With more workers than cores the kernel places them better than we do.
            if config.workers > cores.len() {
                start.core = None;
            }
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || run(start))?;
            server.threads.push(thread);
        }
        Ok(server)
    }

    /// Where it listens: what was asked for, or with port 0 what the kernel chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens behind TLS.
    pub(crate) fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// The cells of all workers.
    pub(crate) fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    /// True if a worker has ended without being told to.
    pub(crate) fn lost_a_worker(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops accepting, lets what is in progress end until the deadline, and waits for it. How many connections the
    /// deadline cut off.
    pub(crate) fn drain(self) -> usize {
        // Workers that have gone away need no telling.
        let _ = self.drain.send(true);
        let threads = self.threads.into_iter();
        threads.map(|thread| thread.join().unwrap_or(0)).sum()
    }
}

type Listener = AsyncFd<TcpListener>;

/// What a worker is given.
struct Start {
    core: Option<usize>,
    listener: TcpListener,
    tls: Option<(TcpListener, Arc<Credentials>)>,
    policy: Policy,
    counters: Arc<Counters>,
    current: Current,
    /// The way to the live lane, and how many workers share it.
    live: Option<(Shelf, usize)>,
    drained: watch::Receiver<bool>,
    deadline: Duration,
}

/// The life of a serving thread; the connections it had to cut off in the end.
fn run(start: Start) -> usize {
    if let Some(core) = start.core {
        pin_to(core);
    }
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .expect("a thread that has just started can have an epoll instance");
    runtime.block_on(serve(start))
}

async fn serve(mut start: Start) -> usize {
    let mut worker = Worker::new(start.policy, start.counters, start.current);
    worker.live = start
        .live
        .map(|(shelf, workers)| Lane::new(&shelf, workers));
    let worker = Rc::new(worker);
    #[expect(
        deprecated,
        reason = "its successor makes the caller swear that the descriptor stays the same, which std's listener sees to"
    )]
    let listener = AsyncFd::with_interest(start.listener, Interest::READABLE)
        .map(Rc::new)
        .expect("a listening socket can be registered with the runtime that is there");
    let tls = start.tls.map(|(socket, credentials)| {
        tls::Listener::new(socket, credentials)
            .map(Rc::new)
            .expect("as the listener above")
    });
    let mut accepting = spawn_local(accept_all(
        Rc::clone(&worker),
        Rc::clone(&listener),
        tls.clone(),
    ));
    let mut sweeping = spawn_local(sweep(Rc::clone(&worker)));

    if until_told(&mut start.drained, &mut accepting, &mut sweeping).await == End::Lost {
        // The thread ends, and `lost_a_worker` sees it.
        tracing::error!("a worker can no longer accept or watch its connections");
        return worker.connections.len();
    }

    // A request may be on its way on any connection, resting or new, or on one that the kernel keeps until it has come
    // (`TCP_DEFER_ACCEPT`): who asks now is still answered, once.
    worker.connections.begin_drain();
    let grace = DRAIN_GRACE.min(start.deadline);
    tokio::time::sleep(grace).await;
    accepting.abort();
    // To close the listener would reset the connections that wait in it.
    for _ in 0..=listen::BACKLOG / MAX_ACCEPTED {
        if accept_some(&worker, &listener, usize::MAX) != Accepted::Some {
            break;
        }
    }
    drop(listener);
    if let Some(tls) = tls {
        tls.take_waiting(&worker);
    }
    worker.connections.finish_drain();
    let _ = tokio::time::timeout(start.deadline - grace, all_closed(&worker)).await;
    sweeping.abort();
    worker.connections.len()
}

/// Why a worker stops serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum End {
    /// It has been told to drain.
    Told,
    /// One of the tasks it cannot do without has ended: only a panic ends them.
    Lost,
}

async fn until_told(
    drained: &mut watch::Receiver<bool>,
    accepting: &mut tokio::task::JoinHandle<()>,
    sweeping: &mut tokio::task::JoinHandle<()>,
) -> End {
    tokio::select! {
        // An error means that the server handle is gone: the same as being told.
        _ = drained.wait_for(|drained| *drained) => End::Told,
        _ = accepting => End::Lost,
        _ = sweeping => End::Lost,
    }
}

/// Accepts for ever on both ports.
async fn accept_all(worker: Rc<Worker>, plain: Rc<Listener>, tls: Option<Rc<tls::Listener>>) {
    let Some(tls) = tls else {
        return accept(worker, plain).await;
    };
    tokio::join!(accept(Rc::clone(&worker), plain), tls.accept(&worker));
}

/// Accepts for ever.
async fn accept(worker: Rc<Worker>, listener: Rc<Listener>) {
    let limit = worker.policy.max_connections;
    loop {
        // RFC 9919 §8.4: a responder SHOULD keep floods of requests from denying its service: connections are counted.
        if worker.connections.len() >= limit {
            worker.counters.count(Event::LimitReached);
            std::future::poll_fn(|cx| worker.connections.poll_room(limit, cx)).await;
        }
        // An error means that the runtime is going away, and this task with it.
        let Ok(mut ready) = listener.readable().await else {
            return;
        };
        match accept_some(&worker, &listener, limit) {
            Accepted::All => ready.clear_ready(),
            // The other connections of this core want their turn.
            Accepted::Some => tokio::task::yield_now().await,
            Accepted::Failed => {
                // Out of descriptors or memory: trying again at once would only burn the core that has to free them.
                worker.counters.count(Event::AcceptFailed);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How accepting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Accepted {
    /// Nobody waits any longer.
    All,
    /// There may be more.
    Some,
    /// The system refuses.
    Failed,
}

/// Accepts and greets some connections, unless `limit` are open.
fn accept_some(worker: &Rc<Worker>, listener: &Listener, limit: usize) -> Accepted {
    for _ in 0..MAX_ACCEPTED {
        if worker.connections.len() >= limit {
            return Accepted::Some;
        }
        match accept_with(
            listener.get_ref(),
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        ) {
            Ok(socket) => {
                if let Some(conversation) = greet(worker, socket) {
                    spawn_local(conversation);
                }
            }
            Err(Errno::AGAIN) => return Accepted::All,
            // The client has gone again; or a signal.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(_) => return Accepted::Failed,
        }
    }
    Accepted::Some
}

/// Once a second: deadlines, and letting go of a generation that has been replaced.
async fn sweep(worker: Rc<Worker>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    // After a standstill the seconds missed are not made up for: those who come now would be closed by them.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        worker.connections.sweep(&worker);
        worker.with_snapshot(|_| ());
    }
}

async fn all_closed(worker: &Worker) {
    std::future::poll_fn(|cx| worker.connections.poll_room(1, cx)).await;
}

/// The cores this process may run on.
fn allowed_cores() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect()
}

/// Keeps this thread on one core, with its caches and its share of the connections. Failing that it runs anywhere.
fn pin_to(core: usize) {
    let mut only = CpuSet::new();
    only.set(core);
    if let Err(error) = sched_setaffinity(None, &only) {
        tracing::warn!(core, %error, "cannot pin a worker to its core");
    }
}

/// Connections accepted, and mostly answered, before the others on the core have their turn.
const MAX_ACCEPTED: usize = 64;

/// How long the listener and resting connections stay open after SIGTERM.
const DRAIN_GRACE: Duration = Duration::from_millis(250);

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_that_no_longer_accepts_or_sweeps_goes_on_unnoticed() {
        let runtime = Builder::new_current_thread()
            .build_local(LocalOptions::default())
            .unwrap();
        let for_ever = || spawn_local(std::future::pending());
        let broken = || spawn_local(async { panic!("a defect") });
        runtime.block_on(async {
            let (tell, mut told) = watch::channel(false);
            let lost = until_told(&mut told, &mut broken(), &mut for_ever()).await;
            assert_eq!(lost, End::Lost);
            let lost = until_told(&mut told, &mut for_ever(), &mut broken()).await;
            assert_eq!(lost, End::Lost);
            tell.send(true).unwrap();
            let end = until_told(&mut told, &mut for_ever(), &mut for_ever()).await;
            assert_eq!(end, End::Told);
        });
    }
}
