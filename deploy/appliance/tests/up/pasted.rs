//! Whatever is printed for people to paste works as pasted.

use std::fs;
use std::process::Command;

use crate::rig::{self, Appliance, said, until};
use patient::patient;

#[path = "../../../../tests/src/patient.rs"]
#[expect(unreachable_pub, reason = "public in the library it is a file of")]
mod patient;

#[test]
fn everything_printed_to_paste_works_as_pasted() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.line_with("ready after");
    let file = appliance.data.join("demo/TRY.txt");
    // To its last command: the file is there before all of it is.
    let mut printed = String::new();
    until("TRY.txt", || {
        printed = fs::read_to_string(&file).unwrap_or_default();
        printed.contains("loader import --crl")
    });
    // From a folder that has nothing to do with it.
    let elsewhere = tempfile::tempdir().unwrap();
    let script = elsewhere.path().join("patient.sh");
    fs::write(&script, patient(&printed)).unwrap();
    let pasted = said(
        Command::new("sh")
            .arg(&script)
            .current_dir(elsewhere.path()),
    );
    for expected in [
        "p256-good.pem: good\n",
        "p256-revoked.pem: revoked\n",
        "sm2-revoked.pem: revoked\n",
        "HTTP/1.1 200 OK",
        "unauthorized",
        "Certificate Revocation List (CRL):",
        "\nready\n",
        "own.pem: good\n",
        "own.pem: revoked\n",
        "0x1001: revoked\n",
    ] {
        assert!(
            pasted.contains(expected),
            "{expected:?} is missing from\n{pasted}"
        );
    }
    // POST good, revoked and with a nonce, GET, own form good and revoked, two at once, the foreign CRL: none unverified.
    assert_eq!(pasted.matches("Response verify OK").count(), 8, "{pasted}");
    assert!(pasted.contains("WARNING: no nonce in response"), "{pasted}");
    assert!(!pasted.contains("error:"), "{pasted}");
}

#[test]
fn first_answers_of_the_readme_work_as_pasted() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let readme = include_str!("../../../../README.md");
    let block = readme.split("## First answers").nth(1).unwrap();
    let block = block
        .split("```sh\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let block = block
        .replace("127.0.0.1:2560", &appliance.ocsp.to_string())
        .replace("127.0.0.1:2561", &appliance.admin.to_string());
    let pasted = said(
        Command::new("sh")
            .arg("-c")
            .arg(block)
            .current_dir(appliance.data.join("demo")),
    );
    assert_eq!(pasted.matches("Response verify OK").count(), 4, "{pasted}");
    assert_eq!(pasted.matches("Verified OK").count(), 2, "{pasted}");
    assert!(
        pasted.contains("p256-revoked.pem: revoked") && pasted.contains("\nready\n"),
        "{pasted}"
    );
}
