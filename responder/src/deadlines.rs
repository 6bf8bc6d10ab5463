//! How long a connection may wait, and who looks.
//!
//! Deadlines cost a request next to nothing: a connection notes what it waits for and since which second ([`Watch`]), and
//! its worker looks over all of them once a second ([`Connections::sweep`]). hyper's header timer would be made, armed and
//! dropped for each request, and does not cover the body.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::metrics::Event;
use crate::worker::Worker;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For a request, or for the client to read what it asked for.
    Idle,
    /// For the rest of a request.
    Receiving,
}

/// What the worker wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Serve,
    /// Finish the request in progress, then close.
    Drain,
    /// Close now.
    Close,
}

/// One connection as its worker sees it.
pub(crate) struct Watch {
    phase: Cell<Phase>,
    since: Cell<u32>,
    order: Cell<Order>,
    /// A refusal has been sent before the request was read.
    lingers: Cell<bool>,
    /// Streams that are sending a body.
    uploads: Cell<u32>,
    task: RefCell<Option<Waker>>,
    index: Cell<usize>,
}

impl Watch {
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// From second `tick` on it waits for this.
    pub(crate) fn wait(&self, phase: Phase, tick: u32) {
        self.phase.set(phase);
        self.since.set(tick);
    }

    pub(crate) fn order(&self) -> Order {
        self.order.get()
    }

    /// A refusal goes out before the request has been read: the client gets the time to read it.
    pub(crate) fn linger(&self) {
        self.lingers.set(true);
    }

    /// True if the connection must not be closed upon a client that is still sending.
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.get()
    }

    /// One more stream of an HTTP/2 connection is sending a body.
    pub(crate) fn begin_upload(&self, tick: u32) {
        if self.uploads.get() == 0 {
            self.wait(Phase::Receiving, tick);
        }
        self.uploads.set(self.uploads.get() + 1);
    }

    /// One of them has ended, well or not; for the others the time runs anew.
    pub(crate) fn end_upload(&self, tick: u32) {
        self.uploads.set(self.uploads.get().saturating_sub(1));
        let rests = self.uploads.get() == 0;
        self.wait(if rests { Phase::Idle } else { Phase::Receiving }, tick);
    }

    /// Remembers whom to wake when the order changes.
    pub(crate) fn remember(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if task.is_none() {
            *task = Some(cx.waker().clone());
        }
    }

    fn command(&self, order: Order) {
        self.order.set(order);
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}

/// The connections of one worker.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<Vec<Rc<Watch>>>,
    tick: Cell<u32>,
    draining: Cell<bool>,
    /// How many of them speak HTTP/2, and the streams that they may open together.
    http2: Cell<(usize, usize)>,
    /// The acceptors, while they wait for one of them to end.
    room: RefCell<Vec<Waker>>,
}

impl Connections {
    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Seconds since this worker started: steady, whatever the clock does.
    pub(crate) fn tick(&self) -> u32 {
        self.tick.get()
    }

    /// Watches one more.
    pub(crate) fn add(&self) -> Rc<Watch> {
        let mut open = self.open.borrow_mut();
        let watch = Rc::new(Watch {
            phase: Cell::new(Phase::Idle),
            since: Cell::new(self.tick()),
            order: Cell::new(Order::Serve),
            lingers: Cell::new(false),
            uploads: Cell::new(0),
            task: RefCell::default(),
            index: Cell::new(open.len()),
        });
        open.push(Rc::clone(&watch));
        watch
    }

    /// It has closed.
    pub(crate) fn remove(&self, watch: &Watch) {
        let mut open = self.open.borrow_mut();
        let index = watch.index.get();
        open.swap_remove(index);
        if let Some(moved) = open.get(index) {
            moved.index.set(index);
        }
        for waiting in self.room.borrow_mut().drain(..) {
            waiting.wake();
        }
    }

    /// Ready once fewer than `limit` are open.
    pub(crate) fn poll_room(&self, limit: usize, cx: &Context<'_>) -> Poll<()> {
        if self.len() < limit {
            return Poll::Ready(());
        }
        let mut room = self.room.borrow_mut();
        if !room.iter().any(|waker| waker.will_wake(cx.waker())) {
            room.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// How many speak HTTP/2, and the streams that they may open together.
    pub(crate) fn http2(&self) -> (usize, usize) {
        self.http2.get()
    }

    /// One more does, and may open so many.
    pub(crate) fn begin_http2(&self, may_open: usize) {
        let (connections, streams) = self.http2.get();
        self.http2.set((connections + 1, streams + may_open));
    }

    /// One that may open so many has closed.
    pub(crate) fn end_http2(&self, may_open: usize) {
        let (connections, streams) = self.http2.get();
        let less = (
            connections.saturating_sub(1),
            streams.saturating_sub(may_open),
        );
        self.http2.set(less);
    }

    /// A second has passed: closes what waits for too long. With the limit reached, resting connections make room
    /// after [`CROWDED_IDLE_SECS`].
    pub(crate) fn sweep(&self, worker: &Worker) {
        self.tick.set(self.tick.get().wrapping_add(1));
        let crowded = self.len() >= worker.policy.max_connections;
        let idle_secs = if crowded {
            CROWDED_IDLE_SECS
        } else {
            worker.policy.idle_secs
        };
        for watch in self.open.borrow().iter() {
            let waited = self.tick().wrapping_sub(watch.since.get());
            let (limit, event) = match watch.phase.get() {
                Phase::Idle => (idle_secs, Event::IdleTimeout),
                Phase::Receiving => (worker.policy.request_secs, Event::RequestTimeout),
            };
            if waited > limit && watch.order() != Order::Close {
                worker.counters.count(event);
                watch.command(Order::Close);
            }
        }
    }

    /// From now on every response is its connection's last.
    pub(crate) fn begin_drain(&self) {
        self.draining.set(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Closes the connections that rest, and the others after what they are doing.
    pub(crate) fn finish_drain(&self) {
        for watch in self.open.borrow().iter() {
            watch.command(Order::Drain);
        }
    }
}

/// Seconds a connection may rest while the limit is reached.
const CROWDED_IDLE_SECS: u32 = 1;
