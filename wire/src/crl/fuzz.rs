//! The fuzz body of the list reader and of the PEM reader.

use super::{Crl, PemLabel, pem_or_der};

/// Reads `octets` as a list with all its entries and checks what callers rely on.
pub fn fuzz_crl(octets: &[u8]) {
    let list = match Crl::parse(octets) {
        Ok(list) => list,
        Err(error) => {
            assert!(error.offset <= octets.len(), "{error}");
            return;
        }
    };
    let mut entries = list.entries();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => assert_eq!(list.entry_at(entry.offset), Ok(entry)),
            Err(error) => {
                assert!(error.offset <= octets.len(), "{error}");
                assert!(entries.next().is_none());
            }
        }
    }
    assert!(list.entries().count() <= octets.len() / 2);
}

/// Reads `octets` as PEM or DER.
pub fn fuzz_pem(octets: &[u8]) {
    for label in [PemLabel::Crl, PemLabel::Certificate] {
        if let Ok(der) = pem_or_der(octets, label) {
            assert!(der.len() <= octets.len());
        }
    }
}
