//! Founding and first lists, judged by OpenSSL.

use super::*;
use crate::ca::crl::Urgency;
use crate::office::Office;
use crate::registry::{Blocking, By, SqliteStore};
use crate::settings::Settings;
use std::path::Path;
use std::process::{Command, Output};

/// 2026-11-22T00:00:00Z would do, but OpenSSL judges by its own clock.
pub(crate) fn now() -> u64 {
    crate::serve::clock()
}

pub(crate) fn office(folder: &Path) -> Office<SqliteStore> {
    let home = crate::home::Home::new(folder);
    std::fs::create_dir_all(home.signer()).unwrap();
    let path = home.signer().join("registry.sqlite");
    let registry = Blocking::open(|| async move { SqliteStore::open(&path).await }).unwrap();
    Office::new(home, registry, Settings::default()).unwrap()
}

pub(crate) fn founded(folder: &Path) -> Office<SqliteStore> {
    let office = office(folder);
    found::found(&office, "http://127.0.0.1:2560", By::person("test", now())).unwrap();
    office
}

pub(crate) fn openssl(folder: &Path, args: &[&str]) -> Output {
    Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn pem(folder: &Path, name: &str, label: &str, der: &[u8]) {
    let der_path = folder.join(format!("{name}.der"));
    std::fs::write(&der_path, der).unwrap();
    let kind = if label == "crl" { "crl" } else { "x509" };
    let out = openssl(
        folder,
        &[
            kind,
            "-inform",
            "DER",
            "-in",
            &format!("{name}.der"),
            "-out",
            &format!("{name}.pem"),
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn founding_makes_chains_that_openssl_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let here = folder.path();
    for issuer in office.issuers().unwrap() {
        pem(here, issuer.alias(), "certificate", &issuer.row.certificate);
    }
    let out = openssl(
        here,
        &[
            "verify",
            "-x509_strict",
            "-CAfile",
            "p256-root.pem",
            "p256.pem",
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    // The ID reaches only the leaf: each level with -partial_chain.
    let out = openssl(
        here,
        &[
            "verify",
            "-x509_strict",
            "-partial_chain",
            "-vfyopt",
            "distid:1234567812345678",
            "-CAfile",
            "sm2-root.pem",
            "sm2.pem",
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn a_second_founding_changes_something() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let before: Vec<_> = office
        .issuers()
        .unwrap()
        .into_iter()
        .map(|i| i.row.certificate.clone())
        .collect();
    let again = found::found(&office, "http://elsewhere", By::person("test", now()));
    assert!(matches!(again, Err(CaError::Founded)));
    let after: Vec<_> = office
        .issuers()
        .unwrap()
        .into_iter()
        .map(|i| i.row.certificate.clone())
        .collect();
    assert_eq!(before, after);
}

#[test]
fn the_first_lists_do_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let here = folder.path();
    let issuers = office.issuers().unwrap();
    let lists = crl::write(&office, &issuers, Urgency::Due, By::signer(now())).unwrap();
    for (issuer, list) in issuers.iter().zip(&lists) {
        pem(here, issuer.alias(), "certificate", &issuer.row.certificate);
        std::fs::write(here.join(issuer.crl_name()), &list.der).unwrap();
    }
    for alias in ["p256", "p256-root"] {
        let (list, ca) = (format!("{alias}.crl"), format!("{alias}.pem"));
        let out = openssl(
            here,
            &[
                "crl", "-inform", "DER", "-in", &list, "-noout", "-CAfile", &ca,
            ],
        );
        assert!(
            String::from_utf8_lossy(&out.stderr).contains("verify OK"),
            "{out:?}"
        );
    }
    // `openssl crl` cannot set the SM2 identifier: take the list apart and judge the parts.
    for (issuer, list) in issuers
        .iter()
        .zip(&lists)
        .filter(|(i, _)| i.alias().starts_with("sm2"))
    {
        let read = wire::crl::Crl::parse(&list.der).unwrap();
        std::fs::write(here.join("tbs"), read.tbs).unwrap();
        std::fs::write(here.join("sig"), read.signature).unwrap();
        let pem = format!("{}.pem", issuer.alias());
        openssl(
            here,
            &["x509", "-in", &pem, "-pubkey", "-noout", "-out", "pub.pem"],
        );
        let out = openssl(
            here,
            &[
                "dgst",
                "-sm3",
                "-verify",
                "pub.pem",
                "-sigopt",
                "distid:1234567812345678",
                "-signature",
                "sig",
                "tbs",
            ],
        );
        assert!(out.status.success(), "{out:?}");
    }
    let again = crl::write(&office, &issuers, Urgency::Due, By::signer(now())).unwrap();
    assert_eq!(again, lists, "nothing changed, nothing is due");
}
