//! Certificate revocation lists: read as a stream over borrowed octets, written as a stream of entries.
//!
//! ```asn1
//! CertificateList ::= SEQUENCE {                                   -- RFC 5280 §5.1
//!     tbsCertList          TBSCertList,
//!     signatureAlgorithm   AlgorithmIdentifier,
//!     signatureValue       BIT STRING }
//! TBSCertList ::= SEQUENCE {
//!     version              INTEGER OPTIONAL,                       -- v2 (1), or absent: v1
//!     signature            AlgorithmIdentifier,
//!     issuer               Name,
//!     thisUpdate           Time,
//!     nextUpdate           Time OPTIONAL,
//!     revokedCertificates  SEQUENCE OF SEQUENCE {
//!         userCertificate      CertificateSerialNumber,
//!         revocationDate       Time,
//!         crlEntryExtensions   Extensions OPTIONAL } OPTIONAL,
//!     crlExtensions        [0] EXPLICIT Extensions OPTIONAL }
//! ```

mod distribution;
mod entry;
#[cfg(test)]
mod form_tests;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod names;
mod pem;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use distribution::{IssuingDistributionPoint, Scope};
pub use entry::{CrlEntries, CrlEntry, PlainEntry, plain_entry};
pub use names::directory_names;
pub use pem::{Armour, PemLabel, PemLines, pem_or_der};
pub use reader::{Crl, CrlExtensions};
pub use stream::{MAX_ENTRY_OCTETS, Outline, Places, next_entry};
pub use writer::{CrlHeader, CrlWriter, assemble_crl};
