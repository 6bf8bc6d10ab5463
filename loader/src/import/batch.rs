//! The signer's batch file (`wire::batch`), read once from front to back.
//!
//! Octets are hashed as they are read; records are handed out as they come, so that packs are built on the way. What was
//! built counts only once [`BatchReader::finish`] has compared hash and signature at the end: it gives the token without
//! which nothing is published. A torn or flipped file costs some work in a temporary folder, nothing more.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use wire::DecodeError;
use wire::batch::{self, Header, PREFIX_OCTETS, TRAILER_HASH_OCTETS, TRAILER_OCTETS};
use wire::record::RecordLayout;
use wire::time::UnixSeconds;

use super::agree::Disagreement;
use super::guard::RecordFault;
use super::refusal::CrlRefusal;
use super::responder::ResponderFault;
use super::witness::WitnessFault;
use crate::pack::{PackError, WriteError};
use crate::seal::PublicKey;
use crate::staged::{StagedError, rfc3339};

/// Why a batch was set aside.
#[derive(Debug, thiserror::Error)]
pub enum BatchRefusal {
    /// It could not be read to its end.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// The header is not one.
    #[error("its header, {0}")]
    Header(DecodeError),
    /// Its length is not what its header says: torn, or something was appended.
    #[error("it has {found} octets, its header says {expected}")]
    Length {
        /// On disk.
        found: u64,
        /// From the header.
        expected: u64,
    },
    /// An octet changed since it was written.
    #[error("its BLAKE3 differs from the one in its trailer")]
    Hash,
    /// The trailer is not signed by the pinned signer.
    #[error("its trailer is not signed by the pinned batch key")]
    NotSigned,
    /// It lies in another issuer's folder, or under another number.
    #[error("it says it is number {number} of issuer {issuer}, which is not where it lies")]
    Misplaced {
        /// The number in the header.
        number: u64,
        /// The issuer in the header.
        issuer: String,
    },
    /// Not above what was taken before.
    #[error("its number {number} is not above {last}, the last one of its kind that was taken")]
    LowerNumber {
        /// Its number.
        number: u64,
        /// The last one taken.
        last: u64,
    },
    /// The registry never goes backwards.
    #[error("its revision {revision} is below {last}, which was taken before")]
    LowerRevision {
        /// Its revision.
        revision: u64,
        /// The revision reached.
        last: u64,
    },
    /// Records that nothing could be asked about.
    #[error("it names no variant")]
    NoVariants,
    /// Its shards are not those of the base packs.
    #[error("it is of {batch} shards, the base packs are of {base}; a full batch must come first")]
    OtherShards {
        /// Its own.
        batch: u32,
        /// What is published.
        base: u32,
    },
    /// Its serials are spread by another key than those it would stand beside.
    #[error(
        "its hash key is not that of the packs it would stand beside; a full batch must come first"
    )]
    OtherHashKey,
    /// Every pack of its issuer is damaged.
    #[error(
        "no pack of its issuer can be opened, so nobody can tell whether it fits them; copy this one back from the bucket or from an edge's objects/"
    )]
    NothingOpens(#[source] PackError),
    /// Another issuer answers to the same `CertID`s.
    #[error(
        "issuer {other} has the same name and the same key bits under another algorithm: nobody could tell whose answer it is"
    )]
    SameCertId {
        /// The other's id.
        other: String,
    },
    /// Signed by a clock that runs ahead of ours. Time mends it.
    #[error(
        "window {window} begins or was signed at {}, more than five minutes after our clock's {}; check both clocks", rfc3339(*.at), rfc3339(*.now)
    )]
    ClockBehind {
        /// Number in the table, from 0.
        window: usize,
        /// The later of its thisUpdate and producedAt.
        at: UnixSeconds,
        /// Our clock.
        now: UnixSeconds,
    },
    /// A base whose answers nobody may serve any more must not take the place of one.
    #[error("window {window} ended at {}, and it is {}: its answers are of no use", rfc3339(*.next_update), rfc3339(*.now))]
    Stale {
        /// Number in the table, from 0.
        window: usize,
        /// Its nextUpdate.
        next_update: UnixSeconds,
        /// Our clock.
        now: UnixSeconds,
    },
    /// Responders, windows, variants.
    #[error(transparent)]
    Responders(#[from] ResponderFault),
    /// A record.
    #[error("record {number}: {fault}")]
    Record {
        /// Its number, from 1.
        number: u64,
        /// What is wrong.
        fault: RecordFault,
    },
    /// A signature in a record.
    #[error("record {number}: {fault}")]
    Witness {
        /// Its number, from 1.
        number: u64,
        /// What is wrong.
        fault: WitnessFault,
    },
    /// A document.
    #[error("document {name}: {why}")]
    Document {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Its lists and the packs, or its packs and the lists, say different things.
    #[error("lists and packs contradict each other: {why}")]
    Contradiction {
        /// The first place.
        why: String,
    },
    /// It repeats a CRL that is not staged here.
    #[error(
        "it repeats a CRL that is not staged here: {why}; import the list on this machine, then adopt it again"
    )]
    NotStaged {
        /// What was found.
        why: String,
    },
    /// The folder of staged CRLs cannot be read.
    #[error("the CRL it repeats cannot be read")]
    Staged(#[source] StagedError),
    /// The staged CRL does not pass our own judgement.
    #[error("the staged CRL it repeats: {0}")]
    Crl(CrlRefusal),
    /// The signer's reading of the CRL is not ours.
    #[error("it disagrees with our own reading of the staged CRL: {0}")]
    Disagrees(#[from] Disagreement),
    /// It was in order until packs were made of it.
    #[error("no pack can be made of it")]
    NoPack(#[source] WriteError),
    /// A window reaches past the CRL's nextUpdate, or past the day until which somebody vouches for a list.
    #[error(
        "a window ends after the nextUpdate of the CRL it repeats, or the end of the trust in a list"
    )]
    PastCrl,
}

/// A batch whose hash and signature were compared to the end. Only [`BatchReader::finish`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    blake3: [u8; 32],
}

impl Verified {
    /// The BLAKE3 of everything before the trailer, as the trailer has it: what the batch is known by.
    pub fn blake3(&self) -> [u8; 32] {
        self.blake3
    }
}

/// A batch being read.
#[derive(Debug)]
pub struct BatchReader {
    /// The layout of its records.
    pub layout: RecordLayout,
    input: BufReader<File>,
    hasher: blake3::Hasher,
    /// Records not yet handed out.
    left: u64,
    chunk: Vec<u8>,
}

impl BatchRefusal {
    /// Whether it says nothing against the batch: a disk in trouble, a clock that is behind. It is put off then, not set
    /// aside, for the signer does not sign a refused one again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Io(_) | Self::Staged(_) | Self::NothingOpens(_) => true,
            Self::ClockBehind { at, now, .. } => *at <= now.saturating_add(WAIT_FOR_CLOCK_SECS),
            _ => false,
        }
    }
}

/// A batch signed further ahead than this does not hold up those behind it.
const WAIT_FOR_CLOCK_SECS: u64 = 3600;

impl BatchReader {
    /// Opens a batch and reads its header: what it says of itself, not to be believed before the end.
    pub fn open(path: &Path) -> Result<(Header, Self), BatchRefusal> {
        let file = File::open(path)?;
        let found = file.metadata()?.len();
        let mut input = BufReader::with_capacity(CHUNK_OCTETS, file);
        let mut octets = vec![0; PREFIX_OCTETS];
        read_or_short(&mut input, &mut octets, found)?;
        let header_octets = batch::header_octets(&octets).map_err(BatchRefusal::Header)?;
        // The header's length is the signer's word: no more memory than there is file.
        if header_octets as u64 > found {
            return Err(BatchRefusal::Length {
                found,
                expected: header_octets as u64,
            });
        }
        octets.resize(header_octets, 0);
        read_or_short(&mut input, &mut octets[PREFIX_OCTETS..], found)?;
        let (header, _) = Header::parse(&octets).map_err(BatchRefusal::Header)?;
        let layout = header
            .layout()
            .map_err(|rule| BatchRefusal::Header(rule.at(PREFIX_OCTETS)))?;
        let records = u128::from(header.record_count) * layout.record_octets() as u128;
        let expected = header_octets as u128 + records + TRAILER_OCTETS as u128;
        if u128::from(found) != expected {
            return Err(BatchRefusal::Length {
                found,
                expected: u64::try_from(expected).unwrap_or(u64::MAX),
            });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&octets);
        let left = header.record_count;
        Ok((
            header,
            Self {
                left,
                layout,
                input,
                hasher,
                chunk: Vec::new(),
            },
        ))
    }

    /// The hash that a batch's trailer claims, unverified: enough to tell whether it is a batch seen before.
    pub fn trailing_hash(path: &Path) -> io::Result<[u8; TRAILER_HASH_OCTETS]> {
        let mut file = File::open(path)?;
        let back = i64::try_from(TRAILER_OCTETS).expect("a trailer is short");
        file.seek(SeekFrom::End(-back))?;
        let mut hash = [0; TRAILER_HASH_OCTETS];
        file.read_exact(&mut hash)?;
        Ok(hash)
    }

    /// The next records, whole ones, at most [`CHUNK_OCTETS`] together; nothing after the last.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, BatchRefusal> {
        if self.left == 0 {
            return Ok(None);
        }
        let record_octets = self.layout.record_octets();
        let most = (CHUNK_OCTETS / record_octets).max(1) as u64;
        let records = self.left.min(most);
        let octets = usize::try_from(records).expect("a chunk is small") * record_octets;
        self.chunk.resize(octets, 0);
        self.input.read_exact(&mut self.chunk)?;
        self.hasher.update(&self.chunk);
        self.left -= records;
        Ok(Some(&self.chunk))
    }

    /// Reads what is left, then compares hash and signature.
    pub fn finish(mut self, signer: &PublicKey) -> Result<Verified, BatchRefusal> {
        while self.next_chunk()?.is_some() {}
        let mut trailer = [0; TRAILER_OCTETS];
        self.input.read_exact(&mut trailer)?;
        let (hash, signature) = trailer.split_at(TRAILER_HASH_OCTETS);
        let blake3 = *self.hasher.finalize().as_bytes();
        if hash != blake3 {
            return Err(BatchRefusal::Hash);
        }
        if !signer.verifies(&batch::signed_octets(&blake3), signature) {
            return Err(BatchRefusal::NotSigned);
        }
        Ok(Verified { blake3 })
    }
}

/// A file that ends inside its header is torn, which says more than "failed to fill whole buffer".
fn read_or_short(
    input: &mut BufReader<File>,
    octets: &mut [u8],
    found: u64,
) -> Result<(), BatchRefusal> {
    input
        .read_exact(octets)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BatchRefusal::Length {
                found,
                expected: octets.len() as u64,
            },
            _ => BatchRefusal::Io(error),
        })
}

/// Octets read at a time.
pub const CHUNK_OCTETS: usize = 256 * 1024;
