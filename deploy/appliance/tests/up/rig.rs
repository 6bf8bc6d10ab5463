//! Starts the real `hufu up` on free ports in a folder of its own, asks it with a bare HTTP client and with `openssl`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running `hufu up`. Dropped, it is killed, and its children with it.
pub(crate) struct Appliance {
    process: Child,
    lines: Receiver<String>,
    pub(crate) data: PathBuf,
    pub(crate) ocsp: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Appliance {
    /// Starts it in `data` on free ports.
    pub(crate) fn start(data: &Path) -> Self {
        let [ocsp, admin] = free_ports();
        Self::start_at(data, ocsp, admin)
    }

    /// Starts it in `data` on these ports.
    pub(crate) fn start_at(data: &Path, ocsp: SocketAddr, admin: SocketAddr) -> Self {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log(data))
            .unwrap();
        let mut process = up(data, ocsp, admin)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            process,
            lines,
            data: data.to_owned(),
            ocsp,
            admin,
        }
    }

    /// Waits for `/readyz`; answers how long it took since the call.
    pub(crate) fn ready(&mut self) -> Duration {
        let began = Instant::now();
        while !matches!(get(self.admin, "/readyz"), Some(answer) if answer.head.starts_with("HTTP/1.1 200"))
        {
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "not ready ({ended:?}):\n{}",
                self.told()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }

    /// Waits for a line of standard output that holds `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("never said {text:?}; standard error:\n{}", self.told()),
            }
        }
    }

    /// The processes it started, by number.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let pid = self.process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children
            .split_whitespace()
            .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
            .collect()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end_by(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.process.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "does not end:\n{}", self.told()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `openssl ocsp` by POST for a certificate of `DIR/demo`; standard error last.
    pub(crate) fn ask(&self, name: &str) -> String {
        let url = format!("http://{}", self.ocsp);
        self.openssl(&format!(
            "ocsp -issuer p256-issuer.pem -cert p256-{name}.pem -CAfile p256-chain.pem -no_nonce -url {url}"
        ))
    }

    /// `openssl …` in `DIR/demo`: all it said.
    pub(crate) fn openssl(&self, line: &str) -> String {
        said(
            Command::new("openssl")
                .args(line.split(' '))
                .current_dir(self.data.join("demo")),
        )
    }

    fn told(&self) -> String {
        fs::read_to_string(log(&self.data)).unwrap_or_default()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `hufu up` for `data`, not started yet.
pub(crate) fn up(data: &Path, ocsp: SocketAddr, admin: SocketAddr) -> Command {
    let mut command = hufu();
    // As people type it: from the folder above.
    command.current_dir(data.parent().unwrap());
    let name = data.file_name().unwrap();
    let [live, _] = free_ports();
    command.arg("up").arg("--data").arg(name).args([
        "--ocsp",
        &ocsp.to_string(),
        "--admin",
        &admin.to_string(),
        "--live",
        &live.to_string(),
        // Appliances beside one another would want the same ports.
        "--metrics",
        "off",
    ]);
    command
}

/// The binary under test.
pub(crate) fn hufu() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hufu"))
}

/// A folder with a founded demo, each caller its own copy of one founding.
pub(crate) fn founded() -> TempDir {
    static FOUNDED: OnceLock<TempDir> = OnceLock::new();
    let original = FOUNDED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut appliance = Appliance::start(&folder.path().join("data"));
        appliance.ready();
        assert!(appliance.end_by(Signal::TERM).success());
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    let status = Command::new("cp")
        .arg("-a")
        .arg(original.path().join("data"))
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(status.success());
    copy
}

/// Whether a process is gone; one that nobody has waited for yet counts as gone.
pub(crate) fn gone(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).map_or(true, |stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}

/// Waits until `holds`, or fails saying `what` did not come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two ports that nothing listens on, handed out once: from below those the kernel takes for outgoing connections,
/// where a port let go of may be some client's a moment later.
pub(crate) fn free_ports() -> [SocketAddr; 2] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(131);
    let mut free = std::iter::repeat_with(|| {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + start.wrapping_add(step) % 22_000;
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
    })
    .filter(|address| is_free(*address).is_ok());
    [0, 1].map(|_| free.next().unwrap())
}

/// Bound, and not listened at: a child that another thread is just starting holds a copy for a moment, and one that listens
/// would refuse the port to the appliance that it was chosen for.
fn is_free(address: SocketAddr) -> rustix::io::Result<()> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)
}

/// GET over HTTP/1.0, one connection; none if nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .ok()?;
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).ok()?;
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some(Answer {
        head: String::from_utf8_lossy(&octets[..end]).into_owned(),
        body: octets.split_off(end + 4),
    })
}

/// Runs a command to its end: standard output, then standard error.
pub(crate) fn said(command: &mut Command) -> String {
    let Output { stdout, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
}

fn log(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// Longer than anything takes on a busy machine, in a debug build.
const PATIENCE: Duration = Duration::from_secs(120);
