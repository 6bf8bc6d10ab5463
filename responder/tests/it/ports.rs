//! Ports for a responder that is started twice at one address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// Loopback addresses that nothing listens on now, handed out once by this process.
///
/// They lie below the range from which the kernel takes ports for outgoing connections (32768 and up): one of those,
/// once let go of, may be some client's a moment later, even of the client that looks for who listens there.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    std::array::from_fn(|_| free_address())
}

fn free_address() -> SocketAddr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Runs beside one another begin at different places.
    let start = std::process::id().wrapping_mul(131);
    let steps = std::iter::from_fn(|| Some(TAKEN.fetch_add(1, Ordering::Relaxed)));
    steps
        .take(PORTS as usize)
        .map(|step| FIRST_PORT + start.wrapping_add(step) % PORTS)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap())))
        .find(|address| is_free(*address).is_ok())
        .expect("some port below 32768 is free")
}

/// Bound, and not listened at: a child that another thread is just starting holds a copy for a moment, and one that listens
/// would refuse the port to the responder that it was chosen for.
fn is_free(address: SocketAddr) -> rustix::io::Result<()> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)
}

const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 22_000;
