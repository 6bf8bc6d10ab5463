//! The fuzz body of the request reader: what must hold for any octets.

use super::{MAX_CERT_IDS, MAX_NONCE_OCTETS, OcspRequest};
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::cert_id;

/// Reads `octets` as a request and checks what callers rely on.
pub fn fuzz_request(octets: &[u8]) {
    let request = match OcspRequest::parse(octets) {
        Ok(request) => request,
        Err(error) => {
            assert!(error.offset <= octets.len(), "{error}");
            return;
        }
    };
    assert!((1..=MAX_CERT_IDS).contains(&request.count));
    assert_eq!(request.cert_ids().count(), request.count);
    assert_eq!(request.cert_ids().next(), Some(request.first));
    for asked in request.cert_ids() {
        // Nothing of a CertID is lost between prefix and serial: the answer repeats it octet for octet.
        assert_eq!(cert_id(asked.prefix, asked.serial), asked.raw);
    }
    if let Some(preferred) = request.preferred {
        let chosen = preferred.choose(&SignatureAlgorithm::ALL);
        assert!(chosen.is_none_or(|place| place < SignatureAlgorithm::ALL.len()));
    }
    if let Some(nonce) = request.nonce {
        assert!((1..=MAX_NONCE_OCTETS).contains(&nonce.value.len()));
        assert!(nonce.extn_value.ends_with(nonce.value));
    }
}
