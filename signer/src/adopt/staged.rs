//! What the loader staged: `DIR/staged/<issuer-id>/` with a list or several, `issuer.der`, of indirect lists
//! `crl-issuer.der`, and `options.toml`.
//!
//! The folder is exchanged whole by the loader; the hashes in the options tie the files together, so a folder that
//! changes while it is read is noticed and looked at again. Several lists (a delta on top of a complete list, partitions)
//! are known by one hash of their hashes, sorted, and of whether the operator says that they are all there are.

use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

/// What the operator asked for when importing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The time that replaces the clock, if the list is replayed.
    pub as_of: Option<UnixSeconds>,
    /// Whether SHA-1 and short RSA keys are read.
    pub allow_weak: bool,
    /// BLAKE3 of the list; of several, what they are known by.
    pub crl_blake3: [u8; 32],
    /// Several lists: each one's file and BLAKE3. None where there is one.
    pub lists: Vec<(String, [u8; 32])>,
    /// The operator's word: these partitions are all there are.
    pub complete: bool,
    /// BLAKE3 of the certificate of who signs indirect lists, if that is not the authority.
    pub crl_issuer: Option<[u8; 32]>,
    /// What the list is written in.
    pub form: Form,
    /// When it was staged, and until when somebody vouches for it: of lists that no CA has signed.
    pub trusted: Option<(UnixSeconds, UnixSeconds)>,
}

/// What a staged list is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A CRL, signed by its CA.
    #[default]
    Crl,
    /// OpenSSL's `index.txt`, signed by nobody.
    Index,
    /// CSV with a header, signed by nobody.
    Csv,
}

impl Form {
    /// The file it is staged as.
    const fn file(self) -> &'static str {
        match self {
            Self::Crl => "crl.der",
            Self::Index => "index.txt",
            Self::Csv => "status.csv",
        }
    }
}

/// A staged folder, read whole.
#[derive(Debug)]
pub struct Staged {
    /// The lists, at least one: DER, or text.
    pub lists: Vec<Vec<u8>>,
    /// The issuer's certificate, DER.
    pub issuer: Vec<u8>,
    /// That of who signs the indirect lists among them, if one was named.
    pub crl_issuer: Option<Vec<u8>>,
}

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedError {
    /// The disk refuses.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The options are not what the loader writes.
    #[error("{}: {why}", path.display())]
    Options {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The list is not the one the options speak of; perhaps another is being staged just now.
    #[error("{} is not what options.toml names", .0.display())]
    OtherList(PathBuf),
}

/// The staged folders, in order of their names.
///
/// # Errors
/// [`StagedError::File`]; a missing folder means nothing is staged.
pub fn folders(staged: &Path) -> Result<Vec<(IssuerId, PathBuf)>, StagedError> {
    let failed = |source| StagedError::File {
        path: staged.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(staged) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Anything else in there is the loader's work in progress.
        if let Some(id) = entry.file_name().to_str().and_then(IssuerId::from_hex) {
            folders.push((id, entry.path()));
        }
    }
    folders.sort();
    Ok(folders)
}

impl Options {
    /// Reads `options.toml`.
    ///
    /// # Errors
    /// [`StagedError::File`], [`StagedError::Options`].
    pub fn read(folder: &Path) -> Result<Self, StagedError> {
        let path = folder.join("options.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| StagedError::File {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text).map_err(|why| StagedError::Options { path, why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: OptionsFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let as_of = file.as_of.as_deref().map(|text| {
            let moment: jiff::Timestamp = text.parse().map_err(|_| format!("as_of: {text:?}"))?;
            u64::try_from(moment.as_second()).map_err(|_| format!("as_of: {text:?}"))
        });
        let moment = |name: &str, text: Option<&str>| {
            let moment: Option<jiff::Timestamp> = text.and_then(|text| text.parse().ok());
            moment
                .and_then(|moment| u64::try_from(moment.as_second()).ok())
                .ok_or_else(|| format!("{name}: {text:?}"))
        };
        let trusted = match file.form {
            Form::Crl => None,
            Form::Index | Form::Csv => Some((
                moment("imported_at", file.imported_at.as_deref())?,
                moment("trusted_until", file.trusted_until.as_deref())?,
            )),
        };
        let crl_blake3 = read_hash("crl_blake3", &file.crl_blake3)?;
        let lists: Vec<(String, [u8; 32])> = file
            .lists
            .iter()
            .enumerate()
            .map(|(place, row)| row.read(place))
            .collect::<Result<_, _>>()?;
        let named_otherwise = crl_blake3 != identity(&lists, file.complete);
        if (file.complete || !lists.is_empty()) && (named_otherwise || trusted.is_some()) {
            return Err("crl_blake3 does not name these lists".to_owned());
        }
        Ok(Self {
            lists,
            complete: file.complete,
            crl_issuer: file
                .crl_issuer
                .as_deref()
                .map(|text| read_hash("crl_issuer", text))
                .transpose()?,
            form: file.form,
            trusted,
            as_of: as_of.transpose()?,
            allow_weak: file.allow_weak,
            crl_blake3,
        })
    }
}

/// What lists are known by.
fn identity(lists: &[(String, [u8; 32])], complete: bool) -> [u8; 32] {
    let mut hashes: Vec<_> = lists.iter().map(|(_, hash)| *hash).collect();
    if let ([only], false) = (hashes.as_slice(), complete) {
        return *only;
    }
    hashes.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(IDENTITY_LABEL);
    hasher.update(&[u8::from(complete)]);
    for hash in &hashes {
        hasher.update(hash);
    }
    *hasher.finalize().as_bytes()
}

fn read_hash(name: &str, text: &str) -> Result<[u8; 32], String> {
    let hash = blake3::Hash::from_hex(text).map_err(|error| format!("{name}: {error}"))?;
    Ok(*hash.as_bytes())
}

impl Staged {
    /// Reads the lists and their issuer's certificate.
    ///
    /// # Errors
    /// [`StagedError::OtherList`] if a list is not the one the options name.
    pub fn read(folder: &Path, options: &Options) -> Result<Self, StagedError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| StagedError::File { path, source })
        };
        let mut staged = Self {
            issuer: read("issuer.der")?,
            crl_issuer: None,
            lists: Vec::new(),
        };
        if let Some(named) = options.crl_issuer {
            let certificate = read(CRL_ISSUER_FILE)?;
            if *blake3::hash(&certificate).as_bytes() != named {
                return Err(StagedError::OtherList(folder.join(CRL_ISSUER_FILE)));
            }
            staged.crl_issuer = Some(certificate);
        }
        let only = [(options.form.file().to_owned(), options.crl_blake3)];
        let files = match options.lists.as_slice() {
            [] => only.as_slice(),
            several => several,
        };
        for (name, hash) in files {
            let list = read(name)?;
            if blake3::hash(&list).as_bytes() != hash {
                return Err(StagedError::OtherList(folder.join(name)));
            }
            staged.lists.push(list);
        }
        Ok(staged)
    }
}

/// The file's keys; those of later versions are passed over.
#[derive(Deserialize)]
struct OptionsFile {
    as_of: Option<String>,
    #[serde(default)]
    allow_weak: bool,
    crl_blake3: String,
    imported_at: Option<String>,
    #[serde(default)]
    form: Form,
    trusted_until: Option<String>,
    #[serde(default)]
    complete: bool,
    crl_issuer: Option<String>,
    #[serde(default)]
    lists: Vec<ListRow>,
}

#[derive(Deserialize)]
struct ListRow {
    name: String,
    blake3: String,
}

impl ListRow {
    /// No other names than the loader's: a path that somebody wrote in there is not followed.
    fn read(&self, place: usize) -> Result<(String, [u8; 32]), String> {
        let name = match place {
            0 => "crl.der".to_owned(),
            _ => format!("crl-{}.der", place + 1),
        };
        if place >= MOST_LISTS || self.name != name {
            return Err(format!("lists: {:?} is no list's name", self.name));
        }
        Ok((name, read_hash("blake3", &self.blake3)?))
    }
}

const CRL_ISSUER_FILE: &str = "crl-issuer.der";
/// What the hash of several lists begins with.
const IDENTITY_LABEL: &[u8] = b"hufu staged lists v1\0";
/// More the loader does not stage together.
const MOST_LISTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_say_nothing_clear_are_refused() {
        let hash = "0".repeat(64);
        let good = format!(
            "as_of = \"2022-03-12T00:00:00Z\"\nallow_weak = true\ncrl_blake3 = \"{hash}\"\n"
        );
        let options = Options::parse(&good).unwrap();
        assert_eq!(
            (options.as_of, options.allow_weak),
            (Some(1_647_043_200), true)
        );
        for bad in [
            "allow_weak = true".to_owned(),
            format!("crl_blake3 = \"{}\"", &hash[1..]),
            format!("as_of = \"yesterday\"\ncrl_blake3 = \"{hash}\""),
            format!("as_of = \"1969-01-01T00:00:00Z\"\ncrl_blake3 = \"{hash}\""),
            // Nobody vouches, or not for a time.
            format!("form = \"index\"\ncrl_blake3 = \"{hash}\""),
            format!(
                "form = \"csv\"\nimported_at = \"2026-01-01T00:00:00Z\"\ncrl_blake3 = \"{hash}\""
            ),
            format!("form = \"pdf\"\ncrl_blake3 = \"{hash}\""),
        ] {
            assert!(Options::parse(&bad).is_err(), "{bad}");
        }
    }
}
