//! The whole line as production runs it: signer, loader, follower, responder, each a process over one data folder.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where programs and data lie.
pub struct Place {
    programs: PathBuf,
    data: PathBuf,
    config: PathBuf,
}

/// The four programs at work; killed when dropped.
pub struct Line {
    children: Vec<(&'static str, Child)>,
    /// Where OCSP is asked.
    pub ocsp: SocketAddr,
    /// Where readiness is.
    pub admin: SocketAddr,
}

impl Place {
    /// The programs beside this one, a data folder, and the signer's settings.
    ///
    /// # Errors
    /// When folder or settings cannot be written.
    pub fn new(data: &Path, settings: &str) -> std::io::Result<Self> {
        let own = std::env::current_exe()?;
        let programs = own.parent().unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(data.join("logs"))?;
        let config = data.join("bench-signer.toml");
        fs::write(&config, settings)?;
        Ok(Self {
            programs,
            data: data.to_owned(),
            config,
        })
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The signer with these words, over the data folder.
    #[must_use]
    pub fn signer(&self, words: &[&str]) -> Command {
        let mut command = self.program("hufu-signer", words);
        command.arg("--config").arg(&self.config);
        command.arg("--data").arg(&self.data);
        command
    }

    /// A program with these words; `examples/…` too.
    #[must_use]
    pub fn program(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Starts signer, loader, follower and, once there is a generation, the responder.
    ///
    /// # Errors
    /// When a program does not start, or there is no generation within `patience`.
    pub fn start(&self, patience: Duration) -> std::io::Result<Line> {
        let data = |path: &str| self.data.join(path);
        let mut line = Line {
            children: Vec::new(),
            ocsp: free_address()?,
            admin: free_address()?,
        };
        self.spawn(&mut line, "signer", self.signer(&["serve"]))?;
        let mut run = self.program("hufu-loader", &["run"]);
        run.arg("--data").arg(&self.data);
        self.spawn(&mut line, "loader", run)?;
        let mut follow = self.program("hufu-loader", &["follow"]);
        follow.arg("--store").arg(data("store"));
        follow.arg("--edge").arg(data("edge"));
        follow.arg("--pin").arg(data("loader/seal.pub"));
        self.spawn(&mut line, "follow", follow)?;
        let begun = Instant::now();
        while !data("edge/current").exists() {
            line.check()?;
            if begun.elapsed() > patience {
                return Err(std::io::Error::other("no generation came"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut responder = self.program("hufu-responder", &[]);
        responder.arg("--edge").arg(data("edge"));
        responder.arg("--pin").arg(data("loader/seal.pub"));
        responder.arg("--ocsp").arg(line.ocsp.to_string());
        responder.arg("--admin").arg(line.admin.to_string());
        self.spawn(&mut line, "responder", responder)?;
        Ok(line)
    }

    fn spawn(
        &self,
        line: &mut Line,
        name: &'static str,
        mut command: Command,
    ) -> std::io::Result<()> {
        let log = File::create(self.data.join("logs").join(format!("{name}.log")))?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        line.children.push((name, child));
        Ok(())
    }
}

impl Line {
    /// Whether all of them still run.
    ///
    /// # Errors
    /// With the name of one that ended.
    pub fn check(&mut self) -> std::io::Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                return Err(std::io::Error::other(format!("{name} ended: {status}")));
            }
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // One that has ended already is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// With what it said, if it fails.
pub fn done(command: &mut Command) -> std::io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(std::io::Error::other(format!("{command:?}: {said}")))
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
