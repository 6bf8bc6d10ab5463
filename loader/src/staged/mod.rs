//! What the operator has staged of other CAs: `DIR/staged/<issuer-id>/` with a list or several that speak together,
//! `issuer.der`, of indirect lists `crl-issuer.der`, and `options.toml` ([`options`]).
//!
//! `import` writes a folder whole and swaps it in ([`pending`]); signer and loader each read it for themselves. The options
//! carry each list's BLAKE3, so a reader that meets a flipped bit notices and says so. One whose folder was swapped between
//! two files reads again.

pub mod options;
pub mod pending;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use wire::time::UnixSeconds;

pub use options::{Form, ListFile, MOST_LISTS, Options, Trust, identity};
pub use pending::{Pending, lock, write};

/// What is staged of one issuer, open and not yet read.
#[derive(Debug)]
pub struct Opened {
    /// The folder it came from.
    pub folder: PathBuf,
    /// The lists, at least one, each at its start. They stay what they are even when others are staged.
    pub lists: Vec<OpenList>,
    /// The issuer's certificate, DER.
    pub issuer: Vec<u8>,
    /// That of who signs the indirect lists among them, if one was named.
    pub crl_issuer: Option<Vec<u8>>,
    /// How the operator had them judged.
    pub options: Options,
}

/// A list that is open.
#[derive(Debug)]
pub struct OpenList {
    /// Where it lies, for people.
    pub path: PathBuf,
    /// Its octets.
    pub file: File,
    /// The BLAKE3 it had when it was imported.
    pub blake3: [u8; 32],
}

/// One staged CRL, read back: of several the first.
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
    /// A list, or the certificate of who signs it, is not the file that was imported.
    #[error("{path} has another BLAKE3 than {options}; it was changed after import: import it again", options = OPTIONS_FILE)]
    Changed {
        /// Its file.
        path: PathBuf,
    },
}

impl StagedError {
    /// Whether what is staged is not what was staged; otherwise it may be as good as ever, and cannot be read now.
    pub fn is_damage(&self) -> bool {
        use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
        match self {
            Self::Options { .. } | Self::Changed { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                NotFound | UnexpectedEof | InvalidData | IsADirectory | NotADirectory
            ),
        }
    }
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
    let open = |list: ListFile| {
        let path = folder.join(list.name);
        let file = File::open(&path).map_err(|source| StagedError::Io {
            action: "opening",
            path: path.clone(),
            source,
        })?;
        Ok(OpenList {
            path,
            file,
            blake3: list.blake3,
        })
    };
    Ok(Some(Opened {
        folder: folder.to_owned(),
        lists: options
            .files()
            .into_iter()
            .map(open)
            .collect::<Result<_, _>>()?,
        issuer: read_file(&folder.join(ISSUER_FILE))?,
        crl_issuer: read_crl_issuer(folder, &options)?,
        options,
    }))
}

fn read_crl_issuer(folder: &Path, options: &Options) -> Result<Option<Vec<u8>>, StagedError> {
    let Some(named) = options.crl_issuer else {
        return Ok(None);
    };
    let path = folder.join(CRL_ISSUER_FILE);
    let certificate = read_file(&path)?;
    match Options::name_of(&certificate) == named {
        true => Ok(Some(certificate)),
        false => Err(StagedError::Changed { path }),
    }
}

impl Opened {
    /// The first list: the only one, where its form bears no signature.
    pub fn first(&self) -> &OpenList {
        self.lists.first().expect("a staged folder holds a list")
    }
}

impl OpenList {
    /// Refuses a list that is not the one that was imported.
    pub fn expect_unchanged(&self, blake3: &[u8; 32]) -> Result<(), StagedError> {
        if *blake3 == self.blake3 {
            return Ok(());
        }
        let path = self.path.clone();
        Err(StagedError::Changed { path })
    }

    /// The BLAKE3 of the file as it is now, from its start to its end.
    pub fn hash(&self) -> Result<[u8; 32], StagedError> {
        use std::os::unix::fs::FileExt as _;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = self
                .file
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
            path: self.path.clone(),
            source,
        }
    }
}

fn read_once(folder: &Path) -> Result<Option<Staged>, StagedError> {
    let Some(mut opened) = open_once(folder)? else {
        return Ok(None);
    };
    let list = opened.lists.swap_remove(0);
    let mut crl = Vec::new();
    if let Err(source) = (&list.file).read_to_end(&mut crl) {
        return Err(list.unreadable(source));
    }
    list.expect_unchanged(blake3::hash(&crl).as_bytes())?;
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
const CRL_ISSUER_FILE: &str = "crl-issuer.der";
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
                lists: Vec::new(),
                complete: false,
                crl_issuer: None,
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
