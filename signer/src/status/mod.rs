//! The compact status file: what the registry says of every certificate of an authority, in the order of batches, so that
//! one shard of ten million is read without a scan of the database.
//!
//! `file.rs` is the file (byte table, writer, reader), `sorter.rs` puts rows into its order in bounded memory, `book.rs`
//! keeps it in step with the registry: [`Book`] is the file and what changed since, merged while it is read.
//!
//! The database is the truth. The file is written whole (temporary file, fsync, rename), and built anew when it is
//! missing, damaged, of another issuer, or newer than the registry; each block is hashed before a record of it is signed.

pub mod book;
pub mod file;
mod sorter;

pub use book::Book;

use crate::registry::{RegistryError, StatusRow};
use std::io;
use std::path::PathBuf;
use wire::cert_id::IssuerId;
use wire::serial::{Serial, SerialHashKey};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

/// One certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub serial: Serial,
    /// Good or revoked.
    pub status: CertStatus,
    /// End of the certificate's validity.
    pub not_after: UnixSeconds,
}

impl From<StatusRow> for Entry {
    fn from(row: StatusRow) -> Self {
        Self {
            serial: row.serial,
            status: row.status,
            not_after: row.not_after,
        }
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Issuer name and key, hashed.
    pub issuer: IssuerId,
    /// Orders the records, as it orders those of batches and packs.
    pub hash_key: SerialHashKey,
}

/// Why statuses cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The file or a temporary one cannot be read or written.
    #[error("status file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was read is not what was written, or not ours.
    #[error("status file {}, octet {offset}: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A status no response can say, such as a revocation after 2106.
    #[error("the status of {0} cannot be said in a response")]
    Unsayable(Serial),
    /// The registry failed.
    #[error("registry")]
    Registry(#[from] RegistryError),
}

#[cfg(test)]
mod tests;
