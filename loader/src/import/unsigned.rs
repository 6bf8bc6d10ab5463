//! `import --index` and `import --csv`: a list that no CA has signed, staged for the operator's word.
//!
//! A CRL proves itself; these do not. So somebody has to vouch by name (`--trust-unsigned`), for a limited time, after which
//! nothing is answered from the list any more; who, when and the file's BLAKE3 stand in `options.toml`, in the report and
//! in the log. A list a CA did sign is never replaced by one that nobody did.
//!
//! The file is staged as it came. Signer and loader each read it for themselves, and every serial it names is signed
//! ahead: good ones too, so that "not on the list" stays `unauthorized`.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::{ImportError, Means, open_long, random_key, read_issuer};
use super::intake::{Copied, Counted};
use super::lines::{LineFault, LinesError, LinesRead, LinesReader};
use super::listed::{NUMBERED_OCTETS, SettleError};
use crate::digest::encode_hex;
use crate::sort::Sorter;
use crate::staged::{self, Form, Options, Pending, StagedError, Trust, rfc3339};
use wire::time::UnixSeconds;

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct UnsignedImport<'a> {
    /// The list.
    pub list: &'a Path,
    /// What it is written in; not a CRL.
    pub form: Form,
    /// The issuer's certificate, DER or PEM.
    pub issuer: &'a Path,
    /// The data folder.
    pub data: &'a Path,
    /// The clock; unix seconds.
    pub now: UnixSeconds,
    /// Who vouches for it, and until when it may be answered from.
    pub trust: Trust,
}

/// What is wrong with a list that bears no signature.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnsignedRefusal {
    /// Lines that are not of the form.
    #[error("{count} of its lines are wrong, and it is refused whole:{}", told(.faults, *.count))]
    Lines {
        /// The first of them.
        faults: Vec<LineFault>,
        /// How many.
        count: u64,
    },
    /// A serial of two lines.
    #[error(
        "serial {serial} stands in line {first} and in line {second}: a list names a certificate once"
    )]
    Twice {
        /// The serial, hexadecimal.
        serial: String,
        /// A line.
        first: u64,
        /// A later one.
        second: u64,
    },
    /// A list of the same issuer that its CA has signed is staged.
    #[error(
        "a CRL that the CA has signed is staged in {folder}, and a list without a signature does not replace it; remove that folder first if it shall"
    )]
    Signed {
        /// Where.
        folder: String,
    },
    /// The issuer's certificate.
    #[error("the issuer's certificate is valid from {} to {}, not at {}", rfc3339(*.not_before), rfc3339(*.not_after), rfc3339(*.now))]
    IssuerNotValid {
        /// First second.
        not_before: UnixSeconds,
        /// Last second.
        not_after: UnixSeconds,
        /// The clock.
        now: UnixSeconds,
    },
    /// It names nobody.
    #[error("it names no certificate")]
    Empty,
}

/// What was found and done, for people and for machines.
#[derive(Debug, Clone, Serialize)]
pub struct UnsignedReport {
    /// The file.
    pub file: PathBuf,
    /// index or csv.
    pub form: Form,
    /// Subject of the issuer certificate.
    pub issuer: String,
    /// The issuer id: name of its folders.
    pub issuer_id: String,
    /// SHA-256 of the issuer certificate.
    pub fingerprint_sha256: String,
    /// Certificates it names.
    pub listed: u64,
    /// Of these, revoked.
    pub revoked: u64,
    /// Of these, expired; answered with their last status.
    pub expired: u64,
    /// Who vouches for it.
    pub trusted_by: String,
    /// Until when it is answered from; RFC 3339.
    pub trusted_until: String,
    /// What is unusual but allowed.
    pub odd: Vec<String>,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// Where it was staged.
    pub staged: PathBuf,
}

/// Reads, judges and stages one list without a signature.
pub fn import_unsigned(
    request: &UnsignedImport<'_>,
    means: &mut Means<'_>,
) -> Result<UnsignedReport, ImportError> {
    let refused = |source| ImportError::Unsigned {
        path: request.list.to_owned(),
        source,
    };
    let issuer = read_issuer(request.issuer)?;
    if !issuer.is_valid_at(request.now) {
        return Err(refused(UnsignedRefusal::IssuerNotValid {
            not_before: issuer.not_before,
            not_after: issuer.not_after,
            now: request.now,
        }));
    }
    let (file, octets) = open_long(request.list)?;
    let id = issuer.id().to_string();
    // From the look at what is staged until it is replaced.
    let _lock = staged::lock(request.data)?;
    let mut odd = Vec::new();
    look_before(request, &id, &mut odd)?.map_err(refused)?;

    let mut pending = Pending::begin(request.data, &id, request.form)?;
    let input = Counted::new(file, octets, means.progress);
    let sorter = Sorter::begin(means.disk, &means.sorting, NUMBERED_OCTETS)?;
    let read = read_into(request, input, &mut pending, sorter)?;
    if read.fault_count > 0 {
        return Err(refused(UnsignedRefusal::Lines {
            faults: read.faults,
            count: read.fault_count,
        }));
    }
    let (counts, blake3) = (read.counts, read.blake3);
    if counts.listed == 0 {
        return Err(refused(UnsignedRefusal::Empty));
    }
    match read.settled().run_out() {
        Ok(()) => {}
        Err(SettleError::Twice {
            serial,
            first,
            second,
        }) => {
            return Err(refused(UnsignedRefusal::Twice {
                serial: serial.to_string(),
                first,
                second,
            }));
        }
        Err(SettleError::Sort(error)) => return Err(error.into()),
        Err(SettleError::Fault(_)) => unreachable!("only a CRL may name a serial twice"),
    }
    if request.form == Form::Csv && counts.with_letters == 0 && counts.listed >= ENOUGH_TO_TELL {
        odd.push(
            "no serial has a digit from A to F; if they are decimal, name the column serial_decimal"
                .to_owned(),
        );
    }
    odd.push(format!(
        "no CA has signed this list: {} vouches for it until {}",
        request.trust.by,
        rfc3339(request.trust.until)
    ));
    let options = Options {
        as_of: None,
        allow_weak: false,
        crl_blake3: blake3,
        imported_at: request.now,
        form: request.form,
        trust: Some(request.trust.clone()),
        lists: Vec::new(),
        complete: false,
        crl_issuer: None,
    };
    let folder = pending.commit(&issuer.der, &options)?;
    Ok(UnsignedReport {
        file: request.list.to_owned(),
        form: request.form,
        issuer: issuer.subject_text.clone(),
        issuer_id: id,
        fingerprint_sha256: issuer.fingerprint(),
        listed: counts.listed,
        revoked: counts.revoked,
        expired: counts.expired,
        trusted_by: request.trust.by.clone(),
        trusted_until: rfc3339(request.trust.until),
        odd,
        blake3: encode_hex(&blake3),
        staged: folder,
    })
}

/// A list that its CA has signed is not replaced.
fn look_before(
    request: &UnsignedImport<'_>,
    id: &str,
    odd: &mut Vec<String>,
) -> Result<Result<(), UnsignedRefusal>, StagedError> {
    match staged::open(request.data, id) {
        Ok(Some(before)) if before.options.form.is_signed() => Ok(Err(UnsignedRefusal::Signed {
            folder: before.folder.display().to_string(),
        })),
        Ok(_) => Ok(Ok(())),
        // It may be a signed list, as good as ever.
        Err(error) if !error.is_damage() => Err(error),
        Err(error) => {
            odd.push(format!(
                "what was staged of this issuer was damaged ({error}) and is replaced"
            ));
            Ok(Ok(()))
        }
    }
}

fn read_into(
    request: &UnsignedImport<'_>,
    input: impl Read,
    pending: &mut Pending,
    sorter: Sorter<'_>,
) -> Result<LinesRead, ImportError> {
    let mut copied = Copied::new(input, pending.list());
    let reader = LinesReader::new(sorter, random_key(), request.now);
    let read = reader.read(request.form, &mut copied);
    if let Some(source) = copied.failed {
        return Err(pending.unwritable(source).into());
    }
    read.map_err(|error| match error {
        LinesError::Sort(error) => error.into(),
        LinesError::Io(source) => super::file::unreadable(request.list, source),
    })
}

/// Each on a line of its own, below the sentence.
fn told(faults: &[LineFault], count: u64) -> String {
    let mut text: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    let more = count - faults.len() as u64;
    if more > 0 {
        text.push_str(&format!("\n  … and {more} more"));
    }
    text
}

impl UnsignedReport {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut rows: Vec<(&str, String)> = vec![
            ("file", self.file.display().to_string()),
            ("issuer", self.issuer.clone()),
            ("issuer id", self.issuer_id.clone()),
            ("SHA-256", self.fingerprint_sha256.clone()),
            ("listed", self.listed.to_string()),
            ("revoked", self.revoked.to_string()),
            ("expired", self.expired.to_string()),
            ("vouched for", self.trusted_by.clone()),
            ("until", self.trusted_until.clone()),
            ("BLAKE3", self.blake3.clone()),
            ("staged in", self.staged.display().to_string()),
        ];
        rows.extend(self.odd.iter().map(|odd| ("note", odd.clone())));
        rows.iter()
            .map(|(name, value)| format!("{name:<12} {value}\n"))
            .collect()
    }
}

/// Of so many hexadecimal serials, hardly ever has none a letter.
const ENOUGH_TO_TELL: u64 = 20;
