//! The servers that are compared: hufu itself, the bare loops, and nginx, which send what hufu really said.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::population::Population;
use crate::requests::{Carriage, Method, http_request};
use crate::server::{Server, ask};

/// The responder, and where it tells its metrics.
///
/// # Errors
/// When it does not start.
pub fn start_hufu(population: &Population) -> std::io::Result<(Server, SocketAddr)> {
    let hufu = Hufu::of(population)?;
    Ok((hufu.start()?, hufu.admin))
}

/// A responder that can be started again and again at the same addresses.
pub struct Hufu {
    command: Command,
    /// Where it answers.
    pub ocsp: SocketAddr,
    /// Where it tells its metrics.
    pub admin: SocketAddr,
}

impl Hufu {
    /// One of one worker over this population.
    ///
    /// # Errors
    /// When the program has not been built, or no port is free.
    pub fn of(population: &Population) -> std::io::Result<Self> {
        Self::serving(&population.edge, &population.pin)
    }

    /// One of one worker over this edge folder, whose generations are sealed by a key in `pin`.
    ///
    /// # Errors
    /// When the program has not been built, or no port is free.
    pub fn serving(edge: &Path, pin: &Path) -> std::io::Result<Self> {
        let [ocsp, admin] = two_addresses()?;
        let mut command = Command::new(sibling("hufu-responder")?);
        command.arg("--edge").arg(edge);
        command.arg("--pin").arg(pin);
        command.args(["--ocsp", &ocsp.to_string()]);
        command.args(["--admin", &admin.to_string(), "--workers", "1"]);
        Ok(Self {
            command,
            ocsp,
            admin,
        })
    }

    /// Starts it on the servers' core.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self) -> std::io::Result<Server> {
        Server::start(&self.command, self.ocsp)
    }
}

fn two_addresses() -> std::io::Result<[SocketAddr; 2]> {
    let ocsp = free_address()?;
    // Held while the second is chosen, or it would be the same.
    let held = TcpListener::bind(ocsp)?;
    let admin = free_address()?;
    drop(held);
    Ok([ocsp, admin])
}

/// A bare loop of this mode, which sends `response`.
///
/// # Errors
/// When it does not start.
pub fn start_floor(folder: &Path, mode: &str, response: &[u8]) -> std::io::Result<Server> {
    let address = free_address()?;
    let file = folder.join(format!("{mode}.http"));
    fs::write(&file, response)?;
    let mut command = Command::new(sibling("hufu-floor")?);
    command
        .args([
            "--mode",
            mode,
            "--listen",
            &address.to_string(),
            "--response",
        ])
        .arg(file);
    Server::start(&command, address)
}

/// nginx with one worker that answers every path with the one file that holds hufu's real answer.
///
/// # Errors
/// When it does not start.
pub fn start_nginx(folder: &Path, response: &[u8]) -> std::io::Result<Server> {
    let address = free_address()?;
    let root = folder.join("nginx");
    fs::create_dir_all(root.join("logs"))?;
    fs::write(root.join("answer.der"), body(response))?;
    // hufu's own header fields in place of those nginx would make.
    let headers: String = ["cache-control", "expires", "etag", "last-modified"]
        .iter()
        .filter_map(|name| Some((name, header(response, name)?.replace('"', "\\\""))))
        .map(|(name, value)| format!("      add_header {name} \"{value}\";\n"))
        .collect();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("  {what}_temp_path {}/tmp;\n", root.display()))
        .collect();
    // With --full there are 2,000 connections, and each has a descriptor.
    // `user` means something to root only, and warns everybody else.
    let configuration = format!(
        "daemon off;\nuser root;\nworker_processes 1;\nworker_rlimit_nofile 8192;\npid {root}/nginx.pid;\nerror_log {root}/logs/error.log crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}  access_log off; server_tokens off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000;\n\
         \x20 etag off; max_ranges 0; if_modified_since off;\n\
         \x20 open_file_cache max=16; default_type application/ocsp-response; types {{ }}\n\
         \x20 server {{\n    listen {address} backlog=4096;\n    root {root};\n\
         \x20   location / {{\n      try_files /answer.der =404;\n      error_page 405 =200 /answer.der;\n{headers}    }}\n  }}\n}}\n",
        root = root.display()
    );
    let file = root.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&root).arg("-c").arg(file);
    Server::start(&command, address)
}

/// What hufu says to one request, proved to be a successful OCSP response.
///
/// # Errors
/// When it is none.
pub fn real_answer(
    hufu: &Server,
    question: &[u8],
    carriage: Carriage,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let answer = ask(
        hufu.address(),
        &http_request(question, Method::Get, carriage),
    )?;
    let successful = answer.starts_with(b"HTTP/1.") && answer.get(8..13) == Some(b" 200 ");
    // OCSPResponse: SEQUENCE, then ENUMERATED successful(0) (RFC 6960 section 4.2.1).
    let responded = body(&answer)
        .windows(3)
        .take(5)
        .any(|octets| octets == [0x0A, 1, 0]);
    if successful && responded {
        return Ok(answer);
    }
    Err(format!("hufu does not answer: {}", String::from_utf8_lossy(&answer)).into())
}

/// The octets after the head of a response.
#[must_use]
pub fn body(response: &[u8]) -> &[u8] {
    response
        .windows(4)
        .position(|octets| octets == b"\r\n\r\n")
        .map_or(&[], |end| &response[end + 4..])
}

fn header<'a>(response: &'a [u8], name: &str) -> Option<&'a str> {
    let head = &response[..response.len() - body(response).len()];
    std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A program built beside this one.
fn sibling(name: &str) -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(std::io::Error::other(format!(
        "{} is not built: run the script in benches/, which builds it",
        path.display()
    )))
}

/// A loopback address nothing listens on, from below the range that outgoing connections take their ports from: a client's
/// port of one measurement is never the server's of the next.
fn free_address() -> std::io::Result<SocketAddr> {
    let start = std::process::id().wrapping_mul(131);
    (0..PORTS)
        .map(|step| FIRST_PORT + start.wrapping_add(step) % PORTS)
        .filter_map(|port| u16::try_from(port).ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| std::io::Error::other("no port from 10000 on is free"))
}

const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 22_000;
