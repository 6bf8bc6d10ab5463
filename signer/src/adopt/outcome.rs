//! What became of a staged list, and why one is not believed.

use super::staged::StagedError;
use crate::batch::{BatchError, own::Written};
use crate::error::sentence;
use crate::key::verify::VerifyError;
use crate::registry::Revision;
use crate::text::hex;
use wire::DecodeError;
use wire::cert_id::IssuerId;
use wire::serial::Serial;
use wire::time::UnixSeconds;

/// Why a staged list is not adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The issuer's certificate cannot be read.
    #[error("the issuer's certificate cannot be read")]
    IssuerUnreadable,
    /// The folder's name is not that of the certificate in it.
    #[error("the issuer's certificate is not the one the folder is named after")]
    OtherIssuer,
    /// The list cannot be read.
    #[error("the list cannot be read")]
    Unreadable(#[source] DecodeError),
    /// The list names another issuer.
    #[error("the list was issued by somebody else")]
    Name,
    /// cA or cRLSign is missing where it is asked for.
    #[error("the issuer's certificate does not allow it to sign lists")]
    MayNotSign,
    /// The signature does not hold.
    #[error("signature")]
    Signature(#[source] VerifyError),
    /// thisUpdate lies ahead.
    #[error("thisUpdate ({this_update}) lies ahead of the clock")]
    NotYet {
        /// thisUpdate.
        this_update: UnixSeconds,
    },
    /// nextUpdate has passed.
    #[error(
        "nextUpdate ({next_update}) has passed; a newer list is needed, or --as-of to replay this one"
    )]
    Stale {
        /// nextUpdate.
        next_update: UnixSeconds,
    },
    /// `as_of` lies ahead.
    #[error("as_of lies ahead of the clock")]
    AsOfAhead,
    /// The issuer's certificate is not valid at that moment.
    #[error("the issuer's certificate is not valid at that moment")]
    IssuerNotValid,
    /// RFC 5280 §5.2: such a list must not be used.
    #[error("the list has a critical extension that is not known here")]
    Critical,
    /// RFC 5280 §5.3: such a list must not be used.
    #[error("the entry of {0} has a critical extension that is not known here")]
    CriticalEntry(Serial),
    /// A delta says only what changed.
    #[error("a list is a delta, and the complete list of its scope is not staged with it")]
    Delta,
    /// A delta of another list.
    #[error("a delta does not change the complete list it is staged with: {0}")]
    Misfit(&'static str),
    /// Two lists of one kind and scope.
    #[error("two of the lists are of one kind and scope")]
    ScopeTwice,
    /// A list of all certificates beside one of some.
    #[error("a list of all certificates is staged beside a partition")]
    WholeBesidePartition,
    /// Two partitions disagree.
    #[error("{0} stands on two partitions that say different things of it")]
    Partitions(Serial),
    /// A delta and its complete list disagree and bear one number.
    #[error("of {0} a delta and its complete list say different things, and they bear one number")]
    OneNumber(Serial),
    /// No list at all.
    #[error("no list is staged")]
    Nothing,
    /// An entry of a list about one authority names another.
    #[error("an entry names another issuer (certificateIssuer), and the list is not indirect")]
    Indirect,
    /// A list about its own issuer's certificates.
    #[error("the list was issued by another than the certificates, and is not indirect")]
    NotIndirect,
    /// Nobody knows whose certificate it is.
    #[error(
        "the entry of {0} does not say whose certificate it is: its certificateIssuer has no directory name, or one that cannot be compared"
    )]
    Nameless(Serial),
    /// About attribute certificates.
    #[error("the list is about attribute certificates")]
    Attribute,
    /// Two entries of one serial and date disagree.
    #[error("entries of {0} with the same date contradict each other")]
    Contradiction(Serial),
    /// A record holds dates up to February 2106.
    #[error("the revocationDate of {0} lies too far ahead for any answer")]
    TooLate(Serial),
    /// A list older than the one adopted.
    #[error(
        "the list (thisUpdate {this_update}) is older, by date or number, than the one adopted ({adopted}); lists never go backwards (if its authority began to count anew, import and adopt it once with --as-of)"
    )]
    Backwards {
        /// thisUpdate.
        this_update: UnixSeconds,
        /// That of the list adopted before.
        adopted: UnixSeconds,
    },
    /// A line of a list that no CA has signed.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A list that no CA has signed names a serial twice.
    #[error("{0} stands in the list twice")]
    Twice(Serial),
    /// Nobody vouches for it any more.
    #[error("nobody vouches for the list since {until}; it must be imported again")]
    NoLongerTrusted {
        /// The end of the trust.
        until: UnixSeconds,
    },
    /// The folder cannot be read.
    #[error("staged folder")]
    Staged(#[from] StagedError),
}

/// What became of one staged list.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Taken now.
    Adopted {
        /// Issuer name and key, hashed.
        issuer: IssuerId,
        /// The issuer's Name.
        name: String,
        /// SHA-256 of the issuer's certificate: compare it with what the authority publishes.
        fingerprint: [u8; 32],
        /// The revision it took.
        revision: Revision,
        /// The clock it was judged by, if it is replayed.
        as_of: Option<UnixSeconds>,
        /// Serials that stand on the list more than once.
        repeated: u64,
        /// Entries that clear (removeFromCRL).
        cleared: u64,
        /// Entries about certificates of other authorities, left out.
        others: u64,
        /// The batch that was written.
        written: Written,
    },
    /// Adopted before, signed again.
    Renewed(Written),
    /// Adopted before, nothing due.
    Unchanged(IssuerId),
    /// Not believed.
    Refused {
        /// Issuer name and key, hashed.
        issuer: IssuerId,
        /// Why.
        why: Refusal,
    },
    /// Believed, perhaps, but registry, keys or spool failed; the other lists went on.
    Failed {
        /// Issuer name and key, hashed.
        issuer: IssuerId,
        /// What failed.
        error: BatchError,
    },
    /// Not believed a moment ago, and not looked at again yet.
    StillRefused(IssuerId),
}

impl Outcome {
    /// The batch that was written, if one was.
    #[must_use]
    pub fn written(&self) -> Option<&Written> {
        match self {
            Self::Adopted { written, .. } | Self::Renewed(written) => Some(written),
            Self::Unchanged(_)
            | Self::StillRefused(_)
            | Self::Refused { .. }
            | Self::Failed { .. } => None,
        }
    }
}

/// Tells the log what happened; silent about what did not.
pub fn log(outcomes: &[Outcome]) {
    for outcome in outcomes {
        match outcome {
            Outcome::Adopted {
                issuer,
                name,
                fingerprint,
                revision,
                as_of,
                repeated,
                cleared,
                others,
                written,
            } => {
                let (fingerprint, records) = (hex(fingerprint), written.records);
                tracing::info!(%issuer, name, fingerprint, revision, ?as_of, records, repeated, cleared, others, "adopted a CRL");
            }
            Outcome::Refused { issuer, why } => {
                let why = sentence(why);
                tracing::error!(%issuer, why, "a staged CRL is not adopted");
            }
            Outcome::Failed { issuer, error } => {
                let why = sentence(error);
                tracing::error!(%issuer, why, "adopting a staged CRL failed");
            }
            Outcome::Renewed(_) | Outcome::Unchanged(_) | Outcome::StillRefused(_) => {}
        }
    }
}
