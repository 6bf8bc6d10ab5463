//! One sorted run: a file without a name, written once, read once.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::{SortError, run_name};
use crate::durable::{At as _, Audience, Disk, DiskError, DiskFile};

/// A run being written.
pub(super) struct RunWriter {
    file: Box<dyn DiskFile>,
    reading: File,
    buffer: Vec<u8>,
    octets: u64,
}

/// A run being read, one record at a time.
pub(super) struct RunReader {
    reading: File,
    buffer: Vec<u8>,
    /// The octets of `buffer` that are read and not yet given.
    at: usize,
    end: usize,
    /// Octets of the file that are not in `buffer` yet.
    left: u64,
    width: usize,
}

impl RunWriter {
    /// Makes the file and takes its name away at once.
    pub(super) fn create(
        disk: &dyn Disk,
        folder: &Path,
        number: u64,
        buffer: usize,
    ) -> Result<Self, DiskError> {
        let path = run_name(folder, number);
        disk.remove(&path).at("remove the leftover", &path)?;
        let (file, reading) = loop {
            let file = disk
                .create_new(&path, Audience::Owner)
                .at("create", &path)?;
            match File::open(&path) {
                Ok(reading) => break (file, reading),
                // Another process that begins a sort took it for a leftover, in the moment it had a name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).at("open", &path),
            }
        };
        disk.remove(&path).at("unlink", &path)?;
        Ok(Self {
            file,
            reading,
            buffer: Vec::with_capacity(buffer),
            octets: 0,
        })
    }

    pub(super) fn push(&mut self, record: &[u8]) -> io::Result<()> {
        if self.buffer.len() + record.len() > self.buffer.capacity() {
            self.flush()?;
        }
        self.buffer.extend_from_slice(record);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.octets += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Octets written so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// The run, to be read; not flushed to the device, since nothing outlives the process.
    pub(super) fn finish(mut self) -> io::Result<Run> {
        self.flush()?;
        Ok(Run {
            reading: self.reading,
            octets: self.octets,
        })
    }
}

/// A run that is written and not yet read.
pub(super) struct Run {
    reading: File,
    pub(super) octets: u64,
}

impl Run {
    /// Reads it through a buffer of about `buffer` octets.
    pub(super) fn read(self, width: usize, buffer: usize) -> io::Result<RunReader> {
        let records = (buffer / width).max(1);
        let mut reader = RunReader {
            reading: self.reading,
            buffer: vec![0; records * width],
            at: 0,
            end: 0,
            left: self.octets,
            width,
        };
        reader.refill()?;
        Ok(reader)
    }
}

impl RunReader {
    /// The record it stands at; none behind the last.
    #[inline]
    pub(super) fn head(&self) -> Option<&[u8]> {
        if self.at == self.end {
            return None;
        }
        self.buffer.get(self.at..self.at + self.width)
    }

    /// Goes on to the next record.
    #[inline]
    pub(super) fn advance(&mut self) -> io::Result<()> {
        self.at += self.width;
        if self.at >= self.end {
            self.refill()
        } else {
            Ok(())
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        self.reading.read_exact(&mut self.buffer[..wanted])?;
        self.left -= wanted as u64;
        (self.at, self.end) = (0, wanted);
        Ok(())
    }
}

/// Removes what a sort that was killed between making a file and unlinking it has left. Whoever still writes such a file
/// has it open, and misses nothing.
pub(super) fn remove_leftovers(disk: &dyn Disk, folder: &Path) -> Result<(), SortError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(SortError::Read {
                folder: folder.to_owned(),
                source,
            });
        }
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(super::RUN_PREFIX) {
            let path = entry.path();
            disk.remove(&path).at("remove the leftover", &path)?;
        }
    }
    Ok(())
}
