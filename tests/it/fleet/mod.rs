//! A fleet: one publisher, a bucket that speaks S3, any number of edges without a key. The bucket may be away, slow, old,
//! altered or somebody else's: every edge serves on what it has, says why, and goes on when it can.
//!
//! The bucket is a real S3 service in this process (`server.rs`); loader, followers and responders are the real programs.

mod downloads;
mod publishers;
mod refusals;
mod repair;
mod server;
mod together;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hufu_tests::http;
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Ran, Running, command, program, run};
use serde_json::Value;
use server::{BUCKET, Bucket, tell};

/// On a loaded machine, with everything built for tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A publisher's data folder with one authority, and a bucket.
struct Fleet {
    office: Office,
    bucket: Bucket,
    issuer: Certificate,
    serials: Vec<String>,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// One generation in the local store; the bucket is empty.
    fn new() -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        let serials = office.enrol("p256", "device");
        let issuer = office.certificate("p256", "issuer");
        office.publish();
        Fleet {
            bucket: Bucket::start(folder.path().join("s3")),
            office,
            issuer,
            serials,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `hufu-loader push`, once.
    fn push(&self) -> Ran {
        run(&mut self.push_command(&self.office.data, "city"))
    }

    fn push_command(&self, data: &Path, prefix: &str) -> Command {
        let mut push = command("hufu-loader", ["push", "--publish-to"]);
        push.arg(format!("s3://{BUCKET}/{prefix}"))
            .arg("--data")
            .arg(data);
        self.bucket.tell(&mut push);
        push
    }

    /// `hufu-loader follow`, of a prefix, through an address.
    fn follow_command(&self, edge: &Path, address: SocketAddr, prefix: &str) -> Command {
        let mut follow = command("hufu-loader", ["follow", "--store"]);
        follow
            .arg(format!("s3://{BUCKET}/{prefix}"))
            .arg("--edge")
            .arg(edge)
            .arg("--pin")
            .arg(self.office.pin());
        tell(&mut follow, address);
        follow
    }

    fn address(&self) -> SocketAddr {
        self.bucket.server.as_ref().unwrap().address
    }

    /// Fetches what is there, once.
    fn follow(&self, edge: &Path) -> Ran {
        run(self
            .follow_command(edge, self.address(), "city")
            .arg("--once"))
    }

    /// A follower that goes on.
    fn follower(&self, edge: &Path, words: &[&str]) -> Running {
        let mut follow = self.follow_command(edge, self.address(), "city");
        follow.args(words);
        Running::start(&follow, &edge.with_extension("follow.log"))
    }

    /// Revokes one, signs that, and publishes it in the local store.
    fn revoke_and_publish(&self, which: usize) {
        self.office.revoke("p256", &self.serials[which]);
        self.office.publish();
    }

    fn status(&self, responder: &Responder, which: usize) -> Status {
        let serial = serial_octets(&self.serials[which]);
        let id = cert_id(Hash::Sha1, Parameters::Null, &self.issuer, &serial);
        let response = http::ask(responder.ocsp, &request(&[&id], None)).unwrap();
        Answer::read(&response.body).single().status
    }

    fn is_revoked(&self, responder: &Responder, which: usize) -> bool {
        matches!(self.status(responder, which), Status::Revoked(..))
    }

    /// Publishes a generation with a document of that many octets in the local store.
    fn publish_filler(&self, octets: usize) {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let seed = SEED.fetch_add(1, Ordering::Relaxed);
        let mut filler = Command::new(program("examples/publish_filler"));
        filler
            .arg("--data")
            .arg(&self.office.data)
            .args(["--octets", &octets.to_string()])
            .args(["--seed", &seed.to_string()]);
        let _ = run(&mut filler).ok();
    }

    /// Alters the bucket behind its service's back: its folder is the argument.
    fn tamper(&self, with: impl FnOnce(&Path)) {
        self.bucket.forget_notes();
        with(&self.bucket.folder());
    }
}

/// What a follower says of itself.
fn status_file(edge: &Path) -> Value {
    let text = fs::read(edge.join("follow.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

/// The number in a pointer file.
fn number(pointer: &Path) -> Option<u64> {
    let text = fs::read_to_string(pointer).ok()?;
    text.lines().next()?.parse().ok()
}

/// A value that a program tells; none while it cannot be asked.
fn told(metrics: SocketAddr, name: &str) -> Option<f64> {
    let response = http::get(metrics, "/metrics").ok()?;
    let text = String::from_utf8(response.body).ok()?;
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// How often a log says something.
fn times(log: &str, what: &str) -> usize {
    log.matches(what).count()
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let _ = run(Command::new("cp").arg("-r").arg(from).arg(to)).ok();
}
