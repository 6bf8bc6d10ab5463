//! The socket under the express lane and hyper: octets in, octets out, gathered.
//!
//! What the lane or hyper writes is gathered in the worker's cork and sent when the turn ends, so that sixteen pipelined
//! answers are one system call, and a CRL still goes out piece by piece. hyper reads and writes through [`Link`], whose
//! first octets are those that the lane has read and not answered.
//! (hyper's own `pipeline_flush` gathers too, but then buffers a body of any size whole: 45 MB of CRL for each client.)
//! What is longer goes out in vectored writes: pieces of a list straight from their map, with no copy of ours between.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::deadlines::{Phase, Watch};
use crate::worker::Worker;

/// A connection as its task and hyper share it.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Rc<Watch>,
    socket: RefCell<TcpStream>,
    /// Octets the socket would not take when their turn ended.
    backlog: RefCell<Vec<u8>>,
    /// Octets that were read before hyper came.
    prefix: RefCell<Bytes>,
    /// Octets of the request line so far; none once its end has been seen.
    line: Cell<Option<usize>>,
    /// HTTP/2: only its streams know when a request is incomplete (`http::Upload`).
    streams: Cell<bool>,
    /// The socket takes no more until the client has read.
    is_stuck: Cell<bool>,
}

impl Connection {
    /// `unsent` goes out before anything else.
    pub(crate) fn new(worker: &Rc<Worker>, socket: TcpStream, unsent: Vec<u8>) -> Self {
        Self {
            worker: Rc::clone(worker),
            watch: worker.connections.add(),
            socket: RefCell::new(socket),
            backlog: RefCell::new(unsent),
            prefix: RefCell::default(),
            line: Cell::new(None),
            streams: Cell::new(false),
            is_stuck: Cell::new(false),
        }
    }

    /// Sends the backlog, then the cork; what the socket does not take becomes the backlog.
    pub(crate) fn push_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut cork = self.worker.cork.borrow_mut();
        let mut backlog = self.backlog.borrow_mut();
        if backlog.is_empty() {
            let sent = self.send(cx, &cork);
            if let Ok(sent) = sent {
                backlog.extend_from_slice(&cork[sent..]);
            }
            // The cork is everybody's: nothing stays in it.
            cork.clear();
            sent?;
        } else {
            backlog.append(&mut cork);
            let sent = self.send(cx, &backlog)?;
            backlog.drain(..sent);
            if backlog.is_empty() {
                // The buffer of a moment's slowness is not kept for the rest of a long connection.
                *backlog = Vec::new();
            }
        }
        if backlog.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
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
                    // From here on the client's time runs anew; not that of a body that is still coming.
                    if !self.streams.get() || self.watch.phase() == Phase::Idle {
                        self.watch.wait(Phase::Idle, self.worker.connections.tick());
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if !octets.is_empty() {
            self.is_stuck.set(sent < octets.len());
        }
        Ok(sent)
    }

    /// The same of several pieces, as many of their octets as one call sends.
    fn send_pieces(&self, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [] => return Ok(0),
            [one] => return self.send(cx, one),
            _ => {}
        }
        let mut socket = self.socket.borrow_mut();
        match Pin::new(&mut *socket).poll_write_vectored(cx, pieces) {
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(sent)) => {
                if !self.streams.get() || self.watch.phase() == Phase::Idle {
                    self.watch.wait(Phase::Idle, self.worker.connections.tick());
                }
                let octets: usize = pieces.iter().map(|piece| piece.len()).sum();
                self.is_stuck.set(sent < octets);
                Ok(sent)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => {
                self.is_stuck.set(true);
                Ok(0)
            }
        }
    }

    /// True while the socket takes no more: its client has to read first.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.get()
    }

    /// True if the client is done with what it asked, and has not begun to ask more. Of HTTP/2 hyper knows that itself.
    pub(crate) fn rests(&self) -> bool {
        let is_busy = self.is_stuck.get() || self.watch.phase() == Phase::Receiving;
        self.streams.get() || !is_busy
    }

    /// From here on it is HTTP/2.
    pub(crate) fn speaks_in_streams(&self) {
        self.streams.set(true);
        self.watch.wait(Phase::Idle, self.worker.connections.tick());
    }

    /// Octets that have been read, and are to be read again by hyper.
    pub(crate) fn give_back(&self, octets: Vec<u8>) {
        if self.watch.phase() == Phase::Receiving {
            // Their time has begun already; the length of their line has not been looked at.
            self.line.set(Some(0));
        }
        *self.prefix.borrow_mut() = octets.into();
    }

    /// Reads again what has been given back; false if there is nothing.
    fn read_again(&self, into: &mut ReadBuf<'_>) -> bool {
        let mut prefix = self.prefix.borrow_mut();
        if prefix.is_empty() {
            return false;
        }
        let octets = prefix.len().min(into.remaining());
        into.put_slice(&prefix[..octets]);
        prefix.advance(octets);
        if prefix.is_empty() {
            *prefix = Bytes::new();
        }
        true
    }

    /// Notes octets that came in; refuses a request line that would fill hyper's buffer, for which hyper would blame the
    /// header fields (431).
    fn note_read(&self, octets: &[u8]) -> io::Result<()> {
        if self.streams.get() {
            return Ok(());
        }
        if self.watch.phase() == Phase::Idle && !octets.is_empty() {
            self.watch
                .wait(Phase::Receiving, self.worker.connections.tick());
            self.line.set(Some(0));
        }
        if let Some(line) = self.line.get() {
            let ended = octets.contains(&b'\n');
            self.line.set((!ended).then_some(line + octets.len()));
        }
        if self.line_is_too_long() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// True once a request line has been refused for its length.
    pub(crate) fn line_is_too_long(&self) -> bool {
        self.line.get().is_some_and(|line| line >= MAX_LINE_OCTETS)
    }

    /// Before a connection is given up: octets that its client does not take are not left to the kernel, which would keep
    /// them, megabytes of a list, for minutes after the close.
    pub(crate) fn let_go(&self) {
        if self.is_stuck.get() {
            // Without it the kernel's own limits hold.
            let _ = SockRef::from(&*self.socket.borrow()).set_linger(Some(Duration::ZERO));
        }
    }

    /// True if the client has sent octets that nobody has read: to close now would reset the connection.
    pub(crate) fn has_unread(&self) -> bool {
        let looked = recv(&*self.socket.borrow(), &mut [0; 1], RecvFlags::PEEK);
        looked.is_ok_and(|(_, octets)| octets > 0)
    }

    /// Tells a client that reads to the end that there is no more.
    pub(crate) fn end_sending(&self, cx: &mut Context<'_>) {
        // A connection that is gone already needs no telling.
        let _ = Pin::new(&mut *self.socket.borrow_mut()).poll_shutdown(cx);
    }

    /// Reads from the socket itself: for the lane, or octets that nobody will look at.
    pub(crate) fn read_raw(
        &self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(space);
        ready!(Pin::new(&mut *self.socket.borrow_mut()).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }
}

/// hyper's end of a connection.
pub(crate) struct Link(pub(crate) Rc<Connection>);

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if !self.0.read_again(into) {
            ready!(Pin::new(&mut *self.0.socket.borrow_mut()).poll_read(cx, into))?;
        }
        Poll::Ready(self.0.note_read(&into.filled()[before..]))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = &self.0;
        let octets: usize = pieces.iter().map(|piece| piece.len()).sum();
        // What a stuck socket does not take would be copied to the backlog, and stay there.
        let has_room = connection.backlog.borrow().is_empty() && !connection.is_stuck();
        if has_room && octets <= MAX_COPIED_OCTETS {
            let mut cork = connection.worker.cork.borrow_mut();
            if cork.len() + octets <= MAX_CORK_OCTETS {
                for piece in pieces {
                    cork.extend_from_slice(piece);
                }
                return Poll::Ready(Ok(octets));
            }
        }
        // Too much to gather: straight from where it lies, after what came before.
        ready!(connection.push_out(cx))?;
        match connection.send_pieces(cx, pieces)? {
            0 => Poll::Pending,
            sent => Poll::Ready(Ok(sent)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The end of the turn flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Dropping the socket says goodbye as well as a `shutdown` call would, for one call less.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.push_out(cx)
    }
}

/// A request line of this length is refused unread: just below hyper's smallest buffer, 8 KiB.
const MAX_LINE_OCTETS: usize = 8_000;

/// A longer write of hyper's is a piece of a list: to copy it costs more than a call.
const MAX_COPIED_OCTETS: usize = 4 * 1024;

/// Octets of hyper's gathered in a turn before they are sent.
const MAX_CORK_OCTETS: usize = 16 * 1024;
