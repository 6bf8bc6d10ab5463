//! Every object identifier this crate knows, alphabetical, each as the octets of its whole TLV: so are they compared and
//! so are they written.

use alloc::string::String;
use core::fmt::Write;

/// An identifier for people, dotted: of its whole TLV or of its content alone. What is not one comes back as hexadecimal.
pub fn oid_text(oid: &[u8]) -> String {
    let content = match oid {
        [0x06, length, content @ ..] if usize::from(*length) == content.len() => content,
        content => content,
    };
    dotted(content).unwrap_or_else(|| {
        oid.iter().fold(String::new(), |mut text, octet| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{octet:02x}");
            text
        })
    })
}

fn dotted(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut arc = 0_u64;
    if content.last()? & 0x80 != 0 {
        return None;
    }
    for octet in content {
        if arc >> 57 != 0 {
            return None;
        }
        arc = (arc << 7) | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        // X.690 §8.19.4: the first number holds two arcs.
        if text.is_empty() {
            let first = (arc / 40).min(2);
            write!(text, "{first}.{}", arc - 40 * first).ok()?;
        } else {
            write!(text, ".{arc}").ok()?;
        }
        arc = 0;
    }
    Some(text)
}

/// 1.3.6.1.5.5.7.48.1.4: `id-pkix-ocsp-response`, the client says which response types it reads (RFC 6960 §4.4.3).
pub const ACCEPTABLE_RESPONSES: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x04,
];
/// 1.3.6.1.5.5.7.48.1.6: `id-pkix-ocsp-archive-cutoff` (RFC 6960 §4.4.4).
pub const ARCHIVE_CUTOFF: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x06,
];
/// 1.3.6.1.5.5.7.1.1: `id-pe-authorityInfoAccess` (RFC 5280 §4.2.2.1).
pub const AUTHORITY_INFO_ACCESS: &[u8] =
    &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
/// 2.5.29.35: `id-ce-authorityKeyIdentifier` (RFC 5280 §4.2.1.1).
pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x23];
/// 2.5.29.29: `id-ce-certificateIssuer` (RFC 5280 §5.3.3).
pub const CERTIFICATE_ISSUER: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1d];
/// 1.2.840.113549.1.7.1: `id-data` (RFC 5652 §4).
pub const CMS_DATA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01,
];
/// 1.2.840.113549.1.7.2: `id-signedData` (RFC 5652 §5.1).
pub const CMS_SIGNED_DATA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];
/// 2.5.29.20: `id-ce-cRLNumber` (RFC 5280 §5.2.3).
pub const CRL_NUMBER: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x14];
/// 1.3.6.1.5.5.7.48.1.3: `id-pkix-ocsp-crl` (RFC 6960 §4.4.2).
pub const CRL_REFERENCE: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x03,
];
/// 2.5.29.27: `id-ce-deltaCRLIndicator` (RFC 5280 §5.2.4).
pub const DELTA_CRL_INDICATOR: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1b];
/// 1.2.840.10045.4.1: `ecdsa-with-SHA1` (RFC 3279 §2.2.3).
pub const ECDSA_WITH_SHA1: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// 1.2.840.10045.4.3.1: `ecdsa-with-SHA224` (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA224: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01];
/// 1.2.840.10045.4.3.2: `ecdsa-with-SHA256` (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 1.2.840.10045.4.3.3: `ecdsa-with-SHA384` (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA384: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// 1.2.840.10045.4.3.4: `ecdsa-with-SHA512` (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA512: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.3.101.112: `id-Ed25519` (RFC 8410 §3).
pub const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// 2.5.29.60: `id-ce-expiredCertsOnCRL` (X.509 §9.5.2.8).
pub const EXPIRED_CERTS_ON_CRL: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x3c];
/// 1.3.6.1.5.5.7.48.1.9: `id-pkix-ocsp-extended-revoke` (RFC 6960 §4.4.8).
pub const EXTENDED_REVOKE: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x09,
];
/// 2.5.29.46: `id-ce-freshestCRL` (RFC 5280 §5.2.6).
pub const FRESHEST_CRL: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x2e];
/// 2.5.29.23: `id-ce-holdInstructionCode` (RFC 3280 §5.3.2).
pub const HOLD_INSTRUCTION_CODE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x17];
/// 2.5.29.24: `id-ce-invalidityDate` (RFC 5280 §5.3.2).
pub const INVALIDITY_DATE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x18];
/// 2.5.29.18: `id-ce-issuerAltName` (RFC 5280 §5.2.2).
pub const ISSUER_ALT_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x12];
/// 2.5.29.28: `id-ce-issuingDistributionPoint` (RFC 5280 §5.2.5).
pub const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1c];
/// 1.3.6.1.5.5.7.3.9: `id-kp-OCSPSigning` (RFC 6960 §4.2.2.2).
pub const KP_OCSP_SIGNING: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// 1.2.840.113549.1.1.4: `md5WithRSAEncryption`; named so that a refusal can name it (RFC 3279 §2.2.1).
pub const MD5_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04,
];
/// 1.2.840.113549.1.1.8: `id-mgf1` (RFC 8017 §B.2.1).
pub const MGF1: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
];
/// 1.3.6.1.5.5.7.48.1.2: `id-pkix-ocsp-nonce` (RFC 9654 §2.1).
pub const NONCE: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02,
];
/// 1.3.6.1.5.5.7.48.1.1: `id-pkix-ocsp-basic` (RFC 6960 §4.2.1).
pub const OCSP_BASIC: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01,
];
/// 1.3.6.1.5.5.7.48.1.5: `id-pkix-ocsp-nocheck` (RFC 6960 §4.2.2.2.1).
pub const OCSP_NO_CHECK: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05,
];
/// 1.3.6.1.5.5.7.48.1.8: `id-pkix-ocsp-pref-sig-algs` (RFC 6960 §4.4.7).
pub const PREFERRED_SIGNATURE_ALGORITHMS: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x08,
];
/// 2.5.29.21: `id-ce-cRLReasons` (RFC 5280 §5.3.1).
pub const REASON_CODE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x15];
/// 1.2.840.113549.1.1.10: `id-RSASSA-PSS` (RFC 4055 §3.1).
pub const RSASSA_PSS: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
];
/// 1.3.6.1.5.5.7.48.1.7: `id-pkix-ocsp-service-locator` (RFC 6960 §4.4.6).
pub const SERVICE_LOCATOR: &[u8] = &[
    0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x07,
];
/// 1.3.14.3.2.26: `id-sha1` (RFC 3279 §2.1).
pub const SHA1: &[u8] = &[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// 1.2.840.113549.1.1.5: `sha1WithRSAEncryption` (RFC 3279 §2.2.1).
pub const SHA1_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05,
];
/// 1.3.14.3.2.29: `sha-1WithRSAEncryption` of the OIW; old Microsoft authorities sign so.
pub const SHA1_WITH_RSA_OIW: &[u8] = &[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1d];
/// 2.16.840.1.101.3.4.2.4: `id-sha224` (RFC 4055 §2.1).
pub const SHA224: &[u8] = &[
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04,
];
/// 1.2.840.113549.1.1.14: `sha224WithRSAEncryption` (RFC 4055 §5).
pub const SHA224_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0e,
];
/// 2.16.840.1.101.3.4.2.1: `id-sha256` (RFC 4055 §2.1).
pub const SHA256: &[u8] = &[
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
];
/// 1.2.840.113549.1.1.11: `sha256WithRSAEncryption` (RFC 4055 §5).
pub const SHA256_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b,
];
/// 2.16.840.1.101.3.4.2.2: `id-sha384` (RFC 4055 §2.1).
pub const SHA384: &[u8] = &[
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
];
/// 1.2.840.113549.1.1.12: `sha384WithRSAEncryption` (RFC 4055 §5).
pub const SHA384_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c,
];
/// 2.16.840.1.101.3.4.2.3: `id-sha512` (RFC 4055 §2.1).
pub const SHA512: &[u8] = &[
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
];
/// 1.2.840.113549.1.1.13: `sha512WithRSAEncryption` (RFC 4055 §5).
pub const SHA512_WITH_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d,
];
/// 1.2.156.10197.1.501: SM2 signature with SM3 (GM/T 0006).
pub const SM2_WITH_SM3: &[u8] = &[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75];
/// 1.2.156.10197.1.401: SM3 hash, no key (GM/T 0006).
pub const SM3: &[u8] = &[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11];

#[cfg(test)]
mod tests;
