//! CRLs that real authorities published, and files that are wrong on purpose: the folder that `HUFU_CORPUS` names.
//! Without it these tests say so and pass.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hufu_tests::crl::{Crl, Sample, corpus, corpus_files};
use hufu_tests::demo::Demo;
use hufu_tests::http::{self, Connection};
use hufu_tests::judge::openssl;
use hufu_tests::pki::{Answer, Basic, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Ran, command, run, wait_until};

/// Past the test runner's capture: a table for whoever reads the log.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn samples() -> Vec<Sample> {
    let samples = corpus();
    if samples.is_none() {
        tell("HUFU_CORPUS names no corpus: nothing is tried");
    }
    samples.unwrap_or_default()
}

/// Hands a file to `hufu-loader import`, judged as of the moment the list was made.
fn import(file: &Path, issuer: &Path, data: &Path, weak: bool) -> Ran {
    let mut import = command("hufu-loader", ["import", "--crl"]);
    import
        .arg(file)
        .arg("--issuer")
        .arg(issuer)
        .arg("--data")
        .arg(data);
    if let Some(crl) = fs::read(file).ok().and_then(|octets| Crl::read(&octets)) {
        import.args(["--as-of", &format!("@{}", crl.this_update)]);
    }
    if weak {
        import.arg("--allow-weak");
    }
    run(&mut import)
}

/// A certificate file, DER or PEM.
fn certificate(file: &Path) -> Certificate {
    let octets = fs::read(file).unwrap();
    if octets.starts_with(b"-----") {
        Certificate::open(file)
    } else {
        Certificate::read(&octets)
    }
}

/// Real lists that verify, in rounds: no round has two lists of one issuer, and older ones come first.
fn rounds(samples: Vec<Sample>) -> Vec<Vec<(Sample, Crl)>> {
    let real = samples
        .into_iter()
        .filter(|sample| sample.kind == "crl-real" && sample.verified == Some(true));
    let mut by_issuer = BTreeMap::<PathBuf, Vec<(Sample, Crl)>>::new();
    for sample in real {
        let crl = Crl::read(&fs::read(&sample.path).unwrap());
        let crl = crl.unwrap_or_else(|| panic!("{}: x509-parser cannot read it", sample.name()));
        let issuer = sample
            .issuer
            .clone()
            .expect("a signature was verified with something");
        by_issuer.entry(issuer).or_default().push((sample, crl));
    }
    let mut rounds = Vec::<Vec<_>>::new();
    for lists in by_issuer.values_mut() {
        lists.sort_by_key(|(_, crl)| crl.this_update);
        for (round, list) in lists.drain(..).enumerate() {
            if rounds.len() == round {
                rounds.push(Vec::new());
            }
            rounds[round].push(list);
        }
    }
    rounds
}

#[test]
fn every_real_list_that_verifies_is_served_entry_by_entry() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = None;
    let (mut lists, mut entries) = (0, 0);
    for round in rounds(samples()) {
        for (sample, _) in &round {
            let issuer = sample.issuer.as_ref().unwrap();
            let strict = import(&sample.path, issuer, &data, false);
            if strict.code != Some(0) {
                let said = strict.both().to_lowercase();
                assert!(
                    said.contains("weak"),
                    "{}: {}",
                    sample.name(),
                    strict.both()
                );
                let _ = import(&sample.path, issuer, &data, true).ok();
                tell(&format!("{}: taken with --allow-weak", sample.name()));
            }
        }
        // The first round is staged before the first start, the second one while the appliance runs.
        let demo = demo.get_or_insert_with(|| Demo::start(&data));
        for (sample, crl) in &round {
            answers_agree(demo, sample, crl);
            let (name, revoked, listed) = (sample.name(), crl.revoked.len(), crl.entries);
            tell(&format!(
                "{name}: {revoked} revoked ({listed} entries), each answered so"
            ));
            lists += 1;
            entries += crl.revoked.len();
        }
    }
    tell(&format!(
        "{lists} real lists served, {entries} revoked serials asked, each answered as listed"
    ));
}

/// Each serial of the list is answered `revoked` with its time and reason; one in 64 signatures is verified as well.
fn answers_agree(demo: &Demo, sample: &Sample, crl: &Crl) {
    let issuer = certificate(sample.issuer.as_ref().unwrap());
    let question = |serial: &[u8]| {
        request(
            &[&cert_id(Hash::Sha1, Parameters::Null, &issuer, serial)],
            None,
        )
    };
    let mut connection = Connection::open(demo.ocsp).unwrap();
    // Adoption of a list that came while running takes a moment: its latest entry tells.
    if let Some((serial, said)) = crl.revoked.iter().max_by_key(|(_, (at, _))| *at) {
        wait_until(
            &format!("{} is adopted", sample.name()),
            Duration::from_secs(60),
            || {
                let answer = Answer::read(&connection.ask(&question(serial)).unwrap().body);
                matches!(answer, Answer::Signed(basic) if basic.singles[0].status == Status::Revoked(said.0, said.1))
            },
        );
    }
    for (index, (serial, (at, reason))) in crl.revoked.iter().enumerate() {
        let response = connection.ask(&question(serial)).unwrap();
        let answer = Answer::read(&response.body);
        let expected = Status::Revoked(*at, *reason);
        let Answer::Signed(basic) = &answer else {
            panic!("{}: serial {serial:02x?}: {answer:?}", sample.name());
        };
        assert_eq!(
            basic.singles[0].status,
            expected,
            "{}: serial {serial:02x?}",
            sample.name()
        );
        if index % 64 == 0 {
            assert!(verifies(basic), "{}: serial {serial:02x?}", sample.name());
        }
    }
}

/// Signed with P-256 by the certificate inside.
fn verifies(basic: &Basic) -> bool {
    let responder = Certificate::read(&basic.certificates[0]);
    let key = ring::signature::UnparsedPublicKey::new(
        &ring::signature::ECDSA_P256_SHA256_ASN1,
        &responder.key,
    );
    key.verify(&basic.tbs, &basic.signature).is_ok()
}

#[test]
fn what_openssl_refuses_too_is_refused_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("file\tverified\toutcome\treason\n");
    let mut counts = BTreeMap::<(String, String), usize>::new();
    let (mut wrongly_taken, mut panicked) = (Vec::new(), Vec::new());
    for (index, sample) in samples().iter().enumerate() {
        // A folder each: what one leaves must not decide about the next.
        let data = folder.path().join(index.to_string());
        let any = sample
            .path
            .ancestors()
            .nth(2)
            .unwrap()
            .join("issuers")
            .join("293d0ba3a31e5d82.der");
        let issuer = sample.issuer.clone().unwrap_or(any);
        let strict = import(&sample.path, &issuer, &data, false);
        let ran = if strict.code == Some(0) {
            strict
        } else {
            import(&sample.path, &issuer, &data, true)
        };
        if !matches!(ran.code, Some(0 | 1)) || ran.both().contains("panicked") {
            panicked.push(format!("{}: {}", sample.name(), ran.both()));
        }
        let broken = sample.info.contains("'bad'");
        let refused_by_openssl =
            sample.verified == Some(false) && !openssl_verifies(&sample.path, &issuer);
        let taken = ran.code == Some(0);
        if taken && (broken || refused_by_openssl || sample.issuer.is_none()) {
            wrongly_taken.push(sample.name());
        }
        let verified = sample.verified.map_or(
            "unknown",
            |verified| if verified { "true" } else { "false" },
        );
        let outcome = if taken { "taken" } else { "refused" };
        let reason = ran.stderr.lines().last().unwrap_or_default().trim();
        table.push_str(&format!(
            "{}\t{verified}\t{outcome}\t{reason}\n",
            sample.name()
        ));
        let kind = format!("{} (signature {verified})", sample.kind);
        *counts.entry((kind, outcome.to_owned())).or_default() += 1;
    }
    for ((kind, outcome), count) in &counts {
        tell(&format!("{count:>4} {outcome:<8} {kind}"));
    }
    if !counts.is_empty() {
        let file = std::env::temp_dir().join("hufu-foreign-crl.tsv");
        fs::write(&file, table).unwrap();
        tell(&format!(
            "each file's outcome and reason: {}",
            file.display()
        ));
    }
    assert!(panicked.is_empty(), "{panicked:#?}");
    assert!(
        wrongly_taken.is_empty(),
        "taken though wrong: {wrongly_taken:#?}"
    );
}

fn openssl_verifies(file: &Path, issuer: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let pem = fs::read(file).unwrap().starts_with(b"-----");
    let form = if pem { "PEM" } else { "DER" };
    let trusted = folder.path().join("issuer.pem");
    let (file, issuer, trusted) = (
        file.to_str().unwrap(),
        issuer.to_str().unwrap(),
        trusted.to_str().unwrap(),
    );
    let converted = openssl(folder.path(), ["x509", "-in", issuer, "-out", trusted]);
    let judged = openssl(
        folder.path(),
        [
            "crl", "-inform", form, "-in", file, "-noout", "-CAfile", trusted,
        ],
    );
    converted.code == Some(0) && judged.both().contains("verify OK")
}

#[test]
fn no_file_of_any_kind_makes_a_program_panic() {
    let files = corpus_files();
    if files.is_empty() {
        tell("HUFU_CORPUS names no corpus: nothing is tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::shared();
    let mut found = Vec::new();
    for file in &files {
        // As a list and as a certificate.
        let ran = import(file, file, folder.path(), true);
        if ran.code != Some(1) || ran.both().contains("panicked") {
            found.push(format!("{}: {}", file.display(), ran.both()));
        }
        // As a request: larger ones get 413.
        let octets = fs::read(file).unwrap();
        let response = http::ask(demo.ocsp, &octets).unwrap();
        if !matches!(response.status, 200 | 413) {
            found.push(format!("{}: HTTP {}", file.display(), response.status));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(!demo.up.said().contains("panicked"));
}
