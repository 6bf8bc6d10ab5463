//! The first start: complete, resumable, in a folder that may hold staged CRLs.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::rig::{Appliance, hufu, until};
use rustix::process::Signal;

#[test]
fn files_to_try_with_are_complete_before_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    for ca in ["p256", "sm2"] {
        for name in ["root", "issuer", "good", "revoked", "chain"] {
            let pem =
                fs::read_to_string(appliance.data.join(format!("demo/{ca}-{name}.pem"))).unwrap();
            assert!(pem.ends_with("-----END CERTIFICATE-----\n"), "{ca}-{name}");
        }
    }
    // The row that is wrong on purpose was named on the way.
    let refused = appliance.line_with("REFUSED");
    assert!(refused.contains("110105194912310021"), "{refused}");
    appliance.line_with("ready after");
}

#[test]
fn founding_killed_in_the_middle_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Each is a line printed just before its command runs.
    for step in [
        " signer found ",
        " signer issue 1",
        " signer revoke ",
        " loader publish ",
    ] {
        let mut tries = 0;
        loop {
            let mut appliance = Appliance::start(&data);
            appliance.line_with(step);
            // Into the middle of that command, not only to its edge.
            std::thread::sleep(Duration::from_millis(15));
            appliance.end_by(Signal::KILL);
            if data.join("founding").exists() {
                break;
            }
            // Whoever reads the lines was kept waiting, and the founding came to its end meanwhile: once more.
            tries += 1;
            assert!(tries < 20, "never in the middle of{step}");
            // What it had started may still be writing.
            until("the folder is gone", || {
                fs::remove_dir_all(&data).is_ok() || !data.exists()
            });
        }
    }
    let mut appliance = Appliance::start(&data);
    appliance.line_with("interrupted");
    appliance.ready();
    assert!(!data.join("founding").exists());
    assert!(appliance.ask("revoked").contains("Response verify OK"));
}

#[test]
fn crl_staged_before_the_first_start_is_served_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let foreign = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/foreign");
    let imported = hufu()
        .args([
            "loader",
            "import",
            "--as-of",
            "2025-04-01",
            "--crl",
            &format!("{foreign}/crl.pem"),
            "--issuer",
        ])
        .args([&format!("{foreign}/issuer.pem"), "--data"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(imported.success());

    let mut appliance = Appliance::start(&data);
    appliance.line_with("REPLAYED");
    appliance.ready();
    let url = format!("http://{}", appliance.ocsp);
    let said = appliance.openssl(&format!(
        "ocsp -issuer foreign/issuer.pem -serial 0x1002 -no_nonce -VAfile local-responder.pem -url {url}"
    ));
    assert!(
        said.contains("0x1002: revoked") && said.contains("Response verify OK"),
        "{said}"
    );
    assert!(said.contains("affiliationChanged"), "{said}");
}
