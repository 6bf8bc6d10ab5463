//! Files that survive a crash: the disk as an argument, and the one way this crate makes a file appear.
//!
//! A file appears whole or not at all. The expected system calls, in this order (a trace of publishing shows it):
//!
//! ```text
//! openat(temp, O_CREAT|O_EXCL)   a leftover of a killed run is never written into
//! write(temp) …
//! fsync(temp)                    the octets are on the platter before any name points at them
//! rename(temp, name)             atomic: readers see the old file, or the new one, never half
//! fsync(folder)                  the name itself is on the platter
//! ```
//!
//! What depends on a file is only begun when that file's folder has been synced, so a pointer never outlives what it
//! names. [`Disk`] is an argument, so that a test can fail, or stop for a `kill -9`, between any two of these calls.
//! `fsync` may lie on hardware that lies; nothing here can help that.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Anyone who may enter the folder (mode 0644).
    Everyone,
    /// Only the owner (mode 0600): keys.
    Owner,
}

/// A file being written.
pub trait DiskFile: Write + Send {
    /// Writes over octets that were already written, at an offset from the file's start.
    fn write_over(&mut self, offset: u64, octets: &[u8]) -> io::Result<()>;
    /// Flushes the file's octets and length to the device (`fsync`).
    fn sync(&mut self) -> io::Result<()>;
}

/// The few acts on a file system that publishing is made of, each a single system call that matters.
pub trait Disk: Send + Sync {
    /// Creates a file that must not exist yet.
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file of ours to write on at its end. A disk that cannot makes its user begin anew.
    fn open_end(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Renames within one file system, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Flushes a folder's names to the device (`fsync` of the folder).
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file; one that is already gone is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a folder and those above it; existing ones are no error.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsDisk;

impl DiskFile for fs::File {
    fn write_over(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.write_all_at(octets, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for FsDisk {
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>> {
        let mode = match audience {
            Audience::Everyone => 0o644,
            Audience::Owner => 0o600,
        };
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open_end(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(fs::OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }
}

/// An act on the disk that failed, with the act and the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Gives an [`io::Result`] its act and path.
pub trait At<T> {
    /// Names the act (a verb) and the path in the error.
    fn at(self, action: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// Makes `octets` appear at `path` by the calls listed at the top of this file, through `temp` (same file system).
///
/// A leftover at `temp` is removed first. When this returns, file and name are durable.
pub fn write_whole(
    disk: &dyn Disk,
    temp: &Path,
    path: &Path,
    octets: &[u8],
    audience: Audience,
) -> Result<(), DiskError> {
    disk.remove(temp).at("remove the leftover", temp)?;
    let mut file = disk.create_new(temp, audience).at("create", temp)?;
    file.write_all(octets).at("write", temp)?;
    file.sync().at("fsync", temp)?;
    drop(file);
    disk.rename(temp, path).at("rename a new file to", path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    disk.sync_folder(folder).at("fsync the folder", folder)
}
