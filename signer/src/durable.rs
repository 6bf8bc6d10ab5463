//! Files that must survive a crash whole: temp name, fsync, rename, fsync of the folder.
//!
//! Expected system calls of [`write()`], in this order:
//! `openat(temp, O_CREAT|O_EXCL)`, `write`, `fsync(temp)`, `rename(temp, path)`, `fsync(folder)`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// The owner only, 0600.
    Private,
    /// Everyone, 0644.
    Public,
}

/// What happens when the path exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The new file takes its place.
    Replace,
    /// The call fails with [`io::ErrorKind::AlreadyExists`] and the old file stays.
    Keep,
}

/// Writes `octets` to `path` so that a crash leaves the old state or the new one.
///
/// # Errors
/// Whatever the file system says; the temporary file is removed then.
pub fn write(path: &Path, octets: &[u8], secrecy: Secrecy, existing: Existing) -> io::Result<()> {
    let mut file = Pending::create(path, secrecy)?;
    file.write_all(octets)?;
    file.publish(existing)
}

/// A file being written under a temporary name beside its final one.
///
/// Dropped without [`publish`](Self::publish), it removes what it wrote.
#[derive(Debug)]
pub struct Pending {
    file: File,
    temp: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Pending {
    /// Opens a temporary file for `path`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(path: &Path, secrecy: Secrecy) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut temp_name = std::ffi::OsString::from(".");
        temp_name.push(name);
        temp_name.push(format!(".{}.tmp", std::process::id()));
        let temp = path.with_file_name(temp_name);
        // A temp file of this process id is what an earlier process left when it was killed.
        match std::fs::remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = match secrecy {
            Secrecy::Private => 0o600,
            Secrecy::Public => 0o644,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temp)?;
        Ok(Self {
            file,
            temp,
            path: path.to_owned(),
            published: false,
        })
    }

    /// The open temporary file, to read back what was written before it is published.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Flushes the file to the disk, gives it its name, flushes the folder.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn publish(mut self, existing: Existing) -> io::Result<()> {
        self.file.sync_all()?;
        match existing {
            Existing::Replace => std::fs::rename(&self.temp, &self.path)?,
            // link(2) refuses an existing name, which rename(2) would replace.
            Existing::Keep => {
                std::fs::hard_link(&self.temp, &self.path)?;
                std::fs::remove_file(&self.temp)?;
            }
        }
        self.published = true;
        sync_folder_of(&self.path)
    }
}

impl Write for Pending {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to do about a failure: the next writer of this name removes it.
            let _ = std::fs::remove_file(&self.temp);
        }
    }
}

/// Flushes the folder that holds `path`, so that a new name survives a crash.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_does_not_overwrite_what_must_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, b"first", Secrecy::Private, Existing::Keep).unwrap();
        let error = write(&path, b"second", Secrecy::Private, Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temp file is left"
        );
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut pending = Pending::create(&folder.path().join("x"), Secrecy::Public).unwrap();
        pending.write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_private_file_is_not_readable_by_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write(&path, b"x", Secrecy::Private, Existing::Replace).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
