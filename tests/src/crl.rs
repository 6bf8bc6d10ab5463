//! CRLs as `x509-parser` reads them, and the folder of real ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use x509_parser::prelude::{CertificateRevocationList, FromDer, ParsedExtension};

/// What a CRL says, read independently of ours.
#[derive(Debug, Clone)]
pub struct Crl {
    /// Unix seconds.
    pub this_update: u64,
    /// Unix seconds.
    pub next_update: Option<u64>,
    /// By serial (INTEGER content): when, and why if said. Where a serial recurs the latest date is kept, and
    /// removeFromCRL takes it off.
    pub revoked: BTreeMap<Vec<u8>, (u64, Option<u8>)>,
    /// Entries as they stand, recurring ones counted.
    pub entries: usize,
}

impl Crl {
    /// Reads one from DER or PEM; `None` if `x509-parser` does not take it whole.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let unpacked;
        let der = if octets.starts_with(b"-----BEGIN X509 CRL-----") {
            unpacked = crate::der::pem(std::str::from_utf8(octets).ok()?, "X509 CRL");
            &unpacked
        } else {
            octets
        };
        let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
        let mut revoked = BTreeMap::<Vec<u8>, (u64, Option<u8>)>::new();
        let mut entries = 0;
        for entry in list.iter_revoked_certificates() {
            entries += 1;
            let at = seconds(entry.revocation_date)?;
            let reason = entry.extensions().iter().find_map(|extension| {
                match extension.parsed_extension() {
                    ParsedExtension::ReasonCode(code) => Some(code.0),
                    _ => None,
                }
            });
            let serial = entry.raw_serial().to_vec();
            if revoked.get(&serial).is_none_or(|(before, _)| *before <= at) {
                revoked.insert(serial, (at, reason));
            }
        }
        revoked.retain(|_, (_, reason)| *reason != Some(8));
        let this_update = seconds(list.last_update())?;
        Some(Self {
            this_update,
            next_update: list.next_update().and_then(seconds),
            revoked,
            entries,
        })
    }
}

/// A CRL of the corpus.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// `crl-real`, `crl-synthetic`, …
    pub kind: String,
    /// Whether its signature verified when it was gathered; `None` if its issuer is unknown.
    pub verified: Option<bool>,
    /// The certificate that was tried.
    pub issuer: Option<PathBuf>,
    /// What was found in it, as text.
    pub info: String,
}

impl Sample {
    /// Its name for a person.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.path.file_name().unwrap_or_default();
        format!("{}/{}", self.kind, file.to_string_lossy())
    }
}

/// The CRLs of the folder that `HUFU_CORPUS` names; `None` where there is none.
///
/// # Panics
/// If its list is not as its own README says.
#[must_use]
pub fn corpus() -> Option<Vec<Sample>> {
    let folder = PathBuf::from(std::env::var_os("HUFU_CORPUS")?);
    let list = list_of(&folder);
    Some(
        list.lines()
            .skip(1)
            .filter_map(|line| sample(&folder, line))
            .collect(),
    )
}

/// A folder that is named but is not a corpus is a mistake, not a reason to try nothing.
fn list_of(folder: &Path) -> String {
    let path = folder.join("MANIFEST.tsv");
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("HUFU_CORPUS: {}: {error}", path.display()))
}

/// Every file of the corpus, CRLs or not.
#[must_use]
pub fn corpus_files() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("HUFU_CORPUS").map(PathBuf::from) else {
        return Vec::new();
    };
    list_of(&folder)
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next())
        .map(|name| folder.join(name))
        .collect()
}

fn sample(folder: &Path, line: &str) -> Option<Sample> {
    // corpus, kind, bytes, repo, commit, path, sig_ok, issuer_cert, info
    let columns: Vec<&str> = line.split('\t').collect();
    if columns[1] != "crl" {
        return None;
    }
    let verified = match columns[6] {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    let issuer = folder.join("issuers").join(format!("{}.der", columns[7]));
    Some(Sample {
        path: folder.join(columns[0]),
        kind: columns[0].split('/').next().unwrap_or_default().to_owned(),
        verified,
        issuer: issuer.is_file().then_some(issuer),
        info: columns[8].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the corpus's own list says of the number of entries is what is read here: the judge misses none.
    #[test]
    fn every_entry_of_the_real_lists_is_read() {
        let real = corpus()
            .unwrap_or_default()
            .into_iter()
            .filter(|sample| sample.kind == "crl-real");
        for sample in real.filter(|sample| sample.verified == Some(true)) {
            let crl = Crl::read(&fs::read(&sample.path).unwrap());
            let entries = crl.map(|crl| crl.entries);
            let noted = sample
                .info
                .split("'n': ")
                .nth(1)
                .and_then(|rest| rest.split(',').next()?.parse().ok());
            assert_eq!(entries, noted, "{}", sample.name());
        }
    }
}
