//! A conversation over any stream that is not the bare socket of `conversation`: behind TLS (`tls`).
//!
//! hyper reads and writes through [`Watched`], which notes what the sweep needs to know; the end has the same order as
//! that of a plain conversation. There is no express lane here: what it saves is little beside encrypting.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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

/// The task of one connection.
pub(crate) struct Session<S> {
    http: Http<Watched<S>>,
    stream: Rc<RefCell<S>>,
    stage: Stage,
    /// It was begun while the worker drains, and nothing has been asked on it yet.
    is_new: Rc<Cell<bool>>,
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

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Session<S> {
    /// HTTP/1 over `stream`; HTTP/2 if it is one of those that may.
    pub(crate) fn new(open: Open, stream: S, http2: Option<Share>) -> Self {
        let stream = Rc::new(RefCell::new(stream));
        let is_new = Rc::new(Cell::new(open.worker.connections.is_draining()));
        let link = Watched {
            is_new: Rc::clone(&is_new),
            stream: Rc::clone(&stream),
            worker: Rc::clone(&open.worker),
            watch: Rc::clone(&open.watch),
            framing: match http2 {
                None => Framing::Octets,
                Some(_) => Framing::Streams,
            },
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
            open,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Future for Session<S> {
    type Output = ();

    /// One turn.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.open.worker.read_clock();
        this.open.watch.remember(cx);
        if this.open.watch.order() == Order::Close {
            return Poll::Ready(());
        }
        if !matches!(this.stage, Stage::Lingering(_)) {
            // hyper has said goodbye when this is ready.
            if let Some(offence) = ready!(this.serve(cx)) {
                this.open.worker.counters.count(offence);
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
        let ends = self.stage == Stage::Serving
            && self.open.watch.order() == Order::Drain
            && !self.is_new.get();
        if served.is_pending() && ends {
            self.http.end_gracefully();
            self.stage = Stage::Draining;
            return self.http.poll(cx);
        }
        served
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
        let written = ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, octets))?;
        self.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, pieces))?;
        self.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// Octets read and thrown away after a refusal.
const MAX_LINGER_OCTETS: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const GET: &[u8] = b"GET /MFEw HTTP/1.1\r\n\r\n";

    fn runtime() -> tokio::runtime::Runtime {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap()
    }

    #[test]
    fn client_that_shakes_hands_while_the_worker_drains_gets_no_answer() {
        runtime().block_on(async {
            let worker = Rc::new(Worker::empty());
            worker.connections.begin_drain();
            let (mut client, stream) = duplex(4096);
            let mut session = Box::pin(Session::new(Open::new(&worker), stream, None));
            worker.connections.finish_drain();
            // It has not asked yet.
            let first = std::future::poll_fn(|cx| Poll::Ready(session.as_mut().poll(cx))).await;
            assert!(first.is_pending(), "closed before it could ask");
            client.write_all(GET).await.unwrap();
            session.await;
            let mut said = String::new();
            client.read_to_string(&mut said).await.unwrap();
            assert!(said.starts_with("HTTP/1.1 200 OK"), "{said:?}");
            assert!(said.contains("connection: close"), "{said:?}");
        });
    }

    #[test]
    fn request_that_has_come_when_the_worker_drains_is_closed_unanswered() {
        runtime().block_on(async {
            let worker = Rc::new(Worker::empty());
            let (mut client, stream) = duplex(4096);
            let session = Session::new(Open::new(&worker), stream, None);
            client.write_all(GET).await.unwrap();
            worker.connections.begin_drain();
            worker.connections.finish_drain();
            session.await;
            let mut said = String::new();
            client.read_to_string(&mut said).await.unwrap();
            assert!(said.starts_with("HTTP/1.1 200 OK"), "{said:?}");
        });
    }

    #[test]
    fn session_that_rests_holds_up_a_drain() {
        runtime().block_on(async {
            let worker = Rc::new(Worker::empty());
            let (_client, stream) = duplex(4096);
            let session = Session::new(Open::new(&worker), stream, None);
            worker.connections.begin_drain();
            worker.connections.finish_drain();
            // Ends by itself.
            session.await;
        });
    }
}
