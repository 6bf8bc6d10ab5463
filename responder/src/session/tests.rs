//! Sessions over pipes, turn by turn.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

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

impl Forgetful for DuplexStream {
    fn forget_unsent(&self) {}

    fn has_unread(&self) -> bool {
        false
    }
}

/// One turn of a session; true if it has ended.
async fn has_ended<S>(session: &mut Pin<Box<Session<S>>>) -> bool
where
    S: AsyncRead + AsyncWrite + Forgetful + Unpin + 'static,
{
    std::future::poll_fn(|cx| Poll::Ready(session.as_mut().poll(cx).is_ready())).await
}

#[test]
fn second_request_in_pieces_is_cut_off_when_the_worker_drains() {
    runtime().block_on(async {
        let worker = Rc::new(Worker::empty());
        let (mut client, stream) = duplex(4096);
        let mut session = Box::pin(Session::new(Open::new(&worker), stream, None));
        let (first, rest) = GET.split_at(7);
        for piece in [GET, first] {
            client.write_all(piece).await.unwrap();
            assert!(!has_ended(&mut session).await);
        }
        worker.connections.begin_drain();
        worker.connections.finish_drain();
        for _ in 0..2 {
            assert!(!has_ended(&mut session).await, "half a request is lost");
        }
        client.write_all(rest).await.unwrap();
        session.await;
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        let (first, second) = said.split_once("\r\n\r\n").unwrap();
        assert!(!first.contains("connection: close"), "{said:?}");
        assert!(second.contains("connection: close"), "{said:?}");
    });
}

#[test]
fn request_behind_an_unread_answer_is_cut_off_when_the_worker_drains() {
    runtime().block_on(async {
        let worker = Rc::new(Worker::empty());
        // Room for less than an answer.
        let (mut client, stream) = duplex(64);
        let mut session = Box::pin(Session::new(Open::new(&worker), stream, None));
        client.write_all(GET).await.unwrap();
        assert!(!has_ended(&mut session).await);
        worker.connections.begin_drain();
        worker.connections.finish_drain();
        assert!(!has_ended(&mut session).await);
        client.write_all(GET).await.unwrap();
        let mut said = String::new();
        tokio::join!(session, async {
            client.read_to_string(&mut said).await.unwrap();
        });
        assert_eq!(said.matches("HTTP/1.1 200").count(), 2, "{said:?}");
        assert_eq!(said.matches("connection: close").count(), 1, "{said:?}");
    });
}

/// A stream whose client has stopped reading, and whether it has been told to forget.
struct Stuck(Rc<Cell<bool>>);

impl Forgetful for Stuck {
    fn forget_unsent(&self) {
        self.0.set(true);
    }

    fn has_unread(&self) -> bool {
        true
    }
}

impl AsyncRead for Stuck {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        into.put_slice(GET);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stuck {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        // As TLS does: taken, and held.
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[test]
fn what_a_stuck_client_does_not_take_stays_in_the_kernel() {
    runtime().block_on(async {
        let worker = Rc::new(Worker::empty());
        let forgot = Rc::new(Cell::new(false));
        let stream = Stuck(Rc::clone(&forgot));
        let mut session = Box::pin(Session::new(Open::new(&worker), stream, None));
        assert!(!has_ended(&mut session).await);
        // Longer than it may wait.
        for _ in 0..3 {
            worker.connections.sweep(&worker);
        }
        assert!(has_ended(&mut session).await);
        assert!(forgot.get(), "closed in good order");
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
