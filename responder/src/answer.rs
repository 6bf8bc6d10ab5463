//! The hot path: what is answered to the octets of a request.
//!
//! [`answer`] is five steps without await, lock, log line or allocation; how octets came here and how they leave is
//! next door (`http`). Everything that is not a signed answer is a [`Refusal`], and [`Refusal::octets`] is the one place
//! that says which OCSP error the outside sees for it.

use hufu_loader::snapshot::{Lookup, Snapshot};
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::CertIdForm;
use wire::request::OcspRequest;
use wire::response::{self, TbsParts};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

/// How far ahead of the clock a thisUpdate may lie, in seconds: signer and edge need not agree to the second.
pub const MAX_AHEAD_SECS: UnixSeconds = 300;

/// Room that every answer fits into: its longest form and the largest certificates a pack may embed.
pub const MAX_ANSWER_OCTETS: usize = 16 * 1024;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The front of the buffer holds a signed response.
    Signed(Signed),
    /// There is no signed response to give.
    Refused(Refusal),
}

/// A signed response, and what caches need to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// How many octets of the buffer it takes.
    pub octets: usize,
    /// True if it says `revoked`, false if `good`.
    pub revoked: bool,
    /// Its thisUpdate.
    pub this_update: UnixSeconds,
    /// Its nextUpdate.
    pub next_update: UnixSeconds,
    /// Form of its `CertID` and algorithm of its signature.
    pub variant: Variant,
    /// The pack it comes from and the first octets of its signature: together they name these octets.
    pub identity: (u64, u64),
    /// Whether the request had a nonce, which the answer has not.
    pub nonce: Nonce,
}

/// Whether a request has a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// It has none.
    Absent,
    /// It has one.
    Asked,
}

/// What tells signed answers about one certificate apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Hash of the `CertID` and form of its parameters.
    pub form: CertIdForm,
    /// What the signature was made with.
    pub algorithm: SignatureAlgorithm,
}

/// Why there is no signed response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an OCSP request.
    Malformed,
    /// No pack for this issuer, this hash or this form of its parameters.
    UnknownIssuer,
    /// The issuer is ours; this serial was never issued, or only reserved.
    UnknownSerial,
    /// It asks about several certificates. Each needs its own signed SingleResponse in one response (RFC 6960
    /// §4.2.2.3), which nobody has signed ahead; to answer only the first would be read as an answer to all.
    SeveralCertIds,
    /// thisUpdate lies more than [`MAX_AHEAD_SECS`] ahead: a clock is wrong.
    NotYetValid,
    /// nextUpdate has passed: nothing stale is served.
    PastNextUpdate,
    /// There is no generation to answer from.
    NoGeneration,
    /// The generation is past its `valid_until`, and the policy says to fall silent.
    PastValidUntil,
    /// Only the live lane could answer, and it did not.
    LiveAway,
    /// The stored parts do not make a response: a fault of ours.
    Internal,
}

/// Answers the octets of a request from `snapshot`; a signed response is put at the front of `out`, which must hold
/// [`MAX_ANSWER_OCTETS`].
pub fn answer(request: &[u8], snapshot: &Snapshot, now: UnixSeconds, out: &mut [u8]) -> Answer {
    // 1. Parse the request: strict DER, bounded, borrowed.
    let Ok(asked) = OcspRequest::parse(request) else {
        return Answer::Refused(Refusal::Malformed);
    };
    if asked.count != 1 {
        return Answer::Refused(Refusal::SeveralCertIds);
    }

    // 2. and 3. Find issuer and variant by the CertID's octets before the serial, then the serial, newest revision first.
    // A nonce is not looked at: the pre-signed answer goes out without one (RFC 9919 §3.2.1).
    // RFC 9919 §3.2.1: a nonce that is not supported costs nobody the answer, which goes out without one.
    // RFC 6960 §4.4.7.2.2: of answers signed ahead the one with the algorithm that the client likes best goes out.
    let found = match snapshot.lookup(asked.first.prefix, asked.first.serial, asked.preferred) {
        Lookup::Found(found) => found,
        Lookup::UnknownIssuer => return Answer::Refused(Refusal::UnknownIssuer),
        Lookup::UnknownSerial => return Answer::Refused(Refusal::UnknownSerial),
        Lookup::Damaged(_) => return Answer::Refused(Refusal::Internal),
    };
    let revoked = match found.status {
        CertStatus::Good => false,
        CertStatus::Revoked { .. } => true,
        CertStatus::Absent => return Answer::Refused(Refusal::UnknownSerial),
    };

    // 4. Check the window. RFC 6960 §4.2.2.1: past nextUpdate a response is unreliable, so it is not given.
    let window = &found.window;
    // The pack's maker kept it within its responder's certificate; our own disk is not believed.
    // RFC 6960 §4.2.2.1: an answer past its nextUpdate is unreliable, so it is not given.
    if now >= window.next_update || now > window.not_after {
        return Answer::Refused(Refusal::PastNextUpdate);
    }
    // RFC 6960 §4.2.2.1: nor is one whose thisUpdate lies ahead, beyond what two clocks may differ by.
    if window.this_update > now + MAX_AHEAD_SECS {
        return Answer::Refused(Refusal::NotYetValid);
    }

    // 5. Put the response together from the pack's shared parts and the record's own.
    let parts = TbsParts {
        key_hash: found.key_hash,
        produced_at: window.produced_at,
        cert_id_prefix: found.cert_id_prefix,
        serial_content: asked.first.serial,
        status: found.status,
        this_update: window.this_update,
        next_update: window.next_update,
    };
    match response::assemble(&parts, found.algorithm, found.signature, found.certs, out) {
        Ok(octets) => Answer::Signed(Signed {
            octets,
            revoked,
            this_update: window.this_update,
            next_update: window.next_update,
            variant: Variant {
                form: found.form,
                algorithm: found.algorithm,
            },
            identity: (found.pack_tag, first_eight(found.signature)),
            nonce: if asked.nonce.is_some() {
                Nonce::Asked
            } else {
                Nonce::Absent
            },
        }),
        Err(_) => Answer::Refused(Refusal::Internal),
    }
}

impl Refusal {
    /// Whether somebody who looks into the registry might know an answer all the same.
    #[must_use]
    pub const fn may_be_known_live(self) -> bool {
        matches!(
            self,
            Self::SeveralCertIds | Self::UnknownIssuer | Self::UnknownSerial
        )
    }

    /// The unsigned OCSPResponse that tells it.
    #[must_use]
    pub const fn octets(self) -> &'static [u8] {
        match self {
            // RFC 6960 §2.3: malformedRequest, internalError, tryLater and unauthorized are said without a signature.
            Self::Malformed => &response::MALFORMED_REQUEST,
            // RFC 9919 §3.2.3: without an authoritative record the answer is `unauthorized`, never a guess.
            Self::UnknownIssuer | Self::UnknownSerial | Self::SeveralCertIds => {
                &response::UNAUTHORIZED
            }
            Self::NotYetValid
            | Self::PastNextUpdate
            | Self::NoGeneration
            | Self::PastValidUntil
            | Self::LiveAway => &response::TRY_LATER,
            Self::Internal => &response::INTERNAL_ERROR,
        }
    }
}

/// The first eight octets as a number; a shorter signature than that does not exist.
fn first_eight(signature: &[u8]) -> u64 {
    signature
        .first_chunk()
        .map_or(0, |octets| u64::from_be_bytes(*octets))
}
