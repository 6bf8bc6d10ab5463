//! Everything read again: is each published file what the manifest says, and do the records say what the CRLs say?
//!
//! For each issuer both ways: every serial that its lists revoke is answered `revoked` with the list's time and reason, and
//! every serial answered `revoked` is on them, or left them because its certificate expired, as their maker says. Lists of
//! our own are held against the packs at the registry revision they show; what differs needs a later one. A base pack is
//! signed anew all the time, so being newer alone explains nothing: only a serial that came to be revoked (and is not dated
//! before the list), or one on hold that was released or revoked for good. Another authority's list is repeated, and
//! nothing may differ from it.
//!
//! | file | holds |
//! |---|---|
//! | [`answers`] | what the packs answer |
//! | [`view`] | what a full list and its delta say together |
//! | `own` | lists of our own registry: of all, of partitions, deltas |
//! | `adopted` | other authorities' lists |
//! | [`holders`] | certificates that are handed in: each on the list it names |
//! | [`contradiction`](mod@contradiction) | the part of it that is proved before publishing |

mod adopted;
pub mod answers;
pub mod contradiction;
pub mod holders;
mod own;
pub mod view;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

use self::answers::Answers;
use self::holders::{Holder, HolderProof};
use crate::encode::decoded_digest;
use crate::home::Home;
use crate::import::certificate::Certificate;
use crate::manifest::{Manifest, ObjectEntry, Role};
use crate::pack::Pack;
use crate::seal::{SealError, read_pins};
use crate::store::Store;

/// Why nothing could be proved at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The pins.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Pointer or manifest.
    #[error(transparent)]
    Store(#[from] crate::error::StoreError),
    /// Nothing was ever published.
    #[error("{} holds no generation yet", .0.display())]
    Empty(std::path::PathBuf),
}

/// What was read, what was proved, and what differs.
#[derive(Debug, Default, Serialize)]
pub struct Proof {
    /// The generation.
    pub generation: u64,
    /// Files whose length and BLAKE3 are as the manifest says.
    pub files: usize,
    /// Records read.
    pub records: u64,
    /// What was proved of each issuer.
    pub issuers: Vec<IssuerProof>,
    /// Damage and disagreements, the first [`MOST_DIFFERENCES`].
    pub differences: Vec<String>,
    /// How many there are in all.
    pub difference_count: usize,
}

/// What was proved of one issuer.
#[derive(Debug, Serialize)]
pub struct IssuerProof {
    /// Its id.
    pub issuer: String,
    /// Its subject.
    pub name: String,
    /// The list it was held against; none if there is none here.
    pub crl: Option<String>,
    /// thisUpdate of that list.
    pub this_update: Option<String>,
    /// Serials the list revokes.
    pub listed: usize,
    /// Serials answered `revoked`.
    pub revoked: usize,
    /// Differences that something later explains.
    pub explained: usize,
    /// Serials answered `revoked` that left the list because their certificates expired, as its maker says.
    pub expired: usize,
    /// Serials that no partition's list has: their certificates name the list of all.
    pub on_no_partition: usize,
    /// Every list of our own that was held against the answers.
    pub lists: Vec<ListProof>,
    /// Its certificates that were handed in.
    pub holders: Vec<HolderProof>,
}

/// A full list and the delta that changes it.
#[derive(Debug, Serialize)]
pub struct ListProof {
    /// Its name.
    pub name: String,
    /// The delta's.
    pub delta: Option<String>,
    /// The registry revision both show together.
    pub revision: Option<u64>,
    /// thisUpdate of the newer of the two.
    pub this_update: String,
    /// Serials they revoke together.
    pub listed: usize,
}

impl Proof {
    /// Whether everything agrees.
    pub fn holds(&self) -> bool {
        self.difference_count == 0
    }

    fn differ(&mut self, what: String) {
        self.difference_count += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(what);
        }
    }
}

/// Reads the current generation of a data folder again. `now` judges staged lists that are not replays.
pub fn verify(data: &Path, now: UnixSeconds) -> Result<Proof, VerifyError> {
    verify_with(data, now, &[])
}

/// The same, and of these certificates that each stands on the list it names.
pub fn verify_with(
    data: &Path,
    now: UnixSeconds,
    holders: &[Holder],
) -> Result<Proof, VerifyError> {
    let home = Home::at(data);
    let store = home.store();
    let pins = read_pins(&home.seal_pin())?;
    let current = store
        .read_current(&pins)?
        .ok_or_else(|| VerifyError::Empty(store.root().to_owned()))?;
    let manifest = current.manifest();
    let mut proof = Proof {
        generation: manifest.number,
        ..Proof::default()
    };
    let packs = read_files(&store, manifest, &mut proof);
    let shelf = Shelf {
        home: &home,
        store: &store,
        manifest,
        holders,
        now,
    };
    for issuer in issuers(manifest) {
        let own: Vec<&Pack> = packs
            .iter()
            .filter(|pack| pack.issuer() == issuer)
            .collect();
        if !own.is_empty() {
            shelf.prove(issuer, &own, &mut proof);
        }
    }
    let told: usize = proof.issuers.iter().map(|told| told.holders.len()).sum();
    if told < holders.len() {
        let is_told = |holder: &&Holder| {
            let mut all = proof.issuers.iter().flat_map(|told| &told.holders);
            all.any(|told| holder.is_told_by(told))
        };
        let untold: Vec<String> = holders
            .iter()
            .filter(|holder| !is_told(holder))
            .map(Holder::nobodys)
            .collect();
        untold.into_iter().for_each(|what| proof.differ(what));
    }
    Ok(proof)
}

/// Every file: length, hash; every pack: every octet.
fn read_files(store: &Store, manifest: &Manifest, proof: &mut Proof) -> Vec<Pack> {
    let mut packs = Vec::new();
    for entry in manifest.files() {
        let path = store.object(entry.blake3);
        match hash_file(&path) {
            Ok((octets, blake3)) if octets == entry.octets && blake3 == *entry.blake3.octets() => {
                proof.files += 1;
            }
            Ok(_) => {
                proof.differ(format!(
                    "{} ({}): its octets are not those that were sealed",
                    path.display(),
                    entry.name
                ));
                continue;
            }
            Err(error) => {
                proof.differ(format!("{} ({}): {error}", path.display(), entry.name));
                continue;
            }
        }
        if !matches!(entry.role, Role::Base(_) | Role::Delta(_)) {
            check_forms(store, &entry, proof);
            continue;
        }
        match Pack::open(&path).and_then(|pack| pack.verify().map(|_| pack)) {
            Ok(pack) => {
                proof.records += pack.record_count();
                packs.push(pack);
            }
            Err(error) => {
                let flaw = std::error::Error::source(&error)
                    .map(|source| format!(": {source}"))
                    .unwrap_or_default();
                proof.differ(format!("{error}{flaw}"));
            }
        }
    }
    // Newest first, a delta as new as a base before it: the first that holds a serial answers.
    packs.sort_by_key(|pack| std::cmp::Reverse((pack.age(), pack.is_delta())));
    packs
}

/// A client that asks for gzip gets the same list as one that does not.
fn check_forms(store: &Store, entry: &ObjectEntry, proof: &mut Proof) {
    for note in entry.encodings() {
        let path = store.object(note.blake3);
        let decoded = decoded_digest(&path, note.encoding, entry.octets);
        if decoded.ok() != Some(entry.blake3) {
            proof.differ(format!(
                "{} ({}, {}): it does not decode to the document",
                path.display(),
                entry.name,
                note.encoding.token()
            ));
        }
    }
}

fn hash_file(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut octets = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((octets, *hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..read]);
        octets += read as u64;
    }
}

fn issuers(manifest: &Manifest) -> Vec<IssuerId> {
    let mut issuers: Vec<IssuerId> = manifest
        .objects
        .iter()
        .map(|entry| entry.issuer.0)
        .collect();
    issuers.sort_unstable();
    issuers.dedup();
    issuers
}

/// Where lists are found, and the clock.
struct Shelf<'a> {
    home: &'a Home,
    store: &'a Store,
    manifest: &'a Manifest,
    holders: &'a [Holder],
    now: UnixSeconds,
}

impl Shelf<'_> {
    /// Holds one issuer's packs, newest first, against its list.
    fn prove(&self, issuer: IssuerId, packs: &[&Pack], proof: &mut Proof) {
        let mut told = IssuerProof {
            issuer: issuer.to_string(),
            name: String::new(),
            crl: None,
            this_update: None,
            listed: 0,
            revoked: 0,
            explained: 0,
            expired: 0,
            on_no_partition: 0,
            lists: Vec::new(),
            holders: Vec::new(),
        };
        let certificate = match Certificate::from_der(&packs[0].shared().issuer_certificate) {
            Ok(certificate) => certificate,
            Err(error) => {
                return proof.differ(format!(
                    "issuer {issuer}: its certificate in the packs: {error}"
                ));
            }
        };
        told.name = certificate.subject_text.clone();
        let done = if packs[0].crl_blake3().is_some() {
            self.prove_adopted(issuer, packs, &certificate, &mut told, proof)
        } else {
            own::lists(self.store, self.manifest, issuer, &certificate).map(|lists| {
                let case = own::Case {
                    home: self.home,
                    certificate: &certificate,
                    key: *packs[0].hash_key(),
                    answers: Answers::of(packs),
                    holders: self.holders,
                    now: self.now,
                };
                own::prove(&case, &lists, &mut told, proof);
            })
        };
        if let Err(error) = done {
            proof.differ(format!("issuer {issuer}: {error}"));
        }
        proof.issuers.push(told);
    }
}

/// Differences named; the rest is counted.
pub const MOST_DIFFERENCES: usize = 20;
