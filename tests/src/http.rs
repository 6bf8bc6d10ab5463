//! A client that shows raw octets and headers, and can misbehave.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take for one answer, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An HTTP response as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// Header names in lower case and their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A connection on which several requests may be sent.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// If nothing listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Writes octets as they are.
    ///
    /// # Errors
    /// If the other side has closed.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Sends one request with its body; `headers` are lines without their ends.
    ///
    /// # Errors
    /// If the other side closes, is late, or does not speak HTTP.
    pub fn send(
        &mut self,
        request_line: &str,
        headers: &[&str],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut octets = format!("{request_line}\r\n").into_bytes();
        for header in headers {
            octets.extend_from_slice(header.as_bytes());
            octets.extend_from_slice(b"\r\n");
        }
        if !body.is_empty() {
            octets.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        self.write(&octets)?;
        self.receive(request_line.starts_with("HEAD "))
    }

    /// Asks an OCSP question by POST and keeps the connection.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Response> {
        self.send(
            "POST / HTTP/1.1",
            &["Host: localhost", "Content-Type: application/ocsp-request"],
            request,
        )
    }

    /// Reads one response.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn receive(&mut self, without_body: bool) -> io::Result<Response> {
        let first = self.line()?;
        let mut words = first.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| wrong(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            version,
            status,
            headers,
            body: Vec::new(),
        };
        if without_body || status == 304 {
            return Ok(response);
        }
        match response.header("content-length").map(str::parse::<usize>) {
            Some(length) => {
                response.body = vec![0; length.map_err(io::Error::other)?];
                self.stream.read_exact(&mut response.body)?;
            }
            None => {
                self.stream.read_to_end(&mut response.body)?;
            }
        }
        Ok(response)
    }

    /// Whether the other side has closed, waiting for it if need be.
    #[must_use]
    pub fn closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(octets) => octets == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn wrong(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line}"))
}

/// GET on a connection of its own.
///
/// # Errors
/// As [`Connection::send`].
pub fn get(address: SocketAddr, target: &str) -> io::Result<Response> {
    Connection::open(address)?.send(
        &format!("GET {target} HTTP/1.1"),
        &["Host: localhost", "Connection: close"],
        b"",
    )
}

/// An OCSP question by POST on a connection of its own, as stock clients put it: HTTP/1.0 without a Host.
///
/// # Errors
/// As [`Connection::send`].
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Response> {
    Connection::open(address)?.send(
        "POST / HTTP/1.0",
        &["Content-Type: application/ocsp-request"],
        request,
    )
}
