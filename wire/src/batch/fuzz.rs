//! The fuzz body of the batch header.

use super::{Header, header_octets};

/// Reads `octets` as a header and checks that it has one form only.
pub fn fuzz_batch(octets: &[u8]) {
    match Header::parse(octets) {
        Ok((header, used)) => {
            assert_eq!(header_octets(octets), Ok(used));
            assert_eq!(header.encode().ok().as_deref(), octets.get(..used));
            for variant in &header.variants {
                for window in &header.windows {
                    assert!(header.responder(window, variant).is_some());
                }
            }
        }
        Err(error) => assert!(error.offset <= octets.len(), "{error}"),
    }
}
