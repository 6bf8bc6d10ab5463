//! Octets of the world: every file of the folder that `HUFU_CORPUS` names goes through every parser, and what its
//! manifest says of it must come true. Without the variable the test says so and passes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use wire::Rule;
use wire::crl::{Crl, PemLabel, pem_or_der};
use wire::request::OcspRequest;
use wire::response::OcspResponse;

/// A line of `MANIFEST.tsv`.
struct Line {
    path: String,
    signature: String,
    info: String,
}

impl Line {
    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn corpus() -> Option<(PathBuf, Vec<Line>)> {
    let Some(folder) = std::env::var_os("HUFU_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: HUFU_CORPUS names no folder");
        return None;
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut lines = manifest.lines();
    let columns: HashMap<&str, usize> = lines
        .next()
        .unwrap()
        .split('\t')
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    let lines = lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let cell = |name: &str| cells.get(columns[name]).copied().unwrap_or("").to_owned();
            Line {
                path: cell("corpus"),
                signature: cell("sig_ok"),
                info: cell("info"),
            }
        })
        .collect();
    Some((folder, lines))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn read_list(octets: &[u8]) -> Result<usize, wire::DecodeError> {
    let list = Crl::parse(octets)?;
    list.entries()
        .try_fold(0, |count, entry| entry.map(|_| count + 1))
}

#[test]
fn no_file_panics_in_any_parser() {
    let Some((folder, _)) = corpus() else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    assert!(found.len() > 500, "{} files", found.len());
    for path in found {
        let octets = std::fs::read(&path).unwrap();
        let _ = OcspRequest::parse(&octets);
        let _ = OcspResponse::parse(&octets);
        let _ = read_list(&octets);
        let _ = wire::batch::Header::parse(&octets);
        // Some are bare base64, without the armour.
        let armoured = [
            b"-----BEGIN X509 CRL-----\n",
            &octets[..],
            b"\n-----END X509 CRL-----\n",
        ];
        for octets in [&octets[..], &armoured.concat()] {
            if let Ok(der) = pem_or_der(octets, PemLabel::Crl) {
                let _ = read_list(&der);
            }
        }
    }
}

#[test]
fn no_validly_signed_list_of_a_real_authority_is_refused() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    let mut read = 0;
    for line in lines
        .iter()
        .filter(|line| line.is_in("crl-real/") && line.signature == "True")
    {
        let octets = std::fs::read(folder.join(&line.path)).unwrap();
        let count = read_list(&octets).unwrap_or_else(|error| panic!("{}: {error}", line.path));
        if let Some(expected) = line.info.split("'n': ").nth(1) {
            let digits: String = expected.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(count.to_string(), digits, "{}", line.path);
        }
        read += 1;
    }
    assert!(read >= 20, "{read} lists");
}

/// Lists of other projects' tests, validly signed and still not to be used, and the rule that says why.
const WRONG_ON_PURPOSE: &[(&str, Rule)] = &[
    (
        "crl-other/NISTCertPathTest.java.dae459.crl",
        Rule::TimeBefore1970,
    ),
    ("crl-other/x509_test.cc.dc7db7.crl", Rule::AlgorithmsDiffer),
    // A reason of 257.
    ("crl-synthetic/phys.056b9f.crl", Rule::ReasonUnknown),
    ("crl-synthetic/sci.d3d981.crl", Rule::ReasonUnknown),
];

#[test]
fn no_validly_signed_list_is_refused_but_those_wrong_on_purpose() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    for line in lines
        .iter()
        .filter(|line| line.is_in("crl-") && line.signature == "True")
    {
        let octets = std::fs::read(folder.join(&line.path)).unwrap();
        let wrong = WRONG_ON_PURPOSE.iter().find(|(path, _)| *path == line.path);
        let refused = read_list(&octets).err().map(|error| error.rule);
        assert_eq!(refused, wrong.map(|(_, rule)| *rule), "{}", line.path);
    }
}

#[test]
fn no_list_that_the_manifest_calls_bad_is_taken() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    for line in lines
        .iter()
        .filter(|line| line.is_in("crl-") && line.info.contains("'bad'"))
    {
        let octets = std::fs::read(folder.join(&line.path)).unwrap();
        assert!(read_list(&octets).is_err(), "{} {}", line.path, line.info);
    }
}

#[test]
fn no_request_of_the_world_is_refused_but_the_one_that_is_too_long() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    for line in lines.iter().filter(|line| line.is_in("ocsp-req-")) {
        let octets = std::fs::read(folder.join(&line.path)).unwrap();
        let request = OcspRequest::parse(&octets);
        if octets.len() > wire::request::MAX_REQUEST_OCTETS {
            assert_eq!(request.unwrap_err().rule, Rule::TooLong);
            continue;
        }
        let count = request
            .unwrap_or_else(|error| panic!("{}: {error}", line.path))
            .count;
        assert!(
            line.info.contains(&format!("'n': {count}")),
            "{}",
            line.path
        );
    }
}

#[test]
fn no_validly_signed_response_of_a_real_responder_is_refused() {
    let Some((folder, lines)) = corpus() else {
        return;
    };
    for line in lines
        .iter()
        .filter(|line| line.is_in("ocsp-resp-real/") && line.signature == "True")
    {
        let octets = std::fs::read(folder.join(&line.path)).unwrap();
        let response = OcspResponse::parse(&octets);
        assert!(response.is_ok(), "{}: {response:?}", line.path);
    }
}
