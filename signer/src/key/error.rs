//! What can go wrong with a key.

use std::{io, path::PathBuf};
use wire::algorithm::SignatureAlgorithm;

/// Failures of keys and their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The backend would not make a key.
    #[error("cannot make a key for {}", .0.name())]
    Generate(SignatureAlgorithm),
    /// The octets are not a private key of this algorithm.
    #[error("not a private key for {}", .0.name())]
    Unusable(SignatureAlgorithm),
    /// The caller's buffer has the wrong length: a fault of ours.
    #[error("a {} signature has {needed} octets, the buffer has {given}", algorithm.name())]
    Length {
        /// The key's algorithm.
        algorithm: SignatureAlgorithm,
        /// Octets of a raw signature.
        needed: usize,
        /// Octets of the buffer.
        given: usize,
    },
    /// The backend would not sign.
    #[error("signing with {} failed", .0.name())]
    Sign(SignatureAlgorithm),
    /// A key file or the passphrase file cannot be read or written.
    #[error("key file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file opens, but not with this passphrase, or it is damaged.
    #[error("key file {} does not open with the passphrase", .0.display())]
    Locked(PathBuf),
    /// A key of that name exists; keys are never overwritten.
    #[error("key file {} exists already", .0.display())]
    Exists(PathBuf),
    /// A secret is gone while what hangs on it is still here.
    #[error("{} is missing, although it was in use: put it back from a copy; a new one would not do", .0.display())]
    Lost(PathBuf),
    /// A passphrase that protects nothing.
    #[error("{} is empty", .0.display())]
    NoPassphrase(PathBuf),
    /// The system gave no random octets.
    #[error("the system gives no random octets")]
    Random,
}
