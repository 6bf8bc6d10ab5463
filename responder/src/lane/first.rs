//! The first turn of a connection: read, answer, write and, if that was all, close, before the runtime has heard of it.
//!
//! Stock OCSP clients open a connection a request, and to the kernel its life is `accept4`, `recvfrom`, `sendto`, `close`:
//! `TCP_DEFER_ACCEPT` (`listen`) has the request there when the connection is. To be registered with epoll, and taken
//! off again, would cost as much as the answer. Only what has nothing to read yet, or stays open, becomes a task.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::net::TcpStream;

use crate::conversation::Conversation;
use crate::lane::held::{Held, Turn};
use crate::lane::serve;
use crate::metrics::Event;
use crate::worker::Worker;

/// What there is to go on with after the first turn.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    pub(crate) held: Held,
    /// Octets the socket would not take.
    pub(crate) unsent: Vec<u8>,
    /// The lane is done with it.
    pub(crate) end: Option<Turn>,
}

/// Has the first turn with a client; the rest of their conversation, if there is any. The socket does not block.
pub(crate) fn greet(worker: &Rc<Worker>, socket: OwnedFd) -> Option<Conversation> {
    worker.counters.count(Event::Accepted);
    worker.read_clock();
    // A defect ends this connection, as it does in a task; the acceptor goes on.
    let first = catch_unwind(AssertUnwindSafe(|| first_turn(worker, &socket)));
    let Ok(first) = first else {
        worker.cork.borrow_mut().clear();
        worker.counters.count(Event::Panicked);
        return None;
    };
    let begun = first?;
    match TcpStream::from_std(socket.into()) {
        Ok(socket) => Some(Conversation::new(worker, socket, begun)),
        Err(_) => {
            worker.counters.count(Event::AcceptFailed);
            None
        }
    }
}

/// None if it was the last.
fn first_turn(worker: &Worker, socket: &OwnedFd) -> Option<Begun> {
    let mut inbox = worker.inbox.borrow_mut();
    let octets = match recv(socket, &mut inbox[..], RecvFlags::empty()) {
        Ok((_, octets @ 1..)) => &inbox[..octets],
        Err(Errno::AGAIN | Errno::INTR) => return Some(Begun::default()),
        // Gone without a word.
        Ok(_) | Err(_) => return None,
    };
    let mut cork = worker.cork.borrow_mut();
    let served = serve(worker, octets, &mut cork);
    let Ok(sent) = send_now(socket, &cork) else {
        cork.clear();
        return None;
    };
    let unsent = cork[sent..].to_vec();
    cork.clear();
    let held = Held::left_of(octets, served);
    let end = held.end(served.then);
    if end == Some(Turn::Close) && unsent.is_empty() {
        return None;
    }
    Some(Begun { held, unsent, end })
}

/// Sends what the socket takes at once.
fn send_now(socket: &OwnedFd, octets: &[u8]) -> Result<usize, Errno> {
    if octets.is_empty() {
        return Ok(0);
    }
    match send(socket, octets, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        outcome => outcome,
    }
}
