//! Proves the ports free.
//!
//! The responder's listeners set `SO_REUSEPORT`, so a second instance would bind without an error and silently take half
//! of the requests. A plain bind without that option fails wherever anything listens.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::data::Addresses;
use crate::error::UpError;
use crate::scrape::Teller;
use crate::step::say;

/// Binds each port that will be listened on, all at once (which also proves them distinct), and lets go again.
pub(crate) fn prove_free(addresses: &Addresses) -> Result<(), UpError> {
    let _ocsp = bind("--ocsp", addresses.ocsp)?;
    let _admin = bind("--admin", addresses.admin)?;
    let _live = bind("--live", addresses.live)?;
    let told = Teller::ALL
        .into_iter()
        .filter_map(|teller| addresses.metrics.of(teller));
    let _metrics: Vec<_> = told
        .map(|address| bind("--metrics", address))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// The same after a `kill -9`: the responder, told by its parent's death, still answers what it has begun and holds its
/// ports meanwhile.
pub(crate) fn wait_until_free(addresses: &Addresses) -> Result<(), UpError> {
    let deadline = Instant::now() + DRAINED_BY;
    let mut told = false;
    loop {
        match prove_free(addresses) {
            Err(UpError::PortBusy { .. }) if Instant::now() < deadline => {}
            outcome => return outcome,
        }
        if !told {
            say(&format!(
                "the `hufu up` before this one was killed; waiting up to {} s for its responder to let go of its ports",
                DRAINED_BY.as_secs()
            ));
            told = true;
        }
        std::thread::sleep(POLL);
    }
}

/// A little longer than a responder drains.
const DRAINED_BY: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(50);

fn bind(option: &'static str, address: SocketAddr) -> Result<TcpListener, UpError> {
    if address.port() == 0 {
        return Err(UpError::PortZero { option, address });
    }
    TcpListener::bind(address).map_err(|source| UpError::PortBusy {
        option,
        address,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    fn addresses(ocsp: SocketAddr, admin: SocketAddr) -> Addresses {
        let live = TcpListener::bind(own_address()).unwrap();
        Addresses {
            ocsp,
            admin,
            live: live.local_addr().unwrap(),
            metrics: crate::scrape::Scrape::Off,
        }
    }

    /// Some port of a loopback address that nobody else uses: one let go of on 127.0.0.1 may be another test's a moment
    /// later.
    fn own_address() -> SocketAddr {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let last = NEXT.fetch_add(1, Ordering::Relaxed);
        SocketAddr::from(([127, 0, 81, last], 0))
    }

    /// Two ports that were free a moment ago.
    fn free() -> (SocketAddr, SocketAddr) {
        let (a, b) = (
            TcpListener::bind(own_address()).unwrap(),
            TcpListener::bind(own_address()).unwrap(),
        );
        (a.local_addr().unwrap(), b.local_addr().unwrap())
    }

    #[test]
    fn free_ports_pass_and_stay_free() {
        let (a, b) = free();
        prove_free(&addresses(a, b)).unwrap();
        prove_free(&addresses(a, b)).unwrap();
    }

    #[test]
    fn a_listener_on_the_port_is_named_with_its_option() {
        let (a, _) = free();
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = prove_free(&addresses(a, busy.local_addr().unwrap())).unwrap_err();
        assert!(
            matches!(
                refused,
                UpError::PortBusy {
                    option: "--admin",
                    ..
                }
            ),
            "{refused}"
        );
    }

    #[test]
    fn one_port_for_two_listeners_is_refused() {
        let (a, _) = free();
        assert!(matches!(
            prove_free(&addresses(a, a)),
            Err(UpError::PortBusy {
                option: "--admin",
                ..
            })
        ));
    }

    #[test]
    fn port_zero_is_refused() {
        let (a, _) = free();
        let zero = "127.0.0.1:0".parse().unwrap();
        assert!(matches!(
            prove_free(&addresses(zero, a)),
            Err(UpError::PortZero { .. })
        ));
    }
}
