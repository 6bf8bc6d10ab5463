//! Everything read again: is each published file what the manifest says, and do the records say what the CRLs say?
//!
//! For each issuer whose CRL is published, or staged here, both ways: every serial the list revokes is answered `revoked`
//! with the list's time and reason, and every serial answered `revoked` is on the list. What a later revision may change
//! is explained by a pack made after the list's thisUpdate, and only that: a serial that came to be revoked, or one on hold
//! that was released or revoked for good. A base pack is signed anew all the time, so being newer alone explains nothing.
//! An adopted list is repeated, and nothing may differ from it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::serial::{Serial, SerialHashKey};
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use crate::encode::decoded_digest;
use crate::home::Home;
use crate::import::certificate::{Certificate, NameMatch};
use crate::import::crl::{Judged, Judging, judge};
use crate::import::trust::WeakPolicy;
use crate::manifest::{Manifest, ObjectEntry, Role};
use crate::pack::index::Needle;
use crate::pack::{Find, Pack};
use crate::seal::{SealError, read_pins};
use crate::staged::{self, rfc3339};
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
        data,
        store: &store,
        manifest,
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
    data: &'a Path,
    store: &'a Store,
    manifest: &'a Manifest,
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
        let key = *packs[0].hash_key();
        match self.find_list(issuer, packs[0], &certificate) {
            Ok(None) => told.revoked = revoked_serials(packs).len(),
            Ok(Some(list)) => {
                told.crl = Some(list.name.clone());
                match list.judge(&certificate, key, self.now) {
                    Ok(judged) => compare(packs, &judged, &mut told, proof),
                    Err(error) => proof.differ(format!("issuer {issuer}, {}: {error}", list.name)),
                }
            }
            Err(error) => proof.differ(format!("issuer {issuer}: {error}")),
        }
        proof.issuers.push(told);
    }

    /// For an adopted list: the very one the packs repeat, published or staged. For the signer's own registry: the
    /// complete list published for this issuer.
    fn find_list(
        &self,
        issuer: IssuerId,
        newest: &Pack,
        certificate: &Certificate,
    ) -> Result<Option<List>, String> {
        let repeated = newest.crl_blake3();
        for entry in self
            .manifest
            .objects
            .iter()
            .filter(|entry| entry.issuer.0 == issuer)
        {
            let other = repeated.is_some_and(|blake3| blake3 != entry.blake3.octets());
            if other || !matches!(entry.role, Role::Crl(_)) {
                continue;
            }
            let octets = std::fs::read(self.store.object(entry.blake3))
                .map_err(|error| format!("{}: {error}", entry.name))?;
            if is_complete_and_of(&octets, certificate) {
                return Ok(Some(published(entry, octets, newest)));
            }
        }
        let Some(repeated) = repeated else {
            return Ok(None);
        };
        match staged::read(self.data, &issuer.to_string()) {
            Ok(Some(staged)) if staged.options.crl_blake3 == *repeated => Ok(Some(List {
                name: staged.folder.join("crl.der").display().to_string(),
                octets: staged.crl,
                as_of: staged.options.as_of,
                weak: WeakPolicy::of(staged.options.allow_weak),
            })),
            Ok(_) => {
                Err("the CRL its packs repeat is neither published nor staged here".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The list an issuer's records are held against.
struct List {
    name: String,
    octets: Vec<u8>,
    as_of: Option<UnixSeconds>,
    weak: WeakPolicy,
}

impl List {
    /// Its own dates decide nothing here: what was published must agree with it also after its nextUpdate.
    fn judge(
        &self,
        issuer: &Certificate,
        key: SerialHashKey,
        now: UnixSeconds,
    ) -> Result<Judged<'_>, String> {
        let this_update = Crl::parse(&self.octets)
            .map_err(|error| error.to_string())?
            .this_update;
        let judging = Judging {
            now,
            as_of: Some(self.as_of.unwrap_or(this_update.min(now))),
            weak: self.weak,
        };
        judge(&self.octets, issuer, &judging, key).map_err(|error| error.to_string())
    }
}

fn published(entry: &ObjectEntry, octets: Vec<u8>, newest: &Pack) -> List {
    // Whether weak algorithms are read was decided at import; a list of ours never has them.
    let weak = if newest.crl_blake3().is_some() {
        WeakPolicy::Allow
    } else {
        WeakPolicy::Refuse
    };
    List {
        name: entry.name.clone(),
        octets,
        as_of: newest.as_of(),
        weak,
    }
}

/// An issuer's documents hold the lists of those above it, too.
fn is_complete_and_of(octets: &[u8], issuer: &Certificate) -> bool {
    Crl::parse(octets)
        .is_ok_and(|crl| !crl.is_delta() && issuer.subject_is(crl.issuer) != NameMatch::Different)
}

/// Both ways: list → answers, answers → list.
fn compare(packs: &[&Pack], judged: &Judged<'_>, told: &mut IssuerProof, proof: &mut Proof) {
    let this_update = judged.crl.this_update;
    let later = Later {
        this_update,
        repeats_list: packs[0].crl_blake3().is_some(),
    };
    told.this_update = Some(rfc3339(this_update));
    told.listed = judged.index.revoked();
    let mut place = 0;
    while let Some((_, serial, listed)) = judged.index.get(&judged.crl, place) {
        place += 1;
        match answer(packs, &serial) {
            Some((_, status)) if same(status, listed) => {}
            Some((pack, status)) if later.explains_change(pack, listed, status) => {
                told.explained += 1;
            }
            found => {
                let found =
                    found.map_or_else(|| "unknown".to_owned(), |(_, status)| status_text(status));
                proof.differ(format!(
                    "issuer {}, serial {serial}: the list says {}, the answer is {found}",
                    told.issuer,
                    status_text(listed)
                ));
            }
        }
    }
    let revoked = revoked_serials(packs);
    told.revoked = revoked.len();
    for (serial, pack, status) in revoked {
        if judged.index.find(&judged.crl, &serial).is_some() {
            // Compared above.
        } else if later.explains_addition(pack) {
            told.explained += 1;
        } else {
            proof.differ(format!(
                "issuer {}, serial {serial}: the answer is {}, the list does not have it",
                told.issuer,
                status_text(status)
            ));
        }
    }
}

/// What revisions later than the list may have changed.
struct Later {
    this_update: UnixSeconds,
    repeats_list: bool,
}

impl Later {
    /// Revoked after the list was made. The record's own date proves nothing, it may lie before the decision.
    fn explains_addition(&self, pack: &Pack) -> bool {
        !self.repeats_list && pack.created_at() > self.this_update
    }

    /// Only a hold ever ends, by release or by revocation for another reason, or begins anew.
    fn explains_change(&self, pack: &Pack, listed: CertStatus, answered: CertStatus) -> bool {
        let CertStatus::Revoked {
            at: held_at,
            reason: Some(RevocationReason::CertificateHold),
        } = listed
        else {
            return false;
        };
        let may_follow = match answered {
            CertStatus::Good => true,
            CertStatus::Revoked { at, reason } => {
                reason != Some(RevocationReason::CertificateHold) || at > held_at
            }
            CertStatus::Absent => false,
        };
        may_follow && self.explains_addition(pack)
    }
}

/// What is answered for a serial, and by which pack.
fn answer<'p>(packs: &[&'p Pack], serial: &Serial) -> Option<(&'p Pack, CertStatus)> {
    let needle = Needle::new(packs[0].hash_key(), serial.content())?;
    for pack in packs {
        if let Find::Here(record) = pack.find(&needle) {
            return record.status().ok().map(|status| (*pack, status));
        }
        // The base of its shard is whole: older deltas are not asked.
        let (shards, shard) = pack.shards();
        if !pack.is_delta() && needle.shard(shards).0 == shard {
            break;
        }
    }
    None
}

/// Every serial answered `revoked`, and by which pack.
fn revoked_serials<'p>(packs: &[&'p Pack]) -> Vec<(Serial, &'p Pack, CertStatus)> {
    let mut seen = HashSet::new();
    let mut revoked = Vec::new();
    for pack in packs {
        for record in pack.records() {
            let Ok(CertStatus::Revoked { .. }) = record.status() else {
                continue;
            };
            let Ok(serial) = Serial::from_padded(record.serial_padded()) else {
                continue;
            };
            if let Some((pack, status @ CertStatus::Revoked { .. })) = answer(packs, &serial)
                && seen.insert(serial)
            {
                revoked.push((serial, pack, status));
            }
        }
    }
    revoked
}

/// Whether both say the same. No reason and the reason `unspecified` are one: RFC 5280 §5.3.1 wants it left out of lists.
fn same(one: CertStatus, other: CertStatus) -> bool {
    let plain = |status| match status {
        CertStatus::Revoked {
            at,
            reason: Some(RevocationReason::Unspecified),
        } => CertStatus::Revoked { at, reason: None },
        status => status,
    };
    plain(one) == plain(other)
}

fn status_text(status: CertStatus) -> String {
    match status {
        CertStatus::Good => "good".to_owned(),
        CertStatus::Absent => "absent".to_owned(),
        CertStatus::Revoked { at, reason } => {
            format!(
                "revoked {} ({})",
                rfc3339(at),
                reason.map_or("no reason", RevocationReason::name)
            )
        }
    }
}

/// Differences named; the rest is counted.
pub const MOST_DIFFERENCES: usize = 20;
