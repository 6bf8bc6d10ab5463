//! One connection: the socket under hyper, its deadlines, and the order in which things are said at its end.
//!
//! hyper reads and writes through [`Link`]. What it writes is gathered in the worker's cork and sent when its turn ends, so
//! that sixteen pipelined answers are one system call, and a CRL still goes out piece by piece. (hyper's own
//! `pipeline_flush` gathers too, but then buffers a body of any size whole: a 45 MB CRL for each client.)
//!
//! Deadlines cost nothing per request: a connection notes what it waits for and since which second, and the worker looks
//! over all of them once a second ([`Connections::sweep`]). hyper's header timer would arm and disarm a timer, and allocate
//! it, for each request.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::http::Responder;
use crate::metrics::Event;
use crate::worker::Worker;

/// What a connection waits for, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For a request, or for the client to read what it asked for.
    Idle,
    /// For the rest of a request.
    Receiving,
}

/// What the worker wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Serve,
    /// Finish the request in progress, then close.
    Drain,
    /// Close now.
    Close,
}

/// A connection as its worker, hyper and its own task share it.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    socket: RefCell<TcpStream>,
    /// Octets the socket would not take when their turn ended.
    backlog: RefCell<Vec<u8>>,
    phase: Cell<Phase>,
    since: Cell<u32>,
    /// Octets of the request line so far; none once its end has been seen.
    line: Cell<Option<usize>>,
    order: Cell<Order>,
    /// A refusal has been sent before the request was read: give the client the time to see it.
    lingers: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    index: Cell<usize>,
}

impl Connection {
    /// Notes octets that came in.
    fn note_read(&self, octets: &[u8]) -> io::Result<()> {
        if self.phase.get() == Phase::Idle && !octets.is_empty() {
            self.phase.set(Phase::Receiving);
            self.since.set(self.worker.connections.tick());
            self.line.set(Some(0));
        }
        if let Some(line) = self.line.get() {
            let line = line + octets.len();
            let ended = octets.contains(&b'\n');
            self.line.set((!ended).then_some(line));
            // hyper would say 431 (header fields) for a request line that fills its buffer.
            if !ended && line >= MAX_LINE_OCTETS {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// Notes that something has been sent: from here on the client's time runs anew.
    fn note_written(&self) {
        self.phase.set(Phase::Idle);
        self.since.set(self.worker.connections.tick());
    }

    /// A refusal goes out before the request has been read.
    pub(crate) fn linger(&self) {
        self.lingers.set(true);
    }

    /// Sends the backlog, then the cork; what the socket does not take becomes the backlog.
    fn push_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut cork = self.worker.cork.borrow_mut();
        let mut backlog = self.backlog.borrow_mut();
        if cork.is_empty() && backlog.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !backlog.is_empty() {
            backlog.append(&mut cork);
            let sent = self.send(cx, &backlog);
            return match sent {
                Ok(sent) => {
                    backlog.drain(..sent);
                    if backlog.is_empty() {
                        // A slow client's buffer is not kept for the rest of a long connection.
                        *backlog = Vec::new();
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    }
                }
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        let sent = self.send(cx, &cork);
        let outcome = match sent {
            Ok(sent) if sent == cork.len() => Poll::Ready(Ok(())),
            Ok(sent) => {
                backlog.extend_from_slice(&cork[sent..]);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        cork.clear();
        outcome
    }

    /// Sends as much as the socket takes; if that is not all, the task is woken when it takes more.
    fn send(&self, cx: &mut Context<'_>, octets: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket.borrow_mut();
        let mut sent = 0;
        while sent < octets.len() {
            match Pin::new(&mut *socket).poll_write(cx, &octets[sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(octets)) => {
                    sent += octets;
                    self.note_written();
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(sent)
    }
}

/// hyper's end of a connection.
pub(crate) struct Link(Rc<Connection>);

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut *self.0.socket.borrow_mut()).poll_read(cx, into))?;
        Poll::Ready(self.0.note_read(&into.filled()[before..]))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let connection = &self.0;
        let corked = connection.worker.cork.borrow().len();
        if connection.backlog.borrow().is_empty() && corked + octets.len() <= MAX_CORK_OCTETS {
            connection
                .worker
                .cork
                .borrow_mut()
                .extend_from_slice(octets);
            return Poll::Ready(Ok(octets.len()));
        }
        ready!(connection.push_out(cx))?;
        match connection.send(cx, octets)? {
            0 => Poll::Pending,
            sent => Poll::Ready(Ok(sent)),
        }
    }

    /// The end of the turn flushes ([`Conversation::poll`]).
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Dropping the socket says goodbye as well as a `shutdown` call would, for one call less.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.push_out(cx)
    }
}

/// The task of one connection, from its first octet to its close.
pub(crate) struct Conversation {
    connection: Rc<Connection>,
    http: http1::Connection<TokioIo<Link>, Responder>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    /// Nothing more is read; what has been written is being sent.
    Closing,
    /// All is sent; the client is still sending and would take a reset for an answer.
    Lingering(usize),
}

impl Conversation {
    pub(crate) fn new(worker: &Rc<Worker>, socket: TcpStream, http: &http1::Builder) -> Self {
        let connection = Rc::new(Connection {
            worker: Rc::clone(worker),
            socket: RefCell::new(socket),
            backlog: RefCell::default(),
            phase: Cell::new(Phase::Idle),
            since: Cell::new(worker.connections.tick()),
            line: Cell::new(None),
            order: Cell::new(Order::Serve),
            lingers: Cell::new(false),
            waker: RefCell::default(),
            index: Cell::new(0),
        });
        worker.connections.add(&connection);
        worker.counters.note_open(worker.connections.len());
        let link = TokioIo::new(Link(Rc::clone(&connection)));
        Self {
            http: http.serve_connection(link, Responder(Rc::clone(&connection))),
            connection,
            stage: Stage::Serving,
        }
    }

    /// Notes why hyper gave up; says what it could not say.
    fn end(&mut self, outcome: &Result<(), hyper::Error>) {
        let connection = &self.connection;
        let counters = &connection.worker.counters;
        if connection
            .line
            .get()
            .is_some_and(|line| line >= MAX_LINE_OCTETS)
        {
            counters.count(Event::TargetTooLong);
            let mut cork = connection.worker.cork.borrow_mut();
            cork.extend_from_slice(URI_TOO_LONG);
            connection.linger();
        } else if outcome.as_ref().is_err_and(hyper::Error::is_parse) {
            counters.count(Event::BadHttp);
            connection.linger();
        }
    }
}

impl Future for Conversation {
    type Output = ();

    /// One turn: let hyper read, answer and write, then send what has gathered.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let connection = &this.connection;
        connection.worker.read_clock();
        if connection.waker.borrow().is_none() {
            *connection.waker.borrow_mut() = Some(cx.waker().clone());
        }
        match connection.order.get() {
            Order::Close => return Poll::Ready(()),
            Order::Drain if this.stage == Stage::Serving => {
                Pin::new(&mut this.http).graceful_shutdown();
                this.stage = Stage::Draining;
            }
            Order::Serve | Order::Drain => {}
        }
        if matches!(this.stage, Stage::Serving | Stage::Draining)
            && let Poll::Ready(outcome) = Pin::new(&mut this.http).poll(cx)
        {
            this.stage = Stage::Closing;
            this.end(&outcome);
        }
        let connection = &this.connection;
        let pushed = connection.push_out(cx);
        if this.stage == Stage::Closing {
            if ready!(pushed).is_err() || !connection.lingers.get() {
                return Poll::Ready(());
            }
            this.stage = Stage::Lingering(0);
            connection.phase.set(Phase::Receiving);
            connection.since.set(connection.worker.connections.tick());
            // The end of our side tells a client that reads to its end that there is no more.
            let _ = Pin::new(&mut *connection.socket.borrow_mut()).poll_shutdown(cx);
        } else if matches!(pushed, Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        match &mut this.stage {
            Stage::Lingering(read) => discard(connection, read, cx),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let worker = &self.connection.worker;
        worker.connections.remove(&self.connection);
        worker.counters.note_open(worker.connections.len());
    }
}

/// Reads what the client still sends, up to a limit, so that closing does not reset the connection before the client has
/// read the refusal. Bounded in time by the sweep.
fn discard(connection: &Connection, read: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    let mut space = [0; 4096];
    while *read < MAX_LINGER_OCTETS {
        let mut into = ReadBuf::new(&mut space);
        match ready!(Pin::new(&mut *connection.socket.borrow_mut()).poll_read(cx, &mut into)) {
            Ok(()) if !into.filled().is_empty() => *read += into.filled().len(),
            _ => break,
        }
    }
    Poll::Ready(())
}

/// The connections of one worker.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<Vec<Rc<Connection>>>,
    tick: Cell<u32>,
    draining: Cell<bool>,
    /// The acceptor, while it waits for one of them to end.
    room: RefCell<Option<Waker>>,
}

impl Connections {
    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Seconds since this worker started: steady, whatever the clock does.
    fn tick(&self) -> u32 {
        self.tick.get()
    }

    fn add(&self, connection: &Rc<Connection>) {
        let mut open = self.open.borrow_mut();
        connection.index.set(open.len());
        open.push(Rc::clone(connection));
        if self.draining.get() {
            connection.order.set(Order::Drain);
        }
    }

    fn remove(&self, connection: &Connection) {
        let mut open = self.open.borrow_mut();
        let index = connection.index.get();
        open.swap_remove(index);
        if let Some(moved) = open.get(index) {
            moved.index.set(index);
        }
        if let Some(waiting) = self.room.take() {
            waiting.wake();
        }
    }

    /// Ready once fewer than `limit` are open.
    pub(crate) fn poll_room(&self, limit: usize, cx: &mut Context<'_>) -> Poll<()> {
        if self.len() < limit {
            return Poll::Ready(());
        }
        *self.room.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
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
        for connection in self.open.borrow().iter() {
            let waited = self.tick().wrapping_sub(connection.since.get());
            let (limit, event) = match connection.phase.get() {
                Phase::Idle => (idle_secs, Event::IdleTimeout),
                Phase::Receiving => (worker.policy.request_secs, Event::RequestTimeout),
            };
            if waited > limit && connection.order.get() != Order::Close {
                worker.counters.count(event);
                connection.command(Order::Close);
            }
        }
    }

    /// Has every connection finish what it is doing and close; also those still to come.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        for connection in self.open.borrow().iter() {
            connection.command(Order::Drain);
        }
    }
}

impl Connection {
    fn command(&self, order: Order) {
        self.order.set(order);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// A request line of this length is refused unread: just below hyper's smallest buffer, 8 KiB.
const MAX_LINE_OCTETS: usize = 8_000;

/// Octets gathered in a turn before they are sent.
const MAX_CORK_OCTETS: usize = 16 * 1024;

/// Octets read and thrown away after a refusal.
const MAX_LINGER_OCTETS: usize = 256 * 1024;

/// Seconds a connection may rest while the limit is reached.
const CROWDED_IDLE_SECS: u32 = 1;

const URI_TOO_LONG: &[u8] =
    b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
