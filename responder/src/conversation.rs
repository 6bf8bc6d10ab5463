//! The task of one connection, from its first rest to its close.
//!
//! It begins on the express lane (`lane`), and stays there as long as all that is asked is simple; then hyper takes over,
//! for good. A turn lets either read, answer and write, then sends what has gathered. The end has an order: what was
//! written is sent; if a request was refused unread, the client gets the time to read the refusal; then the socket is
//! closed.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connection::{Connection, Link};
use crate::deadlines::{Order, Phase};
use crate::http::Responder;
use crate::lane::Begun;
use crate::lane::held::{Held, Turn};
use crate::metrics::Event;
use crate::worker::Worker;

/// The task.
pub(crate) struct Conversation {
    connection: Rc<Connection>,
    stage: Stage,
}

type Http = http1::Connection<TokioIo<Link>, Responder>;

enum Stage {
    /// All that has been asked was simple. hyper has not been made yet: it takes ten times the room.
    Lane(Held),
    /// hyper serves.
    Http(Box<Http>),
    /// hyper has been told to end after the request in progress.
    Draining(Box<Http>),
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
                self.connection.give_back(held.take());
                let link = TokioIo::new(Link(Rc::clone(&self.connection)));
                let responder = Responder::new(&self.connection.worker, &self.connection.watch);
                let http = http_settings().serve_connection(link, responder);
                self.stage = Stage::Http(Box::new(http));
            }
            Turn::CloseSlowly => {
                self.connection.watch.linger();
                self.stage = Stage::Closing;
            }
            Turn::Close | Turn::Gone => self.stage = Stage::Closing,
        }
    }

    /// Ends what rests; lets what is in progress be the last.
    fn drain(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Closing) {
            Stage::Lane(held) if held.is_empty() => Stage::Closing,
            Stage::Lane(held) => {
                self.stage = Stage::Lane(held);
                // Told to end before it has seen a request, hyper would close at once: that is for the next turn.
                return self.leave_lane(Turn::HandOver);
            }
            Stage::Http(mut http) => {
                Pin::new(&mut *http).graceful_shutdown();
                Stage::Draining(http)
            }
            other => other,
        };
    }

    /// Notes why hyper ended; says what it could not say.
    fn end(&self, outcome: &Result<(), hyper::Error>) {
        let connection = &self.connection;
        let counters = &connection.worker.counters;
        if connection.line_is_too_long() {
            counters.count(Event::TargetTooLong);
            let mut cork = connection.worker.cork.borrow_mut();
            cork.extend_from_slice(URI_TOO_LONG);
            connection.watch.linger();
        } else if outcome.as_ref().is_err_and(hyper::Error::is_parse) {
            counters.count(Event::BadHttp);
            connection.watch.linger();
        }
    }
}

/// hyper as we need it. Deadlines are `deadlines`, gathering is `connection`.
fn http_settings() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_BUFFER_OCTETS)
        .header_read_timeout(None)
        .half_close(true);
    http
}

impl Future for Conversation {
    type Output = ();

    /// One turn.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.connection.worker.read_clock();
        this.connection.watch.remember(cx);
        match this.connection.watch.order() {
            Order::Close => return Poll::Ready(()),
            Order::Drain => this.drain(),
            Order::Serve => {}
        }
        if let Stage::Lane(held) = &mut this.stage {
            match ready!(held.turn(&this.connection, cx)) {
                Turn::Gone => return Poll::Ready(()),
                end => this.leave_lane(end),
            }
        }
        if let Stage::Http(http) | Stage::Draining(http) = &mut this.stage
            && let Poll::Ready(outcome) = Pin::new(&mut **http).poll(cx)
        {
            this.end(&outcome);
            this.stage = Stage::Closing;
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

/// hyper's smallest.
const MAX_BUFFER_OCTETS: usize = 8 * 1024;

/// Octets read and thrown away after a refusal.
const MAX_LINGER_OCTETS: usize = 256 * 1024;

const URI_TOO_LONG: &[u8] =
    b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::config::PastValidUntil;
    use crate::metrics::Counters;
    use crate::worker::{Current, Policy};

    #[test]
    fn octets_of_a_turn_that_panicked_are_sent_to_another_client() {
        let policy = Policy {
            max_connections: 1,
            request_secs: 1,
            idle_secs: 1,
            max_age_secs: 1,
            past_valid_until: PastValidUntil::Serve,
        };
        let counters = Arc::new(Counters::default());
        let worker = Rc::new(Worker::new(
            policy,
            Arc::clone(&counters),
            Current::default(),
        ));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = TcpStream::from_std(socket).unwrap();
        let turn = Conversation::new(&worker, socket, Begun::default());

        let ended = catch_unwind(AssertUnwindSafe(|| {
            turn.connection
                .worker
                .cork
                .borrow_mut()
                .extend_from_slice(b"half of an answer");
            let _turn = turn;
            panic!("in the middle of a turn");
        }));

        assert!(ended.is_err());
        assert!(worker.cork.borrow().is_empty());
        assert_eq!(counters.read(Event::Panicked), 1);
        assert_eq!(worker.connections.len(), 0);
    }
}
