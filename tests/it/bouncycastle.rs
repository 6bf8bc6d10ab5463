//! BouncyCastle verifies everything that gets signed: responses, certificates and CRLs, of P-256 and of SM2.

use std::fs;
use std::path::Path;

use hufu_tests::crl::Crl;
use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http;
use hufu_tests::judge::bouncy_castle;
use hufu_tests::pki::{Hash, Parameters, cert_id, request};

const AUTHORITIES: [Authority; 2] = [Authority::P256, Authority::Sm2];

fn signature_oid(authority: Authority) -> &'static str {
    match authority {
        Authority::P256 => "1.2.840.10045.4.3.2",
        Authority::Sm2 => "1.2.156.10197.1.501",
    }
}

fn absolute(demo: &Demo, name: &str) -> String {
    demo.folder().join(name).to_str().unwrap().to_owned()
}

#[test]
fn responses() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    for authority in AUTHORITIES {
        let issuer = demo.certificate(authority, "issuer");
        let listed = http::get(demo.ocsp, &format!("/crl/{}.crl", authority.name())).unwrap();
        let crl = Crl::read(&listed.body).unwrap();
        for which in ["good", "revoked"] {
            let serial = demo.certificate(authority, which).serial;
            for hash in [Hash::Sha1, Hash::Sha256] {
                let id = cert_id(hash, Parameters::Null, &issuer, &serial);
                let response = http::ask(demo.ocsp, &request(&[&id], None)).unwrap();
                fs::write(folder.path().join("response.der"), &response.body).unwrap();
                let issuer = absolute(demo, &format!("{}-issuer.pem", authority.name()));
                let judged = bouncy_castle(folder.path(), ["ocsp", "response.der", &issuer]).ok();
                let lines: Vec<&str> = judged.stdout.lines().collect();
                assert_eq!(
                    lines[..2],
                    [
                        "status 0",
                        &format!("algorithm {}", signature_oid(authority))
                    ]
                );
                let said = match which {
                    "good" => "good".to_owned(),
                    _ => {
                        let (at, reason) = crl.revoked[&serial];
                        format!("revoked {at} {}", reason.unwrap())
                    }
                };
                assert_eq!(lines.last(), Some(&said.as_str()), "{judged:?}");
            }
        }
    }
}

#[test]
fn certificates() {
    let demo = Demo::shared();
    for authority in AUTHORITIES {
        for (subject, issuer) in [
            ("root", "root"),
            ("issuer", "root"),
            ("good", "issuer"),
            ("revoked", "issuer"),
        ] {
            let [subject, issuer] =
                [subject, issuer].map(|which| format!("{}-{which}.pem", authority.name()));
            let judged = bouncy_castle(&demo.folder(), ["certificate", &subject, &issuer]).ok();
            assert!(
                judged
                    .stdout
                    .contains(&format!("algorithm {}", signature_oid(authority))),
                "{judged:?}"
            );
        }
    }
}

#[test]
fn crls_with_the_entries_that_x509_parser_lists() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    for authority in AUTHORITIES {
        for (name, issuer) in [("", "issuer"), ("-root", "root")] {
            let target = format!("/crl/{}{name}.crl", authority.name());
            let served = http::get(demo.ocsp, &target).unwrap();
            assert_eq!(served.status, 200, "{target}");
            fs::write(folder.path().join("list.crl"), &served.body).unwrap();
            let issuer = absolute(demo, &format!("{}-{issuer}.pem", authority.name()));
            let judged = bouncy_castle(folder.path(), ["crl", "list.crl", &issuer]).ok();
            let theirs: Vec<&str> = judged
                .stdout
                .lines()
                .filter(|line| line.starts_with("revoked "))
                .collect();
            assert_eq!(
                theirs,
                as_lines(&Crl::read(&served.body).unwrap()),
                "{target}"
            );
        }
    }
}

/// Entries as the judge prints them: serial in hex without leading zeros, seconds, reason.
fn as_lines(crl: &Crl) -> Vec<String> {
    let lines = crl.revoked.iter().map(|(serial, (at, reason))| {
        let hex: String = serial.iter().map(|octet| format!("{octet:02x}")).collect();
        let hex = hex.trim_start_matches('0').to_owned();
        let reason = reason.map_or("none".to_owned(), |reason| reason.to_string());
        (
            (hex.len(), hex.clone()),
            format!("revoked {hex} {at} {reason}"),
        )
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn the_judge_sees_a_flipped_bit() {
    // A judge that says yes to everything would make this file worthless.
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    for authority in AUTHORITIES {
        let issuer = demo.certificate(authority, "issuer");
        let id = cert_id(
            Hash::Sha1,
            Parameters::Null,
            &issuer,
            &demo.certificate(authority, "good").serial,
        );
        let mut octets = http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body;
        let at = octets
            .windows(id.len())
            .position(|window| window == id)
            .unwrap()
            + id.len()
            - 1;
        octets[at] ^= 1;
        fs::write(folder.path().join("response.der"), &octets).unwrap();
        assert_refused(
            folder.path(),
            &absolute(demo, &format!("{}-issuer.pem", authority.name())),
        );
    }
}

#[track_caller]
fn assert_refused(folder: &Path, issuer: &str) {
    let judged = bouncy_castle(folder, ["ocsp", "response.der", issuer]).ended_with(1);
    assert!(
        judged.stdout.contains("the response's signature is wrong"),
        "{judged:?}"
    );
}
