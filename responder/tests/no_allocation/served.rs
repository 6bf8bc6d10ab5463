//! A responder in this very process, so that its allocations count, and how it is asked.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::edge;
use crate::ports::free_addresses;

/// Where it listens; it ends with the process.
pub(crate) struct Served {
    pub(crate) ocsp: SocketAddr,
    pub(crate) tls: SocketAddr,
    admin: SocketAddr,
}

impl Served {
    pub(crate) fn start(edge: &edge::Edge, connections: usize) -> Self {
        Self::start_with(edge, connections, None)
    }

    /// With this certificate and key behind TLS as well.
    pub(crate) fn start_with(
        edge: &edge::Edge,
        connections: usize,
        tls_files: Option<[&Path; 2]>,
    ) -> Self {
        let [ocsp, admin, tls] = free_addresses();
        let numbers = [
            ("--workers", "1".to_owned()),
            // No look at the folder, no timeout falls into a measurement.
            ("--poll-millis", "60000".to_owned()),
            ("--idle-secs", "3600".to_owned()),
            ("--max-connections", connections.to_string()),
            ("--ocsp", ocsp.to_string()),
            ("--admin", admin.to_string()),
        ];
        let mut args: Vec<OsString> = vec!["hufu-responder".into()];
        for (flag, value) in numbers {
            args.extend([flag.into(), value.into()]);
        }
        args.extend(["--edge".into(), edge.root().into()]);
        args.extend(["--pin".into(), edge.pin().into()]);
        if let Some([certificate, key]) = tls_files {
            args.extend(["--tls".into(), tls.to_string().into()]);
            args.extend(["--tls-certificate".into(), certificate.into()]);
            args.extend(["--tls-key".into(), key.into()]);
        }
        std::thread::spawn(move || hufu_responder::cli::run(args));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(ocsp).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { ocsp, tls, admin }
    }

    /// Waits until nobody is connected any more.
    pub(crate) fn wait_until_empty(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_empty() {
            assert!(Instant::now() < deadline, "connections stay open");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_empty(&self) -> bool {
        let told = whole(
            self.admin,
            b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        String::from_utf8_lossy(&told).contains("\nhufu_connections_open 0\n")
    }
}

/// All that is answered to `request`, after which nothing more is asked.
pub(crate) fn whole(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request).expect("it reads");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("it answers");
    octets
}

/// Octets of the one answer to `request`.
pub(crate) fn length_of_answer(address: SocketAddr, request: &[u8]) -> usize {
    whole(address, request).len()
}

/// Sends `request` and reads an answer that fills `space`, on one connection, `times` times.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    request: &[u8],
    space: &mut [u8],
    times: usize,
) {
    for _ in 0..times {
        stream.write_all(request).expect("it reads");
        stream.read_exact(space).expect("it answers");
    }
}

/// The path of a GET about a serial.
pub(crate) fn path(number: u64) -> String {
    path_of(&edge::request(number))
}

/// The path of a GET of these octets.
fn path_of(request: &[u8]) -> String {
    use base64::Engine as _;
    let path = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(request);
    format!("/{path}")
}

pub(crate) fn get(number: u64, fields: &str) -> String {
    get_of(&edge::request(number), fields)
}

/// GET of these octets.
pub(crate) fn get_of(request: &[u8], fields: &str) -> String {
    let path = path_of(request);
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

pub(crate) fn post(number: u64, fields: &str) -> Vec<u8> {
    let body = edge::request(number);
    let head = format!(
        "POST / HTTP/1.1\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// A busy machine has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
