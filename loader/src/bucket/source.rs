//! Reading a bucket as a follower does: the pointer only if it changed, manifests whole, objects by pieces.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path as Key;

use super::client::Caches;
use super::{Bucket, BucketError, Fault, Got, PIECE_OCTETS};
use crate::error::StoreError;
use crate::follow::{Opened, Source};
use crate::manifest::{MAX_MANIFEST_OCTETS, ObjectEntry};
use crate::store::{MAX_POINTER_OCTETS, Pointer};

/// A bucket to follow. Remembers the pointer it read last, so that asking again costs a "not modified".
pub struct BucketSource {
    bucket: Arc<Bucket>,
    last: Mutex<Option<(String, Pointer)>>,
    caches: Caches,
    /// The same, past the caches.
    past: Option<Box<BucketSource>>,
}

impl BucketSource {
    /// Over a bucket; no request is sent.
    pub fn new(bucket: Bucket) -> BucketSource {
        let bucket = Arc::new(bucket);
        let past = BucketSource::by(Arc::clone(&bucket), Caches::MustAsk);
        BucketSource {
            past: Some(Box::new(past)),
            ..BucketSource::by(bucket, Caches::MayAnswer)
        }
    }

    fn by(bucket: Arc<Bucket>, caches: Caches) -> BucketSource {
        BucketSource {
            bucket,
            last: Mutex::new(None),
            caches,
            past: None,
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
            .get(&self.bucket.pointer_key(), tag, MAX_POINTER_OCTETS)
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
        let got = self.bucket.get_kept(&key, None, self.caches, limit);
        let got = got.map_err(|error| error.into_store(&self.manifest_path(number)))?;
        Ok(got.octets)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        let mut pieces = Pieces {
            source: self,
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

    fn past_caches(&self) -> Option<&dyn Source> {
        self.past.as_deref().map(|past| past as &dyn Source)
    }
}

/// An object, piece by piece.
struct Pieces<'s> {
    source: &'s BucketSource,
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
        let BucketSource { bucket, caches, .. } = self.source;
        let Got { octets, total, .. } = bucket
            .get_kept(&self.key, range, *caches, PIECE_OCTETS)
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::bucket::{Access, Place};
    use crate::digest::Digest;
    use crate::manifest::{DocumentNote, IssuerHex, Role};

    // RFC 9111 §5.2.1.4: no cache may answer a request that says no-cache without asking the store.
    #[test]
    fn a_cache_on_the_way_answers_for_the_store() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place: Place = format!("http://{}/city", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 4096];
                let octets = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..octets]).to_ascii_lowercase();
                let body = match head.contains("cache-control: no-cache") {
                    true => "right",
                    false => "wrong",
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let access = Access {
            allow_http: true,
            ..Access::default()
        };
        let source = BucketSource::new(Bucket::open(&place, &access).unwrap());
        let entry = ObjectEntry {
            blake3: Digest::of(b"right"),
            octets: 5,
            name: "x.cer".to_owned(),
            issuer: IssuerHex(wire::cert_id::IssuerId([0; 16])),
            role: Role::Certificate(DocumentNote {
                last_modified: 0,
                expires: None,
                list: None,
                encodings: Vec::new(),
            }),
        };
        let read = |source: &dyn Source| {
            let mut octets = String::new();
            let opened = source.open(&entry, 0).unwrap();
            { opened.rest }.read_to_string(&mut octets).unwrap();
            octets
        };
        assert_eq!(read(&source), "wrong");
        assert_eq!(source.manifest(1).unwrap(), b"wrong");
        let past = source.past_caches().unwrap();
        assert_eq!(read(past), "right");
        assert_eq!(past.manifest(1).unwrap(), b"right");
        assert!(past.past_caches().is_none());
    }
}
