//! The loader's own files under a data folder: its sealing key, the keys it believes, the spool.
//!
//! ```text
//! DIR/loader/seal.key       Ed25519, PKCS#8, mode 0600: seals generations; the only private key here
//! DIR/loader/seal.pub       what edges pin: our key, and those that sealed before it
//! DIR/loader/batch.pub      the signer's batch key, pinned at `init` (or at first use from DIR/signer/batch.pub)
//! DIR/loader/expired/      serials that left a list because their certificates expired, named by the manifest
//! DIR/loader/work           runs of a sort, without names; empty when nothing is sorted
//! DIR/spool/<issuer-id>/    batches in, acknowledgements out, refused ones set aside
//! DIR/store/                what is published
//! ```
//!
//! To change the sealing key: make the new one elsewhere (`init` in an empty folder), pin its public half beside the old one
//! at every edge, then put it in the place of seal.key and start again. A key that seal.pub lacks is added to it, and the
//! older ones there are still believed of what is in the store; take their lines out once every edge has followed.

use std::path::{Path, PathBuf};

use crate::durable::{At as _, Audience, Disk, DiskError, write_whole};
use crate::ownership::{OwnershipError, check_key_file, warn_of_folder};
use crate::seal::{PublicKey, SealError, SealKey, read_pins};
use crate::store::Store;

/// Paths of a data folder.
#[derive(Debug, Clone)]
pub struct Home {
    data: PathBuf,
}

/// What a publisher needs to hold: its key, and the key of the signer whose batches it takes.
pub struct Keys {
    /// Seals generations.
    pub seal: SealKey,
    /// Sealed what is there already, before a change of keys.
    pub older_seals: Vec<PublicKey>,
    /// The signer's Ed25519 batch key.
    pub batch: PublicKey,
}

/// Why the loader's own files are not in order.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file could not be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A key file is wrong.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Others could exchange the sealing key.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    /// There is no batch key to pin.
    #[error("no batch key is pinned and {} is not there; run `hufu-loader init --batch-key FILE` with the signer's batch.pub", path.display())]
    NoBatchKey {
        /// Where it would come from.
        path: PathBuf,
    },
    /// Another batch key is pinned.
    #[error("{} pins another batch key than {}; if the signer's key was renewed, remove the first file and run init again", pinned.display(), given.display())]
    OtherBatchKey {
        /// The pin.
        pinned: PathBuf,
        /// What was given.
        given: PathBuf,
    },
}

impl Home {
    /// The data folder at `data`; nothing is touched.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into() }
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// `DIR/spool`.
    pub fn spool(&self) -> PathBuf {
        self.data.join("spool")
    }

    /// `DIR/store`.
    pub fn store(&self) -> Store {
        Store::at(self.data.join("store"))
    }

    /// `DIR/loader/seal.pub`.
    pub fn seal_pin(&self) -> PathBuf {
        self.loader().join("seal.pub")
    }

    /// `DIR/loader/batch.pub`.
    pub fn batch_pin(&self) -> PathBuf {
        self.loader().join("batch.pub")
    }

    /// `DIR/loader/work`: where what memory does not hold is sorted.
    pub fn work(&self) -> PathBuf {
        self.loader().join("work")
    }

    /// `DIR/loader/expired`: what left lists because it expired.
    pub fn expired(&self) -> PathBuf {
        self.loader().join("expired")
    }

    fn loader(&self) -> PathBuf {
        self.data.join("loader")
    }

    fn seal_key(&self) -> PathBuf {
        self.loader().join("seal.key")
    }

    /// The keys a publisher needs; the sealing key is made and the batch key pinned when they are not there yet.
    /// `given` is the signer's batch.pub; without it, the one beside us in `DIR/signer`.
    pub fn keys(&self, disk: &dyn Disk, given: Option<&Path>) -> Result<Keys, HomeError> {
        let folder = self.loader();
        disk.create_folder(&folder)
            .at("create the folder", &folder)?;
        warn_of_folder(&folder, "its keys");
        warn_of_folder(self.store().root(), "what is published");
        let seal = self.seal(disk)?;
        Ok(Keys {
            older_seals: self.older_seals(disk, seal.public())?,
            seal,
            batch: self.batch(disk, given)?,
        })
    }

    fn seal(&self, disk: &dyn Disk) -> Result<SealKey, HomeError> {
        let path = self.seal_key();
        let key = if path.exists() {
            check_key_file(&path)?;
            SealKey::load(&path)?
        } else {
            let (key, secret) = SealKey::generate()?;
            write_whole(disk, &temp_of(&path), &path, &secret, Audience::Owner)?;
            tracing::info!(id = %key.public().id(), path = %path.display(), "sealing key made");
            key
        };
        Ok(key)
    }

    /// What seal.pub pins beside our own key, which is added if it is not there.
    fn older_seals(&self, disk: &dyn Disk, own: PublicKey) -> Result<Vec<PublicKey>, HomeError> {
        let path = self.seal_pin();
        let mut pins = if path.exists() {
            read_pins(&path)?
        } else {
            Vec::new()
        };
        if !pins.contains(&own) {
            if !pins.is_empty() {
                tracing::warn!(id = %own.id(), path = %path.display(), "the sealing key changed; edges that do not pin it will refuse what it seals");
            }
            let keys = std::iter::once(&own).chain(&pins);
            let lines: String = keys.map(|key| format!("{key}\n")).collect();
            let temp = temp_of(&path);
            write_whole(disk, &temp, &path, lines.as_bytes(), Audience::Everyone)?;
        }
        pins.retain(|pin| *pin != own);
        Ok(pins)
    }

    fn batch(&self, disk: &dyn Disk, given: Option<&Path>) -> Result<PublicKey, HomeError> {
        let pinned = self.batch_pin();
        let beside = self.data.join("signer").join("batch.pub");
        let source = given.unwrap_or(&beside);
        if pinned.exists() {
            let key = read_pins(&pinned)?[0];
            if given.is_some() && read_pins(source)?[0] != key {
                return Err(HomeError::OtherBatchKey {
                    pinned,
                    given: source.to_owned(),
                });
            }
            return Ok(key);
        }
        if !source.exists() {
            return Err(HomeError::NoBatchKey {
                path: source.to_owned(),
            });
        }
        let key = read_pins(source)?[0];
        write_whole(
            disk,
            &temp_of(&pinned),
            &pinned,
            format!("{key}\n").as_bytes(),
            Audience::Everyone,
        )?;
        tracing::info!(id = %key.id(), from = %source.display(), "batch key pinned");
        Ok(key)
    }
}

/// Where a file is written before it is renamed to its name.
fn temp_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
