//! The rooms run apart, command by command, as production does: a signer, a loader, a responder over one data folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::pki::Certificate;
use crate::process::{Ran, Running, command, free_address, run};
use crate::{http, root};

/// A founded data folder without certificates.
#[derive(Debug)]
pub struct Office {
    /// `--data`
    pub data: PathBuf,
}

/// A responder of its own, over an edge folder.
#[derive(Debug)]
pub struct Responder {
    /// The program; it ends with this value.
    pub program: Running,
    /// Where OCSP is asked.
    pub ocsp: SocketAddr,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
}

impl Office {
    /// The file in the data folder by which a test gives every command of the signer its settings.
    pub const SETTINGS: &str = "office.toml";

    /// Founds two authorities and the loader's keys.
    ///
    /// # Panics
    /// If a command fails.
    #[must_use]
    pub fn found(data: &Path) -> Self {
        Self::found_for(data, "http://127.0.0.1:2560")
    }

    /// The same; certificates say that OCSP, CRLs and issuer certificates are at `public_url`.
    ///
    /// # Panics
    /// If a command fails.
    #[must_use]
    pub fn found_for(data: &Path, public_url: &str) -> Self {
        fs::create_dir_all(data).expect("a folder can be made");
        let office = Self {
            data: data.to_owned(),
        };
        let _ = office.signer(&["found", "--public-url", public_url]).ok();
        let key = data.join("signer/batch.pub");
        let _ = office
            .loader(&["init", "--batch-key", key.to_str().expect("UTF-8")])
            .ok();
        office
    }

    /// Runs `hufu-signer` with these words over this folder, and by the [settings](Self::SETTINGS) in it, if there are any.
    #[track_caller]
    pub fn signer(&self, words: &[&str]) -> Ran {
        let mut signer = self.signer_command(words);
        run(&mut signer)
    }

    fn signer_command(&self, words: &[&str]) -> Command {
        let mut signer = command("hufu-signer", words);
        signer.arg("--data").arg(&self.data);
        let config = self.data.join(Self::SETTINGS);
        if config.exists() {
            signer.arg("--config").arg(config);
        }
        signer
    }

    /// Runs `hufu-loader` with these words over this folder.
    #[track_caller]
    pub fn loader(&self, words: &[&str]) -> Ran {
        run(command("hufu-loader", words).arg("--data").arg(&self.data))
    }

    /// Hands in a form; standard output is JSON.
    #[track_caller]
    pub fn submit(
        &self,
        ca: &str,
        kind: &str,
        application: &Path,
        schedule: &Path,
        requests: &Path,
    ) -> Ran {
        let mut submit = self.signer_command(&[
            "submit", "--ca", ca, "--kind", kind, "--clerk", "Ada", "--json",
        ]);
        submit
            .arg("--application")
            .arg(application)
            .arg("--form")
            .arg(schedule)
            .arg("--csr-dir")
            .arg(requests);
        run(&mut submit)
    }

    /// Hands in the demo's form of that kind, has it approved and issued; the serials, in hex.
    ///
    /// # Panics
    /// If a command fails.
    #[track_caller]
    pub fn enrol(&self, ca: &str, kind: &str) -> Vec<String> {
        let forms = root().join("deploy/demo/forms");
        let form = |name: &str| forms.join(format!("{ca}-{kind}")).join(name);
        let submitted = self.submit(
            ca,
            kind,
            &form("application.csv"),
            &form("schedule.csv"),
            &forms.join("csr"),
        );
        // One row of the demo's forms is wrong on purpose.
        assert!(matches!(submitted.code, Some(0 | 3)), "{submitted:?}");
        let answer: Value = serde_json::from_str(&submitted.stdout).expect("JSON");
        let number = answer["submission"].to_string();
        let _ = self
            .signer(&["approve", &number, "--officer", "Grace"])
            .ok();
        let _ = self.signer(&["issue", &number]).ok();
        self.serials(ca)
    }

    /// Serials of an authority's subjects in the order they were issued, in hex.
    ///
    /// # Panics
    /// If the list is not as it should be.
    #[track_caller]
    #[must_use]
    pub fn serials(&self, ca: &str) -> Vec<String> {
        let list = self.signer(&["list", "--ca", ca, "--json"]).ok();
        let rows: Value = serde_json::from_str(&list.stdout).expect("JSON");
        let rows = rows.as_array().expect("a list");
        rows.iter()
            .map(|row| row["serial"].as_str().expect("a serial").to_owned())
            .collect()
    }

    /// Revokes one.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn revoke(&self, ca: &str, serial: &str) {
        let words = [
            "revoke",
            "--ca",
            ca,
            "--serial",
            serial,
            "--ground",
            "key-compromise",
            "--officer",
            "Grace",
        ];
        let _ = self.signer(&words).ok();
    }

    /// Signs what is due and publishes it.
    ///
    /// # Panics
    /// If a command fails.
    #[track_caller]
    pub fn publish(&self) {
        let _ = self.signer(&["sign"]).ok();
        let _ = self.loader(&["publish"]).ok();
    }

    /// Fetches from a store into an edge folder, once.
    #[track_caller]
    pub fn follow(&self, store: &Path, edge: &Path) -> Ran {
        let mut follow = command("hufu-loader", ["follow", "--once", "--store"]);
        follow
            .arg(store)
            .arg("--edge")
            .arg(edge)
            .arg("--pin")
            .arg(self.pin());
        run(&mut follow)
    }

    /// The key that seals this folder's generations.
    #[must_use]
    pub fn pin(&self) -> PathBuf {
        self.data.join("loader/seal.pub")
    }

    /// The folder generations are published to.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// A certificate: `root`, `issuer`.
    ///
    /// # Panics
    /// If it cannot be exported.
    #[track_caller]
    #[must_use]
    pub fn certificate(&self, ca: &str, what: &str) -> Certificate {
        let file = self.data.join(format!("{ca}-{what}.pem"));
        let _ = self
            .signer(&[
                "export",
                "--ca",
                ca,
                "--what",
                what,
                "--out",
                file.to_str().expect("UTF-8"),
            ])
            .ok();
        Certificate::open(&file)
    }

    /// Starts a responder over an edge folder and waits until it is ready.
    ///
    /// # Panics
    /// With its log, if it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn responder(&self, edge: &Path) -> Responder {
        self.responder_at(edge, free_address(), free_address())
    }

    /// The same, with further flags.
    ///
    /// # Panics
    /// With its log, if it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn responder_with(&self, edge: &Path, flags: &[&str]) -> Responder {
        let (ocsp, admin) = (free_address(), free_address());
        let program = self.start_responder_with(edge, ocsp, admin, flags);
        ready(program, ocsp, admin)
    }

    /// The same at these addresses.
    ///
    /// # Panics
    /// With its log, if it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn responder_at(&self, edge: &Path, ocsp: SocketAddr, admin: SocketAddr) -> Responder {
        ready(self.start_responder(edge, ocsp, admin), ocsp, admin)
    }

    /// Starts one at these addresses, and does not wait.
    #[track_caller]
    #[must_use]
    pub fn start_responder(&self, edge: &Path, ocsp: SocketAddr, admin: SocketAddr) -> Running {
        self.start_responder_with(edge, ocsp, admin, &[])
    }

    /// The same with further flags.
    #[track_caller]
    #[must_use]
    pub fn start_responder_with(
        &self,
        edge: &Path,
        ocsp: SocketAddr,
        admin: SocketAddr,
        flags: &[&str],
    ) -> Running {
        let mut responder = command("hufu-responder", ["--workers", "1"]);
        responder
            .arg("--edge")
            .arg(edge)
            .arg("--pin")
            .arg(self.pin());
        responder.args(["--ocsp", &ocsp.to_string(), "--admin", &admin.to_string()]);
        responder.args(flags);
        // Several may stand over one folder's keys: each has a log of its own.
        let log = self.data.join(format!("responder-{}.log", ocsp.port()));
        Running::start(&responder, &log)
    }
}

/// Waits until it is.
#[track_caller]
fn ready(mut program: Running, ocsp: SocketAddr, admin: SocketAddr) -> Responder {
    program.until("/readyz says 200", Duration::from_secs(60), || {
        http::get(admin, "/readyz").is_ok_and(|response| response.status == 200)
    });
    Responder {
        program,
        ocsp,
        admin,
    }
}

/// Octets of a serial in hex, as INTEGER content.
///
/// # Panics
/// If it is not hex.
#[must_use]
pub fn serial_octets(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("hex");
    let padded = if hex.len().is_multiple_of(2) {
        hex.to_owned()
    } else {
        format!("0{hex}")
    };
    let pairs = padded.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("an octet"))
        .collect()
}
