//! Whether a batch fits the packs that it would stand beside, of its own issuer and of others.

use wire::batch::{Header, Kind};

use super::Draft;
use crate::import::admit::Candidate;
use crate::import::batch::BatchRefusal;
use crate::import::certificate::Certificate;
use crate::manifest::Role;
use crate::pack::Pack;
use crate::publish::HashKeys;
use crate::store::Store;

impl Draft {
    /// Two issuers of one name and one key, told apart by the key's algorithm identifier only, would answer to the same
    /// `CertID`s.
    pub(super) fn check_issuer(
        &self,
        store: &Store,
        candidate: &Candidate,
    ) -> Result<(), BatchRefusal> {
        let mut seen = vec![candidate.header.issuer_id];
        for (entry, path) in self.with_paths(store) {
            let is_pack = matches!(entry.role, Role::Base(_) | Role::Delta(_));
            if !is_pack || seen.contains(&entry.issuer.0) {
                continue;
            }
            // What cannot be opened is passed over: the next one of its issuer says the same.
            let Ok(pack) = Pack::open(&path) else {
                continue;
            };
            seen.push(entry.issuer.0);
            let other = Certificate::from_der(&pack.shared().issuer_certificate).ok();
            let answers_alike = other.is_some_and(|other| {
                other.subject == candidate.issuer.subject
                    && other.key_bits == candidate.issuer.key_bits
            });
            if answers_alike && candidate.header.kind != Kind::Documents {
                return Err(BatchRefusal::SameCertId {
                    other: entry.issuer.0.to_string(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn check_packs(
        &self,
        store: &Store,
        known: &HashKeys,
        header: &Header,
    ) -> Result<(), BatchRefusal> {
        if header.kind == Kind::Shard {
            let base = self
                .entries_of(header.issuer_id)
                .find_map(|entry| match &entry.role {
                    Role::Base(note) => Some(note.shards),
                    _ => None,
                });
            if let Some(base) = base.filter(|&base| base != header.shards) {
                return Err(BatchRefusal::OtherShards {
                    batch: header.shards,
                    base,
                });
            }
        }
        let age = (header.revision, header.number);
        let stays = |role: &Role| match (header.kind, role) {
            (Kind::Documents, _) | (_, Role::Crl(_) | Role::Certificate(_)) => false,
            (Kind::Full, Role::Base(_)) => false,
            (Kind::Full, Role::Delta(note)) => (note.revision, note.batch) > age,
            (Kind::Shard | Kind::Delta, Role::Base(_) | Role::Delta(_)) => true,
        };
        let mut own = self.entries_of(header.issuer_id);
        if !own.any(|entry| stays(&entry.role)) {
            return Ok(());
        }
        // Those that are there agree among themselves: one that opens is enough, also one that goes.
        let packs = self.with_paths(store).filter(|(entry, _)| {
            let is_pack = matches!(entry.role, Role::Base(_) | Role::Delta(_));
            entry.issuer.0 == header.issuer_id && is_pack
        });
        // What has rotted since it was published was read then.
        let mut key = known.get(&header.issuer_id).copied();
        let mut why = None;
        for (_, path) in packs {
            match Pack::open(&path) {
                Ok(pack) => {
                    key = Some(*pack.hash_key());
                    break;
                }
                Err(error) => why = why.or(Some(error)),
            }
        }
        match (key, why) {
            (Some(key), _) if key != header.hash_key => Err(BatchRefusal::OtherHashKey),
            (None, Some(why)) => Err(BatchRefusal::NothingOpens(why)),
            _ => Ok(()),
        }
    }
}
