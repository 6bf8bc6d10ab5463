//! What is said of a certificate, and how a record says it in five octets.

use crate::Rule;
use crate::time::UnixSeconds;

/// Why a certificate was revoked: `CRLReason`, RFC 5280 §5.3.1. Seven is not used there, nor here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RevocationReason {
    /// No reason given; RFC 5280 asks to leave the extension out instead.
    Unspecified = 0,
    /// The holder's private key is or may be in other hands.
    KeyCompromise = 1,
    /// The authority's private key is or may be in other hands.
    CaCompromise = 2,
    /// The subject's name or affiliation is no longer right.
    AffiliationChanged = 3,
    /// Another certificate took its place.
    Superseded = 4,
    /// It is no longer needed for what it was made for.
    CessationOfOperation = 5,
    /// On hold; may come back.
    CertificateHold = 6,
    /// In a delta CRL only: no longer on hold, or expired.
    RemoveFromCrl = 8,
    /// A privilege the certificate stated was withdrawn.
    PrivilegeWithdrawn = 9,
    /// The attribute authority's key is or may be in other hands.
    AaCompromise = 10,
}

impl RevocationReason {
    /// The number of RFC 5280.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason of that number.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => return None,
        })
    }

    /// The identifier in RFC 5280's ASN.1.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }
}

/// The status of one certificate, as a record keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertStatus {
    /// Issued and not revoked.
    Good,
    /// Revoked or on hold since `at`.
    Revoked {
        /// The revocation time.
        at: UnixSeconds,
        /// The reason, if one was given.
        reason: Option<RevocationReason>,
    },
    /// In a delta: this serial is no longer answered for, whatever the base says. Answered `unauthorized`.
    Absent,
}

const GOOD: u8 = 0xff;
const REVOKED_WITHOUT_REASON: u8 = 0xfe;
const ABSENT: u8 = 0xfd;

impl CertStatus {
    /// The status octet of a record: 0..=10 revoked for that reason, FE revoked without, FF good, FD absent.
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => GOOD,
            Self::Revoked { reason: None, .. } => REVOKED_WITHOUT_REASON,
            Self::Revoked {
                reason: Some(reason),
                ..
            } => reason.code(),
            Self::Absent => ABSENT,
        }
    }

    /// The time of a record: zero unless revoked. `None` if it does not fit 32 bits, that is after 2106.
    pub fn time(self) -> Option<u32> {
        match self {
            Self::Revoked { at, .. } => u32::try_from(at).ok(),
            Self::Good | Self::Absent => Some(0),
        }
    }

    /// The status that a record's status octet and time say.
    #[inline]
    pub fn from_code(code: u8, time: u32) -> Result<Self, Rule> {
        Ok(match code {
            GOOD => Self::Good,
            ABSENT => Self::Absent,
            REVOKED_WITHOUT_REASON => Self::Revoked {
                at: time.into(),
                reason: None,
            },
            code => Self::Revoked {
                at: time.into(),
                reason: Some(RevocationReason::from_code(code).ok_or(Rule::CodeUnknown)?),
            },
        })
    }
}
