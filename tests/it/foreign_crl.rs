//! Another authority's CRL, served as OCSP while the appliance runs; a CRL that is wrong is refused whole.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hufu_tests::crl::Crl;
use hufu_tests::demo::Demo;
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::office::Office;
use hufu_tests::pki::{Answer, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Ran, command, run, wait_until};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams,
    SerialNumber, date_time_ymd,
};

use crate::small_authority::Authority as Foreign;

type Entry = (u64, i32, Option<RevocationReason>);

impl Foreign {
    /// A list of these (serial, year of revocation, reason), dated the first day of a year and good for a hundred.
    fn list(&self, year: i32, number: u64, entries: &[Entry]) -> Vec<u8> {
        let revoked = entries
            .iter()
            .map(|(serial, year, reason)| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(*year, 1, 1),
                reason_code: *reason,
                invalidity_date: None,
            });
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(year, 1, 1),
            next_update: date_time_ymd(year + 100, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// Hands these octets to `hufu-loader import`.
    fn import(&self, data: &Path, octets: &[u8], further: &[&str]) -> Ran {
        let file = self.folder.path().join("list.crl");
        fs::write(&file, octets).unwrap();
        let mut import = command("hufu-loader", ["import", "--crl"]);
        import
            .arg(file)
            .arg("--issuer")
            .arg(self.issuer_file())
            .arg("--data")
            .arg(data);
        run(import.args(further))
    }

    /// Waits until the live lane has read the list, and says good of a certificate that is not on it.
    #[track_caller]
    fn becomes_good(&self, demo: &Demo, serial: &[u8]) {
        wait_until(
            "who is not on the list is good",
            Duration::from_secs(60),
            || matches!(self.status(demo, serial), Answer::Signed(basic) if basic.singles[0].status == Status::Good),
        );
    }

    fn status(&self, demo: &Demo, serial: &[u8]) -> Answer {
        let id = cert_id(Hash::Sha1, Parameters::Null, &self.certificate, serial);
        Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body)
    }
}

#[test]
fn is_adopted_while_the_appliance_runs_and_a_newer_one_replaces_it() {
    let demo = Demo::shared();
    let foreign = Foreign::new("Authority of another city");
    let compromised = Some(RevocationReason::KeyCompromise);
    let first = foreign.list(
        2024,
        1,
        &[(0x1001, 2023, compromised), (0x1002, 2022, None)],
    );
    let _ = foreign.import(&demo.data, &first, &[]).ok();
    let at = |list: &[u8], serial: &[u8]| Crl::read(list).unwrap().revoked[serial];
    let (when, reason) = at(&first, &[0x10, 0x01]);
    wait_until("the CRL is adopted", Duration::from_secs(60), || {
        matches!(foreign.status(demo, &[0x10, 0x01]), Answer::Signed(_))
    });
    assert_eq!(
        foreign.status(demo, &[0x10, 0x01]).single().status,
        Status::Revoked(when, reason)
    );
    let (when, _) = at(&first, &[0x10, 0x02]);
    assert_eq!(
        foreign.status(demo, &[0x10, 0x02]).single().status,
        Status::Revoked(when, None)
    );
    // Not on the list, which is a complete one: the live lane signs "good".
    foreign.becomes_good(demo, &[0x10, 0x03]);

    let second = foreign.list(
        2025,
        2,
        &[
            (0x1001, 2023, compromised),
            (0x1003, 2024, Some(RevocationReason::Superseded)),
        ],
    );
    let _ = foreign.import(&demo.data, &second, &[]).ok();
    let (when, reason) = at(&second, &[0x10, 0x03]);
    wait_until(
        "the newer CRL is adopted",
        Duration::from_secs(60),
        || matches!(foreign.status(demo, &[0x10, 0x03]), Answer::Signed(basic) if basic.singles[0].status != Status::Good),
    );
    assert_eq!(
        foreign.status(demo, &[0x10, 0x03]).single().status,
        Status::Revoked(when, reason)
    );
    // No longer on the list.
    foreign.becomes_good(demo, &[0x10, 0x02]);
}

// RFC 5280 §5.2.4: a delta and the complete list it changes say together what is revoked.
#[test]
fn a_delta_that_openssl_made_is_answered_on_top_of_its_complete_list() {
    let demo = Demo::shared();
    let foreign = Foreign::new("Authority with deltas");
    let compromised = Some(RevocationReason::KeyCompromise);
    let base = foreign.list(2024, 1, &[(0x5001, 2023, compromised)]);
    let newer = [(0x5001, 2023, compromised), (0x5002, 2024, None)];
    let newer = foreign.list(2025, 2, &newer);
    let folder = foreign.folder.path();
    fs::write(folder.join("base.crl"), &base).unwrap();
    fs::write(folder.join("newer.crl"), &newer).unwrap();
    let words = "crl -inform DER -in base.crl -gendelta newer.crl -key issuer.key -sha256 -outform DER -out delta.crl";
    let _ = openssl(folder, words.split(' ')).ok();
    let delta = fs::read(folder.join("delta.crl")).unwrap();

    let _ = foreign.import(&demo.data, &base, &[]).ok();
    foreign.becomes_good(demo, &[0x50, 0x02]);
    let _ = foreign.import(&demo.data, &delta, &[]).ok();
    let listed = Crl::read(&newer).unwrap();
    for serial in [[0x50, 0x02], [0x50, 0x01]] {
        let (when, reason) = listed.revoked[&serial[..]];
        let expected = Status::Revoked(when, reason);
        wait_until(
            "the delta takes effect",
            Duration::from_secs(60),
            || matches!(foreign.status(demo, &serial), Answer::Signed(basic) if basic.singles[0].status == expected),
        );
    }
    // Nobody else is revoked by it.
    foreign.becomes_good(demo, &[0x50, 0x03]);
}

#[test]
fn its_answers_verify_under_the_local_responder_that_is_trusted_explicitly() {
    let demo = Demo::shared();
    let foreign = Foreign::new("Authority whose answers are judged");
    let list = foreign.list(
        2024,
        1,
        &[(0x2001, 2023, Some(RevocationReason::CaCompromise))],
    );
    let _ = foreign.import(&demo.data, &list, &[]).ok();
    wait_until("the CRL is adopted", Duration::from_secs(60), || {
        matches!(foreign.status(demo, &[0x20, 0x01]), Answer::Signed(_))
    });
    let Answer::Signed(basic) = foreign.status(demo, &[0x20, 0x01]) else {
        unreachable!()
    };
    let responder = foreign.folder.path().join("responder.der");
    fs::write(&responder, &basic.certificates[0]).unwrap();
    let folder = foreign.folder.path();
    let _ = openssl(
        folder,
        [
            "x509",
            "-inform",
            "DER",
            "-in",
            "responder.der",
            "-out",
            "responder.pem",
        ],
    )
    .ok();
    let url = demo.url();
    let ask = |trust: &[&str]| {
        let mut words = vec![
            "ocsp",
            "-issuer",
            "issuer.pem",
            "-serial",
            "0x2001",
            "-no_nonce",
            "-url",
            &url,
        ];
        words.extend(trust);
        openssl(folder, words)
    };
    let trusted = ask(&["-VAfile", "responder.pem"]).ok();
    assert!(trusted.both().contains("Response verify OK"), "{trusted:?}");
    assert!(trusted.stdout.contains("0x2001: revoked"), "{trusted:?}");
    assert!(
        trusted.stdout.contains("Reason: cACompromise")
            || trusted.stdout.contains("Reason: CACompromise"),
        "{trusted:?}"
    );
    let trusting_nobody = ask(&["-CAfile", "issuer.pem"]);
    assert!(
        !trusting_nobody.both().contains("Response verify OK"),
        "{trusting_nobody:?}"
    );
}

/// Nothing of the list was staged, and the reason names the rule.
#[track_caller]
fn refused(ran: &Ran, data: &Path, because: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!ran.both().contains("panicked"), "{ran:?}");
    let said = ran.both().to_lowercase();
    assert!(
        because.split('|').any(|word| said.contains(word)),
        "does not say {because}: {said}"
    );
    let staged = fs::read_dir(data.join("staged")).map_or(0, Iterator::count);
    assert_eq!(staged, 0, "something was staged");
}

#[test]
fn a_wrong_one_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let foreign = Foreign::new("Authority with wrong lists");
    let right = foreign.list(
        2024,
        1,
        &[(0x1001, 2023, Some(RevocationReason::KeyCompromise))],
    );

    let mut flipped = right.clone();
    *flipped.last_mut().unwrap() ^= 1;
    refused(&foreign.import(data, &flipped, &[]), data, "signature");
    // A bit of an entry: the signature no longer fits, whatever the list says.
    let mut other = right.clone();
    let serial = other
        .windows(2)
        .position(|window| window == [0x10, 0x01])
        .unwrap();
    other[serial + 1] ^= 2;
    refused(&foreign.import(data, &other, &[]), data, "signature");

    let stranger = Foreign::new("Authority with wrong lists");
    refused(&stranger.import(data, &right, &[]), data, "signature");
    let elsewhere = Foreign::new("Authority of another name");
    refused(&elsewhere.import(data, &right, &[]), data, "issuer|name");

    for trailing in [&b"\0"[..], b"\n", b"0\0", &right] {
        refused(
            &foreign.import(data, &[&right, trailing].concat(), &[]),
            data,
            "trailing|after|octets",
        );
    }
    for length in [0, 1, 2, right.len() / 2, right.len() - 1] {
        refused(&foreign.import(data, &right[..length], &[]), data, "");
    }
    let twice = [
        (0x1001, 2023, Some(RevocationReason::KeyCompromise)),
        (0x1001, 2023, Some(RevocationReason::Superseded)),
    ];
    refused(
        &foreign.import(data, &foreign.list(2024, 1, &twice), &[]),
        data,
        "1001|contradict|disagree",
    );
    let past = ["--as-of", "2020-01-01T00:00:00Z"];
    refused(
        &foreign.import(data, &right, &past),
        data,
        "thisupdate|this update|future|ahead|not yet",
    );
    let over = ["--as-of", "2150-01-01T00:00:00Z"];
    refused(
        &foreign.import(data, &right, &over),
        data,
        "nextupdate|next update|past|expired",
    );
    // The rig itself: the right one is taken.
    let _ = foreign.import(data, &right, &[]).ok();
}

#[test]
fn one_whose_date_goes_backwards_is_refused_and_the_old_generation_stays() {
    let demo = Demo::shared();
    let foreign = Foreign::new("Authority that goes backwards");
    let newer = foreign.list(2025, 7, &[(0x3001, 2024, None)]);
    let _ = foreign.import(&demo.data, &newer, &[]).ok();
    wait_until("the CRL is adopted", Duration::from_secs(60), || {
        matches!(foreign.status(demo, &[0x30, 0x01]), Answer::Signed(_))
    });
    let older = foreign.list(2024, 6, &[]);
    let ran = foreign.import(&demo.data, &older, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    std::thread::sleep(Duration::from_secs(1));
    assert!(matches!(
        foreign.status(demo, &[0x30, 0x01]).single().status,
        Status::Revoked(..)
    ));
}

#[test]
fn a_serial_that_recurs_is_revoked_as_of_its_latest_date() {
    let demo = Demo::shared();
    let foreign = Foreign::new("Authority that repeats itself");
    let entries = [
        (0x4001, 2021, Some(RevocationReason::CertificateHold)),
        (0x4001, 2023, Some(RevocationReason::KeyCompromise)),
        (0x4001, 2022, Some(RevocationReason::RemoveFromCrl)),
        (0x4002, 2021, Some(RevocationReason::CertificateHold)),
        (0x4002, 2022, Some(RevocationReason::RemoveFromCrl)),
    ];
    let list = foreign.list(2024, 1, &entries);
    let report = foreign.import(&demo.data, &list, &[]).ok();
    assert!(
        report.both().contains("4001"),
        "what recurs is reported: {report:?}"
    );
    wait_until("the CRL is adopted", Duration::from_secs(60), || {
        matches!(foreign.status(demo, &[0x40, 0x01]), Answer::Signed(_))
    });
    let expected = Crl::read(&list).unwrap();
    let (when, reason) = expected.revoked[&[0x40, 0x01][..]];
    assert_eq!(reason, Some(1));
    assert_eq!(
        foreign.status(demo, &[0x40, 0x01]).single().status,
        Status::Revoked(when, reason)
    );
    // Released, so no longer revoked.
    foreign.becomes_good(demo, &[0x40, 0x02]);
}

#[test]
fn a_bit_flipped_after_staging_is_not_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let foreign = Foreign::new("Authority with a disturbed disk");
    let list = foreign.list(2024, 1, &[(0x5001, 2023, None)]);
    let _ = foreign.import(&office.data, &list, &[]).ok();
    let staged = fs::read_dir(office.data.join("staged"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut octets = fs::read(staged.join("crl.der")).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    fs::remove_file(staged.join("crl.der")).unwrap();
    fs::write(staged.join("crl.der"), octets).unwrap();
    let ran = office.signer(&["adopt"]);
    assert_ne!(
        ran.code,
        Some(0),
        "the signer trusted the loader's word: {ran:?}"
    );
}
