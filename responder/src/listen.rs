//! Listening sockets: one a worker, all on one address, shared out by the kernel (`SO_REUSEPORT`).
//!
//! `SO_REUSEPORT` would let a second instance of the same user bind the same port and take half of the connections
//! without a word. So the first socket is bound and *listens* plainly, which fails if anyone else does, and only then is
//! opened to sharing with the sockets of our own further workers. No moment lies between the proof and the use.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::libc;
use nix::sys::socket::sockopt::SetStruct;
use socket2::{Domain, Protocol, Socket, Type};

/// `workers` listening sockets on `address`, or the error if someone else listens there. With port 0 the kernel
/// chooses one, the same for all.
pub(crate) fn listeners(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    first.listen(BACKLOG as i32)?;
    first.set_reuse_port(true)?;
    let first = TcpListener::from(first);
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..workers {
        let further = socket(address)?;
        further.set_reuse_port(true)?;
        further.bind(&address.into())?;
        further.listen(BACKLOG as i32)?;
        all.push(further.into());
    }
    Ok(all)
}

/// A socket with what accepted connections inherit from it on Linux, so that none of it costs a call a connection.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the last connections' TIME_WAIT; a listener in our place still refuses us.
    socket.set_reuse_address(true)?;
    // An answer is one write: waiting for more only adds delay.
    socket.set_tcp_nodelay(true)?;
    // A connection is handed over with its request: it is read without being waited for. Who connects and says nothing is
    // the kernel's until then.
    nix::sys::socket::setsockopt(&socket, DeferAccept, &DEFER_ACCEPT_SECS)?;
    Ok(socket)
}

/// The socket option `TCP_DEFER_ACCEPT`, which no library names.
#[derive(Clone, Copy, Debug)]
struct DeferAccept;

nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    u32,
    SetStruct<u32>
);

/// After so long a connection is handed over without a request, and its deadline begins.
const DEFER_ACCEPT_SECS: u32 = 1;

/// Connections that wait to be accepted, at most; the kernel caps it at `net.core.somaxconn`.
pub(crate) const BACKLOG: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::{Duration, Instant};

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn second_instance_silently_takes_half_of_the_connections() {
        let ours = listeners(ANY_PORT, 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        let error = listeners(address, 3).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn port_stays_taken_after_a_restart() {
        let ours = listeners(ANY_PORT, 2).unwrap();
        let address = ours[0].local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"G").unwrap();
        // Closed by the server first: the TIME_WAIT stays on the server's port.
        let accepted = wait_for(|| ours.iter().find_map(|ours| ours.accept().ok()));
        drop(accepted);
        drop(ours);
        drop(client);
        listeners(address, 2).unwrap();
    }

    #[test]
    fn worker_that_no_connection_reaches() {
        let ours = listeners(ANY_PORT, 4).unwrap();
        let address = ours[0].local_addr().unwrap();
        let _clients: Vec<_> = (0..400)
            .map(|_| {
                let mut client = TcpStream::connect(address).unwrap();
                // Without a word from it the kernel keeps it for itself.
                client.write_all(b"G").unwrap();
                client
            })
            .collect();
        // The kernel shares out by hash: 100 each in the mean.
        for listener in &ours {
            wait_for(|| listener.accept().ok());
        }
    }

    /// What a client has sent arrives when the kernel has time for it, on a busy machine.
    fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
