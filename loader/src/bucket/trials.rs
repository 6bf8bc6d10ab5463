//! Pushing into, and sweeping, a bucket in memory: what goes, what stays, and whose word counts.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{Attribute, ObjectStoreExt as _, PutPayload};
use tempfile::TempDir;
use wire::cert_id::IssuerId;

use super::push::{PushError, Pushed, Pusher};
use super::{Bucket, Keep};
use crate::durable::FsDisk;
use crate::object::{DocumentKind, NewDocument, seal_document};
use crate::publish::{Edition, Publisher};
use crate::seal::SealKey;
use crate::store::Store;

/// A publisher's store, and a bucket.
struct Rig {
    folder: TempDir,
    pkcs8: Vec<u8>,
    memory: Arc<InMemory>,
}

impl Rig {
    fn new() -> Rig {
        let (_, pkcs8) = SealKey::generate().unwrap();
        Rig {
            folder: tempfile::tempdir().unwrap(),
            pkcs8,
            memory: Arc::new(InMemory::new()),
        }
    }

    fn store(&self) -> Store {
        Store::at(self.folder.path().join("store"))
    }

    fn key(&self) -> SealKey {
        SealKey::from_pkcs8(&self.pkcs8, Path::new("test")).unwrap()
    }

    fn pusher(&self) -> Pusher {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let bucket = Bucket {
            runtime,
            store: self.memory.clone(),
            prefix: Key::from("city"),
            name: "s3://memory/city".into(),
        };
        Pusher::new(bucket, self.store(), vec![self.key().public()])
    }

    /// A generation of these documents, sealed then.
    fn publish(&self, sealed_at: u64, documents: &[&str]) -> u64 {
        let mut publisher = Publisher::open(&FsDisk, self.store(), self.key(), &[]).unwrap();
        let added = documents.iter().enumerate().map(|(place, text)| {
            let document = NewDocument {
                kind: DocumentKind::Certificate,
                name: &format!("{place}.cer"),
                issuer: IssuerId([0; 16]),
                last_modified: 0,
                expires: None,
                octets: text.as_bytes(),
            };
            seal_document(&FsDisk, publisher.store(), &document).unwrap()
        });
        let edition = Edition {
            added: added.collect(),
            kept: Vec::new(),
            ..publisher.same_again(sealed_at)
        };
        publisher.publish(&edition).unwrap().number
    }

    fn key_of(&self, text: &str) -> Key {
        let digest = crate::digest::Digest::of(text.as_bytes()).to_string();
        Key::from(format!("city/objects/{digest}"))
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    fn has(&self, text: &str) -> bool {
        let key = self.key_of(text);
        self.block_on(self.memory.head(&key)).is_ok()
    }

    fn read(&self, key: &Key) -> Vec<u8> {
        let got = self.block_on(async { self.memory.get(key).await.unwrap().bytes().await });
        got.unwrap().to_vec()
    }

    fn write(&self, key: &Key, octets: &[u8]) {
        let payload = PutPayload::from(octets.to_vec());
        self.block_on(self.memory.put(key, payload)).unwrap();
    }
}

#[test]
fn a_cache_keeps_the_pointer_or_asks_for_what_never_changes() {
    let rig = Rig::new();
    // One that goes by parts, and one that does not.
    let long = "long ".repeat(2 << 20);
    rig.publish(1000, &["one", &long]);
    rig.pusher().push().unwrap();
    let says = |key: &Key| {
        let got = rig.block_on(rig.memory.get(key)).unwrap();
        let words = got.attributes.get(&Attribute::CacheControl);
        words.map(|words| words.as_ref().to_owned()).unwrap()
    };
    assert_eq!(says(&Key::from("city/current")), "no-cache");
    let manifest = Key::from("city/manifests/00000000000000000001.manifest");
    for key in [manifest, rig.key_of("one"), rig.key_of(&long)] {
        assert!(says(&key).ends_with("immutable"), "{key}");
    }
}

/// Sweeps to the end; how many files went.
fn sweep(pusher: &mut Pusher, objects_secs: u64, now: u64) -> u64 {
    let keep = Keep {
        objects_secs,
        manifests_secs: 0,
    };
    let mut gone = 0;
    for _ in 0..100 {
        let swept = pusher.sweep(keep, now).unwrap();
        gone += swept.gone;
        if swept.is_done {
            return gone;
        }
    }
    panic!("a sweep without end")
}

/// Far ahead of every clock.
const AHEAD: u64 = 9_000_000_000;

#[test]
fn a_sweep_leaves_what_is_old_or_takes_what_is_named() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    let generations = ["one", "two", "three", "four", "five"];
    for (place, text) in generations.iter().enumerate() {
        rig.publish(1000 + place as u64, &[*text, "always"]);
        assert!(matches!(pusher.push().unwrap(), Pushed::Moved { .. }));
    }
    // Four objects, and the manifests of their generations.
    assert_eq!(sweep(&mut pusher, 0, AHEAD), 8);
    for text in &generations[..4] {
        assert!(!rig.has(text), "{text}");
    }
    assert!(rig.has("five") && rig.has("always"));
    // Not again within the hour.
    assert_eq!(sweep(&mut pusher, 0, AHEAD + 3599), 0);
}

#[test]
fn a_clock_that_is_ahead_takes_what_followers_fetch() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    for (sealed_at, text) in [(1000, "one"), (2000, "two")] {
        rig.publish(sealed_at, &[text]);
        pusher.push().unwrap();
    }
    // Our clock says that all this is a century old; the bucket's that it was written a moment ago.
    assert_eq!(sweep(&mut pusher, 3600, AHEAD), 0);
    assert!(rig.has("one"));
}

#[test]
fn what_the_buckets_pointer_names_goes_because_the_store_is_further() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    rig.publish(1000, &["one"]);
    pusher.push().unwrap();
    rig.publish(2000, &["two"]);
    rig.publish(3000, &["three"]);
    assert_eq!(sweep(&mut pusher, 0, AHEAD), 0);
    assert!(rig.has("one"));
}

#[test]
fn what_is_pushed_in_the_middle_of_a_sweep_goes_with_it() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    let generations = [
        (1000, "one"),
        (1001, "two"),
        (1002, "three"),
        (AHEAD, "four"),
    ];
    for (sealed_at, text) in generations {
        rig.publish(sealed_at, &[text]);
        pusher.push().unwrap();
    }
    let keep = Keep {
        objects_secs: 0,
        manifests_secs: 0,
    };
    // The history was read: nobody needs "two" any more. Now somebody does.
    let first = pusher.sweep(keep, AHEAD).unwrap();
    assert_eq!((first.gone, first.is_done), (0, false));
    rig.publish(AHEAD + 1, &["two"]);
    pusher.push().unwrap();
    rig.publish(AHEAD + 2, &["five"]);
    pusher.push().unwrap();
    sweep(&mut pusher, 0, AHEAD);
    assert!(rig.has("two") && rig.has("three") && rig.has("five"));
    assert!(!rig.has("one"));
}

#[test]
fn a_file_that_was_lost_or_altered_is_never_sent_again() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    rig.publish(1000, &["one", "two"]);
    pusher.push().unwrap();
    let manifest = Key::from("city/manifests/00000000000000000001.manifest");
    let sound = rig.read(&manifest);
    rig.write(&rig.key_of("one"), b"eno");
    rig.block_on(rig.memory.delete(&rig.key_of("two"))).unwrap();
    rig.write(&manifest, b"torn");
    assert_eq!(pusher.push().unwrap(), Pushed::Unchanged { number: 1 });
    pusher.send_again();
    let sent = pusher.push().unwrap();
    assert!(
        matches!(
            sent,
            Pushed::Moved {
                number: 1,
                files: 2,
                ..
            }
        ),
        "{sent:?}"
    );
    assert_eq!(rig.read(&rig.key_of("one")), b"one");
    assert!(rig.has("two"));
    assert_eq!(rig.read(&manifest), sound);
    // Asked for once.
    assert_eq!(pusher.push().unwrap(), Pushed::Unchanged { number: 1 });
}

#[test]
fn a_pointer_that_another_moved_is_overwritten() {
    let rig = Rig::new();
    let mut pusher = rig.pusher();
    rig.publish(1000, &["one"]);
    pusher.push().unwrap();
    let pointer = Key::from("city/current");
    let theirs = format!("7\n{}\n", crate::digest::Digest::of(b"theirs"));
    rig.write(&pointer, theirs.as_bytes());
    rig.publish(2000, &["two"]);
    let error = pusher.push().unwrap_err();
    assert!(error.is_final(), "{error}");
    assert_eq!(rig.read(&pointer), theirs.as_bytes());
    // And found at the start as well.
    let error = rig.pusher().push().unwrap_err();
    assert!(matches!(error, PushError::OtherPublisher { .. }), "{error}");
}
