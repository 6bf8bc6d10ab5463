//! Reading a bucket as a follower does: the pointer only if it changed, manifests whole, objects by pieces.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use object_store::path::Path as Key;

use super::{Bucket, BucketError, Fault, Got, PIECE_OCTETS};
use crate::error::StoreError;
use crate::follow::{Opened, Source};
use crate::manifest::{MAX_MANIFEST_OCTETS, ObjectEntry};
use crate::store::{MAX_POINTER_OCTETS, Pointer};

/// A bucket to follow. Remembers the pointer it read last, so that asking again costs a "not modified".
pub struct BucketSource {
    bucket: Bucket,
    last: Mutex<Option<(String, Pointer)>>,
}

impl BucketSource {
    /// Over a bucket; no request is sent.
    pub fn new(bucket: Bucket) -> BucketSource {
        BucketSource {
            bucket,
            last: Mutex::new(None),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, Pointer)>> {
        // Replaced whole: a thread that panicked has left nothing half-done.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for BucketSource {
    fn root(&self) -> &Path {
        &self.bucket.name
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        let path = self.root().join("current");
        let last = self.last().clone();
        let tag = last.as_ref().map(|(tag, _)| tag.clone());
        let got = match self
            .bucket
            .get(&self.bucket.pointer_key(), None, tag, MAX_POINTER_OCTETS)
        {
            Err(BucketError {
                fault: Fault::Unchanged,
                ..
            }) => return Ok(last.map(|(_, pointer)| pointer)),
            Err(BucketError {
                fault: Fault::Missing,
                words,
                ..
            }) if !words.contains("NoSuchBucket") => {
                *self.last() = None;
                return Ok(None);
            }
            other => other.map_err(|error| error.into_store(&path))?,
        };
        let pointer = Pointer::read(&got.octets, &path)?;
        *self.last() = got.tag.map(|tag| (tag, pointer));
        Ok(Some(pointer))
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        let key = self.bucket.manifest_key(number);
        let limit = MAX_MANIFEST_OCTETS as u64;
        let got = self.bucket.get(&key, None, None, limit);
        let got = got.map_err(|error| error.into_store(&self.manifest_path(number)))?;
        Ok(got.octets)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        let mut pieces = Pieces {
            bucket: &self.bucket,
            key: self.bucket.object_key(entry.blake3),
            next: from,
            end: entry.octets,
            piece: Vec::new(),
            at: 0,
        };
        let octets = pieces.fetch()?;
        Ok(Opened {
            octets,
            rest: Box::new(pieces),
        })
    }
}

/// An object, piece by piece.
struct Pieces<'b> {
    bucket: &'b Bucket,
    key: Key,
    /// Where the next piece begins, and where the last one ends.
    next: u64,
    end: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Pieces<'_> {
    /// Fetches the next piece; how long the object is.
    fn fetch(&mut self) -> io::Result<u64> {
        let end = self.end.min(self.next.saturating_add(PIECE_OCTETS));
        // A whole small object needs no range, and some web servers know none.
        let whole = self.next == 0 && end == self.end;
        let range = (!whole).then_some(self.next..end);
        let Got { octets, total, .. } = self
            .bucket
            .get(&self.key, range, None, PIECE_OCTETS)
            .map_err(BucketError::into_io)?;
        self.next += octets.len() as u64;
        self.piece = octets;
        self.at = 0;
        Ok(total)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && self.next < self.end {
            let before = self.next;
            self.fetch()?;
            if self.next == before {
                return Ok(0);
            }
        }
        let rest = &self.piece[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
