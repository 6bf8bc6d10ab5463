//! The floors that servers are measured against: bare loops that send fixed octets and parse nothing.
//!
//! `loop` keeps connections: epoll, one `recv` and one `send` a request. It is what the kernel asks for
//! a keep-alive answer. `early` takes a connection a request: `accept4`, `recv`, `send`, `close`, with
//! `TCP_DEFER_ACCEPT` so that the request is there when the connection is, and epoll for the listener only.
//! No server that reads its requests can cost less; `hufu-compare` prints everyone as a ratio to these.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

/// Serve fixed octets from a bare epoll loop.
#[derive(Parser)]
struct Args {
    /// Which floor.
    #[arg(long)]
    mode: Mode,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:2570")]
    listen: SocketAddr,
    /// File with the whole HTTP response, head and body, sent as it is.
    #[arg(long)]
    response: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Keep-alive.
    Loop,
    /// A connection a request.
    Early,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let response = std::fs::read(&args.response)?;
    let listener = TcpListener::bind(args.listen)?;
    // std's backlog is far below that of hufu and nginx: 2,000 clients at once would be turned away or let in by SYN
    // cookies, which defer nothing.
    rustix::net::listen(&listener, BACKLOG)?;
    match args.mode {
        Mode::Loop => keep_alive(&listener, &response),
        Mode::Early => a_connection_a_request(&listener, &response),
    }
}

/// The listener's mark among the events; connections are marked by their slot.
const LISTENER: u64 = u64::MAX;

fn keep_alive(listener: &TcpListener, response: &[u8]) -> std::io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    epoll::add(
        &epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut request = [0u8; 4096];
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                while let Some(stream) = accept(listener)? {
                    stream.set_nodelay(true)?;
                    let slot = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    epoll::add(
                        &epoll,
                        &stream,
                        EventData::new_u64(slot as u64),
                        EventFlags::IN,
                    )?;
                    connections[slot] = Some(stream);
                }
                continue;
            }
            let slot = usize::try_from(event.data.u64()).expect("slots are counted in usize");
            let Some(stream) = connections[slot].as_mut() else {
                continue;
            };
            let open = match stream.read(&mut request) {
                Ok(0) => false,
                Ok(_) => stream.write_all(response).is_ok(),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            if !open {
                connections[slot] = None;
                free.push(slot);
            }
        }
    }
}

fn a_connection_a_request(listener: &TcpListener, response: &[u8]) -> std::io::Result<()> {
    // A connection is handed over once its first octets are there.
    setsockopt(listener, DeferAccept, &1)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut events = Vec::with_capacity(1);
    let mut request = [0u8; 4096];
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        // With the accept deferred its request has already come, or all but.
        while let Some(mut stream) = accept(listener)? {
            let mut read = stream.read(&mut request);
            if matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock) {
                poll(&mut [PollFd::new(&stream, PollFlags::IN)], Some(&LATE))?;
                read = stream.read(&mut request);
            }
            if read.is_ok_and(|octets| octets > 0) {
                // A client that has gone is its own affair; the next one counts.
                let _gone = stream.write_all(response);
            }
        }
    }
}

/// The next connection that waits. What the system refuses ends the program: to go on without would only burn its core.
fn accept(listener: &TcpListener) -> std::io::Result<Option<TcpStream>> {
    loop {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(stream) => return Ok(Some(TcpStream::from(stream))),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// As hufu's and nginx's.
const BACKLOG: i32 = 4096;

/// How long the early loop waits for a request that was not there with its connection.
const LATE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The socket option `TCP_DEFER_ACCEPT`, in seconds.
#[derive(Clone, Copy)]
struct DeferAccept;

nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    u32,
    SetStruct<u32>
);
