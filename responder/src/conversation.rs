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

    /// Ends what rests; lets what is in progress be the last. What has come is read first: told to end before it has seen
    /// a request, hyper would close at once, and a socket that is closed with octets unread is reset.
    fn drain(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Lane(held) => {
                let end = match held.turn(&self.connection, cx) {
                    Poll::Ready(end) => end,
                    Poll::Pending if held.is_empty() => Turn::Close,
                    Poll::Pending => Turn::HandOver,
                };
                self.leave_lane(end);
            }
            Stage::Http(http) => match http.poll(cx) {
                Poll::Ready(offence) => {
                    self.end(offence);
                    self.stage = Stage::Closing;
                }
                Poll::Pending => {
                    http.end_gracefully();
                    let http = std::mem::replace(&mut self.stage, Stage::Closing);
                    if let Stage::Http(http) = http {
                        self.stage = Stage::Draining(http);
                    }
                }
            },
            Stage::Opening(_) => self.stage = Stage::Closing,
            Stage::Draining(_) | Stage::Closing | Stage::Lingering(_) => {}
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
        match this.connection.watch.order() {
            Order::Close => {
                this.connection.let_go();
                return Poll::Ready(());
            }
            Order::Drain => this.drain(cx),
            Order::Serve => {}
        }
        if let Stage::Lane(held) = &mut this.stage {
            match ready!(held.turn(&this.connection, cx)) {
                Turn::Gone => return Poll::Ready(()),
                end => this.leave_lane(end),
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
mod tests {
    use std::io::{Read as _, Write as _};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::lane::greet;

    fn runtime() -> tokio::runtime::Runtime {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_io().build().unwrap()
    }

    /// Two ends of a connection; the second does not block.
    fn connected() -> (std::net::TcpStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        (client, socket)
    }

    #[test]
    fn request_that_comes_while_the_worker_drains_is_closed_unanswered() {
        for request in [
            "GET /MFEw HTTP/1.1\r\n\r\n",
            "GET /crl/none.crl HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n0",
        ] {
            let worker = Rc::new(Worker::empty());
            let runtime = runtime();
            let _inside = runtime.enter();
            let (mut client, socket) = connected();
            client.write_all(request.as_bytes()).unwrap();
            // As the last ones out of the listener: greeted, and told to end before they have had a turn.
            worker.connections.begin_drain();
            let greeted = loop {
                std::thread::sleep(Duration::from_millis(1));
                if socket.peek(&mut [0]).is_ok() {
                    break greet(&worker, socket.into());
                }
            };
            worker.connections.finish_drain();
            runtime.block_on(greeted.expect("its last words are hyper's"));
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert!(said.starts_with("HTTP/1."), "{request}: {said:?}");
            assert!(said.contains("connection: close") || said.starts_with("HTTP/1.0"));
        }
    }

    #[test]
    fn octets_of_a_turn_that_panicked_are_sent_to_another_client() {
        let worker = Rc::new(Worker::empty());
        let counters = Arc::clone(&worker.counters);
        let runtime = runtime();
        let _inside = runtime.enter();
        let (_client, socket) = connected();
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
