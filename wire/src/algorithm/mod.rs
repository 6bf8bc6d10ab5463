//! Signature algorithms: [`SignatureAlgorithm`], what we sign with; [`ForeignAlgorithm`], what others sign with; and the
//! two forms of an ECDSA-shaped signature.

mod ecdsa;
mod foreign;
#[cfg(test)]
mod tests;

pub(crate) use ecdsa::put_ecdsa;
pub use ecdsa::{MAX_ECDSA_DER_OCTETS, ecdsa_der_from_raw, ecdsa_der_len, ecdsa_raw_from_der};
pub use foreign::{ForeignAlgorithm, Hash};

/// What responses, CRLs and certificates of ours are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256 = 1,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384 = 2,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 bits.
    Rsa2048Sha256 = 3,
    /// RSA PKCS #1 v1.5 with SHA-256, 3072 bits.
    Rsa3072Sha256 = 4,
    /// RSA PKCS #1 v1.5 with SHA-256, 4096 bits.
    Rsa4096Sha256 = 5,
    /// Ed25519.
    Ed25519 = 6,
    /// SM2 with SM3 and the ID 1234567812345678.
    Sm2Sm3 = 7,
}

/// Octets of the longest stored signature: RSA with 4096 bits.
pub const MAX_SIGNATURE_OCTETS: usize = 512;

impl SignatureAlgorithm {
    /// Every algorithm, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::Rsa2048Sha256,
        Self::Rsa3072Sha256,
        Self::Rsa4096Sha256,
        Self::Ed25519,
        Self::Sm2Sm3,
    ];

    /// The octet that stands for it in batches and packs. Stored state: add, never change.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The algorithm of that code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::EcdsaP256Sha256,
            2 => Self::EcdsaP384Sha384,
            3 => Self::Rsa2048Sha256,
            4 => Self::Rsa3072Sha256,
            5 => Self::Rsa4096Sha256,
            6 => Self::Ed25519,
            7 => Self::Sm2Sm3,
            _ => return None,
        })
    }

    /// For people and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::Rsa2048Sha256 => "rsa-2048-sha256",
            Self::Rsa3072Sha256 => "rsa-3072-sha256",
            Self::Rsa4096Sha256 => "rsa-4096-sha256",
            Self::Ed25519 => "ed25519",
            Self::Sm2Sm3 => "sm2-sm3",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Octets of a signature as records store it: r‖s of fixed width, or the plain signature.
    pub const fn raw_octets(self) -> usize {
        match self {
            Self::EcdsaP256Sha256 | Self::Ed25519 | Self::Sm2Sm3 => 64,
            Self::EcdsaP384Sha384 => 96,
            Self::Rsa2048Sha256 => 256,
            Self::Rsa3072Sha256 => 384,
            Self::Rsa4096Sha256 => 512,
        }
    }

    /// True if the stored r‖s is written as `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 §2.2.3, GM/T 0009).
    pub const fn is_ecdsa_shaped(self) -> bool {
        matches!(
            self,
            Self::EcdsaP256Sha256 | Self::EcdsaP384Sha384 | Self::Sm2Sm3
        )
    }

    /// The whole TLV of the `AlgorithmIdentifier`. Parameters are NULL for RSA (RFC 4055 §5) and absent for all others
    /// (RFC 5758 §3.2, RFC 8410 §3, GM/T 0015).
    #[inline]
    pub const fn identifier(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256Sha256 => &[
                0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
            ],
            Self::EcdsaP384Sha384 => &[
                0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03,
            ],
            Self::Rsa2048Sha256 | Self::Rsa3072Sha256 | Self::Rsa4096Sha256 => &[
                0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05,
                0x00,
            ],
            Self::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
            Self::Sm2Sm3 => &[
                0x30, 0x0a, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75,
            ],
        }
    }
}
