//! What the appliance does not know it does not call good; and a CertID comes back as it was sent.

use std::time::Duration;

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http;
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::wait_until;

/// OCSPResponse { responseStatus unauthorized(6) }, and nothing else.
const UNAUTHORIZED: [u8; 5] = [0x30, 0x03, 0x0A, 0x01, 0x06];

#[track_caller]
fn unauthorized(demo: &Demo, id: &[u8]) {
    let response = http::ask(demo.ocsp, &request(&[id], None)).unwrap();
    // Caches keep those unless told otherwise.
    assert_eq!(response.status, 200);
    assert_eq!(response.body, UNAUTHORIZED);
    assert!(
        response
            .header("cache-control")
            .is_some_and(|value| value.contains("no-store")),
        "{response:?}"
    );
}

// CABF BR §4.9.9: a serial that nobody assigned is never answered good.
// RFC 6960 §A.2: every OCSPResponse travels with status 200, errors too.
#[test]
fn a_serial_never_issued() {
    let demo = Demo::shared();
    for authority in [Authority::P256, Authority::Sm2] {
        let issuer = demo.certificate(authority, "issuer");
        let mut serial = demo.certificate(authority, "good").serial;
        *serial.last_mut().unwrap() ^= 1;
        let longest = [&[0x7F][..], &[0xA5; 19]].concat();
        for serial in [&serial[..], &[0x00], &[0x01], &[0xFF], &longest] {
            for hash in [Hash::Sha1, Hash::Sha256] {
                unauthorized(demo, &cert_id(hash, Parameters::Null, &issuer, serial));
            }
        }
    }
}

// RFC 9919 §3.2.3: without an authoritative record the answer is unauthorized.
#[test]
fn another_authority() {
    let demo = Demo::shared();
    let issuer = demo.certificate(Authority::P256, "issuer");
    let sm2 = demo.certificate(Authority::Sm2, "issuer");
    let serial = demo.certificate(Authority::P256, "good").serial;
    let stranger = Certificate {
        subject: b"0\0".to_vec(),
        key: vec![1; 65],
        ..issuer.clone()
    };
    // The right name with another's key is another authority: names are free, keys are not.
    let half = Certificate {
        key: sm2.key.clone(),
        ..issuer.clone()
    };
    for other in [&stranger, &half, &sm2] {
        unauthorized(demo, &cert_id(Hash::Sha1, Parameters::Null, other, &serial));
    }
}

#[test]
fn a_form_of_certid_that_is_not_presigned() {
    let demo = Demo::shared();
    let issuer = demo.certificate(Authority::P256, "issuer");
    let serial = demo.certificate(Authority::P256, "good").serial;
    for (hash, parameters) in [
        (Hash::Sm3, Parameters::Null),
        (Hash::Sha256, Parameters::Absent),
    ] {
        // The live lane signs it; on a busy machine it may be late, and then the answer is tryLater.
        let id = cert_id(hash, parameters, &issuer, &serial);
        wait_until("the lane answers", Duration::from_secs(60), || {
            let body = http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body;
            match Answer::read(&body) {
                Answer::Signed(basic) => basic.singles[0].cert_id == id,
                Answer::Refused(status) => {
                    assert_eq!(status, 3, "tryLater");
                    false
                }
            }
        });
    }
}

// RFC 6960 §3.2: the certificate answered for is the one asked about: its CertID octet for octet, whatever the hash.
#[test]
fn each_presigned_certid_comes_back_octet_for_octet() {
    let demo = Demo::shared();
    let everyone = [
        (Hash::Sha1, Parameters::Null),
        (Hash::Sha256, Parameters::Null),
    ];
    // GmSSL asks without parameters and refuses any other in the answer; OpenSSL writes NULL.
    let sm2_too = [
        (Hash::Sm3, Parameters::Absent),
        (Hash::Sm3, Parameters::Null),
    ];
    for authority in [Authority::P256, Authority::Sm2] {
        let issuer = demo.certificate(authority, "issuer");
        let forms = everyone
            .iter()
            .chain(sm2_too.iter().filter(|_| authority == Authority::Sm2));
        for (hash, parameters) in forms {
            for (which, revoked) in [("good", false), ("revoked", true)] {
                let id = cert_id(
                    *hash,
                    *parameters,
                    &issuer,
                    &demo.certificate(authority, which).serial,
                );
                let response = http::ask(demo.ocsp, &request(&[&id], None)).unwrap();
                let answer = Answer::read(&response.body);
                let single = answer.single();
                assert_eq!(single.cert_id, id, "{authority:?} {hash:?} {parameters:?}");
                assert_eq!(matches!(single.status, Status::Revoked(..)), revoked);
            }
        }
    }
}
