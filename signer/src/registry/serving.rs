//! What leaves the registry for publication: CRLs, batches, and other authorities' CRLs adopted.

use wire::time::UnixSeconds;

use super::{AuthorityId, IssuerId, Revision};

/// A CRL we signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    /// Whose.
    pub authority: AuthorityId,
    /// CRLNumber (RFC 5280 §5.2.3), from `next_crl_number`.
    pub number: u64,
    /// The registry revision it shows.
    pub revision: Revision,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate.
    pub next_update: UnixSeconds,
    /// The document.
    pub der: Vec<u8>,
}

/// What a CRL we signed says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlNote {
    /// Whose.
    pub authority: AuthorityId,
    /// CRLNumber.
    pub number: u64,
    /// The registry revision it shows.
    pub revision: Revision,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate.
    pub next_update: UnixSeconds,
}

impl Crl {
    /// All but the document.
    #[must_use]
    pub fn note(&self) -> CrlNote {
        CrlNote {
            authority: self.authority,
            number: self.number,
            revision: self.revision,
            this_update: self.this_update,
            next_update: self.next_update,
        }
    }
}

/// Kind of a batch, with the codes of `wire::batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// Replaces all of the issuer's packs.
    Full = 1,
    /// Replaces one base shard.
    Shard = 2,
    /// What changed since.
    Delta = 3,
    /// CRL documents only.
    Crl = 4,
}

/// What a batch that was written covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRecord {
    /// Whose.
    pub issuer: IssuerId,
    /// Its number in the issuer's spool.
    pub number: u64,
    /// Kind.
    pub kind: BatchKind,
    /// Base shard for `Shard`, else 0.
    pub shard: u32,
    /// The registry revision it covers.
    pub revision: Revision,
    /// When it was written.
    pub created_at: UnixSeconds,
    /// The soonest nextUpdate of its windows.
    pub next_update: UnixSeconds,
    /// When its records are due to be signed again.
    pub renew_at: UnixSeconds,
    /// Records in it.
    pub records: u64,
}

/// Another authority's CRL, verified by us and pre-signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Issuer name and key, hashed.
    pub issuer: IssuerId,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Random key of `wire::serial::shard` for this issuer; kept from the first adoption on.
    pub hash_key: [u8; 16],
    /// BLAKE3 of the CRL's DER.
    pub crl_blake3: [u8; 32],
    /// CRLNumber content octets, if it had one (real ones exceed 64 bits).
    pub crl_number: Option<Vec<u8>>,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate, if it had one.
    pub next_update: Option<UnixSeconds>,
    /// The clock it was judged by, when replayed.
    pub as_of: Option<UnixSeconds>,
    /// Whether a weak signature algorithm was allowed.
    pub allow_weak: bool,
    /// Revoked serials in it.
    pub records: u64,
}

/// An adoption as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What was adopted; `hash_key` is the first adoption's.
    pub adoption: Adoption,
    /// The revision it took.
    pub revision: Revision,
    /// When.
    pub adopted_at: UnixSeconds,
}
