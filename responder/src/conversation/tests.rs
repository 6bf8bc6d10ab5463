//! Conversations on sockets of their own, turn by turn: what a drain or a panic finds them at.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::*;
use crate::lane::greet;

const PATIENCE: Duration = Duration::from_secs(60);

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
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

/// A conversation whose client is the test.
struct Talk {
    worker: Rc<Worker>,
    conversation: Pin<Box<Conversation>>,
    client: std::net::TcpStream,
    /// The conversation's own socket, to see what it has not read.
    socket: std::net::TcpStream,
}

impl Talk {
    /// Within a runtime.
    fn begin() -> Self {
        let worker = Rc::new(Worker::empty());
        let (client, socket) = connected();
        SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let theirs = TcpStream::from_std(socket.try_clone().unwrap()).unwrap();
        Self {
            conversation: Box::pin(Conversation::new(&worker, theirs, Begun::default())),
            worker,
            client,
            socket,
        }
    }

    /// Gives it turns until `done` says so, or it has ended.
    async fn turns_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        loop {
            let turn = std::future::poll_fn(|cx| Poll::Ready(self.conversation.as_mut().poll(cx)));
            assert!(turn.await.is_pending(), "it ended early");
            if done(self) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain");
            std::thread::sleep(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    }

    /// The client says this, and it is read.
    async fn hear(&mut self, words: &str) {
        self.client.write_all(words.as_bytes()).unwrap();
        // From one socket to the other it takes a moment.
        let began = Instant::now();
        while self.socket.peek(&mut [0]).is_err() {
            assert!(began.elapsed() < PATIENCE, "nothing arrives");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.turns_until(|talk| {
            talk.socket.peek(&mut [0]).is_err() || talk.conversation.connection.is_stuck()
        })
        .await;
    }

    /// Whether the client has to read before it can be sent more.
    async fn is_stuck_for_good(&mut self) -> bool {
        if self.conversation.connection.is_stuck() {
            // Longer than an acknowledgement is put off.
            std::thread::sleep(Duration::from_millis(100));
            let looked = Cell::new(false);
            self.turns_until(|_| looked.replace(true)).await;
        }
        self.conversation.connection.is_stuck()
    }

    fn begin_drain(&self) {
        self.worker.connections.begin_drain();
        self.worker.connections.finish_drain();
    }

    /// Goes on to the end; everything that the client reads, from a thread of its own.
    async fn end(self) -> String {
        let mut client = self.client;
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            client.read_to_string(&mut said).map(|_| said)
        });
        drop(self.socket);
        self.conversation.await;
        let said = reader.join().unwrap();
        said.expect("closed in good order")
    }
}

const GET: &str = "GET /MFEw HTTP/1.1\r\n\r\n";
const DOCUMENT: &str = "GET /crl/none.crl HTTP/1.1\r\n\r\n";

#[test]
fn client_that_reads_slowly_is_cut_off_when_the_worker_drains() {
    for request in [GET, DOCUMENT] {
        runtime().block_on(async {
            let mut talk = Talk::begin();
            // It asks and reads nothing, until the sockets hold no more, and not for a moment only.
            let some = request.repeat(100);
            let mut asked = 0;
            while !talk.is_stuck_for_good().await {
                talk.hear(&some).await;
                asked += 100;
            }
            talk.client.write_all(request.as_bytes()).unwrap();
            asked += 1;
            talk.begin_drain();
            // The worker looks at it before it reads on.
            let looked = Cell::new(false);
            talk.turns_until(|_| looked.replace(true)).await;

            let said = talk.end().await;

            // hyper has read some of them ahead, and drops those behind the one that it is told to answer last.
            if request == GET {
                assert_eq!(said.matches("HTTP/1.1 ").count(), asked);
            }
            let (_, last) = said.rsplit_once("HTTP/1.1 ").unwrap();
            assert!(last.contains("connection: close"), "{last}");
        });
    }
}

#[test]
fn request_in_pieces_is_cut_off_when_the_worker_drains() {
    for pieces in [
        // What may become the preface of HTTP/2.
        &["", "P", "OST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n0"][..],
        &["", "PRI", " / HT", "TP/1.1\r\n\r\n"],
        // The second of a connection on the lane, and of one that is hyper's.
        &[GET, "GET /M", "FEw HTTP/1.1\r\n", "\r\n"],
        &[DOCUMENT, "GET /crl/no", "ne.crl HTTP/1.1\r\n", "\r\n"],
        &[
            DOCUMENT,
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n",
            "\r\n0",
            "0",
        ],
    ] {
        runtime().block_on(async {
            let mut talk = Talk::begin();
            for piece in &pieces[..2] {
                if !piece.is_empty() {
                    talk.hear(piece).await;
                }
            }
            talk.begin_drain();
            for piece in &pieces[2..pieces.len() - 1] {
                talk.hear(piece).await;
            }
            let looked = Cell::new(0);
            talk.turns_until(|_| looked.replace(looked.get() + 1) == 2)
                .await;
            let last = pieces[pieces.len() - 1];
            talk.client.write_all(last.as_bytes()).unwrap();

            let said = talk.end().await;

            let (_, answer) = said.rsplit_once("HTTP/1.1 ").unwrap_or_default();
            assert!(answer.contains("connection: close"), "{pieces:?}: {said}");
            let asked = if pieces[0].is_empty() { 1 } else { 2 };
            assert_eq!(said.matches("HTTP/1.1 ").count(), asked, "{pieces:?}");
        });
    }
}

#[test]
fn connection_that_rests_holds_up_a_drain() {
    for request in ["", GET, DOCUMENT] {
        runtime().block_on(async {
            let mut talk = Talk::begin();
            if !request.is_empty() {
                talk.hear(request).await;
            }
            talk.begin_drain();
            // Ends by itself.
            let ended = tokio::time::timeout(PATIENCE, talk.conversation);
            assert!(ended.await.is_ok(), "{request}");
        });
    }
}
