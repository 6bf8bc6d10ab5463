//! What stock clients get from a running `hufu up`.

use std::fs;
use std::process::{Command, Stdio};

use crate::rig::{self, Appliance, get, hufu, said, until};

#[test]
fn stock_client_gets_verified_answers_for_both_fates() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();

    let good = appliance.ask("good");
    assert!(
        good.contains("Response verify OK") && good.contains("p256-good.pem: good"),
        "{good}"
    );
    let revoked = appliance.ask("revoked");
    assert!(
        revoked.contains("Response verify OK") && revoked.contains("p256-revoked.pem: revoked"),
        "{revoked}"
    );
    assert!(
        revoked.contains("Reason: keyCompromise") && revoked.contains("Revocation Time: "),
        "{revoked}"
    );

    let url = format!("http://{}", appliance.ocsp);
    let never_issued = appliance.openssl(&format!(
        "ocsp -issuer p256-issuer.pem -serial 0x1234 -no_nonce -url {url}"
    ));
    assert!(never_issued.contains("unauthorized"), "{never_issued}");
}

#[test]
fn get_gives_the_answer_that_post_gives() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    appliance.openssl("ocsp -issuer p256-issuer.pem -cert p256-good.pem -no_nonce -reqout request");
    let path = said(
        Command::new("base64")
            .arg("-w0")
            .arg(appliance.data.join("demo/request")),
    );
    let path = path
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");

    let answer = get(appliance.ocsp, &format!("/{path}")).unwrap();
    assert!(
        answer.head.starts_with("HTTP/1.1 200") && answer.head.to_lowercase().contains("etag:"),
        "{}",
        answer.head
    );
    fs::write(appliance.data.join("demo/response"), &answer.body).unwrap();
    let judged =
        appliance.openssl("ocsp -issuer p256-issuer.pem -cert p256-good.pem -CAfile p256-chain.pem -no_nonce -respin response");
    assert!(
        judged.contains("Response verify OK") && judged.contains(": good"),
        "{judged}"
    );
}

#[test]
fn sm2_answers_verify_by_openssl_dgst() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    for (name, status) in [("sm2-good", ": good"), ("sm2-revoked", ": revoked")] {
        let url = format!("http://{}", appliance.ocsp);
        let (success, judged) = verify_sm2(&appliance, name, &url);
        assert!(success, "{judged}");
        for expected in [
            status,
            "Verified OK",
            "certified by the issuer: OK",
            "OCSP Signing",
        ] {
            assert!(judged.contains(expected), "{expected}:\n{judged}");
        }
    }
}

/// Whether the demo's script is satisfied, and what it said.
fn verify_sm2(appliance: &Appliance, name: &str, url: &str) -> (bool, String) {
    let script = appliance.data.join("demo/verify-sm2");
    let output = Command::new(script).args([name, url]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn sm2_script_is_satisfied_by_another_certificate_s_answer_or_by_none() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let url = format!("http://{}", appliance.ocsp);
    let demo = appliance.data.join("demo");

    // The right answer, but not from the issuer that is trusted.
    let issuer = fs::read(demo.join("sm2-issuer.pem")).unwrap();
    fs::copy(demo.join("p256-issuer.pem"), demo.join("sm2-issuer.pem")).unwrap();
    let (success, judged) = verify_sm2(&appliance, "sm2-good", &url);
    assert!(!success && judged.contains("FAILED"), "{judged}");
    fs::write(demo.join("sm2-issuer.pem"), issuer).unwrap();

    let (success, judged) = verify_sm2(&appliance, "p256-good", &url);
    assert!(!success && judged.contains("FAILED"), "{judged}");

    let nobody = format!("http://{}", rig::free_ports()[0]);
    let (success, judged) = verify_sm2(&appliance, "sm2-good", &nobody);
    assert!(!success && judged.contains("FAILED: no answer"), "{judged}");
}

#[test]
fn crl_and_issuer_are_where_the_certificate_says() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let text = appliance
        .openssl("x509 -in p256-good.pem -noout -ext crlDistributionPoints,authorityInfoAccess");
    let crl = text
        .split("URI:")
        .find(|uri| uri.contains("/crl/"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let path = &crl[crl.find("/crl/").unwrap()..];
    fs::write(
        appliance.data.join("demo/served.crl"),
        get(appliance.ocsp, path).unwrap().body,
    )
    .unwrap();
    appliance.openssl("crl -inform DER -in served.crl -out served.pem");
    let judged = appliance.openssl(
        "verify -crl_check -CAfile p256-root.pem -untrusted p256-issuer.pem -CRLfile served.pem p256-revoked.pem",
    );
    assert!(judged.contains("certificate revoked"), "{judged}");
}

#[test]
fn revocation_is_visible_within_seconds() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let serial = appliance.openssl("x509 -in p256-good.pem -noout -serial");
    let serial = serial.trim().trim_start_matches("serial=");
    let revoked = hufu()
        .args([
            "signer",
            "revoke",
            "--ca",
            "p256",
            "--serial",
            serial,
            "--ground",
            "key-compromise",
            "--officer",
            "赵审核",
            "--data",
        ])
        .arg(&appliance.data)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(revoked.success());
    until("revoked on the wire", || {
        appliance.ask("good").contains("p256-good.pem: revoked")
    });
}

#[test]
fn foreign_crl_is_adopted_while_running() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let demo = appliance.data.join("demo/foreign");
    let imported = said(
        hufu()
            .args(["loader", "import", "--crl"])
            .arg(demo.join("crl.pem"))
            .arg("--issuer")
            .arg(demo.join("issuer.pem"))
            .arg("--data")
            .arg(&appliance.data),
    );
    let url = format!("http://{}", appliance.ocsp);
    until(&format!("revoked by the foreign CRL\n{imported}"), || {
        let said = appliance.openssl(&format!(
            "ocsp -issuer foreign/issuer.pem -serial 0x1001 -no_nonce -noverify -url {url}"
        ));
        said.contains("0x1001: revoked")
    });
}
