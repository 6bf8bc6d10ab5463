//! What stays and what goes: the files of recent generations, and the manifests that prove the chain.

use std::collections::HashMap;

use wire::time::UnixSeconds;

use super::plan::Step;
use super::{PublishError, Publisher, names};
use crate::digest::Digest;
use crate::manifest::{Manifest, TrustedManifest};
use crate::seal::PublicKey;
use crate::store::{Pointer, Store};

/// Where in the history an object was named last.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastNamed {
    /// In this generation.
    pub(super) number: u64,
    /// Which was the newest until then; none for the current one.
    pub(super) until: Option<UnixSeconds>,
}

impl LastNamed {
    /// Whether a follower may still be copying it when `next` comes out.
    pub(super) fn is_recent(self, next: &Manifest) -> bool {
        let until = self.until.unwrap_or(next.sealed_at);
        self.number.saturating_add(KEEP_OBJECTS_OF) > next.number
            || until.saturating_add(KEEP_OBJECTS_SECS) > next.sealed_at
    }
}

/// Reads the history back from the current generation for as long as its files are kept.
pub(super) fn last_named(
    store: &Store,
    pins: &[PublicKey],
    current: Option<&TrustedManifest>,
) -> HashMap<Digest, LastNamed> {
    let mut last_named = HashMap::new();
    let mut next = current.cloned();
    let mut until = None;
    while let Some(trusted) = next.take() {
        let manifest = trusted.manifest();
        let last = LastNamed {
            number: manifest.number,
            until,
        };
        if current.is_some_and(|current| !last.is_recent(current.manifest())) {
            break;
        }
        for name in manifest.file_names() {
            last_named.entry(name).or_insert(last);
        }
        until = Some(manifest.sealed_at);
        let pointer = manifest.previous.map(|previous| Pointer {
            number: previous.number,
            manifest: previous.blake3,
        });
        // An older manifest that is gone, or sealed by a key long retired, protects nothing any more.
        next = pointer.and_then(|pointer| store.read_manifest(pointer, pins).ok());
    }
    last_named
}

impl Publisher<'_> {
    /// Plans to unlink what no recent generation needs.
    pub(super) fn plan_retirement(
        &self,
        next: &TrustedManifest,
        steps: &mut Vec<Step>,
    ) -> Result<(), PublishError> {
        let named = names(next.manifest());
        let is_kept = |digest: &Digest| {
            let last = self.last_named.get(digest);
            named.contains(digest) || last.is_some_and(|last| last.is_recent(next.manifest()))
        };
        let objects = self.store.object_digests()?;
        let unnamed = objects.into_iter().filter(|digest| !is_kept(digest));
        steps.extend(unnamed.map(|digest| Step::Retire {
            path: self.store.object(digest),
        }));
        let current = self.current().map_or(0, |manifest| manifest.number);
        let keep = (KEEP_MANIFEST_OCTETS / next.octets().len())
            .clamp(KEEP_MANIFESTS_AT_LEAST, KEEP_MANIFESTS);
        let oldest_kept = self.manifests.len().saturating_sub(keep);
        let gone = self.manifests.iter().enumerate().filter(|(place, number)| {
            // Above the pointer lie only manifests of killed runs, which nobody was ever pointed at.
            *place < oldest_kept || **number > current
        });
        steps.extend(gone.map(|(_, number)| Step::Retire {
            path: self.store.manifest(*number),
        }));
        Ok(())
    }
}

/// A follower this many generations behind still finds every object of the one it is copying.
pub const KEEP_OBJECTS_OF: u64 = 16;
/// And so does one that began to copy the newest generation this long ago, however many came since.
pub const KEEP_OBJECTS_SECS: u64 = 600;
/// Manifests outlive packs, so that a follower can prove the chain after a long absence: a day of one every second.
pub const KEEP_MANIFESTS: usize = 100_000;
/// Manifests that name very much are kept only until they fill this,
const KEEP_MANIFEST_OCTETS: usize = 1 << 30;
/// but never fewer.
const KEEP_MANIFESTS_AT_LEAST: usize = 1000;
