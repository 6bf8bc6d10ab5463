//! Requests sent at a steady rate over some connections, and how long each answer took.
//!
//! Open loop: each connection has its own timetable. An answer's time counts from the moment its request was due, if the
//! connection was still busy then; so a server that stalls is charged for everything that had to wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::process::setpriority_process;

/// A steady load.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// Whom to ask.
    pub address: SocketAddr,
    /// Whole HTTP requests, asked in turn.
    pub requests: &'a [Vec<u8>],
    /// Connections, a thread each.
    pub connections: u32,
    /// Requests a second, all connections together; none: as fast as answers come.
    pub rate: Option<f64>,
    /// How long.
    pub time: Duration,
    /// How much its threads stand back for others on their core, as `nice` counts it.
    pub nice: i32,
}

/// What came of it.
pub struct Outcome {
    /// Answers.
    pub answers: u64,
    /// Their times, nanoseconds.
    pub times: Histogram<u64>,
}

impl Load<'_> {
    /// Asks.
    ///
    /// # Errors
    /// When a connection fails or an answer is not HTTP 200.
    pub fn run(&self) -> std::io::Result<Outcome> {
        let next = AtomicUsize::new(0);
        let began = Instant::now();
        let mut outcome = Outcome {
            answers: 0,
            times: times()?,
        };
        std::thread::scope(|scope| {
            let ask = |number| {
                let next = &next;
                move || self.ask(number, began, next)
            };
            let threads: Vec<_> = (0..self.connections)
                .map(|number| scope.spawn(ask(number)))
                .collect();
            for thread in threads {
                let times = thread
                    .join()
                    .map_err(|_| std::io::Error::other("a client thread panicked"))??;
                outcome.answers += times.len();
                outcome.times += times;
            }
            Ok(outcome)
        })
    }

    fn ask(
        &self,
        number: u32,
        began: Instant,
        next: &AtomicUsize,
    ) -> std::io::Result<Histogram<u64>> {
        // To stand back is never refused.
        let _ = setpriority_process(None, self.nice);
        let mut times = times()?;
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let each = self.rate.map(|rate| f64::from(self.connections) / rate);
        let phase = f64::from(number) / f64::from(self.connections);
        let mut turn = phase;
        let mut buffer = Vec::with_capacity(16 * 1024);
        while began.elapsed() < self.time {
            let mut start = Instant::now();
            if let Some(each) = each {
                let due = began + Duration::from_secs_f64(turn * each);
                turn += 1.0;
                match due.checked_duration_since(start) {
                    // The timer's own lateness is the client's, not the server's.
                    Some(early) => {
                        std::thread::sleep(early);
                        start = Instant::now();
                    }
                    None => start = due,
                }
            }
            let at = next.fetch_add(1, Ordering::Relaxed) % self.requests.len();
            stream.write_all(&self.requests[at])?;
            read_answer(&mut stream, &mut buffer)?;
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            times.saturating_record(nanos);
        }
        Ok(times)
    }
}

/// An empty histogram for any time an answer may take. (One that sizes itself takes no value it has no room for yet:
/// `saturating_record` makes it the largest it has, two nanoseconds.)
///
/// # Errors
/// Never: the bounds are constants.
pub fn times() -> std::io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_NANOS, 3).map_err(std::io::Error::other)
}

/// A minute.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// Reads one response with a Content-Length; only 200 is an answer.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.clear();
    let mut piece = [0; 8192];
    while !is_whole(buffer)? {
        let octets = stream.read(&mut piece)?;
        if octets == 0 {
            return Err(std::io::Error::other("closed before the answer"));
        }
        buffer.extend_from_slice(&piece[..octets]);
    }
    Ok(())
}

/// Whether these octets are a response with a Content-Length to its end.
///
/// # Errors
/// When it is another than 200.
pub(crate) fn is_whole(answer: &[u8]) -> std::io::Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = &answer[..end];
    if !head.starts_with(b"HTTP/1.1 200") {
        let head = String::from_utf8_lossy(head).into_owned();
        return Err(std::io::Error::other(head));
    }
    let length = head.split(|octet| *octet == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH.len())?;
        let value = name.eq_ignore_ascii_case(LENGTH).then_some(value)?;
        std::str::from_utf8(value)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    });
    let length = length.ok_or_else(|| std::io::Error::other("no Content-Length"))?;
    Ok(answer.len() >= end + 4 + length)
}

const LENGTH: &[u8] = b"content-length:";
