//! A server under measurement: one process, one core, and the processor time it has used.
//!
//! The time is the scheduler's own count (`/proc/PID/task/*/schedstat`, first field, nanoseconds on a
//! core), summed over the process and its children: nginx works in a child. It holds also when the client,
//! not the server, is the bottleneck, which wall-clock rates do not.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The core every server runs on; the client has the other one.
pub const SERVER_CORE: &str = "0";

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts `command` on the server's core and waits until `address` accepts a connection.
    ///
    /// # Errors
    /// When the program cannot be started, ends by itself, or does not listen within ten seconds.
    pub fn start(command: &Command, address: SocketAddr) -> std::io::Result<Self> {
        let child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(std::io::Error::other(format!(
                    "{command:?} ended: {status}"
                )));
            }
            if Instant::now() > deadline {
                return Err(std::io::Error::other(format!(
                    "{command:?} does not listen on {address}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nanoseconds of processor time used so far by all threads of the server and of its children.
    ///
    /// # Errors
    /// When `/proc` cannot be read, so when the server has died.
    pub fn run_time_nanos(&self) -> std::io::Result<u64> {
        process_tree(self.child.id())?
            .into_iter()
            .map(run_time_of)
            .sum()
    }

    /// Sends `request` on a connection of its own and returns everything the server says until it closes
    /// or stays silent for 300 ms.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn ask(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        let mut buffer = [0u8; 8192];
        while let Ok(octets @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..octets]);
        }
        Ok(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Children first: an nginx worker outlives a master that is killed.
        for pid in process_tree(self.child.id())
            .unwrap_or_default()
            .into_iter()
            .rev()
        {
            let _gone = Command::new("kill")
                .args(["-9", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        let _reaped = self.child.wait();
    }
}

fn run_time_of(pid: u32) -> std::io::Result<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += stat
            .split(' ')
            .next()
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(nanos)
}

fn process_tree(pid: u32) -> std::io::Result<Vec<u32>> {
    let mut tree = vec![pid];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        let children = Path::new("/proc").join(format!("{parent}/task/{parent}/children"));
        let listed = fs::read_to_string(children).unwrap_or_default();
        tree.extend(
            listed
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
        next += 1;
    }
    Ok(tree)
}
