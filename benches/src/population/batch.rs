//! A population as its signer would have handed it over: one full batch file, hashed and signed.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use hufu_loader::manifest::Role;
use hufu_loader::pack::Pack;
use hufu_loader::seal::{PublicKey, SealKey};
use hufu_loader::store::Store;
use wire::batch::{Header, signed_octets};

use super::{Population, header};

/// A batch file, and who may be believed about it.
pub struct Batch {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// The key that signed it, made for the occasion.
    pub signer: PublicKey,
}

impl Population {
    /// Its base packs, in the order of their shards, as they were published.
    ///
    /// # Errors
    /// When a file has gone.
    pub fn bases(&self) -> Result<Vec<Pack>, Box<dyn std::error::Error>> {
        let store = Store::at(&self.edge);
        let bases = self
            .objects
            .iter()
            .filter(|entry| matches!(entry.role, Role::Base(_)));
        bases
            .map(|entry| Ok(Pack::open(&store.object(entry.blake3))?))
            .collect()
    }

    /// Writes its records to `path` as the batch of which its base packs are made. Only those of a population that was
    /// really signed pass the loader's judgement.
    ///
    /// # Errors
    /// When the file cannot be written, or the system has no randomness.
    pub fn batch(&self, path: &Path) -> Result<Batch, Box<dyn std::error::Error>> {
        let header = header(&self.issuer, &self.plan, 1, self.records, self.made_at);
        // An Ed25519 key like the one of a signer.
        let (key, _) = SealKey::generate()?;
        let mut file = BufWriter::new(File::create(path)?);
        let mut hasher = blake3::Hasher::new();
        let mut append = |octets: &[u8]| {
            hasher.update(octets);
            file.write_all(octets)
        };
        append(&header.encode()?)?;
        for pack in self.bases()? {
            for record in pack.records() {
                append(record.octets())?;
            }
        }
        let hash = *hasher.finalize().as_bytes();
        file.write_all(&hash)?;
        file.write_all(&key.sign(&signed_octets(&hash)))?;
        file.flush()?;
        Ok(Batch {
            path: path.to_owned(),
            header,
            signer: key.public(),
        })
    }
}
