//! A snapshot: all files of one generation, mapped, and the way from a `CertID` to a record.
//!
//! Opening reads the pointer, checks the manifest's seal, number and hash, and of each file its length, header and
//! tables; it hashes no records, so it costs the same whatever the size. What was fetched was hashed by
//! [`follow`](crate::follow) before the pointer moved.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | opening, sharing maps with the snapshot before |
//! | [`lookup`] | the hot path: `CertID` → [`Found`] |
//! | `issuer` | the packs of one issuer, in the order in which they answer |
//! | `prefix` | from the octets of a `CertID` to issuer and, in each pack, the authority's own variant |
//! | [`document`] | CRLs and certificates |

pub mod document;
mod issuer;
pub mod lookup;
mod prefix;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use wire::cert_id::IssuerId;
#[cfg(feature = "publish")]
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

pub use document::{Body, Document, Encoded};
pub use issuer::IssuerInfo;
pub use lookup::{AnswerWindow, Found, Lookup, Wish};

use crate::digest::Digest;
use crate::error::{Misfit, OpenError};
use crate::manifest::{Manifest, ObjectEntry, PackNote, Role, TrustedManifest};
use crate::pack::Pack;
use crate::seal::PublicKey;
use crate::store::{Pointer, Store};
use document::DocumentFile;
use issuer::Issuer;
use prefix::PrefixTable;

/// All files of one generation, mapped; `Send` and `Sync`, never changed once open.
pub struct Snapshot {
    manifest: TrustedManifest,
    issuers: Vec<Issuer>,
    prefixes: PrefixTable,
    /// By path.
    documents: HashMap<String, DocumentFile>,
    /// By name in the store, so that the next snapshot shares what did not change.
    packs: HashMap<Digest, Arc<Pack>>,
}

impl Snapshot {
    /// Opens the newest generation in `edge`. Refused if its seal is by no key of `pins`, or its number below `highest`,
    /// the highest this process has seen.
    ///
    /// The folder's own `highest` file is the follower's: it rises a moment before the pointer moves, and a kill in that
    /// moment must not keep the responder from the generation that is in place.
    pub fn open(
        edge: &Path,
        pins: &[PublicKey],
        highest: Option<u64>,
    ) -> Result<Snapshot, OpenError> {
        open(edge, pins, highest, None)
    }

    /// Opens the newest generation like [`open`](Self::open), not below `previous`, and shares the maps of files that
    /// both contain; not of one that was replaced since, as a damaged file is by its repair.
    pub fn open_next(
        edge: &Path,
        pins: &[PublicKey],
        previous: &Snapshot,
    ) -> Result<Snapshot, OpenError> {
        open(edge, pins, Some(previous.number()), Some(previous))
    }

    /// Opens exactly this manifest's generation: for a publisher or follower, before the pointer moves.
    pub(crate) fn assemble(
        store: &Store,
        manifest: TrustedManifest,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, OpenError> {
        Self::assemble_unless(store, manifest, previous, |_, error| Err(error))
    }

    /// The same; `judge` is asked of each file that cannot be opened, and lets it be left out or gives the error back.
    pub(crate) fn assemble_unless(
        store: &Store,
        manifest: TrustedManifest,
        previous: Option<&Snapshot>,
        mut judge: impl FnMut(&ObjectEntry, OpenError) -> Result<(), OpenError>,
    ) -> Result<Snapshot, OpenError> {
        let mut packs = HashMap::new();
        let mut documents = HashMap::new();
        for entry in &manifest.manifest().objects {
            let opened = match &entry.role {
                Role::Base(note) | Role::Delta(note) => open_pack(store, entry, note, previous)
                    .map(|pack| {
                        packs.insert(entry.blake3, pack);
                    }),
                Role::Crl(note) | Role::Certificate(note) => {
                    let path = entry.role.path(&entry.name).expect("documents have a path");
                    let shared = previous.and_then(|snapshot| snapshot.documents.get(&path));
                    DocumentFile::open(store, entry, note, shared).map(|file| {
                        documents.insert(path, file);
                    })
                }
            };
            opened.or_else(|error| judge(entry, error))?;
        }
        let issuers = issuer::group(packs.values())?;
        let prefixes = PrefixTable::build(&issuers)?;
        Ok(Snapshot {
            manifest,
            issuers,
            prefixes,
            documents,
            packs,
        })
    }

    /// The generation's number.
    pub fn number(&self) -> u64 {
        self.manifest().number
    }

    /// What the store's pointer said when this was opened.
    pub fn pointer(&self) -> Pointer {
        Pointer {
            number: self.number(),
            manifest: self.manifest.blake3(),
        }
    }

    /// The highest registry revision in it.
    pub fn revision(&self) -> u64 {
        self.manifest().revision
    }

    /// When it was sealed.
    pub fn sealed_at(&self) -> UnixSeconds {
        self.manifest().sealed_at
    }

    /// Until when it proves that nothing was revoked since.
    pub fn valid_until(&self) -> UnixSeconds {
        self.manifest().valid_until
    }

    /// All of what the manifest says.
    pub fn manifest(&self) -> &Manifest {
        self.manifest.manifest()
    }

    /// The issuers it answers for.
    pub fn issuers(&self) -> impl Iterator<Item = IssuerInfo<'_>> {
        self.issuers.iter().map(Issuer::info)
    }

    /// By what key each issuer's serials are hashed.
    #[cfg(feature = "publish")]
    pub(crate) fn hash_keys(&self) -> impl Iterator<Item = (IssuerId, SerialHashKey)> {
        self.issuers
            .iter()
            .map(|issuer| (issuer.id, issuer.hash_key))
    }

    /// The packs, in no order.
    pub fn packs(&self) -> impl Iterator<Item = (&Digest, &Arc<Pack>)> {
        self.packs.iter()
    }

    /// A pack by its name in the store.
    pub fn pack(&self, digest: Digest) -> Option<&Arc<Pack>> {
        self.packs.get(&digest)
    }

    /// The paths of all documents.
    pub fn document_paths(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// The CRL or certificate served under `path` (`/crl/…`, `/ca/…`).
    #[inline]
    pub fn document(&self, path: &str) -> Option<Document<'_>> {
        self.documents.get(path).map(DocumentFile::view)
    }

    /// Faults in the pages of every pack that `previous` does not have. Costs a read of all of them from disk if they are
    /// not cached; to be called off the serving threads, before this snapshot takes over.
    pub fn touch_new(&self, previous: Option<&Snapshot>) {
        self.new_packs(previous).for_each(|(_, pack)| pack.touch());
    }

    /// Hashes the delta packs that `previous` does not have, the smallest first, [`MOST_PROVEN_OCTETS`] in all; to be
    /// called off the serving threads, before this snapshot takes over.
    ///
    /// Files are hashed when they are fetched, and a disk may flip a bit since. In a base pack that hides a record nobody
    /// is answered for; behind a delta stands an older pack, which still says "good" of what was revoked.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], of the first that is.
    pub fn prove_deltas(&self, previous: Option<&Snapshot>) -> Result<(), OpenError> {
        let mut deltas: Vec<_> = self
            .new_packs(previous)
            .filter(|(_, pack)| pack.is_delta())
            .collect();
        deltas.sort_unstable_by_key(|(_, pack)| pack.octets().len());
        let mut left = MOST_PROVEN_OCTETS;
        for (digest, pack) in deltas {
            let Some(rest) = left.checked_sub(pack.octets().len()) else {
                break;
            };
            left = rest;
            // All at once: page by page each would be a read of its own.
            pack.touch();
            let found = Digest::of(pack.octets());
            if found != *digest {
                return Err(OpenError::Damaged {
                    path: pack.path().to_owned(),
                    found,
                });
            }
        }
        Ok(())
    }

    /// Whether a file was replaced since it was mapped, as a damaged one is by its repair: what is mapped stays as it was
    /// damaged. Costs a look at each file's name.
    pub fn has_replaced_files(&self, edge: &Path) -> bool {
        let store = Store::at(edge);
        self.packs.values().any(|pack| pack.is_replaced())
            || self.documents.values().any(|file| file.is_replaced(&store))
    }

    fn new_packs<'s>(
        &'s self,
        previous: Option<&'s Snapshot>,
    ) -> impl Iterator<Item = (&'s Digest, &'s Arc<Pack>)> {
        self.packs.iter().filter(move |(digest, pack)| {
            let before = previous.and_then(|snapshot| snapshot.packs.get(digest));
            before.is_none_or(|before| !Arc::ptr_eq(before, pack))
        })
    }
}

fn open(
    edge: &Path,
    pins: &[PublicKey],
    highest: Option<u64>,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, OpenError> {
    let store = Store::at(edge);
    let pointer = store.read_pointer()?.ok_or_else(|| OpenError::Empty {
        root: edge.to_owned(),
    })?;
    if let Some(highest) = highest
        && pointer.number < highest
    {
        return Err(OpenError::Lower {
            found: pointer.number,
            highest,
        });
    }
    if let Some(serving) = previous.map(Snapshot::pointer)
        && pointer.number == serving.number
        && pointer != serving
    {
        return Err(OpenError::SameNumber {
            number: pointer.number,
        });
    }
    Snapshot::assemble(&store, store.read_manifest(pointer, pins)?, previous)
}

/// Opens a pack, or shares it with the snapshot before if it is still the file of that name.
fn open_pack(
    store: &Store,
    entry: &ObjectEntry,
    note: &PackNote,
    previous: Option<&Snapshot>,
) -> Result<Arc<Pack>, OpenError> {
    let shared = previous.and_then(|snapshot| snapshot.packs.get(&entry.blake3));
    let pack = match shared.filter(|pack| pack.is_in_place()) {
        Some(pack) => Arc::clone(pack),
        None => {
            let path = store.object(entry.blake3);
            check_length(&path, entry.octets)?;
            Arc::new(Pack::open(&path)?)
        }
    };
    agree(&pack, entry, note)?;
    Ok(pack)
}

/// Whether a file of a generation could be opened by itself.
#[cfg(feature = "publish")]
pub(crate) fn can_be_opened(store: &Store, entry: &ObjectEntry) -> Result<(), OpenError> {
    match &entry.role {
        Role::Base(note) | Role::Delta(note) => open_pack(store, entry, note, None).map(drop),
        Role::Crl(_) | Role::Certificate(_) => {
            check_length(&store.object(entry.blake3), entry.octets)
        }
    }
}

/// The file is there and as long as the manifest says: neither torn nor extended.
fn check_length(path: &Path, expected: u64) -> Result<(), OpenError> {
    let found = std::fs::metadata(path).ok().map(|metadata| metadata.len());
    if found == Some(expected) {
        return Ok(());
    }
    Err(OpenError::Object {
        path: path.to_owned(),
        expected,
        found,
    })
}

/// The pack's own header says what the manifest says of it.
fn agree(pack: &Pack, entry: &ObjectEntry, note: &PackNote) -> Result<(), OpenError> {
    let same = pack.issuer() == entry.issuer.0
        && pack.is_delta() == matches!(entry.role, Role::Delta(_))
        && pack.shards() == (note.shards, note.shard)
        && pack.age() == (note.revision, note.batch)
        && pack.record_count() == note.records
        && pack.octets().len() as u64 == entry.octets;
    if same {
        return Ok(());
    }
    Err(OpenError::OtherPack {
        path: pack.path().to_owned(),
    })
}

fn misfit(issuer: IssuerId, misfit: Misfit) -> OpenError {
    OpenError::Misfit { issuer, misfit }
}

/// Hashed when a generation is opened: some hundredths of a second. Larger deltas are left to the scrub.
pub const MOST_PROVEN_OCTETS: usize = 32 << 20;

#[cfg(feature = "publish")]
#[cfg(test)]
mod tests;
