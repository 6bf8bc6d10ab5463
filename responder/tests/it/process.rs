//! The program itself, started and stopped, and octets exchanged with it over plain sockets.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use wire::response::{OcspResponse, ResponseStatus, SingleStatus};

use crate::edge::Edge;

/// A running responder; killed when dropped.
pub(crate) struct Running {
    child: Killed,
    pub(crate) ocsp: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(edge: &Edge) -> Self {
        Self::start_with(edge, &[])
    }

    pub(crate) fn start_with(edge: &Edge, flags: &[&str]) -> Self {
        let mut child = Killed(
            command(edge)
                .args(if flags.contains(&"--ocsp") {
                    &[][..]
                } else {
                    &["--ocsp", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
                })
                .args(if flags.contains(&"--workers") {
                    &[][..]
                } else {
                    &["--workers", "2"]
                })
                .args(flags)
                .stderr(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.map_while(Result::ok) {
                    log.lock().unwrap().push(line);
                }
            }
        });
        let listening = wait_for("the line that says `listening`", || {
            let lines = log.lock().unwrap();
            assert!(
                !lines.iter().any(|line| line.contains("stopped")),
                "{lines:?}"
            );
            lines
                .iter()
                .find(|line| line.contains("listening"))
                .cloned()
        });
        Self {
            ocsp: field(&listening, "ocsp="),
            admin: field(&listening, "admin="),
            child,
            log,
            reader: Some(reader),
        }
    }

    /// Log lines that contain `text`.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        let lines = self.log.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    }

    pub(crate) fn log_lines(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.0.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended and everything it said has been read.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the process to end", || self.child.0.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.ocsp).unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut wire = self.connect();
        wire.send(request);
        wire.read()
    }

    /// GET on the operators' port.
    pub(crate) fn admin(&self, path: &str) -> Response {
        let mut wire = Wire::new(TcpStream::connect(self.admin).unwrap());
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        wire.read()
    }

    /// A metric's value.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        self.try_metric(sample)
            .unwrap_or_else(|| panic!("no {sample}"))
    }

    /// A metric's value, if it has one yet.
    pub(crate) fn try_metric(&self, sample: &str) -> Option<f64> {
        let text = String::from_utf8(self.admin("/metrics").body).unwrap();
        let line = text.lines().find(|line| line.starts_with(sample))?;
        Some(line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

/// A child that does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program with the flags it cannot do without.
pub(crate) fn command(edge: &Edge) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hufu-responder"));
    command
        .arg("--edge")
        .arg(edge.root())
        .arg("--pin")
        .arg(edge.pin())
        .stdin(Stdio::null());
    command
}

fn field(line: &str, name: &str) -> SocketAddr {
    let (_, rest) = line.split_once(name).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// Polls until there is something, for longer than a busy machine needs.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Two cores may be shared by a build and every other test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: vec![],
        }
    }

    pub(crate) fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).unwrap();
    }

    /// Sends as far as the other side takes it.
    pub(crate) fn try_send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(octets)
    }

    /// The next response.
    pub(crate) fn read(&mut self) -> Response {
        self.read_to("GET").expect("a response")
    }

    /// The next response, if the connection has not been closed.
    pub(crate) fn try_read(&mut self) -> Option<Response> {
        self.read_to("GET")
    }

    /// The next response to a HEAD.
    pub(crate) fn read_head(&mut self) -> Response {
        self.read_to("HEAD").expect("a response")
    }

    fn read_to(&mut self, method: &str) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if self.fill() == 0 {
                assert!(self.unread.is_empty(), "half a response");
                return None;
            }
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap().to_owned();
        let headers: HashMap<_, _> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let length: usize = if method == "HEAD" || status == 304 {
            0
        } else {
            length
        };
        while self.unread.len() < length {
            assert_ne!(self.fill(), 0, "half a body");
        }
        Some(Response {
            status,
            status_line,
            headers,
            body: self.unread.drain(..length).collect(),
        })
    }

    /// Reads at least so many octets, to be looked at later.
    pub(crate) fn read_some(&mut self, octets: usize) {
        while self.unread.len() < octets {
            assert_ne!(self.fill(), 0, "closed too early");
        }
    }

    /// True if the other side has closed, in good order, without another octet.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.fill() == 0
    }

    fn fill(&mut self) -> usize {
        let mut space = [0; 65_536];
        let octets = self.stream.read(&mut space).expect("an answer in time");
        self.unread.extend_from_slice(&space[..octets]);
        octets
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) status_line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What an OCSPResponse says, in a word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Good,
    Revoked,
    Malformed,
    TryLater,
    Unauthorized,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// What the OCSPResponse in it says; checks what must hold of every one.
    pub(crate) fn says(&self) -> Says {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/ocsp-response");
        let response = OcspResponse::parse(&self.body).unwrap();
        let error = match response.status {
            ResponseStatus::Successful => {
                assert!(self.header("cache-control").starts_with("max-age="));
                return match response.basic.unwrap().first.status {
                    SingleStatus::Good => Says::Good,
                    _ => Says::Revoked,
                };
            }
            ResponseStatus::MalformedRequest => Says::Malformed,
            ResponseStatus::TryLater => Says::TryLater,
            ResponseStatus::Unauthorized => Says::Unauthorized,
            other => panic!("{other:?}"),
        };
        // A shared cache keeps a 200 on its own account otherwise.
        assert_eq!(self.header("cache-control"), "no-store");
        error
    }

    pub(crate) fn serial(&self) -> Vec<u8> {
        let response = OcspResponse::parse(&self.body).unwrap();
        response.basic.unwrap().first.cert_id.serial.to_vec()
    }
}
