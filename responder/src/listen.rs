//! Listening sockets: one a worker, all on one address, shared out by the kernel (`SO_REUSEPORT`).
//!
//! `SO_REUSEPORT` would let a second instance of the same user bind the same port and take half of the connections
//! without a word. So the first socket is bound and *listens* plainly, which fails if anyone else does, and only then is
//! opened to sharing with the sockets of our own further workers. No moment lies between the proof and the use.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// `workers` listening sockets on `address`, or the error if someone else listens there. With port 0 the kernel
/// chooses one, the same for all.
pub(crate) fn listeners(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    first.listen(BACKLOG)?;
    first.set_reuse_port(true)?;
    let first = TcpListener::from(first);
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..workers {
        let further = socket(address)?;
        further.set_reuse_port(true)?;
        further.bind(&address.into())?;
        further.listen(BACKLOG)?;
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
    Ok(socket)
}

/// Connections that wait to be accepted, at most; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

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
        let client = TcpStream::connect(address).unwrap();
        // Closed by the server first: the TIME_WAIT stays on the server's port.
        for listener in &ours {
            drop(listener.accept());
        }
        drop(ours);
        drop(client);
        listeners(address, 2).unwrap();
    }

    #[test]
    fn worker_that_no_connection_reaches() {
        let ours = listeners(ANY_PORT, 4).unwrap();
        let address = ours[0].local_addr().unwrap();
        let _clients: Vec<_> = (0..400)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        for listener in &ours {
            assert!(
                listener.accept().is_ok(),
                "the kernel shares out by hash: 100 each in the mean"
            );
        }
    }
}
