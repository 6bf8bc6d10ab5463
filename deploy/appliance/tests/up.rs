//! What `hufu up` promises, asked of the real program.

mod rig;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rig::{Appliance, free_ports, get, gone, hufu, said, until};
use rustix::process::{Signal, kill_process};

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
        let judged = said(Command::new(appliance.data.join("demo/verify-sm2")).args([name, &url]));
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
fn second_start_serves_within_a_second() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    let took = appliance.ready();
    // The promise is for a release build on a quiet machine; a debug build beside other tests gets three times that.
    let bound = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
    assert!(took < bound, "{took:?}");
    println!("second start: {took:?}");
}

#[test]
fn second_instance_is_refused_by_lock_and_by_port() {
    let folder = rig::founded();
    let data = folder.path().join("data");
    let mut first = Appliance::start(&data);
    first.ready();

    let [ocsp, admin] = free_ports();
    let locked = said(&mut rig::up(&data, ocsp, admin));
    assert!(locked.contains("another `hufu up` (process "), "{locked}");

    let elsewhere = tempfile::tempdir().unwrap();
    for (ocsp, admin, option) in [
        (first.ocsp, admin, "--ocsp"),
        (ocsp, first.admin, "--admin"),
    ] {
        let busy = said(&mut rig::up(elsewhere.path(), ocsp, admin));
        assert!(
            busy.contains(&format!("{option} 127.0.0.1:"))
                && busy.contains("cannot be listened on"),
            "{busy}"
        );
    }
    assert!(
        !elsewhere.path().join("signer").exists(),
        "nothing is founded before the ports are known to be free"
    );
}

#[test]
fn another_public_url_than_founded_is_refused() {
    let folder = rig::founded();
    let [ocsp, admin] = free_ports();
    let refused = said(
        rig::up(&folder.path().join("data"), ocsp, admin)
            .args(["--public-url", "http://other.example"]),
    );
    assert!(
        refused.contains("http://other.example") && refused.contains("founded with the public URL"),
        "{refused}"
    );
}

#[test]
fn parent_killed_outright_takes_its_children_along() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let children = appliance.children();
    assert_eq!(children.len(), 4, "signer, loader, follower, responder");
    appliance.end_by(Signal::KILL);
    until("all children gone", || {
        children.iter().all(|child| gone(*child))
    });
    assert!(get(appliance.ocsp, "/").is_none());

    let mut again = Appliance::start_at(&appliance.data, appliance.ocsp, appliance.admin);
    again.ready();
}

#[test]
fn killed_child_comes_back() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let before = appliance.children();
    for child in &before {
        kill_process(*child, Signal::KILL).unwrap();
    }
    until("four new children", || {
        let now = appliance.children();
        now.len() == 4 && now.iter().all(|child| !before.contains(child))
    });
    appliance.ready();
    assert!(appliance.ask("good").contains("Response verify OK"));
}

#[test]
fn asked_to_end_it_drains_and_says_success() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let children = appliance.children();
    let status = appliance.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(children.iter().all(|child| gone(*child)));
}

#[test]
fn founding_killed_in_the_middle_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Each is a line printed just before its command runs.
    for step in [
        " signer found ",
        " loader init ",
        " --ca sm2 --kind unit",
        " signer revoke ",
        " loader publish ",
        "p256-good.pem",
    ] {
        let mut appliance = Appliance::start(&data);
        appliance.line_with(step);
        // Into the middle of that command, not only to its edge.
        std::thread::sleep(Duration::from_millis(15));
        appliance.end_by(Signal::KILL);
        assert!(data.join("founding").exists());
    }
    let mut appliance = Appliance::start(&data);
    appliance.line_with("interrupted");
    appliance.ready();
    assert!(!data.join("founding").exists());
    assert!(appliance.ask("revoked").contains("Response verify OK"));
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
