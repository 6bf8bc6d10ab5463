//! Why a CRL was refused: the rule, the place, and what to do about it.

use wire::DecodeError;
use wire::time::UnixSeconds;

use super::check::EntryFault;
use super::delta::Misfit;
use super::floor::LEAST_DIGITS;
use super::trust::TrustError;
use crate::staged::{MOST_LISTS, rfc3339};

/// A rule a CRL broke. `Display` is one sentence a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlRefusal {
    /// Not a CRL, or not wholly.
    #[error("not a CRL as RFC 5280 has it: {0}")]
    Decode(#[from] DecodeError),
    /// Another CA's list.
    #[error(
        "it was issued by {crl}, but the certificate given is of {certificate}; give the certificate of its issuer (as --crl-issuer, if it is an indirect list about {certificate}'s certificates)"
    )]
    WrongIssuer {
        /// The certificate's subject.
        certificate: String,
        /// The list's issuer.
        crl: String,
    },
    /// The list names an issuer that may be the certificate's subject in another spelling.
    #[error(
        "it was issued by {crl}, and the certificate given is of {certificate}, spelt so that nobody can tell whether that is the same name"
    )]
    UnclearIssuer {
        /// The certificate's subject.
        certificate: String,
        /// The list's issuer.
        crl: String,
    },
    /// basicConstraints says cA = FALSE.
    #[error("the issuer's certificate says it is not a CA (basicConstraints, RFC 5280 §4.2.1.9)")]
    NotACa,
    /// keyUsage leaves cRLSign out.
    #[error(
        "the issuer's certificate may not sign CRLs (keyUsage without cRLSign, RFC 5280 §4.2.1.3)"
    )]
    MayNotSignCrls,
    /// The signature, its algorithm or the key.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The judging moment lies in the future.
    #[error("--as-of {} lies after the clock, which says {}; it is meant for replaying the past", rfc3339(*.as_of), rfc3339(*.now))]
    AsOfAhead {
        /// What was asked for.
        as_of: UnixSeconds,
        /// The clock.
        now: UnixSeconds,
    },
    /// thisUpdate lies ahead.
    #[error("thisUpdate {} lies more than five minutes after {}; check the clock", rfc3339(*.this_update), rfc3339(*.moment))]
    NotYet {
        /// The list's date.
        this_update: UnixSeconds,
        /// The judging moment.
        moment: UnixSeconds,
    },
    /// nextUpdate has passed.
    #[error("nextUpdate {} has passed (judged at {}); fetch a newer list, or replay this one with --as-of {}", rfc3339(*.next_update), rfc3339(*.moment), rfc3339(*.this_update))]
    Stale {
        /// When a newer list was due.
        next_update: UnixSeconds,
        /// The judging moment.
        moment: UnixSeconds,
        /// A moment at which it would be taken.
        this_update: UnixSeconds,
    },
    /// The issuer certificate has not begun or has ended.
    #[error("the issuer's certificate is valid from {} to {}, not at {}", rfc3339(*.not_before), rfc3339(*.not_after), rfc3339(*.moment))]
    IssuerNotValid {
        /// First second.
        not_before: UnixSeconds,
        /// Last second.
        not_after: UnixSeconds,
        /// The judging moment.
        moment: UnixSeconds,
    },
    /// RFC 5280 §5.2: must not use a list with a critical extension one cannot process.
    #[error(
        "it has a critical extension {oid} that is not known here, so its meaning is not (RFC 5280 §5.2)"
    )]
    UnknownCritical {
        /// The extension, dotted.
        oid: String,
    },
    /// A delta list where one of the CA's complete lists is wanted.
    #[error("it is a delta list (deltaCRLIndicator) and says nothing without its base")]
    Delta,
    /// A delta list, and the list it changes is not there.
    #[error(
        "it is a delta list and says nothing without its base, and no complete list of its scope is staged or given with it; give both (--crl twice)"
    )]
    DeltaAlone,
    /// A delta list of another list than the one it would stand beside.
    #[error("it is a delta list, but not of the complete list it would stand beside: {0}")]
    Misfit(#[from] Misfit),
    /// A delta that is staged says more than the complete list that comes.
    #[error(
        "the delta that is staged (thisUpdate {}) is newer than this list, by date or number, and not a delta of it; give a newer delta with it (--crl twice), the staged lists stay", rfc3339(*.delta)
    )]
    BehindDelta {
        /// The delta's thisUpdate.
        delta: UnixSeconds,
    },
    /// Two lists of one kind and scope at once.
    #[error("two lists of one scope are given, both complete or both deltas; give the newer one")]
    ScopeTwice,
    /// A list of all certificates beside one of some.
    #[error(
        "a list of all of the CA's certificates and a partition stand side by side; one or the other is wanted"
    )]
    WholeBesidePartition,
    /// What should stay beside it is damaged.
    #[error(
        "what is staged of this issuer and should stay beside it is damaged ({why}); import all its lists again at once, without --partition"
    )]
    DamagedBeside {
        /// What was found.
        why: String,
    },
    /// A partition that shall be retired is not staged.
    #[error(
        "no staged partition is known by “{wanted}”: give the address of its distribution point, or at least {LEAST_DIGITS} digits of the BLAKE3 of its list, as the report of an import has them"
    )]
    NotThere {
        /// What was asked for.
        wanted: String,
    },
    /// Several staged partitions go by what was given for the one that shall be retired.
    #[error(
        "several staged partitions are known by “{wanted}”: give more digits of the BLAKE3 of its list"
    )]
    Ambiguous {
        /// What was asked for.
        wanted: String,
    },
    /// A list that stays is signed by another key than the one that is named now.
    #[error(
        "{list}, which is staged and would stay, is signed by another key, of {signer} (certificate SHA-256 {fingerprint}), and one --crl-issuer is kept for all: give that partition anew with this one (--crl twice), give it up (--retire), or name its signer's certificate again until then"
    )]
    OtherSigner {
        /// Its distribution point, or BLAKE3.
        list: String,
        /// Subject of who signed it.
        signer: String,
        /// SHA-256 of that certificate.
        fingerprint: String,
    },
    /// A partition that shall be retired comes.
    #[error("it is of a partition that shall be retired")]
    Retired,
    /// More lists than are kept together.
    #[error("{0} lists would stand together, at most {MOST_LISTS} do")]
    TooMany(usize),
    /// A delta was asked for.
    #[error("it is no delta list: it has no deltaCRLIndicator (RFC 5280 §5.2.4)")]
    NoDelta,
    /// An indirect list where only those can be that a CA signs for its own certificates.
    #[error("it is an indirect list (entries of several issuers)")]
    Indirect,
    /// Nothing of an indirect list is about the CA.
    #[error(
        "none of its entries is about this issuer's certificates, so that --complete would make all of them good; is it the right list, and the right --issuer?"
    )]
    Strange,
    /// Another issuer's list that is about that one's certificates only.
    #[error(
        "it was issued by another than the certificates (--crl-issuer), and is no indirect list: it speaks of its own issuer's certificates only (RFC 5280 §6.3.3 (b))"
    )]
    NotIndirect,
    /// Attribute certificates.
    #[error(
        "it lists attribute certificates only, whose serials OCSP for certificates must not answer about"
    )]
    AttributeCertificates,
    /// An entry.
    #[error("{}", entry_sentence(.0))]
    Entry(EntryFault),
    /// thisUpdate lower than what is staged.
    #[error("thisUpdate {} lies before the staged list's {}; a list never goes backwards, the staged one stays", rfc3339(*.this_update), rfc3339(*.staged))]
    Older {
        /// The new list's date.
        this_update: UnixSeconds,
        /// The staged list's.
        staged: UnixSeconds,
    },
    /// CRL number lower than what is staged.
    #[error(
        "CRL number {number} is below the staged list's {staged}; a list never goes backwards, the staged one stays"
    )]
    LowerNumber {
        /// The new list's number, hexadecimal.
        number: String,
        /// The staged list's.
        staged: String,
    },
    /// A list of another scope is staged.
    #[error(
        "a list of another scope (issuingDistributionPoint) of this CA is staged; give --partition if both are partitions of its certificates, or remove {folder} first if this one shall replace it"
    )]
    OtherScope {
        /// The staged folder.
        folder: String,
    },
}

pub(super) fn entry_sentence(fault: &EntryFault) -> String {
    match fault {
        EntryFault::Decode { number, error } => format!("entry {number}, {error}"),
        EntryFault::Contradiction { serial, at } => format!(
            "serial {serial} stands there twice with the date {} and different reasons: the list contradicts itself",
            rfc3339(*at)
        ),
        EntryFault::Critical {
            number,
            serial,
            oid,
        } => format!(
            "entry {number} (serial {serial}) has a critical extension {oid} that is not known here (RFC 5280 §5.3)"
        ),
        EntryFault::Partitions { serial } => {
            format!("serial {serial} stands on two partitions that say different things of it")
        }
        EntryFault::Nameless { number, serial } => format!(
            "entry {number} (serial {serial}) does not say whose certificate it is: what names the issuer has no directory name, or one that cannot be read or compared (certificateIssuer, RFC 5280 §5.3.3)"
        ),
        EntryFault::OneNumber { serial } => format!(
            "serial {serial}: a delta and its complete list bear one number and say different things of it (RFC 5280 §5.2.3)"
        ),
        EntryFault::OtherIssuer { number, serial } => format!(
            "entry {number} (serial {serial}) names another issuer (certificateIssuer) in a list that is not indirect"
        ),
    }
}
