//! `options.toml`: how the operator had lists judged, and which lists there are.
//!
//! ```text
//! as_of = "2022-03-11T00:00:00Z"       if they are replayed
//! allow_weak = false
//! crl_blake3 = "…"                     what a batch that repeats them names: see below
//! imported_at = "2027-01-15T08:00:00Z"
//! complete = true                      the operator's word: these partitions are all there are
//! crl_issuer = "…"                     BLAKE3 of crl-issuer.der, who signs the indirect lists among them
//! [[lists]]                            if there are several, or a word about them
//! name = "crl.der"
//! blake3 = "…"
//! ```
//!
//! One list alone is known by its own BLAKE3, like one that was staged by the first edition. Several are known by the
//! BLAKE3 of [`IDENTITY_LABEL`], an octet that says whether they are complete, and their own hashes, sorted: so batch,
//! pack and registry name exactly the set that was judged. Whether a list is a delta, and which partition it is, it says
//! itself.

use serde::{Deserialize, Serialize};
use wire::time::UnixSeconds;

use super::{CRL_FILE, parse_rfc3339, rfc3339};
use crate::digest::encode_hex;

/// How the operator had lists judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The moment that replaces the clock when judging these CRLs and their issuer's certificate (`--as-of`); unix seconds.
    pub as_of: Option<UnixSeconds>,
    /// SHA-1 and short RSA keys may be read (`--allow-weak`).
    pub allow_weak: bool,
    /// BLAKE3 of the list, or the [`identity`] of several.
    pub crl_blake3: [u8; 32],
    /// When they were staged; unix seconds.
    pub imported_at: UnixSeconds,
    /// What they are written in.
    pub form: Form,
    /// Who vouches for a list that no CA signed; none for a CRL.
    pub trust: Option<Trust>,
    /// The lists; none where there is one, in the file of its form.
    pub lists: Vec<ListFile>,
    /// The operator says that these partitions are all (`--complete`): who is on none of them is not revoked.
    pub complete: bool,
    /// BLAKE3 of the certificate of who signs the indirect lists among them (`--crl-issuer`), in a file beside them.
    pub crl_issuer: Option<[u8; 32]>,
}

/// A staged list among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFile {
    /// Its file in the folder.
    pub name: String,
    /// Its BLAKE3.
    pub blake3: [u8; 32],
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

/// What lists are known by: a single one by its own hash, several by the hash of theirs.
pub fn identity(hashes: &[[u8; 32]], complete: bool) -> [u8; 32] {
    if let ([only], false) = (hashes, complete) {
        return *only;
    }
    let mut sorted = hashes.to_vec();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(IDENTITY_LABEL);
    hasher.update(&[u8::from(complete)]);
    for hash in &sorted {
        hasher.update(hash);
    }
    *hasher.finalize().as_bytes()
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
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    crl_issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lists: Vec<ListRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRow {
    name: String,
    blake3: String,
}

impl Options {
    /// What a certificate beside the lists is known by.
    pub fn name_of(certificate: &[u8]) -> [u8; 32] {
        *blake3::hash(certificate).as_bytes()
    }

    /// The lists and their files.
    pub fn files(&self) -> Vec<ListFile> {
        if !self.lists.is_empty() {
            return self.lists.clone();
        }
        vec![ListFile {
            name: self.form.file().to_owned(),
            blake3: self.crl_blake3,
        }]
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        let file = OptionsFile {
            as_of: self.as_of.map(rfc3339),
            allow_weak: self.allow_weak,
            crl_blake3: encode_hex(&self.crl_blake3),
            imported_at: rfc3339(self.imported_at),
            form: self.form,
            trusted_by: self.trust.as_ref().map(|trust| trust.by.clone()),
            trusted_until: self.trust.as_ref().map(|trust| rfc3339(trust.until)),
            complete: self.complete,
            crl_issuer: self.crl_issuer.as_ref().map(|hash| encode_hex(hash)),
            lists: self.lists.iter().map(ListRow::of).collect(),
        };
        toml::to_string(&file).expect("strings and bools are always TOML")
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: OptionsFile = toml::from_str(text).map_err(|e| e.message().to_owned())?;
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
        let crl_blake3 = hash("crl_blake3", &file.crl_blake3)?;
        let rows = file.lists.iter().enumerate();
        let lists: Vec<ListFile> = rows
            .map(|(place, row)| row.read(place))
            .collect::<Result<_, _>>()?;
        check_lists(&lists, &crl_blake3, file.form, file.complete)?;
        Ok(Self {
            as_of: moment("as_of", file.as_of)?,
            allow_weak: file.allow_weak,
            crl_blake3,
            imported_at: parse_rfc3339(&file.imported_at)
                .map_err(|e| format!("imported_at: {e}"))?,
            form: file.form,
            trust,
            lists,
            complete: file.complete,
            crl_issuer: file
                .crl_issuer
                .map(|text| hash("crl_issuer", &text))
                .transpose()?,
        })
    }
}

/// The lists are those that `crl_blake3` names.
fn check_lists(
    lists: &[ListFile],
    named: &[u8; 32],
    form: Form,
    complete: bool,
) -> Result<(), String> {
    if lists.is_empty() && !complete {
        return Ok(());
    }
    if !form.is_signed() || lists.len() > MOST_LISTS {
        return Err(format!("lists: at most {MOST_LISTS}, and CRLs only"));
    }
    let hashes: Vec<_> = lists.iter().map(|list| list.blake3).collect();
    if identity(&hashes, complete) != *named {
        return Err("crl_blake3 does not name these lists".to_owned());
    }
    Ok(())
}

fn hash(name: &str, text: &str) -> Result<[u8; 32], String> {
    let hash = blake3::Hash::from_hex(text).map_err(|e| format!("{name}: {e}"))?;
    Ok(*hash.as_bytes())
}

/// The file of the `place`-th list, from 0.
pub fn list_file(place: usize) -> String {
    match place {
        0 => CRL_FILE.to_owned(),
        _ => format!("crl-{}.der", place + 1),
    }
}

impl ListRow {
    fn of(list: &ListFile) -> Self {
        Self {
            name: list.name.clone(),
            blake3: encode_hex(&list.blake3),
        }
    }

    /// No other names than ours: a path that somebody wrote in there is not followed.
    fn read(&self, place: usize) -> Result<ListFile, String> {
        if self.name != list_file(place) {
            return Err(format!("lists: {:?} is no list's name", self.name));
        }
        Ok(ListFile {
            name: self.name.clone(),
            blake3: hash("blake3", &self.blake3)?,
        })
    }
}

/// What the hash of several lists begins with.
pub const IDENTITY_LABEL: &[u8] = b"hufu staged lists v1\0";
/// The largest authorities we know of have some hundred partitions; each is an open file while they are read.
pub const MOST_LISTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lists: Vec<ListFile>, complete: bool) -> Options {
        let hashes: Vec<_> = lists.iter().map(|list| list.blake3).collect();
        Options {
            as_of: None,
            allow_weak: false,
            crl_blake3: identity(&hashes, complete),
            imported_at: 1_800_000_000,
            form: Form::Crl,
            trust: None,
            lists,
            complete,
            crl_issuer: complete.then_some([3; 32]),
        }
    }

    fn files(count: u8) -> Vec<ListFile> {
        let file = |place: u8| ListFile {
            name: list_file(place.into()),
            blake3: [place; 32],
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn options_of_several_lists_come_back_as_others() {
        for (count, complete) in [(2, false), (2, true), (1, true), (7, true)] {
            let options = options(files(count), complete);
            let text = options.text();
            assert_eq!(Options::parse(&text).unwrap(), options, "{text}");
            // A partition taken out by hand, or a word put in.
            let without = text.rsplit_once("[[lists]]").unwrap().0;
            assert!(Options::parse(without).is_err(), "{without}");
            let other = text.replace("complete = true\n", "");
            assert_eq!(Options::parse(&other).is_err(), complete, "{other}");
            let elsewhere = text.replace("\"crl.der\"", "\"../crl.der\"");
            assert!(Options::parse(&elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn one_list_is_known_by_another_hash_than_its_own() {
        assert_eq!(identity(&[[7; 32]], false), [7; 32]);
        let (one, other) = ([1; 32], [2; 32]);
        assert_eq!(identity(&[one, other], true), identity(&[other, one], true));
        let sets = [
            identity(&[one], true),
            identity(&[one, other], true),
            identity(&[one, other], false),
            identity(&[one, one], false),
        ];
        for (place, set) in sets.iter().enumerate() {
            assert!(!sets[..place].contains(set));
        }
    }
}
