//! The fuzz body of the response reader.

use super::{OcspResponse, ResponseStatus};

/// Reads `octets` as a response and checks what callers rely on.
pub fn fuzz_response(octets: &[u8]) {
    let response = match OcspResponse::parse(octets) {
        Ok(response) => response,
        Err(error) => {
            assert!(error.offset <= octets.len(), "{error}");
            return;
        }
    };
    assert_eq!(
        response.basic.is_some(),
        response.status == ResponseStatus::Successful
    );
    let Some(basic) = response.basic else { return };
    assert_eq!(basic.singles().count(), basic.count);
    assert_eq!(basic.singles().next(), Some(basic.first));
    // Extensions are not read by `parse`; whoever asks for one must get it or nothing.
    assert!(basic.nonce().is_none_or(|nonce| nonce.len() < octets.len()));
    let _ = basic.has_extended_revoke();
}
