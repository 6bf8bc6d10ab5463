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

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

/// The core every server runs on, and the one the client has: the first two this process may use.
///
/// # Errors
/// When there are fewer than two: server and client would share one, and the figures mean nothing.
pub fn cores() -> std::io::Result<(String, String)> {
    let allowed = sched_getaffinity(None)?;
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    match (usable.next(), usable.next()) {
        (Some(server), Some(client)) => Ok((server.to_string(), client.to_string())),
        _ => Err(std::io::Error::other("two cores are needed")),
    }
}

/// Lets this process, and the servers and clients that it starts, open as many files as the system allows: with 2,000
/// connections each of them needs more than the 1,024 that are usual. A server that cannot accept would spin, and the
/// figures mean nothing.
///
/// # Errors
/// When that is still fewer than `connections` need.
pub fn raise_file_limit(connections: u32) -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Failing that, what there is may be enough.
    let _ = setrlimit(Resource::Nofile, raised);
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if most < u64::from(connections) + OTHER_FILES {
        return Err(std::io::Error::other(format!(
            "{most} open files are allowed: too few for {connections} connections; raise `ulimit -n`"
        )));
    }
    Ok(())
}

/// Files that are no connections.
const OTHER_FILES: u64 = 100;

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
            .args(["-c", &cores()?.0])
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

    /// The same of the one thread of this name, and how long that has waited for its core meanwhile.
    ///
    /// # Errors
    /// When there is no such thread.
    pub fn thread_nanos(&self, name: &str) -> std::io::Result<[u64; 2]> {
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?.path();
            if fs::read_to_string(task.join("comm"))?.trim() == name {
                return ran_and_waited(&task);
            }
        }
        Err(std::io::Error::other(format!("it has no thread {name}")))
    }
}

/// Nanoseconds that a task (`/proc/…/task/…`) has run, and that it has waited for a core while it could have run.
///
/// # Errors
/// When it has gone.
pub fn ran_and_waited(task: &Path) -> std::io::Result<[u64; 2]> {
    let stat = fs::read_to_string(task.join("schedstat"))?;
    let mut fields = stat.split_whitespace().map(str::parse::<u64>);
    match (fields.next(), fields.next()) {
        (Some(Ok(ran)), Some(Ok(waited))) => Ok([ran, waited]),
        _ => Err(std::io::Error::other("the scheduler counts nothing here")),
    }
}

/// Sends `request` to `address` on a connection of its own and returns everything the server says until it closes
/// or stays silent for 300 ms.
///
/// # Errors
/// When the connection fails.
pub fn ask(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut buffer = [0u8; 8192];
    while let Ok(octets @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..octets]);
    }
    Ok(answer)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Kills it at once, as a crash would; when this returns it is gone.
    pub fn kill(&mut self) {
        // Children first: an nginx worker outlives a master that is killed.
        for pid in process_tree(self.child.id())
            .unwrap_or_default()
            .into_iter()
            .rev()
        {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // One that has gone already is what was wanted.
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        let _reaped = self.child.wait();
    }
}

fn run_time_of(pid: u32) -> std::io::Result<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let [ran, _] = ran_and_waited(&task?.path())?;
        nanos += ran;
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
