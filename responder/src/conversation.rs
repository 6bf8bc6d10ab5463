//! The task of one connection, from its first octet to its close.
//!
//! A turn lets hyper read, answer and write, then sends what has gathered. The end has an order: what was written is
//! sent; if a request was refused unread, the client gets the time to read the refusal; then the socket is closed.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connection::{Connection, Link};
use crate::deadlines::{Order, Phase};
use crate::http::Responder;
use crate::metrics::Event;
use crate::worker::Worker;

/// The task.
pub(crate) struct Conversation {
    connection: Rc<Connection>,
    http: http1::Connection<TokioIo<Link>, Responder>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// hyper has been told to end after the request in progress.
    Draining,
    /// Nothing more is read; what has been written is being sent.
    Closing,
    /// All is sent; so many octets have been thrown away since. A client that is still sending would find its connection
    /// reset, and never read the refusal, if it were closed now.
    Lingering(usize),
}

impl Conversation {
    pub(crate) fn new(worker: &Rc<Worker>, socket: TcpStream, http: &http1::Builder) -> Self {
        let connection = Rc::new(Connection::new(worker, socket));
        worker.counters.note_open(worker.connections.len());
        let link = TokioIo::new(Link(Rc::clone(&connection)));
        let responder = Responder::new(worker, &connection.watch);
        Self {
            http: http.serve_connection(link, responder),
            connection,
            stage: Stage::Serving,
        }
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

impl Future for Conversation {
    type Output = ();

    /// One turn.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let connection = &this.connection;
        let watch = &connection.watch;
        connection.worker.read_clock();
        watch.remember(cx);
        match watch.order() {
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
        let pushed = connection.push_out(cx);
        if this.stage == Stage::Closing {
            if ready!(pushed).is_err() || !watch.lingers() {
                return Poll::Ready(());
            }
            this.stage = Stage::Lingering(0);
            watch.wait(Phase::Receiving, connection.worker.connections.tick());
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
        let turn = Conversation::new(&worker, socket, &http1::Builder::new());

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
