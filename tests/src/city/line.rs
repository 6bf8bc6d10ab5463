//! Signer, live lane, loader, follower and responder over one data folder, each a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Plan;
use crate::http;
use crate::office::{Office, Responder};
use crate::pki::{Answer, Certificate, Hash, Parameters, cert_id, request};
use crate::process::{Running, command, free_address, run};

/// The programs at work.
#[derive(Debug)]
pub struct Line {
    office: Office,
    edge: PathBuf,
    flags: Vec<String>,
    issuer: Certificate,
    records: u64,
    /// Where OCSP, lists and certificates are.
    pub ocsp: SocketAddr,
    /// Where readiness and metrics are.
    pub admin: SocketAddr,
    responder: Mutex<Running>,
    others: Mutex<Vec<(&'static str, Running)>>,
}

/// When a responder was killed and when the next one served.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// Just before the signal.
    pub killed: Instant,
    /// Just after the first answer.
    pub serving: Instant,
}

impl Line {
    /// Founds an authority with so many certificates, has everything signed and published, and starts all programs.
    ///
    /// # Errors
    /// If something does not come up.
    pub fn found(data: &Path, plan: &Plan) -> Result<Self, String> {
        let office = Office::found(data);
        let records = plan.records.to_string();
        let mut fill = command("examples/fill", ["--ca", "p256", "--records", &records]);
        let _ = run(fill.arg("--data").arg(data)).ok();
        let config = data.join("city.toml");
        fs::write(&config, SETTINGS).map_err(|error| error.to_string())?;
        let config = config.display().to_string();
        let live = free_address();
        let edge = data.join("edge");
        let signer = |words: &[&str]| {
            let mut signer = command("hufu-signer", words);
            signer.args(["--config", &config, "--data"]).arg(data);
            signer
        };
        let mut follow = command("hufu-loader", ["follow", "--store"]);
        follow.arg(office.store()).arg("--edge").arg(&edge);
        follow.arg("--pin").arg(office.pin());
        let mut load = command("hufu-loader", ["run", "--data"]);
        load.arg(data);
        let live_text = live.to_string();
        let programs = [
            ("signer", signer(&["serve"])),
            ("lane", signer(&["live", "--listen", &live_text])),
            ("loader", load),
            ("follow", follow),
        ];
        let start = |(name, command)| {
            let log = data.join(format!("{name}.log"));
            (name, Running::start(&command, &log))
        };
        let mut others: Vec<_> = programs.into_iter().map(start).collect();
        others[0].1.until("there is a generation", PATIENCE, || {
            edge.join("current").exists()
        });
        let flags = ["--live", &live_text, "--nonce", "live"];
        let responder = office.responder_with(&edge, &flags);
        let Responder {
            program,
            ocsp,
            admin,
        } = responder;
        let issuer = office.certificate("p256", "issuer");
        let line = Self {
            office,
            edge,
            flags: flags.map(str::to_owned).to_vec(),
            issuer,
            records: plan.records,
            ocsp,
            admin,
            responder: Mutex::new(program),
            others: Mutex::new(others),
        };
        line.wait_until_served()?;
        Ok(line)
    }

    /// Every shard is signed and served, and the lists are.
    fn wait_until_served(&self) -> Result<(), String> {
        let begun = Instant::now();
        // A serial of each shard, however they are divided.
        let step = (self.records / SPREAD).max(1);
        let all = || {
            let serials = (0..self.records).step_by(usize::try_from(step).unwrap_or(1));
            let answered = serials.map(serial).all(|serial| {
                let id = cert_id(Hash::Sha1, Parameters::Null, &self.issuer, &serial);
                http::ask(self.ocsp, &request(&[&id], None))
                    .is_ok_and(|answer| matches!(Answer::read(&answer.body), Answer::Signed(_)))
            });
            answered
                && ["/crl/p256.crl", "/crl/p256.delta.crl"]
                    .iter()
                    .all(|path| http::get(self.ocsp, path).is_ok_and(|answer| answer.status == 200))
        };
        while !all() {
            self.check()?;
            if begun.elapsed() > PATIENCE {
                return Err("not everything is served".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The authority's certificate.
    #[must_use]
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// The serials of all certificates, in the order they were made.
    pub fn serials(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.records).map(serial)
    }

    /// Revokes a certificate for keyCompromise and returns when the command has.
    ///
    /// # Errors
    /// If it is refused.
    pub fn revoke(&self, hex: &str) -> Result<(), String> {
        let words = ["--ground", "key-compromise", "--officer", "Grace"];
        let ran = self
            .office
            .signer(&[&["revoke", "--ca", "p256", "--serial", hex], &words[..]].concat());
        match ran.code {
            Some(0) => Ok(()),
            _ => Err(format!("revoke {hex}: {}", ran.stderr)),
        }
    }

    /// The number of the generation that is served.
    ///
    /// # Errors
    /// If the responder does not say.
    pub fn generation(&self) -> Result<u64, String> {
        let metrics = http::get(self.admin, "/metrics").map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let told = text
            .lines()
            .find_map(|line| line.strip_prefix("hufu_generation_number "));
        told.and_then(|number| number.trim().parse().ok())
            .ok_or_else(|| "hufu_generation_number is not told".to_owned())
    }

    /// Kills the responder outright and starts another at the same addresses.
    ///
    /// # Errors
    /// If it does not serve in time.
    pub fn restart(&self, within: Duration) -> Result<Restart, String> {
        let mut responder = self.responder.lock().map_err(|_| "a thread was lost")?;
        let killed = Instant::now();
        responder.signal("KILL");
        let _ = responder.wait(PATIENCE);
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        *responder = self
            .office
            .start_responder_with(&self.edge, self.ocsp, self.admin, &flags);
        loop {
            if http::get(self.admin, "/readyz").is_ok_and(|answer| answer.status == 200) {
                let serving = Instant::now();
                return Ok(Restart { killed, serving });
            }
            if let Some(status) = responder.ended() {
                return Err(format!(
                    "the responder ended: {status}\n{}",
                    responder.said()
                ));
            }
            if killed.elapsed() > within {
                return Err(format!(
                    "the responder does not serve {within:?} after it was killed"
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether all of them still run.
    ///
    /// # Errors
    /// With what the one that ended had said.
    pub fn check(&self) -> Result<(), String> {
        let mut others = self.others.lock().map_err(|_| "a thread was lost")?;
        for (name, program) in others.iter_mut() {
            if let Some(status) = program.ended() {
                return Err(format!("{name} ended: {status}\n{}", program.said()));
            }
        }
        Ok(())
    }
}

/// What the filling tool gives the certificate of this number.
fn serial(number: u64) -> Vec<u8> {
    format!("A{number:015}").into_bytes()
}

/// Deltas, and base shards that have their turn several times a day.
const SETTINGS: &str = "\
[signing]
refresh-secs = 60
shards = 4

[signing.crl.p256]
delta = true

[live]
deadline-millis = 5000
";
/// Founding and signing, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Serials asked for before the day begins.
const SPREAD: u64 = 500;
