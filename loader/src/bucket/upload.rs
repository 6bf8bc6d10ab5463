//! Objects on their way up: small ones in one write, large ones by parts, each hashed while it is read.
//!
//! An object that is there with the right length is not sent again, unless the operator knows better: its name is its hash,
//! and it was hashed on the way up.
//! A part is in memory until it has arrived; [`PARTS_AT_ONCE`] of them are, however large the object.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use object_store::path::Path as Key;
use object_store::{MultipartUpload, PutMode, PutMultipartOptions, PutPayload};
use tokio::task::JoinSet;

use super::push::PushError;
use super::{Bucket, BucketError, Fault, PIECE_OCTETS};
use crate::digest::Digest;
use crate::manifest::ObjectEntry;

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was there.
    Already,
    /// It is there now.
    Now,
}

/// What of the bucket's is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// An object of the right length is the right one.
    Lengths,
    /// Nothing: all is sent.
    Nothing,
}

impl Bucket {
    /// Makes sure that an object is in the bucket, from its file in the local store.
    pub(super) fn send_object(
        &self,
        entry: &ObjectEntry,
        path: &Path,
        belief: Belief,
    ) -> Result<Sent, PushError> {
        let key = self.object_key(entry.blake3);
        let there = match belief {
            Belief::Lengths => self.length(&key)?,
            Belief::Nothing => None,
        };
        let mode = match there {
            None if belief == Belief::Nothing => PutMode::Overwrite,
            Some(octets) if octets == entry.octets => return Ok(Sent::Already),
            // Nobody but a publisher writes here, and a publisher's writes are whole.
            Some(octets) => {
                let place = self.place_of(&key);
                tracing::warn!(%place, octets, expected = entry.octets, "push: an object has a wrong length and is replaced");
                PutMode::Overwrite
            }
            None => PutMode::Create,
        };
        let unreadable = |source| PushError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        // A file that grew is not read to its end.
        let mut file = file.take(entry.octets.saturating_add(1));
        if entry.octets > PIECE_OCTETS {
            self.send_parts(&key, entry, &mut file, path)?;
            return Ok(Sent::Now);
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(unreadable)?;
        check(entry, octets.len() as u64, Digest::of(&octets), path)?;
        match self.put(&key, octets, mode) {
            // Our own first try whose answer was lost, or a run that was killed: the name says what it is.
            Err(BucketError {
                fault: Fault::Condition,
                ..
            }) => Ok(Sent::Already),
            other => other.map(|_| Sent::Now).map_err(PushError::from),
        }
    }

    fn send_parts(
        &self,
        key: &Key,
        entry: &ObjectEntry,
        file: &mut dyn Read,
        path: &Path,
    ) -> Result<(), PushError> {
        let failed = |error| PushError::from(self.failed("write", key, &error));
        let options = PutMultipartOptions {
            attributes: self.caching(key),
            ..PutMultipartOptions::default()
        };
        let mut upload = self
            .runtime
            .block_on(self.store.put_multipart_opts(key, options))
            .map_err(failed)?;
        let outcome = self.runtime.block_on(async {
            let parts = send_each_part(upload.as_mut(), entry, file, path);
            parts.await.map_err(|stop| match stop {
                Stop::Local(error) => *error,
                Stop::Bucket(error) => failed(error),
            })?;
            upload.complete().await.map_err(failed)
        });
        if outcome.is_err() {
            // Parts of an upload that never ends are paid for until the bucket's own rules remove them.
            let _ = self.runtime.block_on(upload.abort());
        }
        outcome.map(drop)
    }
}

/// Why an upload by parts stops.
enum Stop {
    Local(Box<PushError>),
    Bucket(object_store::Error),
}

async fn send_each_part(
    upload: &mut dyn MultipartUpload,
    entry: &ObjectEntry,
    file: &mut dyn Read,
    path: &Path,
) -> Result<(), Stop> {
    let part_octets = PIECE_OCTETS.max(entry.octets.div_ceil(MAX_PARTS));
    let mut hasher = blake3::Hasher::new();
    let mut octets = 0;
    let mut under_way = JoinSet::new();
    loop {
        let part = read_part(file, part_octets).map_err(|source| {
            Stop::Local(Box::new(PushError::Unreadable {
                path: path.to_owned(),
                source,
            }))
        })?;
        if part.is_empty() {
            break;
        }
        octets += part.len() as u64;
        hasher.update(&part);
        if under_way.len() >= PARTS_AT_ONCE {
            arrived(under_way.join_next().await)?;
        }
        under_way.spawn(upload.put_part(PutPayload::from(part)));
    }
    while !under_way.is_empty() {
        arrived(under_way.join_next().await)?;
    }
    // Before the parts become an object: one that is not what its name says must never be there.
    let found = Digest::from(hasher.finalize());
    check(entry, octets, found, path).map_err(|error| Stop::Local(Box::new(error)))
}

fn arrived(
    part: Option<Result<object_store::Result<()>, tokio::task::JoinError>>,
) -> Result<(), Stop> {
    match part {
        None => Ok(()),
        Some(Ok(sent)) => sent.map_err(Stop::Bucket),
        Some(Err(error)) => Err(Stop::Bucket(error.into())),
    }
}

/// The next octets, as many as a part has, fewer only at the end.
fn read_part(file: &mut dyn Read, part_octets: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(part_octets).read_to_end(&mut part)?;
    Ok(part)
}

/// The local file is still what the manifest says.
fn check(entry: &ObjectEntry, octets: u64, found: Digest, path: &Path) -> Result<(), PushError> {
    if octets == entry.octets && found == entry.blake3 {
        return Ok(());
    }
    Err(PushError::Damaged {
        path: path.to_owned(),
        octets,
        found,
    })
}

/// Parts of an object in flight: with the one being read, 40 MiB.
const PARTS_AT_ONCE: usize = 4;
/// S3 takes 10,000 parts an object.
const MAX_PARTS: u64 = 9_000;
