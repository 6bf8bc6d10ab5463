//! Opening the next generation as a responder will, before anything points at it.
//!
//! What it brings must open. What stands since the generation before was opened when it was published, and lies sound with
//! the edges: one that has rotted here since is left out and said, for it must not keep a revocation from them.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::{OpenError, sentence};
use crate::manifest::{Manifest, TrustedManifest};
use crate::snapshot::Snapshot;
use crate::store::Store;

/// A generation that could be opened.
pub(super) struct Rehearsal {
    pub(super) snapshot: Snapshot,
    damaged: BTreeSet<Digest>,
}

impl Rehearsal {
    /// Opens `next`. What was opened in `before` and is still in place is not opened again: a revocation must not cost the
    /// more, the more shards there are.
    pub(super) fn of(
        store: &Store,
        next: &TrustedManifest,
        current: Option<&Manifest>,
        before: Option<&Rehearsal>,
    ) -> Result<Self, OpenError> {
        let mut damaged = BTreeSet::new();
        let opened = before.map(|before| &before.snapshot);
        let snapshot = Snapshot::assemble_unless(store, next.clone(), opened, |entry, error| {
            if !current.is_some_and(|current| current.objects.contains(entry)) {
                return Err(error);
            }
            let is_known = before.is_some_and(|before| before.damaged.contains(&entry.blake3));
            if damaged.insert(entry.blake3) && !is_known {
                tracing::error!(
                    name = %entry.name,
                    reason = %sentence(&error),
                    "publish: a file of the store is damaged; edges have it, and what comes is published: copy it back from the bucket or from an edge's objects/, under another name first (then mv), or have all of its issuer signed anew (hufu signer sign --all)"
                );
            }
            Ok(())
        })?;
        Ok(Self { snapshot, damaged })
    }

    /// Names of files that it was opened without.
    pub(super) fn damaged(&self) -> &BTreeSet<Digest> {
        &self.damaged
    }
}
