//! The task of one connection, from its first rest to its close.
//!
//! It begins on the express lane (`lane`), and stays there as long as all that is asked is simple; then hyper takes over,
//! for good. A turn lets either read, answer and write, then sends what has gathered. The end has an order: what was
//! written is sent; if a request was refused unread, the client gets the time to read the refusal; then the socket is
//! closed.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::connection::{Connection, Link};
use crate::deadlines::{Order, Phase};
use crate::h2::{Opening, Share, opening};
use crate::http::Responder;
use crate::lane::Begun;
use crate::lane::held::{Held, Turn};
use crate::metrics::Event;
use crate::protocol::Http;
use crate::worker::Worker;

/// The task.
pub(crate) struct Conversation {
    connection: Rc<Connection>,
    stage: Stage,
}

enum Stage {
    /// All that has been asked was simple. hyper has not been made yet: it takes ten times the room.
    Lane(Held),
    /// These octets may become the preface of HTTP/2.
    Opening(Vec<u8>),
    /// hyper serves.
    Http(Http<Link>),
    /// hyper has been told to end after the request in progress.
    Draining(Http<Link>),
    /// Nothing more is read; what has been written is being sent.
    Closing,
    /// All is sent; so many octets have been thrown away since. A client that is still sending would find its connection
    /// reset, and never read the refusal, if it were closed now.
    Lingering(usize),
}

impl Conversation {
    /// Goes on from the first turn.
    pub(crate) fn new(worker: &Rc<Worker>, socket: TcpStream, begun: Begun) -> Self {
        let connection = Rc::new(Connection::new(worker, socket, begun.unsent));
        worker.counters.note_open(worker.connections.len());
        let mut conversation = Self {
            connection,
            stage: Stage::Lane(begun.held),
        };
        if let Some(end) = begun.end {
            conversation.leave_lane(end);
        }
        conversation
    }

    /// What comes after the express lane.
    fn leave_lane(&mut self, end: Turn) {
        let Stage::Lane(held) = &mut self.stage else {
            return;
        };
        match end {
            Turn::HandOver => {
                let octets = held.take();
                self.hand_over(octets);
            }
            Turn::CloseSlowly => {
                self.connection.watch.linger();
                self.stage = Stage::Closing;
            }
            Turn::Close | Turn::Gone => self.stage = Stage::Closing,
        }
    }

    /// hyper's part begins with these octets.
    fn hand_over(&mut self, octets: Vec<u8>) {
        let connection = &self.connection;
        let told = opening(&octets);
        if told == Opening::NotYet && !octets.is_empty() {
            if connection.watch.phase() == Phase::Idle {
                let tick = connection.worker.connections.tick();
                connection.watch.wait(Phase::Receiving, tick);
            }
            self.stage = Stage::Opening(octets);
            return;
        }
        let link = Link(Rc::clone(connection));
        let responder = Responder::new(&connection.worker, &connection.watch);
        connection.give_back(octets);
        self.stage = if told == Opening::Http2 {
            connection.speaks_in_streams();
            match Share::take(&connection.worker) {
                Some(share) => Stage::Http(Http::two(link, responder, share)),
                None => Stage::Closing,
            }
        } else {
            Stage::Http(Http::one(link, responder))
        };
    }

    /// Reads on until it is clear whether this is HTTP/2. False if the client has gone.
    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Stage::Opening(octets) = &mut self.stage {
            let mut space = [0; 64];
            match ready!(self.connection.read_raw(cx, &mut space)) {
                Ok(0) | Err(_) => return Poll::Ready(false),
                Ok(read) => octets.extend_from_slice(&space[..read]),
            }
            let octets = std::mem::take(octets);
            self.hand_over(octets);
        }
        Poll::Ready(true)
    }

    /// Tells hyper to end, unless the client is not done with what it asked before. What has come has been read already: told
    /// before it has seen a request, hyper would close at once, and a socket that is closed with octets unread is reset.
    fn drain(&mut self, cx: &mut Context<'_>) {
        let Stage::Http(http) = &mut self.stage else {
            return;
        };
        let pushed = self.connection.push_out(cx);
        if matches!(pushed, Poll::Ready(Err(_))) {
            self.stage = Stage::Closing;
            return;
        }
        // To a request that comes in pieces the answer says that it is the last; what follows an answer that is still being
        // read is looked at after it. (Half of a request that came in one segment with the one before it is hyper's, and nobody
        // sees it here: such a connection passes for one that rests.)
        if !self.connection.rests() {
            return;
        }
        http.end_gracefully();
        if let Poll::Ready(offence) = http.poll(cx) {
            self.end(offence);
            self.stage = Stage::Closing;
        } else if let Stage::Http(http) = std::mem::replace(&mut self.stage, Stage::Closing) {
            self.stage = Stage::Draining(http);
        }
    }

    /// Notes why hyper ended; says what it could not say.
    fn end(&self, offence: Option<Event>) {
        let connection = &self.connection;
        let counters = &connection.worker.counters;
        if connection.line_is_too_long() {
            counters.count(Event::TargetTooLong);
            let mut cork = connection.worker.cork.borrow_mut();
            cork.extend_from_slice(URI_TOO_LONG);
            // RFC 9112 §9.6: a server that closes does so in stages, so that no reset loses its last answer.
            connection.watch.linger();
        } else if let Some(offence) = offence {
            counters.count(offence);
            connection.watch.linger();
        } else if connection.has_unread() {
            // What follows the last request is not answered; the last answer is to be read all the same.
            connection.watch.linger();
        }
    }
}

impl Future for Conversation {
    type Output = ();

    /// One turn.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.connection.worker.read_clock();
        this.connection.watch.remember(cx);
        let order = this.connection.watch.order();
        if order == Order::Close {
            this.connection.let_go();
            return Poll::Ready(());
        }
        if let Stage::Lane(held) = &mut this.stage {
            match held.turn(&this.connection, cx) {
                Poll::Ready(Turn::Gone) => return Poll::Ready(()),
                Poll::Ready(end) => this.leave_lane(end),
                // Nothing has come: it rests. While a worker drains the lane answers nothing, so there is no other reason to
                // wait than this one and a client that has to read first.
                Poll::Pending if order == Order::Drain && !this.connection.is_stuck() => {
                    let end = if held.is_empty() {
                        Turn::Close
                    } else {
                        Turn::HandOver
                    };
                    this.leave_lane(end);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if this.poll_opening(cx) == Poll::Ready(false) {
            return Poll::Ready(());
        }
        if let Stage::Http(http) | Stage::Draining(http) = &mut this.stage
            && let Poll::Ready(offence) = http.poll(cx)
        {
            this.end(offence);
            this.stage = Stage::Closing;
        }
        if order == Order::Drain {
            this.drain(cx);
        }
        let connection = &this.connection;
        let pushed = connection.push_out(cx);
        if matches!(this.stage, Stage::Closing) {
            if ready!(pushed).is_err() || !connection.watch.lingers() {
                return Poll::Ready(());
            }
            this.stage = Stage::Lingering(0);
            let tick = connection.worker.connections.tick();
            connection.watch.wait(Phase::Receiving, tick);
            connection.end_sending(cx);
        } else if matches!(pushed, Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        match &mut this.stage {
            Stage::Lingering(thrown_away) => discard(connection, thrown_away, cx),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let worker = &self.connection.worker;
        // The runtime survives a panic in a task. What its turn had gathered must not be sent to whoever comes next.
        if let Ok(mut cork) = worker.cork.try_borrow_mut() {
            cork.clear();
        }
        if std::thread::panicking() {
            worker.counters.count(Event::Panicked);
        }
        worker.connections.remove(&self.connection.watch);
        worker.counters.note_open(worker.connections.len());
    }
}

/// Reads what the client still sends, up to a limit; the sweep bounds it in time.
fn discard(connection: &Connection, thrown_away: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    let mut space = [0; 4096];
    while *thrown_away < MAX_LINGER_OCTETS {
        match ready!(connection.read_raw(cx, &mut space)) {
            Ok(octets) if octets > 0 => *thrown_away += octets,
            _ => break,
        }
    }
    Poll::Ready(())
}

/// Octets read and thrown away after a refusal.
const MAX_LINGER_OCTETS: usize = 256 * 1024;

const URI_TOO_LONG: &[u8] =
    b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[cfg(test)]
mod tests;
