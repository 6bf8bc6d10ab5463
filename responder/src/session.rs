//! A conversation over any stream that is not the bare socket of `conversation`: behind TLS (`tls`).
//!
//! hyper reads and writes through [`Watched`], which notes what the sweep needs to know; the end has the same order as
//! that of a plain conversation. There is no express lane here: what it saves is little beside encrypting.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::deadlines::{Order, Phase, Watch};
use crate::h2::Share;
use crate::http::{Framing, Responder};
use crate::metrics::Event;
use crate::protocol::Http;
use crate::worker::Worker;

/// A connection that its worker watches, from the accept to the drop.
pub(crate) struct Open {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Rc<Watch>,
}

impl Open {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        let watch = worker.connections.add();
        worker.counters.note_open(worker.connections.len());
        Self {
            worker: Rc::clone(worker),
            watch,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.worker.counters.count(Event::Panicked);
        }
        self.worker.connections.remove(&self.watch);
        self.worker
            .counters
            .note_open(self.worker.connections.len());
    }
}

/// A stream that can be given up together with what its client does not take.
pub(crate) trait Forgetful {
    /// Its closing is to leave nothing in the kernel, which would keep it for minutes.
    fn forget_unsent(&self);

    /// True if the client has sent octets that nobody has read: to close now would reset the connection.
    fn has_unread(&self) -> bool;
}

impl Forgetful for TlsStream<TcpStream> {
    fn forget_unsent(&self) {
        // Without it the kernel's own limits hold.
        let _ = SockRef::from(self.get_ref().0).set_linger(Some(Duration::ZERO));
    }

    fn has_unread(&self) -> bool {
        let looked = recv(self.get_ref().0, &mut [0; 1], RecvFlags::PEEK);
        looked.is_ok_and(|(_, octets)| octets > 0)
    }
}

/// The task of one connection.
pub(crate) struct Session<S> {
    http: Http<Watched<S>>,
    stream: Rc<RefCell<S>>,
    stage: Stage,
    /// It was begun while the worker drains, and nothing has been asked on it yet.
    is_new: Rc<Cell<bool>>,
    /// The stream takes no more until the client has read.
    is_stuck: Rc<Cell<bool>>,
    framing: Framing,
    open: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// hyper has been told to end after what is in progress.
    Draining,
    /// A request was refused unread; so many octets have been thrown away since.
    Lingering(usize),
}

impl<S: AsyncRead + AsyncWrite + Forgetful + Unpin + 'static> Session<S> {
    /// HTTP/1 over `stream`; HTTP/2 if it is one of those that may.
    pub(crate) fn new(open: Open, stream: S, http2: Option<Share>) -> Self {
        let stream = Rc::new(RefCell::new(stream));
        let is_new = Rc::new(Cell::new(open.worker.connections.is_draining()));
        let is_stuck = Rc::new(Cell::new(false));
        let framing = match http2 {
            None => Framing::Octets,
            Some(_) => Framing::Streams,
        };
        let link = Watched {
            is_new: Rc::clone(&is_new),
            is_stuck: Rc::clone(&is_stuck),
            stream: Rc::clone(&stream),
            worker: Rc::clone(&open.worker),
            watch: Rc::clone(&open.watch),
            framing,
        };
        let responder = Responder::new(&open.worker, &open.watch);
        let tick = open.worker.connections.tick();
        open.watch.wait(Phase::Idle, tick);
        Self {
            http: match http2 {
                None => Http::one(link, responder),
                Some(share) => Http::two(link, responder, share),
            },
            stream,
            stage: Stage::Serving,
            is_new,
            is_stuck,
            framing,
            open,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Forgetful + Unpin + 'static> Future for Session<S> {
    type Output = ();

    /// One turn.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.open.worker.read_clock();
        this.open.watch.remember(cx);
        if this.open.watch.order() == Order::Close {
            if this.is_stuck.get() {
                this.stream.borrow().forget_unsent();
            }
            return Poll::Ready(());
        }
        if !matches!(this.stage, Stage::Lingering(_)) {
            // hyper has said goodbye when this is ready.
            if let Some(offence) = ready!(this.serve(cx)) {
                this.open.worker.counters.count(offence);
                this.open.watch.linger();
            } else if this.stream.borrow().has_unread() {
                // RFC 9112 §9.6: a server that closes does so in stages, so that no reset loses its last answer.
                this.open.watch.linger();
            }
            if !this.open.watch.lingers() {
                return Poll::Ready(());
            }
            let tick = this.open.worker.connections.tick();
            this.open.watch.wait(Phase::Receiving, tick);
            this.stage = Stage::Lingering(0);
        }
        let Stage::Lingering(thrown_away) = &mut this.stage else {
            return Poll::Pending;
        };
        discard(&mut *this.stream.borrow_mut(), thrown_away, cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Session<S> {
    /// Lets hyper work, and tells it to end once the worker drains. What has come is read first: told before it has seen
    /// a request, hyper would close at once. So who has just shaken hands gets to ask.
    fn serve(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let served = self.http.poll(cx);
        let drains = self.stage == Stage::Serving && self.open.watch.order() == Order::Drain;
        if served.is_pending() && drains && self.rests() {
            self.http.end_gracefully();
            self.stage = Stage::Draining;
            return self.http.poll(cx);
        }
        served
    }

    /// True if the client is done with what it asked, and has not begun to ask more. Of HTTP/2 hyper knows that itself.
    fn rests(&self) -> bool {
        let is_busy = self.is_stuck.get() || self.open.watch.phase() == Phase::Receiving;
        !self.is_new.get() && (self.framing == Framing::Streams || !is_busy)
    }
}

/// Reads what the client still sends, up to a limit; the sweep bounds it in time.
fn discard(
    stream: &mut (impl AsyncRead + Unpin),
    thrown_away: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let mut space = [0; 4096];
    while *thrown_away < MAX_LINGER_OCTETS {
        let mut into = ReadBuf::new(&mut space);
        let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut into));
        if read.is_err() || into.filled().is_empty() {
            break;
        }
        *thrown_away += into.filled().len();
    }
    Poll::Ready(())
}

/// hyper's end of the stream.
struct Watched<S> {
    stream: Rc<RefCell<S>>,
    is_new: Rc<Cell<bool>>,
    is_stuck: Rc<Cell<bool>>,
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    framing: Framing,
}

impl<S> Watched<S> {
    fn note_read(&self, octets: usize) {
        self.is_new.set(false);
        // Of an HTTP/2 connection only its streams know when a request is incomplete (`http::Upload`).
        let begins = self.framing == Framing::Octets && self.watch.phase() == Phase::Idle;
        if begins && octets > 0 {
            let tick = self.worker.connections.tick();
            self.watch.wait(Phase::Receiving, tick);
        }
    }

    fn note_written(&self, octets: usize) {
        let progresses = self.framing == Framing::Octets || self.watch.phase() == Phase::Idle;
        if progresses && octets > 0 {
            self.watch.wait(Phase::Idle, self.worker.connections.tick());
        }
    }

    /// Whether there was room. A stream that encrypts may take octets and still hold them: when it is flushed it tells.
    fn note_room<T>(&self, outcome: Poll<T>) -> Poll<T> {
        self.is_stuck.set(outcome.is_pending());
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, into))?;
        self.note_read(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, octets);
        let written = ready!(self.note_room(outcome))?;
        self.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let outcome = Pin::new(&mut *stream).poll_write_vectored(cx, pieces);
        let written = ready!(self.note_room(outcome))?;
        self.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx);
        self.note_room(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx);
        self.note_room(outcome)
    }
}

/// Octets read and thrown away after a refusal.
const MAX_LINGER_OCTETS: usize = 256 * 1024;

#[cfg(test)]
mod tests;
