//! Keys at rest: `DIR/signer/keys/<name>.pk8`, encrypted PKCS#8 (PBES2: PBKDF2-HMAC-SHA-256, AES-256-CBC), mode 0600.
//!
//! The passphrase is 256 random bits in a file beside the folder, mode 0600: that is the demonstration's arrangement, and
//! whoever reads the file has the keys. Stretching buys nothing against 256 random bits, so the iteration count is what
//! other tools default to and a start opens all its keys in milliseconds.

use super::{KeyError, Signer};
use crate::durable::{self, Existing, Secrecy};
use crate::text::hex;
use pkcs8::der::Decode;
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wire::algorithm::SignatureAlgorithm;
use zeroize::{Zeroize, Zeroizing};

/// The folder of keys and the passphrase that opens them.
pub struct Keyring {
    signer_folder: PathBuf,
    folder: PathBuf,
    passphrase: Zeroizing<Vec<u8>>,
}

impl Keyring {
    /// Opens the keys of `signer_folder` (`DIR/signer`), making folder and passphrase on first use. What others than the
    /// owner may read is closed to them, and told.
    ///
    /// # Errors
    /// [`KeyError::File`] if the disk refuses, [`KeyError::Random`] if there is no entropy; [`KeyError::Lost`] if there are
    /// keys but no passphrase, [`KeyError::NoPassphrase`] if it is empty.
    pub fn open(signer_folder: &Path) -> Result<Self, KeyError> {
        let folder = signer_folder.join("keys");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| KeyError::File {
                path: folder.clone(),
                source,
            })?;
        close_to_others(signer_folder, 0o700)?;
        close_to_others(&folder, 0o700)?;
        let path = signer_folder.join("passphrase");
        if let Some(passphrase) = read_passphrase(&path)? {
            close_to_others(&path, 0o600)?;
            if passphrase.is_empty() {
                return Err(KeyError::NoPassphrase(path));
            }
            return Ok(Self {
                signer_folder: signer_folder.to_owned(),
                folder,
                passphrase,
            });
        }
        // It is written before the first key: a new one beside old keys would hide that they are lost.
        if signer_folder.join("batch.key").exists() || holds_keys(&folder)? {
            return Err(KeyError::Lost(path));
        }
        let mut octets = Zeroizing::new([0_u8; 32]);
        getrandom::fill(octets.as_mut_slice()).map_err(|_| KeyError::Random)?;
        let mut text = Zeroizing::new(hex(octets.as_slice()).into_bytes());
        text.push(b'\n');
        durable::write(&path, &text, Secrecy::Private, Existing::Keep).map_err(|source| {
            KeyError::File {
                path: path.clone(),
                source,
            }
        })?;
        text.pop();
        Ok(Self {
            signer_folder: signer_folder.to_owned(),
            folder,
            passphrase: text,
        })
    }

    /// Makes a key, stores it under `name`, opens it.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if the name is taken; otherwise as [`generate`](super::generate) and the disk say.
    pub fn make(
        &self,
        name: &str,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn Signer>, KeyError> {
        let plain = super::generate(algorithm)?;
        self.store(name, algorithm, &plain)?;
        super::open(algorithm, &plain)
    }

    /// Stores an existing PKCS#8 under `name`, encrypted.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn store(
        &self,
        name: &str,
        algorithm: SignatureAlgorithm,
        pkcs8: &[u8],
    ) -> Result<(), KeyError> {
        self.store_at(&self.path(name), algorithm, pkcs8)
    }

    fn store_at(
        &self,
        path: &Path,
        algorithm: SignatureAlgorithm,
        pkcs8: &[u8],
    ) -> Result<(), KeyError> {
        let sealed = self
            .encrypt(pkcs8)
            .map_err(|()| KeyError::Generate(algorithm))?;
        durable::write(path, &sealed, Secrecy::Private, Existing::Keep).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
                _ => KeyError::File {
                    path: path.to_owned(),
                    source,
                },
            }
        })
    }

    /// The key that signs batch files (Ed25519), made on first use; its public half stands in `batch.pub`, hexadecimal, for
    /// the loader to pin.
    ///
    /// # Errors
    /// As [`make`](Self::make) and [`signer`](Self::signer); [`KeyError::Lost`] if only the public half is left.
    pub fn batch_key(&self) -> Result<Box<dyn Signer>, KeyError> {
        let path = self.signer_folder.join("batch.key");
        let public = self.signer_folder.join("batch.pub");
        if !path.exists() {
            // The loader has pinned it: whatever another key signed would be refused.
            if public.exists() {
                return Err(KeyError::Lost(path));
            }
            let plain = super::generate(SignatureAlgorithm::Ed25519)?;
            self.store_at(&path, SignatureAlgorithm::Ed25519, &plain)?;
        }
        let key = super::open(SignatureAlgorithm::Ed25519, &self.load_from(&path)?)?;
        if !public.exists() {
            // RFC 8410: the 32 octets of the key end its SubjectPublicKeyInfo.
            let der = key.public_key_der();
            let raw = der.len().checked_sub(32).and_then(|from| der.get(from..));
            let text = format!("{}\n", hex(raw.unwrap_or_default()));
            durable::write(&public, text.as_bytes(), Secrecy::Public, Existing::Replace).map_err(
                |source| KeyError::File {
                    path: public.clone(),
                    source,
                },
            )?;
        }
        Ok(key)
    }

    /// Whether a key of that name is on the disk.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Opens the key stored under `name`.
    ///
    /// # Errors
    /// [`KeyError::Locked`] if the passphrase does not fit, [`KeyError::Unusable`] if the key is of another algorithm.
    pub fn signer(
        &self,
        name: &str,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn Signer>, KeyError> {
        super::open(algorithm, &self.load(name)?)
    }

    /// The unencrypted PKCS#8 stored under `name`, wiped when dropped: for the demonstration's PKCS#12 deliveries.
    ///
    /// # Errors
    /// As [`signer`](Self::signer).
    pub fn load(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.load_from(&self.path(name))
    }

    fn load_from(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let locked = || KeyError::Locked(path.to_owned());
        let sealed = std::fs::read(path).map_err(|source| KeyError::File {
            path: path.to_owned(),
            source,
        })?;
        let info = EncryptedPrivateKeyInfoRef::from_der(&sealed).map_err(|_| locked())?;
        Ok(info
            .decrypt(&self.passphrase)
            .map_err(|_| locked())?
            .to_bytes())
    }

    /// Names of stored keys that begin so.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn names_beginning(&self, prefix: &str) -> Result<Vec<String>, KeyError> {
        let failed = |source| KeyError::File {
            path: self.folder.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".pk8"));
            names.extend(
                stem.filter(|stem| stem.starts_with(prefix))
                    .map(str::to_owned),
            );
        }
        Ok(names)
    }

    /// Removes a key whose certificate will never be used again.
    ///
    /// # Errors
    /// [`KeyError::File`] if the disk refuses; a missing file is fine.
    pub fn remove(&self, name: &str) -> Result<(), KeyError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeyError::File { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Names are ours (aliases and numbers), never a form's.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pk8"))
    }

    fn encrypt(&self, pkcs8: &[u8]) -> Result<Vec<u8>, ()> {
        let (mut salt, mut iv) = ([0_u8; 16], [0_u8; 16]);
        getrandom::fill(&mut salt).map_err(|_| ())?;
        getrandom::fill(&mut iv).map_err(|_| ())?;
        let parameters =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(PBKDF2_ITERATIONS, &salt, iv)
                .map_err(|_| ())?;
        let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| ())?;
        let sealed = info
            .encrypt_with_params(parameters, &self.passphrase)
            .map_err(|_| ())?;
        Ok(sealed.as_bytes().to_vec())
    }
}

fn holds_keys(folder: &Path) -> Result<bool, KeyError> {
    let failed = |source| KeyError::File {
        path: folder.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if Path::new(&name).extension().is_some_and(|end| end == "pk8") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes from group and others what they have of a file or folder beyond `mode`.
fn close_to_others(path: &Path, mode: u32) -> Result<(), KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    let found = std::fs::metadata(path).map_err(failed)?.permissions();
    if found.mode() & 0o077 != 0 {
        let open = format!("{:o}", found.mode() & 0o777);
        tracing::warn!(path = %path.display(), mode = open, "was open to others than its owner; closed now");
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

fn read_passphrase(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    match std::fs::read(path) {
        Ok(mut octets) => {
            let trimmed = octets.trim_ascii().to_vec();
            octets.zeroize();
            Ok(Some(Zeroizing::new(trimmed)))
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// OpenSSL's default for `pkcs8 -v2`; see the head of this file for why not more.
const PBKDF2_ITERATIONS: u32 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_written_by_one_process_signs_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        for (name, algorithm) in [
            ("p256", SignatureAlgorithm::EcdsaP256Sha256),
            ("p384", SignatureAlgorithm::EcdsaP384Sha384),
            ("rsa", SignatureAlgorithm::Rsa2048Sha256),
            ("ed", SignatureAlgorithm::Ed25519),
            ("sm2", SignatureAlgorithm::Sm2Sm3),
        ] {
            let made = Keyring::open(folder.path())
                .unwrap()
                .make(name, algorithm)
                .unwrap();
            let again = Keyring::open(folder.path())
                .unwrap()
                .signer(name, algorithm)
                .unwrap();
            assert_eq!(made.public_key_der(), again.public_key_der());
            let signature = again.sign(b"message").unwrap();
            crate::key::verify::own(algorithm, made.public_key_der(), b"message", &signature)
                .unwrap();
            crate::key::verify::own(algorithm, made.public_key_der(), b"massage", &signature)
                .unwrap_err();
        }
    }

    #[test]
    fn a_second_founding_does_not_overwrite_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path()).unwrap();
        ring.make("root", SignatureAlgorithm::EcdsaP256Sha256)
            .unwrap();
        let second = ring.make("root", SignatureAlgorithm::EcdsaP256Sha256);
        assert!(matches!(second, Err(KeyError::Exists(_))));
    }

    #[test]
    fn a_key_does_not_open_with_another_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let algorithm = SignatureAlgorithm::Sm2Sm3;
        Keyring::open(folder.path())
            .unwrap()
            .make("k", algorithm)
            .unwrap();
        std::fs::write(folder.path().join("passphrase"), "guess").unwrap();
        let opened = Keyring::open(folder.path()).unwrap().signer("k", algorithm);
        assert!(matches!(opened, Err(KeyError::Locked(_))));
    }

    #[test]
    fn the_file_does_not_hold_the_key_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path()).unwrap();
        ring.make("k", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let plain = ring.load("k").unwrap();
        let file = std::fs::read(folder.path().join("keys/k.pk8")).unwrap();
        assert!(
            !file
                .windows(16)
                .any(|window| plain.windows(16).any(|part| part == window))
        );
    }

    #[test]
    fn a_lost_passphrase_is_replaced_and_the_loss_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let open = || Keyring::open(folder.path());
        open()
            .unwrap()
            .make("k", SignatureAlgorithm::EcdsaP256Sha256)
            .unwrap();
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(open(), Err(KeyError::NoPassphrase(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(open(), Err(KeyError::Lost(_))));
        assert!(!path.exists());
    }

    #[test]
    fn a_lost_batch_key_is_replaced_by_one_the_loader_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path()).unwrap();
        ring.batch_key().unwrap();
        std::fs::remove_file(folder.path().join("batch.key")).unwrap();
        assert!(matches!(ring.batch_key(), Err(KeyError::Lost(_))));
    }

    #[test]
    fn keys_and_registry_stay_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let signer = folder.path().join("signer");
        Keyring::open(&signer).unwrap();
        let (passphrase, keys) = (signer.join("passphrase"), signer.join("keys"));
        let open = |path: &Path| {
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        };
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for path in [&signer, &keys, &passphrase] {
            open(path);
        }
        Keyring::open(&signer).unwrap();
        let modes = [&signer, &keys, &passphrase].map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o700, 0o600]);
    }
}
