//! Asks `/readyz`, as an orchestrator would. A bare HTTP/1.0 request: one question, one connection, on loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What the admin port said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Readiness {
    Ready,
    /// It answers, but says why not yet.
    NotYet(String),
    /// Nobody answers.
    Silent,
}

/// One question, at most a second.
pub(crate) fn readiness(admin: SocketAddr) -> Readiness {
    let mut answer = String::new();
    let asked = TcpStream::connect_timeout(&reachable(admin), PATIENCE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET /readyz HTTP/1.0\r\nHost: {admin}\r\n\r\n").as_bytes())?;
        stream.take(LONGEST_ANSWER).read_to_string(&mut answer)
    });
    match asked {
        Ok(_) if status(&answer) == Some("200") => Readiness::Ready,
        Ok(_) if !answer.is_empty() => {
            let body = answer
                .split_once("\r\n\r\n")
                .map_or(answer.as_str(), |(_, body)| body);
            Readiness::NotYet(body.trim().to_owned())
        }
        _ => Readiness::Silent,
    }
}

fn status(answer: &str) -> Option<&str> {
    answer.strip_prefix("HTTP/1.")?.split(' ').nth(1)
}

/// The address to ask at what listens on every address.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

const PATIENCE: Duration = Duration::from_millis(500);
const LONGEST_ANSWER: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// An admin port that says one thing.
    fn admin(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    /// What it comes to once it has answered in time, which the threads of a busy machine may not at first.
    fn answered(admin: SocketAddr) -> Readiness {
        let mut tries = std::iter::repeat_with(|| readiness(admin)).take(120);
        tries.find(|answer| *answer != Readiness::Silent).unwrap()
    }

    #[test]
    fn only_a_200_is_ready() {
        assert_eq!(
            answered(admin("HTTP/1.1 200 OK\r\n\r\nready\n")),
            Readiness::Ready
        );
        assert_eq!(
            answered(admin(
                "HTTP/1.1 503 Service Unavailable\r\n\r\nno generation\n"
            )),
            Readiness::NotYet("no generation".to_owned())
        );
    }

    #[test]
    fn nobody_there_is_silence_not_an_error() {
        // An address of its own: no other test listens there meanwhile.
        let free = TcpListener::bind("127.0.0.80:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(readiness(free), Readiness::Silent);
    }
}
