//! Partitioned and delta lists, from the registry to relying parties: OpenSSL, BouncyCastle and the JDK judge certificates
//! by what the responder serves, for P-256 and SM2 as far as each can.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hufu_tests::crl::Crl;
use hufu_tests::http;
use hufu_tests::judge::{bouncy_castle, jdk_pkix, openssl};
use hufu_tests::office::Office;
use hufu_tests::process::Ran;
use hufu_tests::root;
use serde_json::Value;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

const CONFIG: &str = r#"
[signing.crl.p256]
partitions = 2
delta = true

[signing.crl.sm2]
partitions = 2
delta = true

[signing.person]
freshest-crl = "included"
"#;

/// A data folder whose authorities have two partitions and deltas, an edge, and a responder over it.
struct Place {
    office: Office,
    config: PathBuf,
    edge: PathBuf,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        let config = folder.path().join("signer.toml");
        fs::write(&config, CONFIG).unwrap();
        let edge = folder.path().join("edge");
        Self {
            office,
            config,
            edge,
            folder,
        }
    }

    fn signer(&self, words: &[&str]) -> Ran {
        let config = self.config.to_str().unwrap();
        self.office
            .signer(&[&["--config", config], words].concat())
            .ok()
    }

    fn enrol(&self, ca: &str) -> Vec<String> {
        let forms = root().join("deploy/demo/forms");
        let form = |name: &str| forms.join(format!("{ca}-person")).join(name);
        let submitted = self.office.submit(
            ca,
            "person",
            &form("application.csv"),
            &form("schedule.csv"),
            &forms.join("csr"),
        );
        let answer: Value = serde_json::from_str(&submitted.stdout).unwrap();
        let number = answer["submission"].to_string();
        self.signer(&["approve", &number, "--officer", "Grace"]);
        self.signer(&["issue", &number]);
        self.office.serials(ca)
    }

    /// Everything due is signed, published and fetched.
    fn publish(&self) {
        self.signer(&["sign"]);
        let _ = self.office.loader(&["publish"]).ok();
        let _ = self.office.follow(&self.office.store(), &self.edge).ok();
    }

    fn certificate(&self, ca: &str, serial: &str) -> Vec<u8> {
        let file = self.folder.path().join(format!("{ca}-{serial}.pem"));
        let words = ["export", "--ca", ca, "--serial", serial, "--out"];
        self.signer(&[&words[..], &[file.to_str().unwrap()]].concat());
        let text = fs::read(&file).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&text).unwrap();
        pem.contents
    }
}

fn served(ocsp: SocketAddr, path: &str) -> Vec<u8> {
    let served = http::get(ocsp, path).unwrap();
    assert_eq!(served.status, 200, "{path}");
    served.body
}

/// The URI of the certificate's distribution point, and the name below `/crl/` that it ends in.
fn list_of(certificate: &[u8]) -> (String, String) {
    let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
    let points =
        certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::CRLDistributionPoints(points) => Some(points.clone()),
                _ => None,
            });
    let points = points.unwrap().points;
    let Some(DistributionPointName::FullName(names)) = &points[0].distribution_point else {
        panic!("no full name");
    };
    let GeneralName::URI(uri) = names[0] else {
        panic!("no URI");
    };
    let name = uri.rsplit_once("/crl/").unwrap().1;
    (uri.to_owned(), name.to_owned())
}

/// The URI in the list's distribution point, if it has one, which must be critical.
fn point_of(list: &[u8]) -> Option<String> {
    let (_, list) = CertificateRevocationList::from_der(list).unwrap();
    list.extensions().iter().find_map(|extension| {
        let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension() else {
            return None;
        };
        assert!(extension.critical);
        match point.distribution_point.as_ref() {
            Some(DistributionPointName::FullName(names)) => match names[0] {
                GeneralName::URI(uri) => Some(uri.to_owned()),
                _ => None,
            },
            _ => None,
        }
    })
}

fn write(folder: &Path, name: &str, kind: &str, der: &[u8]) {
    let raw = format!("{name}.der");
    fs::write(folder.join(&raw), der).unwrap();
    let out = format!("{name}.pem");
    let _ = openssl(folder, [kind, "-inform", "DER", "-in", &raw, "-out", &out]).ok();
}

/// What OpenSSL says of `leaf.pem` by these lists.
fn openssl_says(folder: &Path, lists: &[&str]) -> String {
    let mut words = vec![
        "verify",
        "-crl_check",
        "-use_deltas",
        "-extended_crl",
        "-partial_chain",
        "-CAfile",
        "ca.pem",
    ];
    for list in lists {
        words.extend(["-CRLfile", list]);
    }
    words.push("leaf.pem");
    openssl(folder, words).both()
}

// RFC 5280 §5.2.4: base and delta together say what is revoked; §5.2.5: a partition speaks of its own certificates only.
// CABF BR §7.2.2.1: a partitioned list has a critical issuingDistributionPoint with the fullName URI of its certificates.
#[test]
fn a_relying_party_misses_what_only_a_partitions_delta_says() {
    let place = Place::new();
    for ca in ["p256", "sm2"] {
        place.enrol(ca);
    }
    place.publish();
    let responder = place.office.responder(&place.edge);
    let ocsp = responder.ocsp;
    let names = |ca: &str| {
        let scopes = ["", ".1", ".2"].into_iter();
        let forms =
            scopes.flat_map(|scope| [format!("{ca}{scope}.crl"), format!("{ca}{scope}.delta.crl")]);
        forms.collect::<Vec<_>>()
    };
    let fetch = |ca: &str| {
        let lists = names(ca).into_iter();
        lists
            .map(|name| (name.clone(), served(ocsp, &format!("/crl/{name}"))))
            .collect::<Vec<_>>()
    };
    let before: Vec<_> = ["p256", "sm2"].iter().flat_map(|ca| fetch(ca)).collect();
    for ca in ["p256", "sm2"] {
        let serials = place.office.serials(ca);
        for serial in serials.iter().take(serials.len() / 2) {
            place.office.revoke(ca, serial);
        }
    }
    place.publish();
    let mut program = responder.program;
    program.until("the deltas are served", Duration::from_secs(120), || {
        let old = before
            .iter()
            .find(|(name, _)| name == "p256.delta.crl")
            .unwrap();
        http::get(ocsp, "/crl/p256.delta.crl").is_ok_and(|now| now.body != old.1)
    });
    for ca in ["p256", "sm2"] {
        judge(&place, ocsp, ca, &before);
    }
    // The full lists of before, the deltas of now.
    let deltas = fetch("p256").into_iter().filter(|(name, _)| is_delta(name));
    let full = before.iter().filter(|(name, _)| !is_delta(name)).cloned();
    judge_by_full_lists(&place, &full.chain(deltas).collect::<Vec<_>>(), false);
    place.signer(&["crl"]);
    place.publish();
    let names = ["p256.1.crl", "p256.2.crl"];
    program.until(
        "new full lists are served",
        Duration::from_secs(120),
        || {
            names.iter().all(|name| {
                let old = before.iter().find(|(list, _)| list == name).unwrap();
                http::get(ocsp, &format!("/crl/{name}")).is_ok_and(|now| now.body != old.1)
            })
        },
    );
    let after = fetch("p256");
    judge_by_full_lists(&place, &after, true);
    let proof = place.office.loader(&["verify", "--json"]).ok();
    let proof: Value = serde_json::from_str(&proof.stdout).unwrap();
    assert_eq!(proof["difference_count"], 0, "{proof}");
    for issuer in proof["issuers"].as_array().unwrap() {
        let lists = issuer["lists"].as_array().unwrap();
        assert_eq!(lists.len(), 3, "{issuer}");
        assert!(
            lists.iter().all(|list| list["delta"].is_string()),
            "{issuer}"
        );
        assert_eq!(issuer["on_no_partition"], 0, "{issuer}");
    }
}

fn judge(place: &Place, ocsp: SocketAddr, ca: &str, before: &[(String, Vec<u8>)]) {
    let folder = place.folder.path();
    let _ = place.office.certificate(ca, "issuer");
    fs::copy(
        place.office.data.join(format!("{ca}-issuer.pem")),
        folder.join("ca.pem"),
    )
    .unwrap();
    let serials = place.office.serials(ca);
    let half = serials.len() / 2;
    // The first, the last revoked, the first that is not, the last.
    for which in [0, half - 1, half, serials.len() - 1] {
        let leaf = place.certificate(ca, &serials[which]);
        let (uri, name) = list_of(&leaf);
        let base = &before.iter().find(|(list, _)| *list == name).unwrap().1;
        let delta_name = name.replace(".crl", ".delta.crl");
        let delta = http::get(ocsp, &format!("/crl/{delta_name}")).unwrap().body;
        assert_eq!(
            point_of(base).as_deref(),
            Some(uri.as_str()),
            "octet for octet"
        );
        assert_eq!(
            point_of(&delta).as_deref(),
            Some(uri.as_str()),
            "RFC 5280 §5.2.4"
        );
        assert!(Crl::read(base).unwrap().revoked.is_empty());
        write(folder, "leaf", "x509", &leaf);
        write(folder, "base", "crl", base);
        write(folder, "delta", "crl", &delta);
        let is_revoked = which < half;
        if ca == "p256" {
            let said = openssl_says(folder, &["base.pem", "delta.pem"]);
            assert_eq!(said.contains("certificate revoked"), is_revoked, "{said}");
            assert_eq!(said.contains("leaf.pem: OK"), !is_revoked, "{said}");
        }
        let said = bouncy_castle(
            folder,
            ["path", "leaf.pem", "ca.pem", "base.der", "delta.der"],
        )
        .ok();
        let expected = if is_revoked { "BC revoked" } else { "BC valid" };
        assert!(said.stdout.contains(expected), "{ca} {which}: {said:?}");
        // Another partition's lists decide nothing.
        let other = other_partition(&name);
        let other = &before.iter().find(|(list, _)| *list == other).unwrap().1;
        write(folder, "other", "crl", other);
        let said = bouncy_castle(folder, ["path", "leaf.pem", "ca.pem", "other.der"]).ok();
        assert!(
            said.stdout.contains("BC undecided"),
            "{ca} {which}: {said:?}"
        );
    }
}

/// The JDK's own validator, which reads no deltas: beside a full list they change nothing, alone they decide nothing. Who uses
/// it learns of a revocation from the next full list, and from one that speaks of the certificate only.
fn judge_by_full_lists(place: &Place, lists: &[(String, Vec<u8>)], tells_of_the_revoked: bool) {
    let folder = place.folder.path();
    let issuer = place.office.data.join("p256-issuer.pem");
    fs::copy(issuer, folder.join("ca.pem")).unwrap();
    for (list, octets) in lists {
        fs::write(folder.join(list), octets).unwrap();
    }
    let serials = place.office.serials("p256");
    let half = serials.len() / 2;
    let mut asked = vec!["lists".to_owned(), "ca.pem".to_owned()];
    let mut expected = Vec::new();
    for which in [0, half - 1, half, serials.len() - 1] {
        let leaf = place.certificate("p256", &serials[which]);
        let (_, own) = list_of(&leaf);
        let file = format!("leaf-{which}.der");
        fs::write(folder.join(&file), leaf).unwrap();
        let delta = own.replace(".crl", ".delta.crl");
        let other = other_partition(&own);
        let status = if tells_of_the_revoked && which < half {
            "revoked KEY_COMPROMISE "
        } else {
            "valid"
        };
        for (lists, status) in [
            (&[&*own][..], status),
            (&[&own, &delta], status),
            (&[&delta], "undetermined "),
            (&[&other], "undetermined "),
        ] {
            asked.push(file.clone());
            asked.extend(lists.iter().map(|list| (*list).to_owned()));
            asked.push("--".to_owned());
            expected.push(status);
        }
    }
    let said = jdk_pkix(folder, &asked).ok().stdout;
    let said: Vec<_> = said
        .lines()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(
            said.starts_with(expected),
            "{expected}: {said} in {asked:?}"
        );
    }
}

fn is_delta(name: &str) -> bool {
    name.ends_with(".delta.crl")
}

fn other_partition(name: &str) -> String {
    if name.contains(".1.") {
        name.replace(".1.", ".2.")
    } else {
        name.replace(".2.", ".1.")
    }
}

// RFC 5280 §4.2.2.1: caIssuers may lead to certificates in a certs-only CMS message, here the whole chain.
#[test]
fn openssl_does_not_find_the_chain_in_the_message_of_certificates() {
    let place = Place::new();
    place.enrol("p256");
    place.publish();
    let responder = place.office.responder(&place.edge);
    let served = http::get(responder.ocsp, "/ca/p256.p7c").unwrap();
    assert_eq!(
        served.header("content-type"),
        Some("application/pkcs7-mime")
    );
    let folder = place.folder.path();
    fs::write(folder.join("chain.p7c"), &served.body).unwrap();
    let words = [
        "pkcs7",
        "-inform",
        "DER",
        "-in",
        "chain.p7c",
        "-print_certs",
        "-out",
        "chain.pem",
    ];
    let _ = openssl(folder, words).ok();
    let leaf = place.certificate("p256", &place.office.serials("p256")[0]);
    write(folder, "leaf", "x509", &leaf);
    let said = openssl(folder, ["verify", "-CAfile", "chain.pem", "leaf.pem"]).ok();
    assert!(said.stdout.contains("leaf.pem: OK"), "{said:?}");
    let _ = http::get(responder.ocsp, "/ca/p256.cer").unwrap();
}
