//! Where things lie under `--data DIR`.

use std::path::{Path, PathBuf};
use wire::batch::spool_name;

use crate::registry::IssuerId;
use crate::text::hex;

/// The data folder.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// The folder given as `--data`.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self(data.to_owned())
    }

    /// The folder itself.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.0
    }

    /// Registry, keys, passphrase.
    #[must_use]
    pub fn signer(&self) -> PathBuf {
        self.0.join("signer")
    }

    /// PKCS#12 deliveries of demonstration keys.
    #[must_use]
    pub fn deliveries(&self) -> PathBuf {
        self.signer().join("out")
    }

    /// Held by the one process that may write the spool.
    #[must_use]
    pub fn spool_lock(&self) -> PathBuf {
        self.signer().join("spool.lock")
    }

    /// Held by the one process that reserves certificates and signs them.
    #[must_use]
    pub fn issuing_lock(&self) -> PathBuf {
        self.signer().join("issuing.lock")
    }

    /// Batch files, a folder an issuer.
    #[must_use]
    pub fn spools(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Batch files of an issuer, for the loader.
    #[must_use]
    pub fn spool(&self, issuer: &IssuerId) -> PathBuf {
        self.spools().join(hex(issuer))
    }

    /// One batch file.
    #[must_use]
    pub fn batch(&self, issuer: &IssuerId, number: u64) -> PathBuf {
        self.spool(issuer).join(spool_name(number))
    }

    /// The compact status file of an issuer.
    #[must_use]
    pub fn status(&self, issuer: &IssuerId) -> PathBuf {
        self.signer()
            .join("status")
            .join(format!("{}.status", hex(issuer)))
    }

    /// Signatures of an issuer's expired certificates, a file a shard.
    #[must_use]
    pub fn ended(&self, issuer: &IssuerId) -> PathBuf {
        self.signer()
            .join("status")
            .join(format!("{}.ended", hex(issuer)))
    }

    /// Other authorities' CRLs, staged by the loader.
    #[must_use]
    pub fn staged(&self) -> PathBuf {
        self.0.join("staged")
    }

    /// What a newcomer tries first.
    #[must_use]
    pub fn demo(&self) -> PathBuf {
        self.0.join("demo")
    }
}
