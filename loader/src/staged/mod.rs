//! What the operator has staged of other CAs: `DIR/staged/<issuer-id>/` with a list, `issuer.der` and `options.toml`.
//!
//! `import` writes a folder whole and swaps it in ([`pending`]); signer and loader each read it for themselves. The options
//! carry the list's BLAKE3, so a reader that meets a flipped bit notices and says so. One whose folder was swapped between
//! two files reads again.

pub mod pending;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::time::UnixSeconds;

use crate::digest::encode_hex;

pub use pending::{Pending, lock, write};

/// One staged list, open and not yet read.
#[derive(Debug)]
pub struct Opened {
    /// The folder it came from.
    pub folder: PathBuf,
    /// The list, at its start. It stays what it is even when another is staged.
    pub list: File,
    /// The issuer's certificate, DER.
    pub issuer: Vec<u8>,
    /// How the operator had it judged.
    pub options: Options,
}

/// One staged CRL, read back.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The folder it came from.
    pub folder: PathBuf,
    /// The CRL, DER.
    pub crl: Vec<u8>,
    /// The issuer's certificate, DER.
    pub issuer: Vec<u8>,
    /// How the operator had it judged.
    pub options: Options,
}

/// How the operator had a list judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The moment that replaces the clock when judging this CRL and its issuer certificate (`--as-of`); unix seconds.
    pub as_of: Option<UnixSeconds>,
    /// SHA-1 and short RSA keys may be read (`--allow-weak`).
    pub allow_weak: bool,
    /// BLAKE3 of the list.
    pub crl_blake3: [u8; 32],
    /// When it was staged; unix seconds.
    pub imported_at: UnixSeconds,
    /// What the list is written in.
    pub form: Form,
    /// Who vouches for a list that no CA signed; none for a CRL.
    pub trust: Option<Trust>,
}

/// What a staged list is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A CRL, which its CA has signed.
    #[default]
    Crl,
    /// OpenSSL's `index.txt`.
    Index,
    /// CSV with a header.
    Csv,
}

impl Form {
    /// The file it is staged as.
    pub fn file(self) -> &'static str {
        match self {
            Self::Crl => CRL_FILE,
            Self::Index => "index.txt",
            Self::Csv => "status.csv",
        }
    }

    /// Whether a CA's signature is on it.
    pub fn is_signed(self) -> bool {
        self == Self::Crl
    }

    fn is_signed_ref(&self) -> bool {
        self.is_signed()
    }
}

/// The operator's word for a list that bears no signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The user who imported it.
    pub by: String,
    /// Until when it may be answered from; unix seconds. What a CRL says by its nextUpdate.
    pub until: UnixSeconds,
}

/// Why the staging folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// The operating system refused.
    #[error("{action} {path}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `options.toml` does not say what it should.
    #[error("{path}: {why}; import the CRL again")]
    Options {
        /// The options file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// `crl.der` is not the file that was imported.
    #[error("{path} has another BLAKE3 than {options}; it was changed after import: import it again", options = OPTIONS_FILE)]
    Changed {
        /// The CRL file.
        path: PathBuf,
    },
}

/// `options.toml` as it stands on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    allow_weak: bool,
    crl_blake3: String,
    imported_at: String,
    #[serde(default, skip_serializing_if = "Form::is_signed_ref")]
    form: Form,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_until: Option<String>,
}

/// The folder of one issuer under a data folder; `issuer_id` is its 32 hexadecimal digits.
pub fn folder_of(data: &Path, issuer_id: &str) -> PathBuf {
    data.join(STAGED_FOLDER).join(issuer_id)
}

/// Reads what is staged for one issuer; `None` when nothing is.
pub fn read(data: &Path, issuer_id: &str) -> Result<Option<Staged>, StagedError> {
    let folder = folder_of(data, issuer_id);
    read_unswapped(&folder, || read_once(&folder))
}

/// Reads until the folder is the same one before and after. An import swaps it whole.
fn read_unswapped<T>(
    folder: &Path,
    mut read: impl FnMut() -> Result<T, StagedError>,
) -> Result<T, StagedError> {
    let folder_now = || {
        let metadata = fs::metadata(folder).ok();
        // The old one's inode may be given to a newer one; its time tells them apart.
        metadata.map(|it| (it.dev(), it.ino(), it.mtime(), it.mtime_nsec()))
    };
    let mut before = folder_now();
    for _ in 1..MOST_READS {
        let outcome = read();
        let after = folder_now();
        if before == after {
            return outcome;
        }
        before = after;
    }
    read()
}

/// Opens what is staged for one issuer; `None` when nothing is. The list is not read: whoever does compares its hash.
pub fn open(data: &Path, issuer_id: &str) -> Result<Option<Opened>, StagedError> {
    let folder = folder_of(data, issuer_id);
    read_unswapped(&folder, || open_once(&folder))
}

fn open_once(folder: &Path) -> Result<Option<Opened>, StagedError> {
    let options_path = folder.join(OPTIONS_FILE);
    let text = match fs::read_to_string(&options_path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StagedError::Io {
                action: "reading",
                path: options_path,
                source,
            });
        }
    };
    let options = Options::parse(&text).map_err(|why| StagedError::Options {
        path: options_path,
        why,
    })?;
    let path = folder.join(options.form.file());
    let list = File::open(&path).map_err(|source| StagedError::Io {
        action: "opening",
        path,
        source,
    })?;
    Ok(Some(Opened {
        folder: folder.to_owned(),
        list,
        issuer: read_file(&folder.join(ISSUER_FILE))?,
        options,
    }))
}

impl Opened {
    /// The list's path, for people.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.options.form.file())
    }

    /// Refuses a list that is not the one that was imported.
    pub fn expect_unchanged(&self, blake3: &[u8; 32]) -> Result<(), StagedError> {
        if *blake3 == self.options.crl_blake3 {
            return Ok(());
        }
        Err(StagedError::Changed { path: self.path() })
    }

    /// The BLAKE3 of the file as it is now, from its start to its end.
    pub fn hash(&self) -> Result<[u8; 32], StagedError> {
        use std::os::unix::fs::FileExt as _;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = self
                .list
                .read_at(&mut buffer, at)
                .map_err(|source| self.unreadable(source))?;
            if read == 0 {
                return Ok(*hasher.finalize().as_bytes());
            }
            hasher.update(&buffer[..read]);
            at += read as u64;
        }
    }

    /// An error of the system's about the list.
    pub fn unreadable(&self, source: io::Error) -> StagedError {
        StagedError::Io {
            action: "reading",
            path: self.path(),
            source,
        }
    }
}

fn read_once(folder: &Path) -> Result<Option<Staged>, StagedError> {
    let Some(mut opened) = open_once(folder)? else {
        return Ok(None);
    };
    let mut crl = Vec::new();
    if let Err(source) = opened.list.read_to_end(&mut crl) {
        return Err(opened.unreadable(source));
    }
    opened.expect_unchanged(blake3::hash(&crl).as_bytes())?;
    Ok(Some(Staged {
        folder: opened.folder,
        crl,
        issuer: opened.issuer,
        options: opened.options,
    }))
}

/// The issuers that have something staged, in order of their ids.
pub fn issuers(data: &Path) -> Result<Vec<String>, StagedError> {
    let staged = data.join(STAGED_FOLDER);
    let entries = match fs::read_dir(&staged) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(StagedError::Io {
                action: "listing",
                path: staged,
                source,
            });
        }
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Names with a dot are swaps under way.
    let mut names: Vec<String> = names.filter(|name| is_issuer_id(name)).collect();
    names.sort();
    Ok(names)
}

/// Whether a folder's name is an issuer id: 32 lower-case hexadecimal digits.
pub fn is_issuer_id(name: &str) -> bool {
    name.len() == 32
        && name
            .bytes()
            .all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

impl Options {
    fn to_file(&self) -> OptionsFile {
        OptionsFile {
            as_of: self.as_of.map(rfc3339),
            allow_weak: self.allow_weak,
            crl_blake3: encode_hex(&self.crl_blake3),
            imported_at: rfc3339(self.imported_at),
            form: self.form,
            trusted_by: self.trust.as_ref().map(|trust| trust.by.clone()),
            trusted_until: self.trust.as_ref().map(|trust| rfc3339(trust.until)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: OptionsFile = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let crl_blake3 =
            blake3::Hash::from_hex(&file.crl_blake3).map_err(|e| format!("crl_blake3: {e}"))?;
        let moment = |name: &str, text: Option<String>| {
            text.as_deref()
                .map(parse_rfc3339)
                .transpose()
                .map_err(|e| format!("{name}: {e}"))
        };
        let until = moment("trusted_until", file.trusted_until)?;
        let trust = file
            .trusted_by
            .zip(until)
            .map(|(by, until)| Trust { by, until });
        if trust.is_some() == file.form.is_signed() {
            return Err(
                "trusted_by and trusted_until stand by lists without a signature, and only there"
                    .to_owned(),
            );
        }
        Ok(Self {
            as_of: moment("as_of", file.as_of)?,
            allow_weak: file.allow_weak,
            crl_blake3: *crl_blake3.as_bytes(),
            imported_at: parse_rfc3339(&file.imported_at)
                .map_err(|e| format!("imported_at: {e}"))?,
            form: file.form,
            trust,
        })
    }
}

/// A moment as RFC 3339 in UTC, as people type and read it.
pub fn rfc3339(time: UnixSeconds) -> String {
    i64::try_from(time)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("@{time}"), |moment| moment.to_string())
}

/// Reads RFC 3339 (`2022-03-11T00:00:00Z`), a bare date (its first second, UTC), or unix seconds behind an `@`.
pub fn parse_rfc3339(text: &str) -> Result<UnixSeconds, String> {
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds
            .parse()
            .map_err(|_| format!("“{text}” is not @ and a count of seconds"));
    }
    let moment = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| format!("{text}T00:00:00Z").parse::<jiff::Timestamp>())
        .map_err(|_| {
            format!("“{text}” is no time; write 2022-03-11T00:00:00Z, 2022-03-11 or @1646956800")
        })?;
    UnixSeconds::try_from(moment.as_second()).map_err(|_| format!("“{text}” lies before 1970"))
}

fn read_file(path: &Path) -> Result<Vec<u8>, StagedError> {
    fs::read(path).map_err(|source| StagedError::Io {
        action: "reading",
        path: path.to_owned(),
        source,
    })
}

/// Folder of all staged CRLs under a data folder.
pub const STAGED_FOLDER: &str = "staged";
/// Imports do not follow one another this fast.
const MOST_READS: usize = 8;
const CRL_FILE: &str = "crl.der";
const ISSUER_FILE: &str = "issuer.der";
const OPTIONS_FILE: &str = "options.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_import_leaves_its_folder_for_good_or_a_second_one_meddles() {
        let data = tempfile::tempdir().unwrap();
        let half = data.path().join("staged/.0123.77.new");
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join(CRL_FILE), b"half").unwrap();
        let lock_held = lock(data.path()).unwrap();
        assert!(!half.exists());
        let second = File::open(data.path().join("staged")).unwrap();
        assert!(second.try_lock().is_err());
        drop(lock_held);
        second.try_lock().unwrap();
    }

    #[test]
    fn a_folder_swapped_between_two_files_is_taken_for_a_changed_one() {
        let data = tempfile::tempdir().unwrap();
        let id = "0".repeat(32);
        let stage = |crl: &[u8]| {
            let options = Options {
                as_of: None,
                allow_weak: false,
                crl_blake3: *blake3::hash(crl).as_bytes(),
                imported_at: 0,
                form: Form::Crl,
                trust: None,
            };
            write(data.path(), &id, crl, b"issuer", &options).unwrap()
        };
        let folder = stage(b"old");
        let mut reads = 0;
        let crl = read_unswapped(&folder, || {
            reads += 1;
            let options = fs::read_to_string(folder.join(OPTIONS_FILE)).unwrap();
            if reads == 1 {
                stage(b"new");
            }
            let crl = fs::read(folder.join(CRL_FILE)).unwrap();
            let named = Options::parse(&options).unwrap().crl_blake3;
            if blake3::hash(&crl) == named {
                Ok(crl)
            } else {
                let path = folder.clone();
                Err(StagedError::Changed { path })
            }
        });
        assert_eq!((crl.unwrap().as_slice(), reads), (b"new".as_slice(), 2));
    }
}
