//! The loader's seal: one Ed25519 key signs each manifest; whoever opens a generation pins the current key and the next.
//!
//! The key is PKCS#8 in a file only its owner reads. A pin file holds public keys, one a line, 64 hexadecimal digits;
//! a `#` begins a comment. A key's id, which the seal line carries, is the first 8 octets of the BLAKE3 of its 32 octets.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::digest::{decode_hex, encode_hex};

/// A pinned Ed25519 key that may seal generations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From its 32 octets.
    pub fn from_octets(octets: [u8; 32]) -> PublicKey {
        PublicKey(octets)
    }

    /// Its 32 octets.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<PublicKey> {
        decode_hex(digits).map(PublicKey)
    }

    /// The short name that seals carry.
    pub fn id(&self) -> KeyId {
        let hash = blake3::hash(&self.0);
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_bytes()[..8]);
        KeyId(id)
    }

    /// True if `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The first 8 octets of the BLAKE3 of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// From 16 hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<KeyId> {
        decode_hex(digits).map(KeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

/// The private half; the only key the loader holds.
pub struct SealKey(Ed25519KeyPair);

impl SealKey {
    /// A new key and its PKCS#8 octets (a secret).
    pub fn generate() -> Result<(SealKey, Vec<u8>), SealError> {
        let random = ring::rand::SystemRandom::new();
        let document =
            Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| SealError::NoRandomness)?;
        let octets = document.as_ref().to_vec();
        Ok((
            SealKey::from_pkcs8(&octets, Path::new("(new key)"))?,
            octets,
        ))
    }

    /// From PKCS#8 octets; `path` only names them in an error.
    pub fn from_pkcs8(octets: &[u8], path: &Path) -> Result<SealKey, SealError> {
        Ed25519KeyPair::from_pkcs8(octets)
            .map(SealKey)
            .map_err(|_| SealError::NotAKey {
                path: path.to_owned(),
            })
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<SealKey, SealError> {
        let octets = std::fs::read(path).map_err(|source| SealError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        SealKey::from_pkcs8(&octets, path)
    }

    /// The public half, to be pinned.
    pub fn public(&self) -> PublicKey {
        let mut octets = [0; 32];
        octets.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(octets)
    }

    /// Signs `message` (Ed25519, 64 octets).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut octets = [0; 64];
        octets.copy_from_slice(self.0.sign(message).as_ref());
        octets
    }
}

/// Reads a pin file: one key at least.
pub fn read_pins(path: &Path) -> Result<Vec<PublicKey>, SealError> {
    let text = std::fs::read_to_string(path).map_err(|source| SealError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mut pins = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let digits = line.split('#').next().unwrap_or("").trim();
        if digits.is_empty() {
            continue;
        }
        let key = PublicKey::from_hex(digits).ok_or_else(|| SealError::BadPin {
            path: path.to_owned(),
            line: index + 1,
        })?;
        pins.push(key);
    }
    if pins.is_empty() {
        return Err(SealError::NoPins {
            path: path.to_owned(),
        });
    }
    Ok(pins)
}

/// What is wrong with a seal key or a pin file.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Not an Ed25519 key in PKCS#8.
    #[error("{} is not an Ed25519 private key in PKCS#8", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// A line is not a public key.
    #[error("{}, line {line}: not 64 hexadecimal digits", path.display())]
    BadPin {
        /// Which file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// No key in the file: nothing could ever be accepted.
    #[error("{} pins no key", path.display())]
    NoPins {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no random octets.
    #[error("the system gave no random octets")]
    NoRandomness,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_does_not_verify_under_another_key_or_over_other_octets() {
        let (key, _) = SealKey::generate().unwrap();
        let (other, _) = SealKey::generate().unwrap();
        let seal = key.sign(b"generation 7");
        assert!(key.public().verifies(b"generation 7", &seal));
        assert!(!key.public().verifies(b"generation 8", &seal));
        assert!(!other.public().verifies(b"generation 7", &seal));
    }

    #[test]
    fn a_pin_file_with_a_short_line_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let (key, _) = SealKey::generate().unwrap();
        std::fs::write(&path, format!("# current\n{}\nabcd\n", key.public())).unwrap();
        let error = read_pins(&path).unwrap_err();
        assert!(
            matches!(error, SealError::BadPin { line: 3, .. }),
            "{error}"
        );
        std::fs::write(&path, format!("# current\n{} # and a note\n", key.public())).unwrap();
        assert_eq!(read_pins(&path).unwrap(), vec![key.public()]);
        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(matches!(read_pins(&path), Err(SealError::NoPins { .. })));
    }
}
