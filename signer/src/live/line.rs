//! A connection to the lane, with its limits in time. hyper has one timer for a head and for the rest before it; here a
//! responder may rest for long, and a head must come soon.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long whoever is connected may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request's head, from its first octet; for the first one, from the beginning of the connection.
    pub(super) head: Duration,
    /// For a body, from the end of its head.
    pub(super) body: Duration,
    /// For taking an answer, from when it did not go out at once.
    pub(super) taking: Duration,
    /// Between two requests.
    pub(super) rest: Duration,
}

/// What is going on, as the port knows and the stream asks.
#[derive(Clone)]
pub(super) struct Stage(Arc<AtomicU8>);

impl Stage {
    /// A request's head is complete: from here to its answer other limits hold.
    pub(super) fn asked(&self) {
        self.set(ASKED);
    }

    /// There is an answer: once it went out, the connection rests.
    pub(super) fn answered(&self) {
        self.set(ANSWERED);
    }

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Nothing of a request has come yet. (What came behind the one before, and is no whole head, still counts as rest.)
const RESTING: u8 = 0;
/// The first octets have come, or nothing was ever asked here.
const HEAD: u8 = 1;
const ASKED: u8 = 2;
const ANSWERED: u8 = 3;

/// A stream that fails when its limits are past.
pub(super) struct Line<I> {
    stream: I,
    stage: Stage,
    patience: Patience,
    /// Counts while resting, and while a head comes.
    coming: Pin<Box<Sleep>>,
    /// Counts while something does not go out; none while nothing waits.
    going: Option<Pin<Box<Sleep>>>,
}

impl<I> Line<I> {
    pub(super) fn new(stream: I, patience: Patience) -> Self {
        Self {
            stream,
            stage: Stage(Arc::new(AtomicU8::new(HEAD))),
            patience,
            coming: Box::pin(sleep(patience.head)),
            going: None,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.clone()
    }

    fn count(&mut self, stage: u8, patience: Duration) {
        self.stage.set(stage);
        self.coming.set(sleep(patience));
    }

    /// What went out, or that it did not for too long: an answer that is taken octet by octet is not taken.
    fn gone<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            return polled;
        }
        let taking = self.patience.taking;
        let going = self.going.get_or_insert_with(|| Box::pin(sleep(taking)));
        ready!(going.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Line<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut line.stream).poll_read(cx, buffer);
        match line.stage.get() {
            RESTING if buffer.filled().len() > before => line.count(HEAD, line.patience.head),
            RESTING | HEAD if polled.is_pending() => {
                ready!(line.coming.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Line<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let polled = Pin::new(&mut line.stream).poll_write(cx, octets);
        line.gone(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let polled = Pin::new(&mut line.stream).poll_write_vectored(cx, pieces);
        line.gone(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for it when all that it has was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let polled = Pin::new(&mut line.stream).poll_flush(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            line.going = None;
            if line.stage.get() == ANSWERED {
                line.count(RESTING, line.patience.rest);
                // hyper may have learned before that nothing more has come, and then reads only when something does: a timer
                // that is not asked here is asked by nobody, and wakes nobody.
                if line.coming.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        line.gone(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let polled = Pin::new(&mut line.stream).poll_shutdown(cx);
        line.gone(cx, polled)
    }
}
