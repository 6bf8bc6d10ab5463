//! An OCSP response: what is signed, how it is put together from stored parts, how it is read back.
//!
//! ```asn1
//! OCSPResponse ::= SEQUENCE {                                     -- RFC 6960 §4.2.1
//!     responseStatus   ENUMERATED,
//!     responseBytes    [0] EXPLICIT SEQUENCE {
//!         responseType     OBJECT IDENTIFIER,                     -- id-pkix-ocsp-basic
//!         response         OCTET STRING } OPTIONAL }              -- BasicOCSPResponse
//! BasicOCSPResponse ::= SEQUENCE {
//!     tbsResponseData      ResponseData,
//!     signatureAlgorithm   AlgorithmIdentifier,
//!     signature            BIT STRING,
//!     certs                [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
//! ResponseData ::= SEQUENCE {
//!     responderID          [2] EXPLICIT KeyHash,                  -- always byKey
//!     producedAt           GeneralizedTime,
//!     responses            SEQUENCE OF SingleResponse }
//! SingleResponse ::= SEQUENCE {
//!     certID               CertID,
//!     certStatus           CHOICE { good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL },
//!     thisUpdate           GeneralizedTime,
//!     nextUpdate           [0] EXPLICIT GeneralizedTime }
//! RevokedInfo ::= SEQUENCE {
//!     revocationTime       GeneralizedTime,
//!     revocationReason     [0] EXPLICIT CRLReason OPTIONAL }
//! ```

mod assemble;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod reader;
mod several;
#[cfg(test)]
mod tests;

pub use assemble::{AssembleError, TbsParts, assemble, assembled_len, tbs_len, write_tbs};
pub use reader::{
    BasicResponse, OcspResponse, ResponderId, ResponseStatus, SingleResponse, SingleResponses,
    SingleStatus,
};
pub use several::{
    CrlReference, ExtendedRevoke, Said, SeveralParts, assemble_several, certs_tlv, write_several,
};

/// Octets of the longest response put together here, without embedded certificates.
pub const MAX_RESPONSE_OCTETS: usize = 4096;

/// `OCSPResponse { malformedRequest }`: the request was not one.
pub const MALFORMED_REQUEST: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x01];
/// `OCSPResponse { internalError }`: the fault is ours.
pub const INTERNAL_ERROR: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x02];
/// `OCSPResponse { tryLater }`: nothing fresh to say now.
pub const TRY_LATER: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x03];
/// `OCSPResponse { sigRequired }`: only signed requests are answered.
pub const SIG_REQUIRED: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x05];
/// `OCSPResponse { unauthorized }`: not ours to say (RFC 9919 §3.2.3).
pub const UNAUTHORIZED: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x06];
