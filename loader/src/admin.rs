//! The operators' port of a program that otherwise listens nowhere: `/metrics` and `/healthz`, by HTTP/1, one connection
//! after the other on a thread of its own. (`hufu-signer` has the same file: the two may not link one another.)

use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Listens at `address` and answers until the process ends; where that is, once a port was chosen for 0. `metrics` is
/// asked at each scrape.
///
/// # Errors
/// If the address is taken.
pub fn serve(
    address: SocketAddr,
    metrics: impl Fn() -> Result<String, prometheus::Error> + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    // A scraper that goes away is not news.
                    Ok(stream) => drop(answer(&stream, &metrics)),
                    Err(_) => std::thread::sleep(ACCEPT_PAUSE),
                }
            }
        })?;
    Ok(address)
}

fn answer(
    stream: &TcpStream,
    metrics: &dyn Fn() -> Result<String, prometheus::Error>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some(head) = read_head(stream)? else {
        return Ok(());
    };
    let mut words = head.split(|octet| *octet == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => match metrics() {
            Ok(text) => ("200 OK", text),
            Err(error) => ("500 Internal Server Error", format!("{error}\n")),
        },
        (Some(b"GET"), Some(b"/healthz")) => ("200 OK", "alive\n".to_owned()),
        (Some(b"GET"), _) => ("404 Not Found", "/metrics or /healthz\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET only\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    tell(
        stream,
        &[head.as_bytes(), body.as_bytes()].concat(),
        PATIENCE,
    )
}

/// Writes an answer. Each write takes what the client takes within `patience`, and there are [`MAX_WRITES`]: whoever reads
/// an octet now and then keeps the others waiting no longer than that.
fn tell(mut stream: &TcpStream, mut octets: &[u8], patience: Duration) -> io::Result<()> {
    stream.set_write_timeout(Some(patience))?;
    for _ in 0..MAX_WRITES {
        let written = match stream.write(octets) {
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => 0,
            written => written?,
        };
        octets = octets.get(written..).unwrap_or_default();
        if octets.is_empty() {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The octets up to the empty line; none if they do not come in time, or are too many.
fn read_head(mut stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    for _ in 0..MAX_READS {
        let mut piece = [0; 1024];
        let octets = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..octets]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Some(head));
        }
        if octets == 0 {
            break;
        }
    }
    Ok(None)
}

/// Pieces in which a request may come: with [`PATIENCE`] it bounds how long one client keeps the others waiting, and how
/// much is read.
const MAX_READS: usize = 8;
/// Pieces in which an answer may go out.
const MAX_WRITES: usize = 8;
const PATIENCE: Duration = Duration::from_millis(500);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        // Who is turned away in the middle of a long request may be reset.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// The answer of a busy machine, which may leave us no time between connecting and asking.
    fn answer(address: SocketAddr, request: &str) -> String {
        let mut tries = std::iter::repeat_with(|| ask(address, request)).take(120);
        tries.find(|answer| !answer.is_empty()).unwrap()
    }

    #[test]
    fn one_client_that_says_nothing_silences_the_port() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = serve(any, || Ok("hufu_x 1\n".to_owned())).unwrap();
        let silent = TcpStream::connect(address).unwrap();
        let told = answer(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        assert!(told.ends_with("\r\n\r\nhufu_x 1\n"), "{told}");
        assert!(answer(address, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(answer(address, "POST /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert_eq!(ask(address, &"x".repeat(20_000)), "");
        drop(silent);
    }

    #[test]
    fn one_client_that_reads_slowly_silences_the_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut slow = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        // It takes something now and then, and would for half a minute.
        let long = vec![0; 256 << 20];
        let telling = std::thread::spawn(move || tell(&stream, &long, Duration::from_millis(50)));
        let mut piece = vec![0; 64 << 10];
        let mut octets = 0;
        loop {
            std::thread::sleep(Duration::from_millis(10));
            match slow.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(read) => octets += read,
            }
        }
        let ended = telling.join().unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut, "{octets}");
        assert!(octets < 256 << 20);
    }
}
