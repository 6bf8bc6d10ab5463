//! What a writer is told about a pack, and why no pack came of it.

use wire::batch::Source;
use wire::cert_id::IssuerId;
use wire::serial::{Serial, SerialHashKey};
use wire::time::UnixSeconds;

use super::flaw::Flaw;
use super::index::MAX_BUCKET_RECORDS;
use super::tables::Shared;
use crate::durable::DiskError;

/// Everything about a pack but its records.
#[derive(Debug, Clone)]
pub struct PackSpec {
    /// Whose certificates.
    pub issuer: IssuerId,
    /// Key of the hash of serials, one an issuer.
    pub hash_key: SerialHashKey,
    /// A whole shard, or what changed since.
    pub scope: Scope,
    /// The registry revision that a base reaches; what a delta says is true at it, and more may have changed up to there.
    pub revision: u64,
    /// Number of the newest signer batch in it.
    pub batch: u64,
    /// When that batch read the registry.
    pub created_at: UnixSeconds,
    /// The clock by which a replayed CRL was judged.
    pub as_of: Option<UnixSeconds>,
    /// The BLAKE3 of the CRL these records repeat; none for the own registry.
    pub crl_blake3: Option<[u8; 32]>,
    /// How many records will be pushed, about: twice as many cost speed, half as many space.
    pub records_about: u64,
    /// Width of the serial: of the longest one that will be pushed.
    pub serial_octets: u8,
    /// What the responses share.
    pub shared: Shared,
}

impl PackSpec {
    /// For the records of a batch, or those of one shard of it: about `records_about` of them.
    pub fn from_batch(
        header: &wire::batch::Header,
        scope: Scope,
        records_about: u64,
    ) -> Result<PackSpec, Flaw> {
        let (as_of, crl_blake3) = match header.source {
            Source::Registry => (None, None),
            Source::ForeignCrl { blake3, as_of, .. } => (as_of, Some(blake3)),
        };
        Ok(PackSpec {
            issuer: header.issuer_id,
            hash_key: header.hash_key,
            scope,
            revision: header.revision,
            batch: header.number,
            created_at: header.created_at,
            as_of,
            crl_blake3,
            records_about,
            serial_octets: header.serial_octets,
            shared: Shared::from_batch(header)?,
        })
    }
}

/// Which of an issuer's certificates a pack speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of one shard.
    Base {
        /// In how many shards the issuer's base packs are split.
        shards: u32,
        /// Which of them.
        shard: u32,
    },
    /// What changed since, in all shards.
    Delta,
}

/// Why no pack came of it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What would be written is not a pack.
    #[error("the pack would not be sound")]
    Flawed(#[from] Flaw),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Records must rise by hash.
    #[error("record {index}, serial {serial}, comes before the one that was pushed before it")]
    Unsorted {
        /// Its serial.
        serial: Serial,
        /// Counted from zero.
        index: u64,
    },
    /// One serial, two records.
    #[error("serial {serial} was pushed twice")]
    Twice {
        /// The serial.
        serial: Serial,
    },
    /// A record of another shard.
    #[error("serial {serial} belongs to shard {shard}")]
    OtherShard {
        /// The serial.
        serial: Serial,
        /// Where it belongs.
        shard: u32,
    },
    /// Wider than the spec said.
    #[error("serial {serial} is longer than the {octets} octets announced")]
    SerialTooWide {
        /// The serial.
        serial: Serial,
        /// What the spec said.
        octets: usize,
    },
    /// The table has no such window.
    #[error("serial {serial} names window {window}, which is not in the table")]
    NoSuchWindow {
        /// The serial.
        serial: Serial,
        /// What it names.
        window: u16,
    },
    /// Far more records than announced, or serials chosen against the hash key: a new key spreads them again.
    #[error(
        "more than {MAX_BUCKET_RECORDS} serials fall into one bucket: far more records than announced, or a hash key \
         that is no secret any more"
    )]
    CrowdedBucket,
}
