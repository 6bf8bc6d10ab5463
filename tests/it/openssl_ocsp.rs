//! `openssl ocsp` verifies what the appliance says about P-256 certificates, asked by POST and by GET.
//!
//! It prints "good" even when verification failed: exit status and "Response verify OK" count.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use hufu_tests::crl::Crl;
use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::pki::{Answer, Status};
use hufu_tests::process::{Ran, run};

/// `openssl ocsp` about a certificate of the demo, with these further arguments.
fn ask(demo: &Demo, which: &str, further: &[&str]) -> Ran {
    let certificate = format!("p256-{which}.pem");
    // Each option about CertIDs applies to the `-cert` that comes after it.
    let digest: Vec<&str> = further
        .iter()
        .copied()
        .filter(|word| *word == "-sha256")
        .collect();
    let others = further.iter().copied().filter(|word| *word != "-sha256");
    let mut arguments = vec!["ocsp", "-issuer", "p256-issuer.pem"];
    arguments.extend(digest);
    arguments.extend(["-cert", &certificate, "-CAfile", "p256-chain.pem"]);
    arguments.extend(others);
    openssl(&demo.folder(), arguments)
}

#[track_caller]
fn verified(ran: Ran) -> Ran {
    let ran = ran.ok();
    assert!(ran.both().contains("Response verify OK"), "{ran:?}");
    assert!(
        !ran.both().contains("WARNING: Status times invalid"),
        "{ran:?}"
    );
    ran
}

// RFC 6960 §4.1.1: the hash of the issuer's DN, and of its key without tag, length and unused bits.
// RFC 9919 §3.2.2: the certificate of the authority's delegate comes along.
// CABF BR §4.9.9: who answers was certified by the authority that issued the certificate asked about.
#[test]
fn good_and_revoked_by_post() {
    let demo = Demo::shared();
    for further in [&["-no_nonce"][..], &["-no_nonce", "-sha256"]] {
        let url = demo.url();
        let further: Vec<&str> = [further, &["-url", &url]].concat();
        let good = verified(ask(demo, "good", &further));
        assert!(good.stdout.contains("p256-good.pem: good"), "{good:?}");
        let revoked = verified(ask(demo, "revoked", &further));
        assert!(
            revoked.stdout.contains("p256-revoked.pem: revoked"),
            "{revoked:?}"
        );
        assert!(
            revoked.stdout.contains("Reason: keyCompromise"),
            "{revoked:?}"
        );
        assert!(revoked.stdout.contains("Revocation Time: "), "{revoked:?}");
    }
}

// RFC 9919 §3.2.1: a nonce that is not supported costs nobody the answer, which goes out without one.
#[test]
fn a_nonce_does_not_cost_the_answer() {
    // OpenSSL sends one unless told not to. The pre-signed answer has none, which it warns of and accepts.
    let demo = Demo::shared();
    let answer = verified(ask(demo, "good", &["-url", &demo.url()]));
    assert!(answer.both().contains("no nonce in response"), "{answer:?}");
}

// CABF BR §4.9.9: GET is answered.
#[test]
fn good_and_revoked_by_get() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    for (which, said) in [("good", ": good"), ("revoked", ": revoked")] {
        let (asked, answered) = (
            folder.path().join("request.der"),
            folder.path().join("response.der"),
        );
        let _ = ask(
            demo,
            which,
            &["-no_nonce", "-reqout", asked.to_str().unwrap()],
        )
        .ok();
        let target = percent_encoded(&fs::read(&asked).unwrap());
        let url = format!("{}/{target}", demo.url());
        let _ = run(Command::new("curl")
            .args(["--silent", "--show-error", "--fail", &url, "--output"])
            .arg(&answered))
        .ok();
        let answer = verified(ask(
            demo,
            which,
            &["-no_nonce", "-respin", answered.to_str().unwrap()],
        ));
        assert!(answer.stdout.contains(said), "{answer:?}");
    }
}

// RFC 6960 §A.1: the path of a GET is the URL-encoded base64 of the request.
#[test]
fn every_spelling_of_a_get_brings_the_same_octets() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("request.der");
    let _ = ask(
        demo,
        "good",
        &["-no_nonce", "-reqout", asked.to_str().unwrap()],
    )
    .ok();
    let request = fs::read(&asked).unwrap();
    let posted = http::ask(demo.ocsp, &request).unwrap();
    assert_eq!(posted.status, 200);
    assert_eq!(
        posted.header("content-type"),
        Some("application/ocsp-response")
    );

    let plain = base64::engine::general_purpose::STANDARD.encode(&request);
    let spellings = [
        plain.clone(),
        percent_encoded(&request),
        plain.replace('+', "%20"),
        plain.trim_end_matches('=').to_owned(),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&request),
        format!("/{plain}"),
        format!("//{}", percent_encoded(&request)),
    ];
    for spelling in spellings {
        let got = http::get(demo.ocsp, &format!("/{spelling}")).unwrap();
        assert_eq!(got.status, 200, "{spelling}");
        assert_eq!(got.body, posted.body, "{spelling}");
    }
}

#[test]
fn time_and_reason_of_a_revocation_are_those_of_the_crl() {
    let demo = Demo::shared();
    for authority in [Authority::P256, Authority::Sm2] {
        let listed = http::get(demo.ocsp, &format!("/crl/{}.crl", authority.name())).unwrap();
        assert_eq!(listed.status, 200);
        let crl = Crl::read(&listed.body).expect("x509-parser reads our CRL");
        let issuer = demo.certificate(authority, "issuer");
        assert!(crl.revoked.len() >= 3, "the demo revokes three: {crl:?}");
        for (serial, (at, reason)) in &crl.revoked {
            use hufu_tests::pki::{Hash, Parameters, cert_id, request};
            let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, serial);
            let answer = Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body);
            assert_eq!(
                answer.single().status,
                Status::Revoked(*at, *reason),
                "{serial:02x?}"
            );
        }
    }
}

/// Base64 as NSS and nginx put it into a URL.
fn percent_encoded(request: &[u8]) -> String {
    let plain = base64::engine::general_purpose::STANDARD.encode(request);
    plain
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

// RFC 9919 §3.2.2: a delegate's certificate says that it need not be checked, and neither where answers nor where lists are.
// CABF BR §4.9.9: the certificate of a delegate has id-pkix-ocsp-nocheck.
// RFC 6960 §4.2.2.2: a delegate has id-kp-OCSPSigning, from the very issuer it speaks for.
#[test]
fn a_delegates_certificate_sends_clients_on_to_ask_about_it() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    let answered = folder.path().join("response.der");
    let answered = answered.to_str().unwrap();
    let url = demo.url();
    let _ = verified(ask(
        demo,
        "good",
        &["-no_nonce", "-url", &url, "-respout", answered],
    ));
    let Answer::Signed(basic) = Answer::read(&fs::read(answered).unwrap()) else {
        panic!("refused");
    };
    assert_eq!(basic.certificates.len(), 1);
    fs::write(folder.path().join("delegate.der"), &basic.certificates[0]).unwrap();
    let words = [
        "x509",
        "-inform",
        "DER",
        "-in",
        "delegate.der",
        "-noout",
        "-text",
    ];
    let shown = openssl(folder.path(), words).ok().stdout;
    for there in ["OCSP Signing", "OCSP No Check"] {
        assert!(shown.contains(there), "{there}: {shown}");
    }
    for absent in ["Authority Information Access", "CRL Distribution Points"] {
        assert!(!shown.contains(absent), "{absent}: {shown}");
    }
}
