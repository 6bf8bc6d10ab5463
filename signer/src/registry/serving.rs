//! What leaves the registry for publication: CRLs, batches, and other authorities' CRLs adopted.

use wire::serial::Serial;
use wire::time::UnixSeconds;

use super::{AuthorityId, IssuerId, Revision};

/// Which certificates of an authority a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListScope {
    /// All of them.
    Whole,
    /// Those whose distribution point names this partition; from 1.
    Partition(u32),
}

impl ListScope {
    /// As stored: 0 for all.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Whole => 0,
            Self::Partition(number) => number,
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Whole,
            number => Self::Partition(number),
        }
    }
}

/// Whether a list says everything or what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// Everything in its scope.
    Full,
    /// What changed since the full list of that number (RFC 5280 §5.2.4).
    Delta {
        /// `BaseCRLNumber`.
        base: u64,
    },
}

impl ListForm {
    /// Whether it says only what changed.
    #[must_use]
    pub fn is_delta(self) -> bool {
        matches!(self, Self::Delta { .. })
    }
}

/// What has left full lists: certificates that expired before `time` and were revoked up to `revision`. They stood on the
/// list before, which was made after they had expired (RFC 5280 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// thisUpdate of the list before.
    pub time: UnixSeconds,
    /// The revision the list before shows.
    pub revision: Revision,
}

/// A CRL we signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    /// Whose, which, when.
    pub note: CrlNote,
    /// Revoked serials that left it by expiry and are still answered for.
    pub expired: Vec<Serial>,
    /// The document.
    pub der: Vec<u8>,
}

impl std::ops::Deref for Crl {
    type Target = CrlNote;

    fn deref(&self) -> &CrlNote {
        &self.note
    }
}

/// What a CRL we signed says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlNote {
    /// Whose.
    pub authority: AuthorityId,
    /// Of which certificates.
    pub scope: ListScope,
    /// Everything or what changed.
    pub form: ListForm,
    /// CRLNumber (RFC 5280 §5.2.3), from `next_crl_number`.
    pub number: u64,
    /// The registry revision it shows.
    pub revision: Revision,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate.
    pub next_update: UnixSeconds,
    /// Of a full list: what has left it. None for those of the first edition, which told nobody.
    pub cut: Option<Cut>,
    /// Of a full list: whether it says where its deltas are (RFC 5280 §5.2.6).
    pub names_deltas: bool,
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
    /// Into how many shards it divides its issuer.
    pub shards: u32,
    /// One bit for each CertID form it is signed for, by the form's code, and from 32 on for each algorithm beside the
    /// authority's own, by its code; 0: not known.
    pub variants: u64,
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
