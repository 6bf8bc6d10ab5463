//! Pushing: the newest generation of the local store into a bucket, whole, or the one that is there stays.
//!
//! ```text
//! 1 read the bucket's pointer, with its entity tag; ours already: done
//! 2 it lies on our own chain of manifests, or another publisher is at work: stop
//! 3 send the objects that are not there
//! 4 send the manifests since the bucket's, oldest first, ours last: a follower proves the chain by them
//! 5 replace the pointer, only if its entity tag is still that of 1; otherwise another publisher is at work: stop
//! ```
//!
//! Killed anywhere, the bucket's pointer names a generation that is whole, and the next push goes on where this one was. The
//! local store stays what it is without a bucket: generations are built and kept there, and the bucket is its mirror.
//!
//! One publisher a bucket is not a promise but a check, and the check needs a bucket that honours conditional writes: it is
//! asked to prove that before the first one matters.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use object_store::PutMode;

use super::sweep::Sweeps;
use super::upload::{Belief, Sent};
use super::{Bucket, BucketError, Fault, compare_and_swap};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::manifest::{MAX_MANIFEST_OCTETS, Previous, TrustedManifest};
use crate::seal::PublicKey;
use crate::store::{
    MAX_POINTER_OCTETS, Pointer, Store, manifest_name, read_bounded, trusted_manifest,
};

/// The one publisher of a bucket.
pub struct Pusher {
    pub(super) bucket: Bucket,
    pub(super) store: Store,
    pub(super) pins: Vec<PublicKey>,
    /// The bucket's pointer as we wrote or read it last.
    pub(super) standing: Option<Standing>,
    /// The operator's word that what the bucket holds may be replaced though it is not on our chain.
    take_over: Option<u64>,
    /// The operator's word that what the bucket says it has is not to be believed.
    again: bool,
    honours_conditions: bool,
    pub(super) sweeps: Sweeps,
    /// Told of the octets of each object once it is there.
    on_sent: Box<dyn Fn(u64) + Send>,
}

/// What the bucket's pointer says, and the tag it says it under.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) pointer: Option<Pointer>,
    tag: Option<String>,
    /// Objects that the generation it names consists of: they are there.
    pub(super) there: HashSet<Digest>,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The local store has no generation yet.
    Empty,
    /// The bucket has it already.
    Unchanged {
        /// Its number.
        number: u64,
    },
    /// The bucket's pointer moved.
    Moved {
        /// To this number.
        number: u64,
        /// Objects that were sent.
        files: u64,
        /// Their octets.
        octets: u64,
    },
}

/// Why a push ended before its end. The bucket's pointer names what it named.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A local file; the generation may have been retired meanwhile.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A local file is not what its name says.
    #[error("{} is damaged: {octets} octets (at least) with BLAKE3 {found}; it was not sent", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Octets that were read.
        octets: u64,
        /// Their hash.
        found: Digest,
    },
    /// The bucket's history is not ours.
    #[error(
        "another publisher is at work in {place}: its pointer names {theirs}, which is not on the way to our generation {ours}. One bucket has one publisher: stop one of them. After a restored backup, publish above its number (`hufu-loader publish --above NUMBER`) and say `hufu-loader push --take-over NUMBER`"
    )]
    OtherPublisher {
        /// The bucket.
        place: String,
        /// What its pointer names, for people.
        theirs: String,
        /// What we wanted it to name.
        ours: u64,
    },
    /// A bucket that overwrites whatever the condition.
    #[error(
        "{place} does not honour conditional writes (If-Match, If-None-Match), so two publishers could not be told apart; it cannot hold generations"
    )]
    Unconditional {
        /// The bucket.
        place: String,
    },
    /// The operator named another number than the bucket's.
    #[error("--take-over names {named}, and the pointer of {place} names {theirs}")]
    OtherTakeOver {
        /// What the operator said.
        named: u64,
        /// The bucket.
        place: String,
        /// What its pointer names.
        theirs: String,
    },
}

impl PushError {
    /// Whether trying again would be wrong: somebody has to look first.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            PushError::OtherPublisher { .. }
                | PushError::Unconditional { .. }
                | PushError::OtherTakeOver { .. }
        )
    }
}

impl Pusher {
    /// From a local store to a bucket. `pins` are the keys that seal the local store's generations, older ones included.
    pub fn new(bucket: Bucket, store: Store, pins: Vec<PublicKey>) -> Pusher {
        Pusher {
            bucket,
            store,
            pins,
            standing: None,
            take_over: None,
            again: false,
            honours_conditions: false,
            sweeps: Sweeps::default(),
            on_sent: Box::new(|_| ()),
        }
    }

    /// Tells `on_sent` the octets of each object once it is there.
    pub fn tell_sent(&mut self, on_sent: impl Fn(u64) + Send + 'static) {
        self.on_sent = Box::new(on_sent);
    }

    /// The operator's word that the next push sends everything, whatever the bucket says it has: an object was lost or
    /// altered there.
    pub fn send_again(&mut self) {
        self.again = true;
    }

    /// The operator's word that the bucket's generation `number` may be followed by ours, whatever its history is.
    pub fn take_over(&mut self, number: u64) {
        self.take_over = Some(number);
    }

    /// Where it pushes to, for people.
    pub fn place(&self) -> String {
        self.bucket.name.display().to_string()
    }

    /// Brings the bucket to the local store's newest generation.
    ///
    /// # Errors
    /// [`PushError::is_final`] ones must end the program; after any other a later call goes on.
    pub fn push(&mut self) -> Result<Pushed, PushError> {
        let Some(ours) = self.store.read_current(&self.pins)? else {
            return Ok(Pushed::Empty);
        };
        let pointer = pointer_of(&ours);
        let mut standing = self.standing(&ours)?;
        let is_there = standing.pointer == Some(pointer);
        if is_there && !self.again {
            self.standing = Some(standing);
            return Ok(Pushed::Unchanged {
                number: pointer.number,
            });
        }
        if self.again {
            standing.there.clear();
        }
        let between = match is_there {
            true => vec![pointer.number],
            false => self.way_from(standing.pointer, &ours)?,
        };
        let (files, octets) = self.send_objects(&ours, &standing.there)?;
        for number in between {
            self.send_manifest(number)?;
        }
        let tag = match is_there {
            true => standing.tag,
            false => self.move_pointer(pointer, standing.tag)?,
        };
        let there = names(&ours);
        self.sweeps.keep(&there);
        self.standing = Some(Standing {
            pointer: Some(pointer),
            tag,
            there,
        });
        self.take_over = None;
        self.again = false;
        Ok(Pushed::Moved {
            number: pointer.number,
            files,
            octets,
        })
    }

    /// What the bucket's pointer says: as remembered, or asked.
    fn standing(&mut self, ours: &TrustedManifest) -> Result<Standing, PushError> {
        if let Some(standing) = self.standing.take() {
            return Ok(standing);
        }
        self.prove_conditions()?;
        let Some((pointer, tag)) = self.read_pointer()? else {
            return Ok(Standing {
                pointer: None,
                tag: None,
                there: HashSet::new(),
            });
        };
        if pointer == pointer_of(ours) {
            let there = names(ours);
            let pointer = Some(pointer);
            return Ok(Standing {
                pointer,
                tag,
                there,
            });
        }
        // Only what we sealed is believed to be whole there; nothing, if the manifest was lost.
        let there = match self.read_theirs(pointer) {
            Ok(theirs) => names(&theirs),
            Err(PushError::Bucket(away)) if away.fault != Fault::Missing => return Err(away.into()),
            Err(_) => HashSet::new(),
        };
        Ok(Standing {
            pointer: Some(pointer),
            tag,
            there,
        })
    }

    fn read_pointer(&self) -> Result<Option<(Pointer, Option<String>)>, PushError> {
        let key = self.bucket.pointer_key();
        match self.bucket.get(&key, None, MAX_POINTER_OCTETS) {
            Err(BucketError {
                fault: Fault::Missing,
                words,
                ..
            }) if !words.contains("NoSuchBucket") => Ok(None),
            Err(error) => Err(error.into()),
            Ok(got) => {
                let path = self.bucket.name.join("current");
                Ok(Some((Pointer::read(&got.octets, &path)?, got.tag)))
            }
        }
    }

    /// The bucket's manifest, if it bears a seal we know.
    fn read_theirs(&self, pointer: Pointer) -> Result<TrustedManifest, PushError> {
        let key = self.bucket.manifest_key(pointer.number);
        let limit = MAX_MANIFEST_OCTETS as u64;
        let got = self.bucket.get(&key, None, limit)?;
        let path = PathBuf::from(self.bucket.place_of(&key));
        Ok(trusted_manifest(path, got.octets, pointer, &self.pins)?)
    }

    /// Numbers of the manifests after the bucket's up to ours, rising; refused if the bucket's is not on our chain.
    fn way_from(
        &self,
        theirs: Option<Pointer>,
        ours: &TrustedManifest,
    ) -> Result<Vec<u64>, PushError> {
        let mut numbers = vec![ours.manifest().number];
        let Some(theirs) = theirs else {
            return Ok(numbers);
        };
        let other = || self.other_publisher(Some(theirs), ours.manifest().number);
        if let Some(named) = self.take_over {
            return if named == theirs.number && theirs.number < ours.manifest().number {
                Ok(numbers)
            } else if named == theirs.number {
                Err(other())
            } else {
                Err(PushError::OtherTakeOver {
                    named,
                    place: self.place(),
                    theirs: theirs.number.to_string(),
                })
            };
        }
        let target = Previous {
            number: theirs.number,
            blake3: theirs.manifest,
        };
        let mut link = ours.manifest().previous;
        while let Some(previous) = link {
            if previous == target {
                numbers.reverse();
                return Ok(numbers);
            }
            if previous.number <= target.number {
                break;
            }
            // So long ago that we no longer have the way: believed if we sealed it.
            let Ok(manifest) = self.store.read_linked(previous) else {
                self.read_theirs(theirs).map_err(|error| match error {
                    // That the bucket cannot be asked now says nothing of whose it is.
                    PushError::Bucket(away) if away.fault != Fault::Missing => away.into(),
                    _ => other(),
                })?;
                tracing::warn!(missing = previous.number, theirs = theirs.number, place = %self.place(), "push: the chain is longer than the store keeps manifests");
                numbers.reverse();
                return Ok(numbers);
            };
            if numbers.len() < MAX_MANIFESTS_A_PUSH {
                numbers.push(previous.number);
            }
            link = manifest.previous;
        }
        Err(other())
    }

    fn other_publisher(&self, theirs: Option<Pointer>, ours: u64) -> PushError {
        let theirs = theirs.map_or("nothing".to_owned(), |theirs| {
            format!("generation {} ({})", theirs.number, theirs.manifest)
        });
        PushError::OtherPublisher {
            place: self.place(),
            theirs,
            ours,
        }
    }

    fn send_objects(
        &self,
        ours: &TrustedManifest,
        there: &HashSet<Digest>,
    ) -> Result<(u64, u64), PushError> {
        let (mut files, mut octets) = (0, 0);
        let belief = match self.again {
            true => Belief::Nothing,
            false => Belief::Lengths,
        };
        let mut done = HashSet::new();
        for entry in ours.manifest().files() {
            if there.contains(&entry.blake3) || !done.insert(entry.blake3) {
                continue;
            }
            let path = self.store.object(entry.blake3);
            if self.bucket.send_object(&entry, &path, belief)? == Sent::Now {
                files += 1;
                octets += entry.octets;
                (self.on_sent)(entry.octets);
            }
        }
        Ok((files, octets))
    }

    fn send_manifest(&self, number: u64) -> Result<(), PushError> {
        let path = self.store.manifest(number);
        let octets = read_bounded(&path, MAX_MANIFEST_OCTETS as u64)?;
        let key = self.bucket.manifest_key(number);
        let mode = match self.again {
            true => PutMode::Overwrite,
            false => PutMode::Create,
        };
        match self.bucket.put(&key, octets.clone(), mode) {
            Err(BucketError {
                fault: Fault::Condition,
                ..
            }) => {
                let limit = MAX_MANIFEST_OCTETS as u64;
                let there = self.bucket.get(&key, None, limit)?;
                if there.octets == octets {
                    return Ok(());
                }
                Err(PushError::OtherPublisher {
                    place: self.place(),
                    theirs: format!("a history with another {}", manifest_name(number)),
                    ours: number,
                })
            }
            other => other.map(drop).map_err(PushError::from),
        }
    }

    /// The one visible act; the pointer's new entity tag.
    fn move_pointer(
        &self,
        pointer: Pointer,
        tag: Option<String>,
    ) -> Result<Option<String>, PushError> {
        let key = self.bucket.pointer_key();
        let text = pointer.to_text().into_bytes();
        match self.bucket.put(&key, text, compare_and_swap(tag)) {
            Ok(Some(tag)) => Ok(Some(tag)),
            // Our own write whose answer was lost fails on itself when it is repeated.
            Ok(None)
            | Err(BucketError {
                fault: Fault::Condition,
                ..
            }) => match self.read_pointer()? {
                Some((there, tag)) if there == pointer => Ok(tag),
                other => {
                    let theirs = other.map(|(theirs, _)| theirs);
                    Err(self.other_publisher(theirs, pointer.number))
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the bucket to refuse two writes that it must refuse, on an object that means nothing.
    fn prove_conditions(&mut self) -> Result<(), PushError> {
        if self.honours_conditions {
            return Ok(());
        }
        let key = self.bucket.probe_key();
        let write = |mode| self.bucket.put(&key, PROBE.to_vec(), mode);
        write(PutMode::Overwrite)?;
        let modes = [
            PutMode::Create,
            compare_and_swap(Some("\"no-such-tag\"".to_owned())),
        ];
        for mode in modes {
            match write(mode) {
                Err(BucketError {
                    fault: Fault::Condition,
                    ..
                }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    return Err(PushError::Unconditional {
                        place: self.place(),
                    });
                }
            }
        }
        self.honours_conditions = true;
        Ok(())
    }
}

fn pointer_of(manifest: &TrustedManifest) -> Pointer {
    Pointer {
        number: manifest.manifest().number,
        manifest: manifest.blake3(),
    }
}

fn names(manifest: &TrustedManifest) -> HashSet<Digest> {
    manifest.manifest().file_names().collect()
}

/// What the object `conditions` holds: the publisher's question whether the bucket honours conditional writes.
pub(super) const PROBE: &[u8] =
    b"written by the publisher to see that conditional writes are honoured\n";
/// Manifests between the bucket's generation and ours that one push sends; older ones are missing from the chain, which
/// followers say.
const MAX_MANIFESTS_A_PUSH: usize = 10_000;
