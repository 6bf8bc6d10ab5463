//! Requests that leave when they are due, all from one thread: a client that measures tails must not wait for itself.
//!
//! Open loop: a request that is due while all connections are busy waits for one of them, and its time counts from when it
//! was due, so a server that stalls is charged for everything that had to wait. What the client itself is late is kept
//! apart: whoever reads the figures must know whose they are.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

use crate::flood::{is_whole, times};

/// What is asked, and when.
#[derive(Clone, Copy)]
pub struct Timetable<'a> {
    /// Whom to ask.
    pub address: SocketAddr,
    /// Whole HTTP requests, asked in turn.
    pub requests: &'a [Vec<u8>],
    /// Connections, one request at a time on each.
    pub connections: u32,
    /// Requests a second, at even distances; none: each connection asks again as soon as it is answered.
    pub rate: Option<f64>,
    /// How long.
    pub time: Duration,
}

/// How it was kept.
pub struct Kept {
    /// Answers.
    pub answers: u64,
    /// Their times, nanoseconds.
    pub times: Histogram<u64>,
    /// How much later than due the requests left, nanoseconds.
    pub late: Histogram<u64>,
}

/// A request that is due.
struct Due {
    at: Instant,
    /// All connections were busy then: to wait is the server's doing.
    waits: bool,
}

/// Connections and what is under way on them.
struct Client<'a> {
    streams: &'a [TcpStream],
    requests: &'a [Vec<u8>],
    next: usize,
    idle: VecDeque<usize>,
    began: Vec<Instant>,
    buffers: Vec<Vec<u8>>,
    kept: Kept,
}

impl Timetable<'_> {
    /// Asks, to the last answer.
    ///
    /// # Errors
    /// When a connection fails, an answer is not HTTP 200, or answers are missing.
    pub fn keep(&self) -> std::io::Result<Kept> {
        // To be woken when it is due, not within fifty microseconds after; failing that it is late, and says so.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let streams = (0..self.connections)
            .map(|_| {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(stream)
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        let mut sockets: Vec<_> = streams
            .iter()
            .map(|stream| PollFd::new(stream, PollFlags::IN))
            .collect();
        let mut client = Client::new(&streams, self.requests)?;
        let began = Instant::now();
        let end = began + self.time;
        let step = self.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let (mut next, mut due) = (began, VecDeque::new());
        loop {
            let now = Instant::now();
            if now >= end {
                due.clear();
                if client.idle.len() == streams.len() {
                    return Ok(client.kept);
                }
                if now > end + PATIENCE {
                    return Err(std::io::Error::other("answers are missing"));
                }
            } else if let Some(step) = step {
                while next <= now {
                    let waits = due.len() >= client.idle.len();
                    due.push_back(Due { at: next, waits });
                    next += step;
                }
            } else {
                let free = client.idle.len().saturating_sub(due.len());
                let at_once = (0..free).map(|_| Due {
                    at: now,
                    waits: false,
                });
                due.extend(at_once);
                next = now + PATIENCE;
            }
            client.ask(&mut due)?;
            let rest = if now < end {
                next.min(end)
            } else {
                now + PATIENCE
            };
            let rest = rest.saturating_duration_since(Instant::now());
            let rest = Timespec::try_from(rest).map_err(std::io::Error::other)?;
            poll(&mut sockets, Some(&rest))?;
            for (place, socket) in sockets.iter().enumerate() {
                if !socket.revents().is_empty() {
                    client.read(place)?;
                }
            }
        }
    }
}

impl<'a> Client<'a> {
    fn new(streams: &'a [TcpStream], requests: &'a [Vec<u8>]) -> std::io::Result<Self> {
        Ok(Self {
            idle: (0..streams.len()).collect(),
            began: vec![Instant::now(); streams.len()],
            buffers: vec![Vec::with_capacity(16 * 1024); streams.len()],
            streams,
            requests,
            next: 0,
            kept: Kept {
                answers: 0,
                times: times()?,
                late: times()?,
            },
        })
    }

    /// Sends what is due, as far as connections are free.
    fn ask(&mut self, due: &mut VecDeque<Due>) -> std::io::Result<()> {
        while !due.is_empty()
            && let Some(place) = self.idle.pop_front()
        {
            let Some(Due { at, waits }) = due.pop_front() else {
                break;
            };
            let now = Instant::now();
            let late = now.saturating_duration_since(at).as_nanos();
            let late = u64::try_from(late).unwrap_or(u64::MAX);
            if !waits {
                self.kept.late.saturating_record(late.max(1));
            }
            self.began[place] = if waits { at } else { now };
            // Far shorter than what a socket takes at once.
            let request = &self.requests[self.next % self.requests.len()];
            (&self.streams[place]).write_all(request)?;
            self.next += 1;
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> std::io::Result<()> {
        let buffer = &mut self.buffers[place];
        let mut piece = [0; 8192];
        match (&self.streams[place]).read(&mut piece) {
            Ok(0) => return Err(std::io::Error::other("closed before the answer")),
            Ok(octets) => buffer.extend_from_slice(&piece[..octets]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        if is_whole(buffer)? {
            buffer.clear();
            let nanos = self.began[place].elapsed().as_nanos();
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            self.kept.times.saturating_record(nanos);
            self.kept.answers += 1;
            self.idle.push_back(place);
        }
        Ok(())
    }
}

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
