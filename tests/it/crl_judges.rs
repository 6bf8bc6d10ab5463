//! OpenSSL accepts our P-256 CRLs, and everyone reads the same entries from them.

use std::collections::BTreeSet;
use std::fs;

use hufu_tests::crl::Crl;
use hufu_tests::demo::Demo;
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::process::{command, run};

/// Fetches a CRL into the demo's folder under another name, so that tests do not meet.
fn fetch(demo: &Demo, name: &str, into: &str) -> Vec<u8> {
    let served = http::get(demo.ocsp, &format!("/crl/{name}.crl")).unwrap();
    assert_eq!(served.status, 200);
    assert_eq!(served.header("content-type"), Some("application/pkix-crl"));
    fs::write(demo.folder().join(into), &served.body).unwrap();
    served.body
}

#[test]
fn openssl_verifies_the_signature() {
    let demo = Demo::shared();
    for name in ["p256", "p256-root"] {
        let file = format!("verify-{name}.crl");
        fetch(demo, name, &file);
        let arguments = [
            "crl",
            "-inform",
            "DER",
            "-in",
            &file,
            "-noout",
            "-CAfile",
            "p256-chain.pem",
        ];
        let judged = openssl(&demo.folder(), arguments).ok();
        assert!(judged.both().contains("verify OK"), "{judged:?}");
    }
}

#[test]
fn openssl_checks_certificates_against_it() {
    let demo = Demo::shared();
    for name in ["p256", "p256-root"] {
        fetch(demo, name, &format!("check-{name}.crl"));
        let pem = format!("check-{name}.pem");
        let der = format!("check-{name}.crl");
        let _ = openssl(
            &demo.folder(),
            ["crl", "-inform", "DER", "-in", &der, "-out", &pem],
        )
        .ok();
    }
    let check = |which: &str| {
        let arguments = [
            "verify",
            "-crl_check_all",
            "-CRLfile",
            "check-p256.pem",
            "-CRLfile",
            "check-p256-root.pem",
            "-CAfile",
            "p256-chain.pem",
            which,
        ];
        openssl(&demo.folder(), arguments)
    };
    let good = check("p256-good.pem").ok();
    assert!(good.stdout.contains("p256-good.pem: OK"), "{good:?}");
    let revoked = check("p256-revoked.pem");
    assert_ne!(revoked.code, Some(0));
    assert!(
        revoked.both().contains("certificate revoked"),
        "{revoked:?}"
    );
}

#[test]
fn the_list_is_what_the_registry_holds_revoked() {
    let demo = Demo::shared();
    for ca in ["p256", "sm2"] {
        let crl = Crl::read(&fetch(demo, ca, &format!("registry-{ca}.crl"))).unwrap();
        let mut list = command("hufu-signer", ["list", "--ca", ca, "--json", "--data"]);
        let answer = run(list.arg(&demo.data)).ok().stdout;
        let rows: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let revoked = rows
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["status"] == "revoked");
        let registry: BTreeSet<String> = revoked
            .map(|row| row["serial"].as_str().unwrap().to_lowercase())
            .collect();
        let listed: BTreeSet<String> = crl
            .revoked
            .keys()
            .map(|serial| serial.iter().map(|octet| format!("{octet:02x}")).collect())
            .collect();
        assert!(!listed.is_empty());
        assert_eq!(listed, registry, "{ca}");
        assert_eq!(crl.entries, crl.revoked.len(), "a serial recurs");
    }
}
