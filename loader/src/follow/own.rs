//! The three small files by which an edge knows what it has: the manifest in place, `highest`, and the pointer. They are
//! written in this order, and again when one of them rots.

use std::path::Path;

use super::{Follower, Refusal};
use crate::durable::{Audience, write_whole};
use crate::error::{StoreError, sentence};
use crate::manifest::TrustedManifest;
use crate::store::{Pointer, Store, read_bounded};

/// The highest generation ever accepted at an edge. The one in place was accepted, whatever became of the file; if that
/// has rotted, it is all there is to go by: what was accepted above it was cut short before it was in place.
pub(super) fn highest(
    edge: &Store,
    current: Option<&TrustedManifest>,
) -> Result<Option<Pointer>, StoreError> {
    let in_place = current.map(pointer_of);
    let written = match (edge.read_highest(), in_place) {
        (Err(error @ (StoreError::BadPointer { .. } | StoreError::TooLong { .. })), Some(_)) => {
            tracing::warn!(reason = %sentence(&error), "follow: going by the generation in place");
            None
        }
        (read, _) => read?,
    };
    let below = |written: &Pointer| in_place.is_some_and(|here| written.number < here.number);
    Ok(written.filter(|written| !below(written)).or(in_place))
}

fn pointer_of(manifest: &TrustedManifest) -> Pointer {
    Pointer {
        number: manifest.manifest().number,
        manifest: manifest.blake3(),
    }
}

impl Follower<'_> {
    /// Makes a fetched generation the one in place. Killed between two files, the next poll does it again.
    pub(super) fn accept(
        &mut self,
        next: &TrustedManifest,
        pointer: Pointer,
    ) -> Result<(), Refusal> {
        let text = pointer.to_text();
        let manifest = self.edge.manifest(pointer.number);
        self.write_own("manifest", &manifest, next.octets())?;
        self.write_own("highest", &self.edge.highest(), text.as_bytes())?;
        self.highest = Some(pointer);
        self.accepted_fork = None;
        self.write_own("current", &self.edge.pointer(), text.as_bytes())?;
        self.current = Some(next.clone());
        Ok(())
    }

    /// Writes again what of the three files is not what was accepted: a bit flipped, or somebody removed it. The responder
    /// serves on from its maps, and would find nothing to open if it were started now. Says which files.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn mend(&self) -> Result<Vec<&'static str>, Refusal> {
        let mut mended = Vec::new();
        if let Some(current) = &self.current {
            let pointer = pointer_of(current);
            let manifest = self.edge.manifest(pointer.number);
            self.mend_one("manifest", &manifest, current.octets(), &mut mended)?;
            let text = pointer.to_text();
            self.mend_one(
                "current",
                &self.edge.pointer(),
                text.as_bytes(),
                &mut mended,
            )?;
        }
        if let Some(highest) = self.highest {
            let text = highest.to_text();
            self.mend_one(
                "highest",
                &self.edge.highest(),
                text.as_bytes(),
                &mut mended,
            )?;
        }
        Ok(mended)
    }

    fn mend_one(
        &self,
        name: &'static str,
        path: &Path,
        octets: &[u8],
        mended: &mut Vec<&'static str>,
    ) -> Result<(), Refusal> {
        let found = read_bounded(path, octets.len() as u64);
        if found.is_ok_and(|found| found == octets) {
            return Ok(());
        }
        self.write_own(name, path, octets)?;
        mended.push(name);
        Ok(())
    }

    fn write_own(&self, name: &str, path: &Path, octets: &[u8]) -> Result<(), Refusal> {
        let temp = self.edge.temp().join(name);
        write_whole(self.disk, &temp, path, octets, Audience::Everyone)?;
        Ok(())
    }
}
