//! The demo of `hufu up`, its responder and its live lane, each a process that can be measured.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::Snapshot;
use rustix::process::{Pid, Signal, kill_process};
use wire::request::build_request;

use crate::requests::{Carriage, Method, http_request};
use crate::server::{Server, ask};

/// Has `hufu up` found a demo below `data` and publish it, then stops it.
///
/// # Errors
/// When it does not become ready.
pub fn found(data: &Path) -> Result<(), Box<dyn Error>> {
    let (ocsp, admin, live) = (free()?, free()?, free()?);
    let mut up = Command::new(program()?);
    up.arg("up").arg("--data").arg(data).args([
        "--ocsp",
        &ocsp.to_string(),
        "--admin",
        &admin.to_string(),
        "--live",
        &live.to_string(),
        // Nobody reads them here, and their default ports may be another demo's.
        "--metrics",
        "off",
    ]);
    let mut up = Killed(up.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ask(admin, b"GET /readyz HTTP/1.0\r\n\r\n")
        .is_ok_and(|said| said.starts_with(b"HTTP/1.0 200") || said.starts_with(b"HTTP/1.1 200"))
    {
        if Instant::now() > deadline || up.0.try_wait()?.is_some() {
            return Err("`hufu up` does not become ready".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&up.0), Signal::TERM)?;
    up.0.wait()?;
    Ok(())
}

/// Nonces for each record of the demo, so that a slice asks no question twice.
const NONCES_OF_EACH: usize = 500;

/// Whole HTTP requests.
pub type Messages = Vec<Vec<u8>>;

/// GETs without nonce, and POSTs of the same questions with one, as HTTP sends them.
///
/// # Errors
/// When there is no generation.
pub fn requests(data: &Path) -> Result<(Messages, Messages), Box<dyn Error>> {
    let pins = read_pins(&data.join("loader/seal.pub"))?;
    let snapshot = Snapshot::open(&data.join("edge"), &pins, None)?;
    let (mut plain, mut nonces) = (Vec::new(), Vec::new());
    for (_, pack) in snapshot.packs() {
        let Some(variant) = pack.shared().variants.first() else {
            continue;
        };
        for record in pack.records() {
            let serial = record.serial_content();
            let question = build_request(&variant.prefix, serial, None);
            plain.push(http_request(&question, Method::Get, Carriage::KeepAlive));
            // No two alike: what is asked twice at once is signed once.
            for _ in 0..NONCES_OF_EACH {
                let nonce = (nonces.len() as u128).to_be_bytes();
                let question = build_request(&variant.prefix, serial, Some(&nonce));
                nonces.push(http_request(&question, Method::Post, Carriage::KeepAlive));
            }
        }
    }
    if plain.is_empty() {
        return Err("the demo holds no records".into());
    }
    Ok((plain, nonces))
}

/// The live lane of that demo, on this core, and in the scheduler's idle class if it is to stand back.
///
/// # Errors
/// When it does not listen.
pub fn start_lane(
    data: &Path,
    live: SocketAddr,
    core: usize,
    stands_back: bool,
) -> Result<Killed, Box<dyn Error>> {
    let class = if stands_back { "--idle" } else { "--other" };
    let mut lane = Command::new("chrt");
    lane.args([class, "0", "taskset", "-c", &core.to_string()]);
    lane.arg(program()?);
    lane.args(["signer", "live", "--listen", &live.to_string(), "--data"]);
    let lane = lane.arg(data).stdout(Stdio::null()).stderr(Stdio::null());
    let lane = Killed(lane.spawn()?);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(live, b"GET /metrics HTTP/1.0\r\n\r\n").is_err() {
        if Instant::now() > deadline {
            return Err("the live lane does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(lane)
}

/// A responder of one worker that asks the lane for nonces, and where it tells its metrics.
///
/// # Errors
/// When it does not start.
pub fn start_responder(
    data: &Path,
    live: SocketAddr,
) -> Result<(Server, SocketAddr), Box<dyn Error>> {
    let (ocsp, admin) = (free()?, free()?);
    let mut responder = Command::new(program()?);
    responder.args(["responder", "--workers", "1", "--nonce", "live"]);
    responder.args(["--live", &live.to_string(), "--ocsp", &ocsp.to_string()]);
    responder.args(["--admin", &admin.to_string()]);
    responder.arg("--edge").arg(data.join("edge"));
    responder.arg("--pin").arg(data.join("loader/seal.pub"));
    Ok((Server::start(&responder, ocsp)?, admin))
}

/// The `hufu` that was built beside this program.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_file_name("hufu");
    fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// A loopback address that nobody listens on now.
///
/// # Errors
/// When there is none.
pub fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A child that ends with this program.
pub struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has gone already is what was wanted.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
