//! One appliance with its demo PKI: `hufu up` in a folder of its own, on ports of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::http;
use crate::pki::Certificate;
use crate::process::{Running, command, free_address, free_addresses};
use crate::shared_folder;

/// Founding, in an unoptimised build on a busy machine.
const FOUNDED_WITHIN: Duration = Duration::from_secs(300);

/// An appliance that serves.
#[derive(Debug)]
pub struct Demo {
    /// `--data`
    pub data: PathBuf,
    /// Where OCSP, CRLs and issuer certificates are.
    pub ocsp: SocketAddr,
    /// Where `/metrics`, `/healthz`, `/readyz` are.
    pub admin: SocketAddr,
    /// Where `signer serve`, `loader run`, `loader follow` and `signer live` tell metrics.
    pub metrics: [SocketAddr; 4],
    /// Where the live lane is.
    pub live: SocketAddr,
    /// The program; it ends with this value.
    pub up: Running,
}

/// An issuing CA of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// ECDSA P-256.
    P256,
    /// SM2 with SM3.
    Sm2,
}

impl Authority {
    /// What its files begin with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Sm2 => "sm2",
        }
    }
}

impl Demo {
    /// Starts an appliance over this folder and waits until it is ready.
    ///
    /// # Panics
    /// With the end of its log, if it does not become ready.
    #[must_use]
    pub fn start(data: &Path) -> Self {
        Self::start_later(data, 0)
    }

    /// The same, under a clock that is so many seconds ahead (by `libfaketime`).
    ///
    /// # Panics
    /// With the end of its log, if it does not become ready.
    #[must_use]
    pub fn start_later(data: &Path, seconds_ahead: u64) -> Self {
        fs::create_dir_all(data).expect("a folder can be made");
        let (ocsp, admin, live) = (free_address(), free_address(), free_address());
        let metrics = free_addresses();
        let mut up = command("hufu", ["up"]);
        if seconds_ahead > 0 {
            // Not by the program `faketime`, which forks and would leave the appliance behind when it is killed.
            up.env("LD_PRELOAD", faketime())
                .env("FAKETIME", format!("+{seconds_ahead}s"));
            up.env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        up.arg("--data").arg(data);
        up.args([
            "--ocsp",
            &ocsp.to_string(),
            "--admin",
            &admin.to_string(),
            "--live",
            &live.to_string(),
            "--metrics",
            &metrics[0].to_string(),
        ]);
        let mut demo = Self {
            data: data.to_owned(),
            ocsp,
            admin,
            metrics,
            live,
            up: Running::start(&up, &data.join("up.log")),
        };
        demo.wait_until_ready();
        demo
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// If it does not, or the program ends.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let admin = self.admin;
        self.up.until("/readyz says 200", FOUNDED_WITHIN, || {
            http::get(admin, "/readyz").is_ok_and(|response| response.status == 200)
        });
    }

    /// The appliance that all tests of this process share. Nobody stops it or changes its PKI.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Demo> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&shared_folder("demo")))
    }

    /// The folder of what a newcomer tries.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.data.join("demo")
    }

    /// Where OCSP is asked, as stock clients want it said.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.ocsp)
    }

    /// A certificate of the demo: `root`, `issuer`, `good`, `revoked`.
    #[must_use]
    pub fn certificate(&self, authority: Authority, which: &str) -> Certificate {
        Certificate::open(
            &self
                .folder()
                .join(format!("{}-{which}.pem", authority.name())),
        )
    }
}

/// The library that shifts a program's clock; its folder is named for the machine.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    libraries
        .into_iter()
        .find(|library| library.is_file())
        .expect("libfaketime is installed")
}
