//! The real programs: found, started so that they cannot outlive the tests, waited for, stopped.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::root;

/// Where a program of this workspace lies: `hufu`, `hufu-signer`, `hufu-loader`, `hufu-responder`, `examples/…`.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // `tests/run` has built them; a test started by hand builds them itself.
        std::env::var_os("HUFU_BIN_DIR").map_or_else(build, PathBuf::from)
    });
    let path = folder.join(name);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args([
        "build",
        "--quiet",
        "--workspace",
        "--bins",
        "--examples",
        "--tests",
    ]);
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the programs under test do not build");
    // …/debug/deps/it-0123 → …/debug
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors()
        .nth(2)
        .expect("test programs lie two below the profile's folder")
        .to_owned()
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    said: String,
}

impl Ran {
    fn new(command: &Command, output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            said: format!("{command:?}"),
        }
    }

    /// The same, if it ended with exit code 0.
    ///
    /// # Panics
    /// With everything it said, otherwise.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended_with(0)
    }

    /// The same, if it ended with this exit code.
    ///
    /// # Panics
    /// With everything it said, otherwise.
    #[must_use]
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n{}\n{}",
            self.said,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output and standard error, one after the other.
    #[must_use]
    pub fn both(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end, without standard input.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran::new(command, &output)
}

/// A program of the workspace with these arguments, not started yet.
#[must_use]
pub fn command<S: AsRef<std::ffi::OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(root());
    command
}

/// A program that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; both of its outputs go to `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &Command, log: &Path) -> Self {
        let said = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let errors = said.try_clone().expect("a file can be had twice");
        // The kernel ends it with the thread that started it, whatever becomes of this process.
        let mut tied = Command::new("setpriv");
        tied.args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        tied.stdin(Stdio::null()).stdout(said).stderr(errors);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tied.env(name, value),
                None => tied.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            tied.current_dir(folder);
        }
        let child = spawn(tied).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Its process id: `setpriv` becomes the program it starts.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Sends a signal by name (`TERM`, `KILL`, `STOP`).
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let command = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &command]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{command}");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it has not within that time.
    #[track_caller]
    pub fn wait(&mut self, at_most: Duration) -> ExitStatus {
        let mut status = None;
        wait_until("the program ends", at_most, || {
            status = self.ended();
            status.is_some()
        });
        status.expect("waited for")
    }

    /// Waits for a condition, and fails early, with the log, if the program ends first.
    ///
    /// # Panics
    /// If it ends, or the condition is not met in time.
    #[track_caller]
    pub fn until(&mut self, what: &str, at_most: Duration, mut met: impl FnMut() -> bool) {
        let began = Instant::now();
        while !met() {
            let ended = self.ended();
            assert!(
                ended.is_none(),
                "ended ({ended:?}) before {what}:\n{}",
                tail(&self.said())
            );
            assert!(
                began.elapsed() < at_most,
                "{what}: not within {at_most:?}:\n{}",
                tail(&self.said())
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Best effort: it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Starts a child from a thread that lives as long as this process: a death signal fires when the *thread* that forked
/// ends, and each test has a thread of its own.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static KEEPER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in received {
                // The asker may have given up; then the child is dropped here, and runs on until the keeper ends.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, answer) = channel();
    let orders = keeper
        .lock()
        .expect("the keeper's lock is held for a send only");
    orders
        .send((command, reply))
        .expect("the keeper lives as long as the process");
    drop(orders);
    answer.recv().expect("the keeper answers each order")
}

/// Raises a flag when dropped: what runs beside a test in a scope ends when the test panics, or the scope would wait for it
/// for ever.
#[derive(Debug)]
pub struct Raises<'a>(pub &'a AtomicBool);

impl Drop for Raises<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a condition.
///
/// # Panics
/// If it is not met in time.
#[track_caller]
pub fn wait_until(what: &str, at_most: Duration, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < at_most, "{what}: not within {at_most:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback address that nothing listens on now, handed out once by this process.
///
/// It lies below the range from which the kernel takes ports for outgoing connections (32768 and up): a port asked for
/// by `bind` to 0 and let go of comes from that range, and may be some client's, or the next caller's, a moment later.
///
/// # Panics
/// If no port of the range is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    let [address] = free_addresses();
    address
}

/// The same, so many ports in a row.
///
/// # Panics
/// If no such row is free.
#[must_use]
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Runs beside one another begin at different places.
    let start = std::process::id().wrapping_mul(131);
    let row = u32::try_from(N).expect("a row is short");
    for _ in 0..PORTS {
        let step = TAKEN.fetch_add(row, Ordering::Relaxed);
        let offset = start.wrapping_add(step) % PORTS;
        if offset + row > PORTS {
            continue;
        }
        let addresses = std::array::from_fn(|place| {
            let port = (FIRST_PORT + offset) as usize + place;
            let port = u16::try_from(port).expect("the range ends below 32768");
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        });
        if addresses.iter().all(|address| is_free(*address)) {
            return addresses;
        }
    }
    panic!("no row of {N} ports from {FIRST_PORT} on is free");
}

/// Whether a program could listen at this IPv4 address now.
#[must_use]
pub fn is_free(address: SocketAddr) -> bool {
    tried(address).is_ok()
}

/// Bound, and not listened at: a child that another thread is just starting holds for a moment whatever this process has
/// open. A copy of a socket that *listens* would refuse the port to the program that it was chosen for.
fn tried(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    // As std does for listeners: then only those that listen are in one another's way.
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 22_000;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn port_that_is_being_tried_is_refused_to_a_program() {
        // Of a loopback address that nobody else uses.
        let address = SocketAddr::from(([127, 0, 83, 1], free_address().port()));
        // What a child has of it until it becomes its program.
        let _copy = tried(address).unwrap();
        assert!(is_free(address), "it is refused to the next who tries");
        let _program = TcpListener::bind(address).expect("it is refused to a program");
        assert!(!is_free(address), "somebody listens there");
    }

    #[test]
    fn port_is_called_free_that_somebody_listens_at_on_every_address() {
        let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = everywhere.local_addr().unwrap().port();
        assert!(!is_free(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
}
