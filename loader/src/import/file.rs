//! `import --crl`: two files of the operator's in, one staged folder and a report out, or nothing.
//!
//! What is already staged of the same issuer is the floor: a list never goes backwards, by thisUpdate or by CRL number.

use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use wire::crl::{Crl, IssuingDistributionPoint, PemLabel, pem_or_der};
use wire::serial::SerialHashKey;

use super::certificate::{Certificate, CertificateError};
use super::crl::{Judged, Judging, judge};
use super::refusal::CrlRefusal;
use super::trust::WeakPolicy;
use crate::digest::encode_hex;
use crate::staged::{self, Options, StagedError, rfc3339};

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct CrlImport<'a> {
    /// The list, DER or PEM.
    pub crl: &'a Path,
    /// The issuer's certificate, DER or PEM.
    pub issuer: &'a Path,
    /// The data folder.
    pub data: &'a Path,
    /// Clock and leniency.
    pub judging: Judging,
}

/// Why nothing was staged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Longer than any list we know of.
    #[error("{}: {octets} octets are more than the {MOST_OCTETS} that are read", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Its length.
        octets: u64,
    },
    /// The issuer's certificate.
    #[error("{}: {source}", path.display())]
    Issuer {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
    /// The list.
    #[error("{}: {source}", path.display())]
    Crl {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: CrlRefusal,
    },
    /// The staging folder.
    #[error(transparent)]
    Staging(#[from] StagedError),
}

/// What was found and done, for people and for machines.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The CRL file.
    pub file: PathBuf,
    /// Subject of the issuer certificate.
    pub issuer: String,
    /// The issuer id: name of its folders.
    pub issuer_id: String,
    /// SHA-256 of the issuer certificate.
    pub fingerprint_sha256: String,
    /// Type and size of its key.
    pub key: String,
    /// What the list is signed with.
    pub algorithm: String,
    /// CRL number, hexadecimal.
    pub number: Option<String>,
    /// RFC 3339.
    pub this_update: String,
    /// RFC 3339.
    pub next_update: Option<String>,
    /// The moment that replaced the clock.
    pub as_of: Option<String>,
    /// Entries as they stand in the list.
    pub entries: usize,
    /// Serials revoked in the end.
    pub revoked: usize,
    /// Serials that stood there more than once.
    pub recurring: Vec<RecurringSerial>,
    /// What is unusual but allowed.
    pub odd: Vec<String>,
    /// BLAKE3 of the list.
    pub crl_blake3: String,
    /// Where it was staged.
    pub staged: PathBuf,
}

/// A serial that stood in the list more than once.
#[derive(Debug, Clone, Serialize)]
pub struct RecurringSerial {
    /// Hexadecimal.
    pub serial: String,
    /// How many entries.
    pub entries: usize,
    /// What counts in the end.
    pub outcome: String,
}

/// Reads, judges and stages one list.
pub fn import_crl(request: &CrlImport<'_>) -> Result<Report, ImportError> {
    let issuer_octets = read(request.issuer)?;
    let issuer =
        Certificate::from_pem_or_der(&issuer_octets).map_err(|source| ImportError::Issuer {
            path: request.issuer.to_owned(),
            source,
        })?;
    let octets = read(request.crl)?;
    let refused = |source: CrlRefusal| ImportError::Crl {
        path: request.crl.to_owned(),
        source,
    };
    let der = pem_or_der(&octets, PemLabel::Crl).map_err(|rule| refused(rule.at(0).into()))?;
    let mut judged = judge(&der, &issuer, &request.judging, random_key()).map_err(refused)?;

    let id = issuer.id().to_string();
    // From the look at what is staged until it is replaced.
    let _lock = staged::lock(request.data)?;
    refuse_backwards(request.data, &id, &mut judged).map_err(refused)?;
    let options = Options {
        as_of: request.judging.as_of,
        allow_weak: request.judging.weak == WeakPolicy::Allow,
        crl_blake3: *blake3::hash(&der).as_bytes(),
        imported_at: request.judging.now,
    };
    let folder = staged::write(request.data, &id, &der, &issuer.der, &options)?;
    Ok(report(request, &issuer, &judged, &options, folder))
}

/// A list of this issuer that is staged already is the floor for the new one.
fn refuse_backwards(data: &Path, id: &str, judged: &mut Judged<'_>) -> Result<(), CrlRefusal> {
    let before = match staged::read(data, id) {
        Ok(Some(before)) => before,
        Ok(None) => return Ok(()),
        // What is staged cannot be read: the way out is to import again, which is what happens here.
        Err(error) => {
            judged.odd.push(format!(
                "what was staged of this issuer was damaged ({error}) and is replaced"
            ));
            return Ok(());
        }
    };
    let Ok(old) = Crl::parse(&before.crl) else {
        judged
            .odd
            .push("what was staged of this issuer was not a CRL and is replaced".to_owned());
        return Ok(());
    };
    let new = &judged.crl;
    if new.this_update < old.this_update {
        return Err(CrlRefusal::Older {
            this_update: new.this_update,
            staged: old.this_update,
        });
    }
    if let (Some(number), Some(staged)) = (new.extensions.number, old.extensions.number)
        && unsigned(number) < unsigned(staged)
    {
        return Err(CrlRefusal::LowerNumber {
            number: encode_hex(number),
            staged: encode_hex(staged),
        });
    }
    if scope(new) != scope(&old) {
        return Err(CrlRefusal::OtherScope {
            folder: before.folder.display().to_string(),
        });
    }
    if new.this_update == old.this_update && new.tbs != old.tbs {
        judged.odd.push(
            "the staged list bears the same thisUpdate and other entries; the new one replaces it"
                .to_owned(),
        );
    }
    Ok(())
}

/// Two lists of one CA with different scopes are different lists.
fn scope<'a>(crl: &Crl<'a>) -> Option<IssuingDistributionPoint<'a>> {
    crl.extensions.distribution_point
}

/// INTEGER content octets of a non-negative number, so that they compare: by length, then by value.
pub(crate) fn unsigned(content: &[u8]) -> (usize, &[u8]) {
    let zeros = content.iter().take_while(|&&octet| octet == 0).count();
    (content.len() - zeros, &content[zeros..])
}

fn report(
    request: &CrlImport<'_>,
    issuer: &Certificate,
    judged: &Judged<'_>,
    options: &Options,
    folder: PathBuf,
) -> Report {
    let crl = &judged.crl;
    Report {
        file: request.crl.to_owned(),
        issuer: issuer.subject_text.clone(),
        issuer_id: issuer.id().to_string(),
        fingerprint_sha256: issuer.fingerprint(),
        key: issuer.key.kind().to_string(),
        algorithm: judged.algorithm.name().to_owned(),
        number: crl.extensions.number.map(encode_hex),
        this_update: rfc3339(crl.this_update),
        next_update: crl.next_update.map(rfc3339),
        as_of: options.as_of.map(rfc3339),
        entries: judged.index.entries,
        revoked: judged.index.revoked(),
        recurring: judged
            .index
            .recurrences
            .iter()
            .map(RecurringSerial::from)
            .collect(),
        odd: judged.odd.clone(),
        crl_blake3: encode_hex(&options.crl_blake3),
        staged: folder,
    }
}

impl From<&super::check::Recurrence> for RecurringSerial {
    fn from(recurrence: &super::check::Recurrence) -> Self {
        let outcome = match recurrence.outcome {
            None => "cleared by removeFromCRL".to_owned(),
            Some((at, reason)) => {
                let reason = reason.map_or("no reason", wire::status::RevocationReason::name);
                format!("revoked {} ({reason})", rfc3339(at))
            }
        };
        Self {
            serial: recurrence.serial.to_string(),
            entries: recurrence.entries,
            outcome,
        }
    }
}

impl Report {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut rows: Vec<(&str, String)> = vec![
            ("file", self.file.display().to_string()),
            ("issuer", self.issuer.clone()),
            ("issuer id", self.issuer_id.clone()),
            ("SHA-256", self.fingerprint_sha256.clone()),
            ("key", self.key.clone()),
            ("signed with", self.algorithm.clone()),
            (
                "CRL number",
                self.number.clone().unwrap_or_else(|| "none".to_owned()),
            ),
            ("thisUpdate", self.this_update.clone()),
            (
                "nextUpdate",
                self.next_update
                    .clone()
                    .unwrap_or_else(|| "none".to_owned()),
            ),
            ("entries", self.entries.to_string()),
            ("revoked", self.revoked.to_string()),
            ("BLAKE3", self.crl_blake3.clone()),
            ("staged in", self.staged.display().to_string()),
        ];
        rows.extend(self.odd.iter().map(|odd| ("note", odd.clone())));
        rows.extend(
            self.recurring
                .iter()
                .take(MOST_RECURRING_SHOWN)
                .map(|recurring| {
                    (
                        "recurring",
                        format!(
                            "{} ×{}: {}",
                            recurring.serial, recurring.entries, recurring.outcome
                        ),
                    )
                }),
        );
        if self.recurring.len() > MOST_RECURRING_SHOWN {
            rows.push((
                "recurring",
                format!(
                    "… {} more, see --json",
                    self.recurring.len() - MOST_RECURRING_SHOWN
                ),
            ));
        }
        rows.iter()
            .map(|(name, value)| format!("{name:<12} {value}\n"))
            .collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    let read_error = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let octets = std::fs::metadata(path).map_err(read_error)?.len();
    if octets > MOST_OCTETS {
        return Err(ImportError::TooLong {
            path: path.to_owned(),
            octets,
        });
    }
    std::fs::read(path).map_err(read_error)
}

fn random_key() -> SerialHashKey {
    let mut key = [0; 16];
    SystemRandom::new()
        .fill(&mut key)
        .expect("the system has random octets");
    SerialHashKey(key)
}

/// No CRL we know of has more; `wire` takes up to four gibioctets.
const MOST_OCTETS: u64 = 2 << 30;
const MOST_RECURRING_SHOWN: usize = 20;
