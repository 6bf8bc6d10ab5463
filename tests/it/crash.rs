//! Killed at any step of publishing (`kill -9`): the generation before or the new one is servable, and the next run
//! goes on.
//!
//! `loader/examples/publish_paused.rs` publishes as `hufu-loader publish` does, over a disk that stops before its act
//! number N and says so; no shipped program has such a hook.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use hufu_tests::http;
use hufu_tests::office::{Office, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{program, run};

/// Runs the publisher until just before its act number `at` and kills it there; what that act would have been, or
/// `None` if it was done before.
fn kill_before(data: &Path, at: usize) -> Option<String> {
    let mut paused = Command::new(program("examples/publish_paused"));
    paused
        .arg("--data")
        .arg(data)
        .args(["--pause-at", &at.to_string()]);
    let mut child = paused
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stopped = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.starts_with("paused "));
    if stopped.is_none() {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return None;
    }
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    stopped
}

/// `paused 12 rename /data/store/current` → `rename store`: the act, and the folder below the data folder.
fn step(line: &str, data: &Path) -> String {
    let mut words = line.splitn(4, ' ').skip(2);
    let (act, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = Path::new(path);
    let below = path.strip_prefix(data).unwrap_or(path);
    let place = if below.extension().is_none() && below.iter().count() > 2 {
        below.parent().unwrap()
    } else {
        below
    };
    let place = place.to_string_lossy();
    let place: String = place
        .split('/')
        .take(2)
        .map(|part| if part.len() > 24 { "…" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    format!("{act:<14} {place}")
}

/// The number of the generation that a responder's machine takes from this store; `None` if there is none yet.
fn servable(office: &Office, edge: &Path) -> Option<u64> {
    if !office.store().join("current").exists() {
        return None;
    }
    let _ = office.follow(&office.store(), edge).ok();
    let pointer = fs::read_to_string(edge.join("current")).unwrap();
    Some(pointer.lines().next().unwrap().parse().unwrap())
}

fn copy(from: &Path, to: &Path) {
    let _ = run(Command::new("cp").arg("-r").arg(from).arg(to)).ok();
}

/// Kills the publisher before each of its acts in turn, over copies of this folder; the kills, by step.
fn kill_everywhere(
    prepared: &Path,
    before: Option<u64>,
    check: impl Fn(&Office, &Path),
) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut kills = BTreeMap::new();
    for at in 1.. {
        let data = folder.path().join("data");
        copy(prepared, &data);
        let office = Office { data: data.clone() };
        let stopped = kill_before(&data, at);
        let edge = folder.path().join("edge");
        let found = servable(&office, &edge);
        let what = stopped.clone().unwrap_or_else(|| "nothing".to_owned());
        let allowed = [before, Some(before.unwrap_or(0) + 1)];
        assert!(
            allowed.contains(&found),
            "killed before {what}: generation {found:?} is served, {before:?} was before"
        );
        // The next run goes on, and brings the rest.
        let _ = office.loader(&["publish"]).ok();
        let after = servable(&office, &edge);
        assert!(
            after > before,
            "killed before {what}: the next run published nothing"
        );
        check(&office, &edge);
        let _ = office.loader(&["verify"]).ok();
        let Some(stopped) = stopped else { break };
        *kills.entry(step(&stopped, &data)).or_default() += 1;
        fs::remove_dir_all(&data).unwrap();
        fs::remove_dir_all(&edge).unwrap();
    }
    kills
}

fn status(office: &Office, edge: &Path, issuer: &Certificate, serial: &[u8]) -> Status {
    let responder = office.responder(edge);
    let id = cert_id(Hash::Sha1, Parameters::Null, issuer, serial);
    let response = http::ask(responder.ocsp, &request(&[&id], None)).unwrap();
    Answer::read(&response.body).single().status
}

#[test]
fn generation_n_or_n_plus_one_is_servable_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().canonicalize().unwrap().join("data"));
    let serial = office.enrol("p256", "device").swap_remove(0);
    let issuer = office.certificate("p256", "issuer");
    let content = serial_octets(&serial);

    // The first publish ever, and one that replaces what is served.
    let _ = office.signer(&["sign"]).ok();
    let mut kills = kill_everywhere(&office.data, None, |office, edge| {
        assert_eq!(status(office, edge, &issuer, &content), Status::Good);
    });
    let _ = office.loader(&["publish"]).ok();
    let served = servable(&office, &folder.path().join("edge"));
    office.revoke("p256", &serial);
    let _ = office.signer(&["sign"]).ok();
    let second = kill_everywhere(&office.data, served, |office, edge| {
        assert!(matches!(
            status(office, edge, &issuer, &content),
            Status::Revoked(..)
        ));
    });
    for (step, times) in second {
        *kills.entry(step).or_default() += times;
    }

    let all: usize = kills.values().sum();
    // Past the test runner's capture: this table is the report.
    let mut report = format!("{all} kills of a publishing loader, each survived; before:\n");
    for (step, times) in &kills {
        report.push_str(&format!("{times:>4} × {step}\n"));
    }
    let _ = std::io::stderr().write_all(report.as_bytes());
    assert!(all >= 100, "only {all} kills");
}
