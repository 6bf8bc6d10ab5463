//! The nudge: an HTTP POST that says "look now". It carries no trust and no content: whoever can reach the port can make
//! an edge ask its store once more, at most ten times a second, and nothing else.
//!
//! One thread answers one connection after the other; each may take a quarter of a second. A flood delays nudges, never
//! polls.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// A listener's wakes.
#[derive(Debug)]
pub struct Nudges {
    wakes: Receiver<()>,
}

impl Nudges {
    /// Listens at `address` until the program ends.
    ///
    /// # Errors
    /// If the address is taken, or not ours.
    pub fn listen(address: SocketAddr) -> io::Result<Nudges> {
        let listener = TcpListener::bind(address)?;
        // One wake in waiting says all there is to say.
        let (sender, wakes) = sync_channel(1);
        std::thread::Builder::new()
            .name("nudge".to_owned())
            .spawn(move || answer_all(&listener, &sender))?;
        Ok(Nudges { wakes })
    }

    /// Sleeps that long, or until nudged; never less than [`SHORTEST_SLEEP`].
    pub fn sleep(&self, at_most: Duration) {
        let shortest = SHORTEST_SLEEP.min(at_most);
        std::thread::sleep(shortest);
        let rest = at_most - shortest;
        if let Err(RecvTimeoutError::Disconnected) = self.wakes.recv_timeout(rest) {
            std::thread::sleep(rest);
        }
    }
}

fn answer_all(listener: &TcpListener, sender: &SyncSender<()>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Ok(true) = answer(&stream) {
                    // Full: a wake is waiting already.
                    let _ = sender.try_send(());
                }
            }
            // Out of file descriptors, mostly: others must close theirs first.
            Err(_) => std::thread::sleep(SHORTEST_SLEEP),
        }
    }
}

/// Reads the first octets of a request and answers it; whether it was a nudge.
fn answer(mut stream: &TcpStream) -> io::Result<bool> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut octets = [0; MAX_REQUEST_OCTETS];
    let read = stream.read(&mut octets)?;
    let nudged = octets[..read].starts_with(b"POST ");
    let answer: &[u8] = if nudged {
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    };
    stream.write_all(answer)?;
    // Closing on octets that were not read would reset the connection, and the answer might be lost.
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut octets);
    Ok(nudged)
}

/// However many nudges come, the store is not asked more often.
pub const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
/// How long one connection may take to send, and to take its answer.
const PATIENCE: Duration = Duration::from_millis(250);
/// More of a nudge is not read.
const MAX_REQUEST_OCTETS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::set_socket_reuseaddr;
    use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
    use std::time::Instant;

    /// On a loopback address that nobody else uses, so that no other test is given the port between letting go of it and
    /// taking it. Bound, and not listened at: a child that another test is just starting holds a copy for a moment, and one
    /// that listens would refuse us the port.
    fn listening(on: [u8; 4]) -> (Nudges, SocketAddr) {
        let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
        let free = net::socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_reuseaddr(&free, true).unwrap();
        net::bind(&free, &SocketAddr::from((on, 0))).unwrap();
        let address = SocketAddr::try_from(net::getsockname(&free).unwrap()).unwrap();
        drop(free);
        (Nudges::listen(address).unwrap(), address)
    }

    fn try_send(address: SocketAddr, octets: &[u8]) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(octets)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Until it is answered: a busy machine may let [`PATIENCE`] pass between connecting and sending.
    fn send(address: SocketAddr, octets: &[u8]) -> String {
        let tries = std::iter::repeat_with(|| try_send(address, octets)).take(120);
        let mut answers = tries.flatten().filter(|answer| !answer.is_empty());
        answers.next().unwrap()
    }

    #[test]
    fn only_a_post_wakes_the_poll() {
        let (nudges, address) = listening([127, 0, 82, 1]);
        assert!(send(address, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(nudges.wakes.try_recv().is_err());
        for _ in 0..3 {
            let nudge = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
            assert!(send(address, nudge).starts_with("HTTP/1.1 204"));
        }
        let began = Instant::now();
        nudges.sleep(Duration::from_secs(600));
        assert!(began.elapsed() >= SHORTEST_SLEEP);
        // Three nudges before a poll are one.
        assert!(nudges.wakes.try_recv().is_err());
    }

    #[test]
    fn a_silent_client_keeps_the_next_ones_nudge_out_for_a_moment_only() {
        let (nudges, address) = listening([127, 0, 82, 2]);
        let _silent = TcpStream::connect(address).unwrap();
        send(address, b"POST / HTTP/1.1\r\n\r\n");
        nudges.sleep(Duration::from_secs(600));
    }
}
