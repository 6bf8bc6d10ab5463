//! Writes a batch file and reads it back, from the system's memory, before it is flushed and gets its name.
//!
//! Layout: `wire::batch`. The trailer is the BLAKE3 of all before it and the signer's Ed25519 signature over that, so that
//! the loader takes nothing another program put into the spool.

use super::BatchError;
use crate::durable::{Existing, Pending, Secrecy};
use crate::key::{Signer, verify};
use der::{Decode, Encode};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use wire::batch::{Header, TRAILER_HASH_OCTETS, TRAILER_OCTETS, signed_octets};
use wire::cert_id::cert_id_prefix;
use wire::record::RecordRef;
use wire::response::{TbsParts, write_tbs};
use wire::serial::Serial;
use x509_cert::Certificate;

/// A batch file being written.
pub struct BatchFile {
    file: Pending,
    path: PathBuf,
    hasher: blake3::Hasher,
}

impl BatchFile {
    /// Starts the file with its header.
    ///
    /// # Errors
    /// [`BatchError::Header`], [`BatchError::File`].
    pub fn create(path: PathBuf, header: &Header) -> Result<Self, BatchError> {
        let octets = header.encode().map_err(BatchError::Header)?;
        let failed = |source| BatchError::File {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
            crate::durable::sync_folder_of(folder).map_err(failed)?;
        }
        let file = Pending::create(&path, Secrecy::Public).map_err(failed)?;
        let mut batch = Self {
            file,
            path,
            hasher: blake3::Hasher::new(),
        };
        batch.append(&octets)?;
        Ok(batch)
    }

    /// Adds whole records.
    ///
    /// # Errors
    /// [`BatchError::File`].
    pub fn append(&mut self, octets: &[u8]) -> Result<(), BatchError> {
        self.hasher.update(octets);
        let path = &self.path;
        self.file
            .write_all(octets)
            .map_err(|source| BatchError::File {
                path: path.clone(),
                source,
            })
    }

    /// Adds the trailer, reads the file back, gives it its name; answers its path.
    ///
    /// `keys` are the responders of the header's first group, by slot: a sample of their signatures is verified.
    ///
    /// # Errors
    /// [`BatchError`]; the file is gone then.
    pub fn finish(
        mut self,
        header: &Header,
        batch_key: &dyn Signer,
        keys: &[&dyn Signer],
    ) -> Result<PathBuf, BatchError> {
        let hash = *self.hasher.finalize().as_bytes();
        let signature = batch_key.sign(&signed_octets(&hash))?;
        let failed = |source| BatchError::File {
            path: self.path.clone(),
            source,
        };
        self.file
            .write_all(&hash)
            .and_then(|()| self.file.write_all(&signature))
            .map_err(failed)?;
        read_back(self.file.file(), &self.path, header, &hash, keys)?;
        self.file.publish(Existing::Keep).map_err(failed)?;
        Ok(self.path)
    }
}

/// What the system holds of the file, which is flushed only afterwards, is what was meant: header, hash, length, and one record's signatures in [`SAMPLE`].
fn read_back(
    file: &mut File,
    path: &Path,
    meant: &Header,
    hash: &[u8; TRAILER_HASH_OCTETS],
    keys: &[&dyn Signer],
) -> Result<(), BatchError> {
    let failed = |source| BatchError::File {
        path: path.to_owned(),
        source,
    };
    let differs = |why| BatchError::ReadBack {
        path: path.to_owned(),
        why,
    };
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut input = Hashed {
        inner: BufReader::with_capacity(1 << 20, file),
        hasher: blake3::Hasher::new(),
    };

    let expected = meant.encode().map_err(BatchError::Header)?;
    let mut octets = vec![0; expected.len()];
    input.read_exact(&mut octets).map_err(failed)?;
    let (header, _) = Header::parse(&octets).map_err(|_| differs("header"))?;
    if header != *meant {
        return Err(differs("header"));
    }
    let layout = header.layout().map_err(BatchError::Header)?;
    let mut record = vec![0; layout.record_octets()];
    for number in 0..header.record_count {
        input.read_exact(&mut record).map_err(failed)?;
        if number % SAMPLE == 0 {
            let record = layout.record(&record).map_err(|_| differs("record"))?;
            check_record(&header, &record, keys)
                .map_err(|fault| fault.unwrap_or(differs("record")))?;
        }
    }
    if input.hasher.finalize().as_bytes() != hash {
        return Err(differs("octets"));
    }
    let mut trailer = Vec::new();
    input.inner.read_to_end(&mut trailer).map_err(failed)?;
    if trailer.len() != TRAILER_OCTETS || !trailer.starts_with(hash) {
        return Err(differs("trailer"));
    }
    Ok(())
}

/// Verifies the signatures of a record. `keys` are those of the responders of the header's first group, by slot; of others,
/// and where there are none, certificates tell.
pub(super) fn check_record(
    header: &Header,
    record: &RecordRef<'_>,
    keys: &[&dyn Signer],
) -> Result<(), Option<BatchError>> {
    let serial = Serial::from_content(record.serial_content()).map_err(|_| None)?;
    let window = header
        .windows
        .get(usize::from(record.window()))
        .ok_or(None)?;
    for (number, variant) in header.variants.iter().enumerate() {
        let responder = header.responder(window, variant).ok_or(None)?;
        let key = keys.get(usize::from(variant.slot));
        let key = key.filter(|_| window.group == 0);
        let prefix = cert_id_prefix(variant.form, &variant.name_hash, &variant.key_hash)
            .map_err(|_| None)?;
        let parts = TbsParts {
            key_hash: &responder.key_hash,
            produced_at: window.produced_at,
            cert_id_prefix: &prefix,
            serial_content: serial.content(),
            status: record.status().map_err(|_| None)?,
            this_update: window.this_update,
            next_update: window.next_update,
        };
        let mut tbs = Vec::new();
        write_tbs(&parts, &mut tbs).map_err(|_| None)?;
        let signature = record.signature(number).ok_or(None)?;
        // Later groups signed what is carried over; their keys are known by their certificates.
        let read = match key {
            Some(_) => None,
            None => Some(public_key(&responder.certificate).ok_or(None)?),
        };
        let public_key = match (key, &read) {
            (Some(key), _) => key.public_key_der(),
            (None, read) => read.as_deref().ok_or(None)?,
        };
        verify::own(variant.algorithm, public_key, &tbs, signature)
            .map_err(|source| Some(BatchError::Signature { serial, source }))?;
    }
    Ok(())
}

fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let tbs = certificate.tbs_certificate();
    tbs.subject_public_key_info().to_der().ok()
}

/// Hashes what passes.
struct Hashed<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// One record in so many has its signatures verified before the file leaves; the first one always.
const SAMPLE: u64 = 4_096;
