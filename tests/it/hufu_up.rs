//! What a newcomer meets: one command, files to try with, commands to paste; and what happens when it is killed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http;
use hufu_tests::patient::patient;
use hufu_tests::pki::{Answer, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{command, free_address, is_free, run, wait_until};
use hufu_tests::root;

/// Processes that have this data folder among their arguments.
fn processes_over(data: &Path) -> Vec<u32> {
    let data = data.to_str().unwrap().to_owned();
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            words
                .split(|octet| *octet == 0)
                .any(|word| String::from_utf8_lossy(word).contains(&data))
                .then_some(id)
        });
    processes.collect()
}

fn good(demo: &Demo) -> Status {
    let issuer = demo.certificate(Authority::P256, "issuer");
    let serial = demo.certificate(Authority::P256, "good").serial;
    let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &serial);
    Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body)
        .single()
        .status
}

#[test]
fn leaves_everything_to_try_with_before_it_is_ready() {
    let demo = Demo::shared();
    for authority in ["p256", "sm2"] {
        for name in ["root", "issuer", "good", "revoked", "chain"] {
            let file = demo.folder().join(format!("{authority}-{name}.pem"));
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(
                text.starts_with("-----BEGIN CERTIFICATE-----"),
                "{}",
                file.display()
            );
        }
    }
    let said = demo.up.said();
    assert!(
        said.contains("REFUSED line"),
        "the row that is wrong on purpose is not shown:\n{said}"
    );
}

#[test]
fn a_killed_one_leaves_no_child_and_a_second_start_finds_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = Demo::start(&data);
    assert_eq!(good(&demo), Status::Good);

    // Its second, on the same folder, is refused while the first runs.
    let (ocsp, admin, live) = (free_address(), free_address(), free_address());
    let mut second = command(
        "hufu",
        [
            "up",
            "--ocsp",
            &ocsp.to_string(),
            "--admin",
            &admin.to_string(),
        ],
    );
    second
        .args(["--metrics", "off", "--live", &live.to_string(), "--data"])
        .arg(&data);
    let refused = run(&mut second).ended_with(1);
    assert!(!refused.both().contains("panicked"), "{refused:?}");
    // So is one on another folder with the same port, before it founds anything.
    let elsewhere = folder.path().join("elsewhere");
    let mut third = command(
        "hufu",
        [
            "up",
            "--ocsp",
            &demo.ocsp.to_string(),
            "--admin",
            &admin.to_string(),
        ],
    );
    third
        .args(["--metrics", "off", "--live", &live.to_string(), "--data"])
        .arg(&elsewhere);
    let refused = run(&mut third).ended_with(1);
    assert!(
        refused.both().contains(&demo.ocsp.port().to_string()),
        "the port is not named: {refused:?}"
    );
    assert!(!elsewhere.join("signer/registry.sqlite").exists());

    demo.up.signal("KILL");
    let _ = demo.up.wait(PATIENCE);
    wait_until("the children are gone", PATIENCE, || {
        processes_over(&data).is_empty()
    });
    // A process that ends loses its command line before its sockets.
    wait_until("the port is free again", PATIENCE, || is_free(demo.ocsp));

    let before = demo.certificate(Authority::P256, "good").der;
    let began = Instant::now();
    let mut demo = Demo::start(&data);
    // Under a second in a release build on a quiet machine; this is neither, so it is told and not judged.
    eprintln!("second start: {:?}", began.elapsed());
    assert_eq!(good(&demo), Status::Good);
    assert_eq!(
        demo.certificate(Authority::P256, "good").der,
        before,
        "it founded anew"
    );

    demo.up.signal("TERM");
    assert_eq!(demo.up.wait(PATIENCE).code(), Some(0), "{}", demo.up.said());
    wait_until("the children are gone", PATIENCE, || {
        processes_over(&data).is_empty()
    });
}

#[test]
fn restarted_after_a_week_it_is_fresh_before_it_is_ready() {
    const WEEK: u64 = 7 * 86_400;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = Demo::start(&data);
    demo.up.signal("TERM");
    let _ = demo.up.wait(PATIENCE);
    // The demo's validity is a day: everything signed at founding is long past.
    let demo = Demo::start_later(&data, WEEK);
    let issuer = demo.certificate(Authority::P256, "issuer");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + WEEK;
    for which in ["good", "revoked"] {
        let serial = demo.certificate(Authority::P256, which).serial;
        let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &serial);
        let answer = Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body);
        let single = answer.single();
        assert!(single.this_update + 3600 > now, "signed anew: {single:?}");
        assert!(single.next_update.unwrap() > now, "{single:?}");
    }
    let listed = http::get(demo.ocsp, "/crl/p256.crl").unwrap().body;
    assert!(
        hufu_tests::crl::Crl::read(&listed)
            .unwrap()
            .next_update
            .unwrap()
            > now,
        "the CRL is stale"
    );
}

/// An unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

// CABF BR §4.9.9: an answer is there a quarter of an hour after its certificate at the latest.
#[test]
fn the_commands_it_prints_work_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("data"));
    // Printed when the appliance itself has seen that it is ready, a moment after whoever asked first.
    let kept = demo.folder().join("TRY.txt");
    wait_until("the commands are kept", PATIENCE, || {
        // All of them: the last one is about another authority's list.
        fs::read_to_string(&kept).is_ok_and(|text| text.contains("loader import --crl"))
    });
    let printed = fs::read_to_string(kept).unwrap();
    let mut tried = 0;
    for part in printed.split("\n# ").skip(1) {
        let (shows, lines) = part.split_once('\n').unwrap();
        if lines.contains("firefox") {
            continue;
        }
        let ran = run(Command::new("bash")
            .args(["-euo", "pipefail", "-c", &patient(lines)])
            .current_dir(root()));
        // `openssl ocsp` ends with 1 where a responder refuses, which is what that command shows.
        let wanted = if shows.contains("unauthorized") { 1 } else { 0 };
        assert_eq!(ran.code, Some(wanted), "{shows}: {ran:?}");
        if lines.contains("openssl ocsp") && lines.contains("-url") && wanted == 0 {
            assert!(
                ran.both().contains("Response verify OK"),
                "{shows}: {ran:?}"
            );
        }
        tried += 1;
    }
    assert!(tried >= 6, "{printed}");
}
