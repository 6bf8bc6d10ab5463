//! Real and odd CRLs of a folder that `HUFU_CORPUS` names (never part of this project): each is imported as the operator
//! would, and the verdict held against what the folder's manifest says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hufu_loader::import::crl::Judging;
use hufu_loader::import::file::{Company, CrlImport, Report, import_crl};
use hufu_loader::import::trust::WeakPolicy;

/// One line of the manifest that speaks of a CRL.
struct Line {
    path: String,
    signature: String,
    issuer: String,
    info: String,
}

fn corpus() -> Option<(PathBuf, Vec<Line>)> {
    let Some(folder) = std::env::var_os("HUFU_CORPUS").map(PathBuf::from) else {
        println!("skipped: HUFU_CORPUS does not name a folder of real CRLs");
        return None;
    };
    let text = fs::read_to_string(folder.join("MANIFEST.tsv")).expect("the corpus has a manifest");
    let lines = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields.get(1) == Some(&"crl")).then(|| Line {
            path: fields[0].to_owned(),
            signature: fields[6].to_owned(),
            issuer: fields[7].to_owned(),
            info: fields[8].to_owned(),
        })
    });
    let lines = lines.collect();
    Some((folder, lines))
}

fn certificates(folder: &Path) -> BTreeMap<String, PathBuf> {
    // The manifest names issuers by the start of the SHA-256 of the certificate.
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .expect("a folder of the corpus")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "der") {
                let stem = path
                    .file_stem()
                    .and_then(|s| s.to_str())
                    .unwrap_or_default()
                    .to_owned();
                found.insert(stem, path);
            }
        }
    }
    found
}

fn import(folder: &Path, line: &Line, issuer: &Path, weak: WeakPolicy) -> Result<Report, String> {
    let crl = folder.join(&line.path);
    let octets = fs::read(&crl).expect("a file of the corpus");
    // As of its own thisUpdate, as an operator replaying it would; a file that cannot say when goes by the clock.
    let as_of = wire::crl::pem_or_der(&octets, wire::crl::PemLabel::Crl)
        .ok()
        .and_then(|der| wire::crl::Crl::parse(&der).ok().map(|crl| crl.this_update));
    let data = tempfile::tempdir().expect("a temporary folder");
    let judging = Judging {
        now: NOW,
        as_of,
        weak,
    };
    import_crl(&CrlImport {
        crl: &crl,
        issuer,
        crl_issuer: None,
        data: data.path(),
        judging,
        company: Company::default(),
    })
    .map_err(|e| e.to_string())
}

/// 2026-11-22: fixed, so that the verdicts do not change with the calendar.
const NOW: u64 = 1_795_305_600;

#[test]
fn a_real_crl_with_a_true_signature_is_refused() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    let certificates = certificates(&folder);
    let (mut taken, mut refused, mut missing) = (0, Vec::new(), 0);
    for line in lines.iter().filter(|line| {
        (line.path.starts_with("crl-real/") || line.path.starts_with("crl-sm2/"))
            && line.signature == "True"
    }) {
        let Some(issuer) = certificates.get(&line.issuer) else {
            missing += 1;
            println!("no certificate {} for {}", line.issuer, line.path);
            continue;
        };
        match import(&folder, line, issuer, WeakPolicy::Allow) {
            Ok(report) => {
                taken += 1;
                println!(
                    "{:<70} {:>6} entries {:>6} revoked  {}",
                    line.path,
                    report.entries,
                    report.revoked,
                    report.odd.join("; ")
                );
            }
            Err(error) => refused.push(format!("{}: {error}", line.path)),
        }
    }
    println!("{taken} taken, {missing} without a certificate");
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[test]
fn a_crl_that_is_bad_or_not_signed_by_its_issuer_is_taken() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    let certificates = certificates(&folder);
    let any = certificates
        .values()
        .next()
        .expect("the corpus has certificates")
        .clone();
    let mut taken = Vec::new();
    for line in &lines {
        let bad = line.info.contains("'bad'");
        let issuer = certificates.get(&line.issuer).unwrap_or(&any);
        let outcome = import(&folder, line, issuer, WeakPolicy::Allow);
        let must_refuse = bad
            || (line.signature == "False" && !openssl_verifies(&folder.join(&line.path), issuer));
        match &outcome {
            Ok(report) if line.signature != "True" || must_refuse => {
                println!(
                    "taken    {} {} {}",
                    line.signature,
                    line.path,
                    report.odd.join("; ")
                );
            }
            Ok(_) => {}
            Err(error) => println!("refused  {} {error}", line.signature),
        }
        if must_refuse && outcome.is_ok() {
            taken.push(line.path.clone());
        }
    }
    assert!(taken.is_empty(), "taken:\n{}", taken.join("\n"));
}

#[test]
fn any_file_of_the_corpus_read_as_anything_panics() {
    let Some((folder, _)) = corpus() else { return };
    let certificates = certificates(&folder);
    let issuer = certificates
        .values()
        .next()
        .expect("the corpus has certificates");
    let mut folders = vec![folder.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .expect("a folder of the corpus")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let data = tempfile::tempdir().expect("a temporary folder");
            let judging = Judging {
                now: NOW,
                as_of: None,
                weak: WeakPolicy::Allow,
            };
            let _ = import_crl(&CrlImport {
                crl: &path,
                issuer,
                crl_issuer: None,
                data: data.path(),
                judging,
                company: Company::default(),
            });
            let _ = import_crl(&CrlImport {
                crl: &path,
                issuer: &path,
                crl_issuer: None,
                data: data.path(),
                judging,
                company: Company::default(),
            });
        }
    }
    println!("{files} files");
}

/// Whether OpenSSL finds the signature good. It cannot judge SM2 (it knows no signer ID there); nothing false is SM2.
fn openssl_verifies(crl: &Path, issuer: &Path) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pem = folder.path().join("issuer.pem");
    let converted = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-out"])
        .arg(&pem)
        .arg("-in")
        .arg(issuer)
        .output();
    if !converted.is_ok_and(|output| output.status.success()) {
        return false;
    }
    let verified = Command::new("openssl")
        .args(["crl", "-noout", "-inform", "DER", "-CAfile"])
        .arg(&pem)
        .arg("-in")
        .arg(crl)
        .output();
    verified.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("verify OK"))
}
