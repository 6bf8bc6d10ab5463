//! Octets that leave a process or get signed, nothing else: OCSP, CRL, `CertID`, times, OIDs, algorithm identifiers, and
//! the framing of the batch file between signer and loader.
//!
//! No file, socket, clock or key is touched here, and no input makes this crate panic: every reader borrows, counts its
//! offset, refuses trailing data and never indexes. An error names the rule that was broken and where.
//!
//! | module | holds | clause |
//! |---|---|---|
//! | [`der`] | the strict reader and the small writer under everything else | X.690 |
//! | [`oid`] | every OID we know, as the octets of its whole TLV | |
//! | [`time`] | `UTCTime`, `GeneralizedTime`, HTTP dates ↔ unix seconds | RFC 5280 §4.1.2.5, RFC 9110 §5.6.7 |
//! | [`serial`] | the serial number, its order, its keyed hash and shard | RFC 5280 §4.1.2.2 |
//! | [`cert_id`] | the forms of `CertID` and its constant prefix | RFC 6960 §4.1.1 |
//! | [`certs_only`] | certificates in a CMS message | RFC 5652, RFC 5280 §4.2.2.1 |
//! | [`algorithm`] | what we sign with, what others sign with | RFC 5758, RFC 8410, GM/T 0006 |
//! | [`status`] | good, revoked, absent; reasons | RFC 5280 §5.3.1 |
//! | [`request`] | an OCSP request, borrowed | RFC 6960 §4.1, RFC 9654 |
//! | [`response`] | an OCSP response: written, put together, read | RFC 6960 §4.2 |
//! | [`record`] | one certificate's status and signatures, fixed width: the same in batch and pack | |
//! | [`crl`] | certificate revocation lists, read and written as streams | RFC 5280 §5 |
//! | [`listing`] | lists without a signature: OpenSSL's `index.txt`, CSV | |
//! | [`name`] | whether two Names are one, or nobody can tell | RFC 5280 §7.1 |
//! | [`batch`] | the signer → loader file: header, trailer, names in the spool | |
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod algorithm;
pub mod batch;
pub mod cert_id;
pub mod certs_only;
#[cfg(test)]
mod corpus;
pub mod crl;
pub mod der;
mod error;
pub mod listing;
pub mod name;
pub mod oid;
pub mod record;
pub mod request;
pub mod response;
pub mod serial;
pub mod status;
pub mod time;

pub use error::{DecodeError, Rule};
