//! A certificate on hold is revoked while it is held and good when it is released: to OCSP, on the CRL and in its delta,
//! by the word of OpenSSL and x509-parser.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hufu_tests::http;
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Ran, wait_until};
use serde_json::Value;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// certificateHold and removeFromCRL, RFC 5280 §5.3.1.
const HOLD: u8 = 6;
const REMOVE: u8 = 8;

/// A published authority with deltas, and a responder.
struct Place {
    office: Office,
    config: PathBuf,
    serials: Vec<String>,
    issuer: Certificate,
    responder: Responder,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        let config = folder.path().join("signer.toml");
        fs::write(&config, "[signing.crl.p256]\ndelta = true\n").unwrap();
        let serials = office.enrol("p256", "device");
        publish(&office, &config);
        let responder = office.responder(&office.data.join("edge"));
        Self {
            issuer: office.certificate("p256", "issuer"),
            office,
            config,
            serials,
            responder,
            _folder: folder,
        }
    }

    fn order(&self, verb: &str, serial: &str) -> Ran {
        let mut words = vec![verb, "--ca", "p256", "--serial", serial];
        words.extend(["--officer", "Grace", "--json"]);
        if verb == "hold" {
            words.extend(["--why", "medium lost"]);
        }
        self.office.signer(&words)
    }

    /// Publishes, and waits for OCSP to say of a certificate what is expected.
    #[track_caller]
    fn until(&self, serial: &str, expected: impl Fn(&Status) -> bool) {
        publish(&self.office, &self.config);
        let octets = serial_octets(serial);
        let id = cert_id(Hash::Sha1, Parameters::Null, &self.issuer, &octets);
        wait_until("OCSP says it", Duration::from_secs(60), || {
            let body = http::ask(self.responder.ocsp, &request(&[&id], None));
            matches!(Answer::read(&body.unwrap().body), Answer::Signed(basic) if expected(&basic.singles[0].status))
        });
    }

    /// The reason by which a list names a certificate; none if it does not.
    fn listed(&self, list: &str, serial: &str) -> Option<u8> {
        let served = http::get(self.responder.ocsp, &format!("/crl/{list}")).unwrap();
        assert_eq!(served.status, 200, "{list}");
        let (_, read) = CertificateRevocationList::from_der(&served.body).unwrap();
        let octets = serial_octets(serial);
        let entry = read
            .iter_revoked_certificates()
            .find(|entry| entry.raw_serial() == octets)?;
        let reason =
            entry
                .extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::ReasonCode(code) => Some(code.0),
                    _ => None,
                });
        Some(reason.unwrap_or(0))
    }
}

fn publish(office: &Office, config: &std::path::Path) {
    let _ = office
        .signer(&["sign", "--config", config.to_str().unwrap()])
        .ok();
    let _ = office.loader(&["publish"]).ok();
    let _ = office
        .follow(&office.store(), &office.data.join("edge"))
        .ok();
}

fn is_held(status: &Status) -> bool {
    matches!(status, Status::Revoked(_, Some(HOLD)))
}

// RFC 5280 §5.3.1: certificateHold may be taken back, and a delta says so by removeFromCRL.
// RFC 6960 §2.2: "revoked" is also said of a certificate on hold.
#[test]
fn certificate_on_hold_is_good_or_a_released_one_stays_revoked() {
    let place = Place::new();
    let (held, other) = (&place.serials[0], &place.serials[1]);
    let told: Value = serde_json::from_str(&place.order("hold", held).ok().stdout).unwrap();
    assert_eq!(
        (&told["outcome"], &told["serial"]),
        (&"held".into(), &held.as_str().into())
    );
    let again = place.order("hold", held).ended_with(1);
    assert!(again.stderr.contains("medium lost"), "{again:?}");
    place.until(held, is_held);
    place.until(other, |status| *status == Status::Good);
    assert_eq!(place.listed("p256.delta.crl", held), Some(HOLD));
    let shown = place.office.signer(&["show", "--serial", held]).ok();
    assert!(
        shown.stdout.contains("held") && shown.stdout.contains("medium lost"),
        "{shown:?}"
    );
    // A full list is written: it names the hold, and then a delta has to take it back.
    let config = place.config.to_str().unwrap();
    let _ = place.office.signer(&["crl", "--config", config]).ok();
    place.until(held, is_held);
    assert_eq!(place.listed("p256.crl", held), Some(HOLD));

    let _ = place.order("release", held).ok();
    place.until(held, |status| *status == Status::Good);
    assert_eq!(place.listed("p256.delta.crl", held), Some(REMOVE));
    let _ = place.office.signer(&["crl", "--config", config]).ok();
    place.until(held, |status| *status == Status::Good);
    assert_eq!(place.listed("p256.crl", held), None);
    let _ = place.office.loader(&["verify"]).ok();

    // Only what is held is released, and what was revoked for good stays so.
    let refused = place.order("release", held).ended_with(1);
    assert!(refused.stderr.contains("issued, not held"), "{refused:?}");
    let _ = place.order("hold", held).ok();
    place.office.revoke("p256", held);
    place.until(held, |status| matches!(status, Status::Revoked(_, Some(1))));
    let refused = place.order("unhold", held).ended_with(1);
    assert!(refused.stderr.contains("revoked, not held"), "{refused:?}");
}

#[test]
fn signer_of_the_authority_is_held_and_its_answers_void() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let _ = office.enrol("p256", "device");
    office.publish();
    let list = office.signer(&["list", "--all", "--json"]).ok();
    let rows: Value = serde_json::from_str(&list.stdout).unwrap();
    let own = rows.as_array().unwrap().iter();
    let own = own.filter(|row| row["kind"] != "device" && row["ca"] == "p256");
    let mut tried = 0;
    for row in own {
        let serial = row["serial"].as_str().unwrap();
        let words = [
            "hold",
            "--serial",
            serial,
            "--why",
            "x",
            "--officer",
            "Grace",
        ];
        let refused = office.signer(&words).ended_with(1);
        assert!(refused.stderr.contains("never held"), "{refused:?}");
        tried += 1;
    }
    assert!(tried > 0);
}
