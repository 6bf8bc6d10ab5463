//! SM2 without BouncyCastle: `openssl dgst` over the parts, and `openssl verify` level by level.
//!
//! `openssl ocsp`, `crl -verify` and `verify -crl_check` of OpenSSL 3.0 cannot set the signer's ID and are no judges.

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::der::Element;
use hufu_tests::http;
use hufu_tests::judge::{SM2_ID, openssl, sm2_verifies};
use hufu_tests::pki::{Answer, Hash, Parameters, cert_id, request};

/// A structure `SEQUENCE { tbs, algorithm, BIT STRING }`: what is signed, and the signature.
fn signed_parts(octets: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = Element::only(octets).inside();
    let tbs = parts.next().unwrap().whole;
    let _algorithm = parts.next().unwrap();
    (tbs, &parts.next().unwrap().content[1..])
}

#[test]
fn responses_in_every_form_of_certid() {
    let demo = Demo::shared();
    let issuer = demo.certificate(Authority::Sm2, "issuer");
    let forms = [
        (Hash::Sha1, Parameters::Null),
        (Hash::Sha256, Parameters::Null),
        (Hash::Sm3, Parameters::Null),
        (Hash::Sm3, Parameters::Absent),
    ];
    for (hash, parameters) in forms {
        for which in ["good", "revoked"] {
            let id = cert_id(
                hash,
                parameters,
                &issuer,
                &demo.certificate(Authority::Sm2, which).serial,
            );
            let Answer::Signed(basic) =
                Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body)
            else {
                panic!("{hash:?} {parameters:?}: refused");
            };
            let responder = &basic.certificates[0];
            assert!(
                sm2_verifies(responder, &basic.signature, &basic.tbs),
                "{hash:?} {parameters:?}"
            );
            let (tbs, signature) = signed_parts(responder);
            assert!(
                sm2_verifies(&issuer.der, signature, tbs),
                "the responder is not the issuer's"
            );
            let mut other = basic.tbs.clone();
            *other.last_mut().unwrap() ^= 1;
            assert!(
                !sm2_verifies(responder, &basic.signature, &other),
                "the judge says yes to everything"
            );
        }
    }
}

#[test]
fn crls() {
    let demo = Demo::shared();
    for (name, issuer) in [("sm2", "issuer"), ("sm2-root", "root")] {
        let served = http::get(demo.ocsp, &format!("/crl/{name}.crl")).unwrap();
        let (tbs, signature) = signed_parts(&served.body);
        assert!(
            sm2_verifies(
                &demo.certificate(Authority::Sm2, issuer).der,
                signature,
                tbs
            ),
            "{name}"
        );
    }
}

#[test]
fn certificates_level_by_level() {
    let demo = Demo::shared();
    let id = format!("distid:{SM2_ID}");
    // The ID reaches the leaf only, so each level is verified as a leaf.
    for (subject, issuer) in [
        ("issuer", "root"),
        ("good", "issuer"),
        ("revoked", "issuer"),
    ] {
        let [subject, issuer] = [subject, issuer].map(|which| format!("sm2-{which}.pem"));
        let arguments = [
            "verify",
            "-partial_chain",
            "-vfyopt",
            &id,
            "-trusted",
            &issuer,
            &subject,
        ];
        let judged = openssl(&demo.folder(), arguments).ok();
        assert!(
            judged.stdout.contains(&format!("{subject}: OK")),
            "{judged:?}"
        );
    }
}
