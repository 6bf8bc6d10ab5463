//! What is not signed ahead is signed when it is asked for: nonces, several certificates, other forms of `CertID`, who is on
//! no list. When the lane is away, slow or full, what is signed ahead goes out instead.

mod flood;
mod foreign;
mod rig;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hufu_tests::http;
use hufu_tests::judge::bouncy_castle;
use hufu_tests::office::Office;
use hufu_tests::pki::{Answer, Basic, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Running, command, free_address, run, wait_until};

use rig::{Rig, responder, start_lane};

const NONCE: &[u8] = b"sixteen octets!!";
const ANSWERED: &str = "hufu_live_requests_total{outcome=\"answered\"}";
const FELL_BACK: &str = "hufu_live_fallbacks_total{to=\"pre_signed\"}";

#[test]
fn nonce_is_lost_or_another_or_an_answer_with_it_is_cached() {
    let rig = Rig::start("", &[]);
    let id = rig.usual(&rig.serials[0]);
    // RFC 9654 §2.1: nonces of 1 to 128 octets are answered with the nonce, octet for octet.
    for nonce in [&b"x"[..], NONCE, &[0; 32], &[0xA5; 128]] {
        let response = rig.ask(&[&id], Some(nonce));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("etag"), None);
        let Answer::Signed(basic) = Answer::read(&response.body) else {
            panic!("refused")
        };
        assert_eq!(basic.nonce().as_deref(), Some(nonce));
        assert_eq!(basic.singles[0].cert_id, id);
        assert_eq!(basic.singles[0].status, Status::Good);
        assert_eq!(basic.key_hash.map(|hash| hash.len()), Some(20), "byKey");
        assert!(basic.singles[0].next_update.is_some());
    }
    // RFC 9654 §2.1: a nonce of no octets or of more than 128 makes the request malformed.
    for nonce in [&[][..], &[7; 129]] {
        let answer = Answer::read(&rig.ask(&[&id], Some(nonce)).body);
        assert!(matches!(answer, Answer::Refused(1)), "{answer:?}");
    }
    assert_eq!(rig.metric(ANSWERED), 4.0);
}

#[test]
fn several_certificates_get_one_answer_or_another_order() {
    let rig = Rig::start("", &[]);
    rig.office.revoke("p256", &rig.serials[1]);
    let ids: Vec<_> = [0, 1, 2, 0].map(|n| rig.usual(&rig.serials[n])).to_vec();
    let mut ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    let other_form = rig.id(Hash::Sha256, Parameters::Absent, &rig.serials[3]);
    ids.push(&other_form);
    for nonce in [None, Some(NONCE)] {
        let basic = rig.signed(&ids, nonce);
        // RFC 6960 §4.2.2.3: a SingleResponse for each certificate of the request.
        let said: Vec<_> = basic.singles.iter().map(|one| &one.cert_id[..]).collect();
        assert_eq!(said, ids);
        assert_eq!(basic.nonce().as_deref(), nonce);
        for (number, single) in basic.singles.iter().enumerate() {
            let revoked = matches!(single.status, Status::Revoked(_, Some(1)));
            assert_eq!(revoked, number == 1, "{single:?}");
        }
    }
    // RFC 6960 §4.2.2.2: no signer is authorised by two authorities.
    let other = rig.office.certificate("sm2", "issuer");
    let foreign = cert_id(Hash::Sha1, Parameters::Null, &other, &[5]);
    let mixed = rig.ask(&[ids[0], &foreign], None);
    assert!(matches!(Answer::read(&mixed.body), Answer::Refused(6)));
    assert_eq!(mixed.header("cache-control"), Some("no-store"));
}

#[test]
fn other_programs_find_fault_with_nonce_or_several() {
    let rig = Rig::start("", &[]);
    let root = rig.office.certificate("p256", "root");
    assert!(!root.serial.is_empty());
    rig.office.revoke("p256", &rig.serials[1]);
    let (good, revoked) = (
        format!("0x{}", rig.serials[0]),
        format!("0x{}", rig.serials[1]),
    );
    let judged = rig.openssl(&["-serial", &good]).ok();
    assert!(judged.both().contains("Response verify OK"), "{judged:?}");
    assert!(!judged.both().contains("no nonce"), "{judged:?}");
    let judged = rig.openssl(&["-serial", &good, "-serial", &revoked]).ok();
    assert!(judged.both().contains("Response verify OK"), "{judged:?}");
    assert!(
        judged.stdout.contains(&format!("{good}: good")),
        "{judged:?}"
    );
    assert!(
        judged.stdout.contains(&format!("{revoked}: revoked")),
        "{judged:?}"
    );

    // GnuTLS sends a nonce if told to, and refuses an answer without it.
    let certificate = rig.office.data.join("good.pem");
    let path = certificate.to_str().unwrap();
    let _ = rig
        .office
        .signer(&[
            "export",
            "--ca",
            "p256",
            "--serial",
            &rig.serials[0],
            "--out",
            path,
        ])
        .ok();
    let mut ocsptool = Command::new("ocsptool");
    ocsptool.current_dir(&rig.office.data).args([
        &format!("--ask=http://{}", rig.responder.ocsp),
        "--nonce",
        "--load-issuer=p256-issuer.pem",
        "--load-trust=p256-issuer.pem",
        "--load-cert=good.pem",
    ]);
    let judged = run(&mut ocsptool).ok();
    assert!(
        judged.stdout.contains("Verifying OCSP Response: Success."),
        "{judged:?}"
    );

    let ids = [rig.usual(&rig.serials[0]), rig.usual(&rig.serials[1])];
    let response = rig.ask(&[&ids[0], &ids[1]], Some(NONCE));
    fs::write(rig.office.data.join("two.der"), &response.body).unwrap();
    let judged = bouncy_castle(&rig.office.data, ["ocsp", "two.der", "p256-issuer.pem"]).ok();
    let hex: String = NONCE.iter().map(|octet| format!("{octet:02x}")).collect();
    assert!(
        judged.stdout.contains(&format!("nonce {hex}")),
        "{judged:?}"
    );
    assert_eq!(judged.stdout.matches("\nserial ").count(), 2, "{judged:?}");
    assert_eq!(judged.stdout.matches("\ngood\n").count(), 1, "{judged:?}");
    assert_eq!(judged.stdout.matches("\nrevoked ").count(), 1, "{judged:?}");
}

#[test]
fn forms_that_are_not_signed_ahead_go_unanswered() {
    let rig = Rig::start("", &[]);
    for (hash, parameters) in [
        (Hash::Sha1, Parameters::Absent),
        (Hash::Sha256, Parameters::Absent),
        (Hash::Sm3, Parameters::Null),
        (Hash::Sha512, Parameters::Null),
    ] {
        let id = rig.id(hash, parameters, &rig.serials[0]);
        let response = rig.ask(&[&id], None);
        let answer = Answer::read(&response.body);
        assert_eq!(answer.single().status, Status::Good, "{hash:?}");
        assert_eq!(
            answer.single().cert_id,
            id,
            "RFC 6960 §3.2: the CertID asked about"
        );
        let caching = response.header("cache-control").unwrap();
        assert!(
            caching.contains("max-age=") && caching.contains("must-revalidate"),
            "{caching}"
        );
        assert!(response.header("etag").is_some() && response.header("expires").is_some());
    }
    // A serial never issued stays unauthorized, in whatever form it is asked.
    let never = rig.id(Hash::Sha512, Parameters::Null, "123456");
    let answer = Answer::read(&rig.ask(&[&never], None).body);
    assert!(matches!(answer, Answer::Refused(6)), "{answer:?}");
}

#[test]
fn good_that_was_kept_is_given_after_the_revocation() {
    let rig = Rig::start("", &[]);
    let id = rig.id(Hash::Sha256, Parameters::Absent, &rig.serials[0]);
    let first = rig.signed(&[&id], None);
    assert_eq!(first.singles[0].status, Status::Good);
    let again = rig.signed(&[&id], None);
    assert_eq!(again.tbs, first.tbs, "kept, not signed again");
    assert_eq!(
        rig.metric("hufu_live_requests_total{outcome=\"cached\"}"),
        1.0
    );
    rig.office.revoke("p256", &rig.serials[0]);
    // Nothing is published: the packs still say good, the registry says otherwise.
    let after = rig.signed(&[&id], None);
    assert!(
        matches!(after.singles[0].status, Status::Revoked(..)),
        "{after:?}"
    );
    let usual = rig.usual(&rig.serials[0]);
    let with_nonce = rig.signed(&[&usual], Some(NONCE));
    assert!(matches!(with_nonce.singles[0].status, Status::Revoked(..)));
}

#[test]
fn never_issued_is_answered_against_the_policy() {
    let mut rig = Rig::start("never-issued = \"extended-revoke\"", &[]);
    let settings = rig.office.data.join("responder.toml");
    let id = rig.office.loader(&["inspect", "--json"]).ok();
    let id = issuer_id(&id.stdout, &rig.issuer);
    fs::write(
        &settings,
        format!("[issuer.{id}]\nunknown-serials = \"live\"\n"),
    )
    .unwrap();
    rig.responder = responder(
        &rig.office,
        rig.live,
        &["--config", settings.to_str().unwrap()],
    );
    let never = rig.usual("00ABCDEF");
    let basic = rig.signed(&[&never], None);
    // RFC 6960 §2.2: revoked, certificateHold, 1 January 1970; §4.4.8: the extension says what that means.
    assert_eq!(basic.singles[0].status, Status::Revoked(0, Some(6)));
    let extended = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x09];
    assert!(
        basic.extensions.contains(&(extended.to_vec(), vec![5, 0])),
        "{basic:?}"
    );
    let known = rig.signed(&[&rig.usual(&rig.serials[0]), &never], None);
    assert_eq!(known.singles[0].status, Status::Good);
}

/// The id of the issuer of which `inspect` tells more than one: its packs are named by it.
fn issuer_id(inspected: &str, issuer: &Certificate) -> String {
    use ring::digest::{SHA256, digest};
    let (_, parsed) = x509_parser::parse_x509_certificate(&issuer.der).unwrap();
    let whole = [&issuer.subject[..], parsed.public_key().raw].concat();
    let id: String = digest(&SHA256, &whole).as_ref()[..16]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert!(inspected.contains(&id), "{id} is not in {inspected}");
    id
}

// CABF BR §4.10.2: an answer takes at most ten seconds; what is signed live has a deadline below that.
#[test]
fn lane_that_is_away_stuck_or_back_again_costs_answers() {
    let mut rig = Rig::start("", &["--live-deadline-millis", "700"]);
    let (usual, two) = (rig.usual(&rig.serials[0]), rig.usual(&rig.serials[1]));
    // Not at the first try: on a busy machine a lane may be late.
    wait_until("the lane is asked", Duration::from_secs(60), || {
        rig.signed(&[&usual], Some(NONCE)).nonce().is_some()
    });

    // Stuck: the pre-signed answer without nonce, within the deadline.
    rig.lane.signal("STOP");
    let stuck = rig.signed(&[&usual], Some(NONCE));
    assert_eq!(
        (stuck.nonce(), stuck.singles[0].status),
        (None, Status::Good)
    );
    let response = rig.ask(&[&usual, &two], None);
    assert!(
        matches!(Answer::read(&response.body), Answer::Refused(3)),
        "tryLater"
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(rig.metric("hufu_live_requests_total{outcome=\"timeout\"}") >= 1.0);
    rig.lane.signal("CONT");
    wait_until("the lane is asked again", Duration::from_secs(60), || {
        rig.signed(&[&usual], Some(NONCE)).nonce().is_some()
    });

    // Killed: the same, and no client waits for it.
    rig.lane.signal("KILL");
    let _ = rig.lane.wait(Duration::from_secs(60));
    let away = rig.signed(&[&usual], Some(NONCE));
    assert_eq!((away.nonce(), away.singles[0].status), (None, Status::Good));
    let answer = Answer::read(&rig.ask(&[&usual, &two], None).body);
    assert!(matches!(answer, Answer::Refused(3)), "{answer:?}");
    rig.lane = start_lane(&rig.office, rig.live, "");
    wait_until("the new lane is asked", Duration::from_secs(60), || {
        rig.signed(&[&usual], Some(NONCE)).nonce().is_some()
    });
    assert!(rig.metric(FELL_BACK) >= 2.0);
}

#[test]
fn another_authoritys_good_certificate_has_no_answer_or_a_partial_list_calls_it_good() {
    let rig = Rig::start("", &[]);
    for (serial, restricted) in [(0x51_u64, false), (0x52, true)] {
        let authority = foreign::Authority::new(restricted);
        authority.import(&rig.office, serial);
        rig.office.publish();
        let _ = rig
            .office
            .follow(&rig.office.store(), &rig.office.data.join("edge"))
            .ok();
        let id = |serial: u8| {
            cert_id(
                Hash::Sha1,
                Parameters::Null,
                authority.certificate(),
                &[serial],
            )
        };
        let on_list = id(u8::try_from(serial).unwrap());
        wait_until("the list is served", Duration::from_secs(60), || {
            let body = rig.ask(&[&on_list], None).body;
            matches!(Answer::read(&body), Answer::Signed(basic) if matches!(basic.singles[0].status, Status::Revoked(..)))
        });
        // Kept as it came: on a busy machine the lane may be late for the next one.
        let mut signed_live = Vec::new();
        wait_until("the lane answers", Duration::from_secs(60), || {
            signed_live = rig.ask(&[&on_list], Some(NONCE)).body;
            matches!(Answer::read(&signed_live), Answer::Signed(basic) if basic.nonce().is_some())
        });
        // RFC 6960 §4.4.2: the CRL on which it was found: number, time, and the address of a list that says its own.
        foreign::names_its_list(&rig.office.data, &signed_live, restricted);
        let not_on_list = id(0x70);
        if restricted {
            let answer = Answer::read(&rig.ask(&[&not_on_list], None).body);
            // RFC 5280 §5.2.5: such a list says nothing of what lies outside of its scope.
            assert!(
                matches!(answer, Answer::Refused(6) | Answer::Refused(3)),
                "{answer:?}"
            );
        } else {
            let mut basic = None;
            wait_until(
                "the lane has read the list",
                Duration::from_secs(60),
                || {
                    basic = signed(&rig.ask(&[&not_on_list], None).body);
                    basic.is_some()
                },
            );
            let basic = basic.unwrap();
            assert_eq!(basic.singles[0].status, Status::Good);
            let until = basic.singles[0].next_update.unwrap();
            assert!(until <= authority.next_update, "past the list's end");
            let mut both = None;
            wait_until("the lane answers both", Duration::from_secs(60), || {
                both = signed(&rig.ask(&[&not_on_list, &on_list], Some(NONCE)).body);
                both.is_some()
            });
            let both = both.unwrap();
            assert!(matches!(both.singles[1].status, Status::Revoked(..)));
        }
    }
}

/// An answer, if one was signed.
fn signed(body: &[u8]) -> Option<Basic> {
    match Answer::read(body) {
        Answer::Signed(basic) => Some(basic),
        Answer::Refused(_) => None,
    }
}

#[test]
fn lane_signs_for_whoever_reaches_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let refused = office
        .signer(&["live", "--listen", "0.0.0.0:0"])
        .ended_with(1);
    assert!(refused.stderr.contains("--client-ca"), "{refused:?}");
    let unfounded = tempfile::tempdir().unwrap();
    let mut live = command("hufu-signer", ["live", "--data"]);
    let refused = run(live.arg(unfounded.path())).ended_with(1);
    assert!(refused.stderr.contains("no founded signer"), "{refused:?}");
    assert!(fs::read_dir(unfounded.path()).unwrap().next().is_none());
    let edge: &Path = Path::new("edge");
    let mut responder = command("hufu-responder", ["--check", "--live", "192.0.2.1:2562"]);
    responder
        .arg("--edge")
        .arg(edge)
        .arg("--pin")
        .arg(office.pin());
    let refused = run(&mut responder).ended_with(1);
    assert!(refused.stderr.contains("live-cert"), "{refused:?}");
}

#[test]
fn lane_on_another_machine_answers_who_shows_no_certificate() {
    use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
    let rig = Rig::start("", &[]);
    let folder = &rig.office.data;
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&key).unwrap();
    fs::write(path("tls-root.pem"), root.pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    for (name, host) in [("lane", "127.0.0.1"), ("edge", "edge.test")] {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        fs::write(path(&format!("{name}.crt.pem")), certificate.pem()).unwrap();
        fs::write(path(&format!("{name}.key.pem")), key.serialize_pem()).unwrap();
    }
    let live = free_address();
    let mut lane = command("hufu-signer", ["live", "--listen", &live.to_string()]);
    lane.args(["--config", &path("signer.toml"), "--data"])
        .arg(folder);
    lane.args([
        "--tls-cert",
        &path("lane.crt.pem"),
        "--tls-key",
        &path("lane.key.pem"),
    ]);
    lane.args(["--client-ca", &path("tls-root.pem")]);
    let metrics = free_address();
    lane.args(["--metrics", &metrics.to_string()]);
    let mut lane = Running::start(&lane, &folder.join("tls-lane.log"));
    lane.until("the lane listens", Duration::from_secs(60), || {
        http::Connection::open(live).is_ok()
    });
    // Without TLS, and over TLS without a certificate: nothing comes back.
    assert!(http::get(live, "/metrics").is_err());
    let url = format!("https://{live}/metrics");
    let without = run(Command::new("curl").args(["-sS", "--cacert", &path("tls-root.pem"), &url]));
    assert_ne!(without.code, Some(0), "{without:?}");
    let responder = responder(
        &rig.office,
        live,
        &[
            "--live-ca",
            &path("tls-root.pem"),
            "--live-cert",
            &path("edge.crt.pem"),
            "--live-key",
            &path("edge.key.pem"),
        ],
    );
    let asked = request(&[&rig.usual(&rig.serials[0])], Some(NONCE));
    let answer = Answer::read(&http::ask(responder.ocsp, &asked).unwrap().body);
    let Answer::Signed(basic) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(basic.nonce().as_deref(), Some(NONCE), "{}", lane.said());
    // Prometheus has no certificate to show: it is told at a port of its own.
    let signed = "hufu_lane_requests_total{outcome=\"signed\"} 1\n";
    wait_until("metrics are told", Duration::from_secs(60), || {
        let told = http::get(metrics, "/metrics");
        told.is_ok_and(|told| String::from_utf8_lossy(&told.body).contains(signed))
    });
}
