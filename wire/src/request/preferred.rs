//! Which signature algorithms a client would rather have.
//!
//! ```asn1
//! PreferredSignatureAlgorithms ::= SEQUENCE OF PreferredSignatureAlgorithm   -- RFC 6960 §4.4.7.1
//! PreferredSignatureAlgorithm ::= SEQUENCE {
//!     sigIdentifier        AlgorithmIdentifier,
//!     pubKeyAlgIdentifier  SMIMECapability OPTIONAL }                         -- not looked at
//! ```

use crate::algorithm::SignatureAlgorithm;
use crate::der::{Reader, tag};

/// The preferences, not read yet: who has one signer only need not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreferredAlgorithms<'a>(pub(super) &'a [u8]);

impl PreferredAlgorithms<'_> {
    /// The place in `available` of the algorithm that the client would like best; none if it likes none of them.
    ///
    /// A list that cannot be read counts as far as it can be: it is a wish, and a wish makes no request malformed.
    #[must_use]
    pub fn choose(&self, available: &[SignatureAlgorithm]) -> Option<usize> {
        let mut list = Reader::new(self.0).sequence().ok()?;
        for _ in 0..MAX_PREFERENCES {
            // RFC 6960 §4.4.7.1: the order of the list is the client's order of preference.
            let mut one = list.sequence().ok()?;
            let mut identifier = one.sequence().ok()?;
            let oid = identifier.read(tag::OID).ok()?.raw;
            let liked = available.iter().position(|algorithm| {
                let own = Reader::new(algorithm.identifier()).sequence();
                own.and_then(|mut own| own.read(tag::OID))
                    .is_ok_and(|own| own.raw == oid)
            });
            if liked.is_some() {
                return liked;
            }
        }
        None
    }
}

/// Preferences looked at: more algorithms than this are not in use.
const MAX_PREFERENCES: usize = 16;
