//! The only `unsafe` of the workspace: mapping a published file into memory.
//!
//! Published files are never written again: they appear by rename under the BLAKE3 of their octets and vanish by
//! unlink, which leaves the pages of an existing map alone. That promise of ours is what makes a map sound; nothing in
//! the language can enforce it against another program that truncates the file under us (the process would get SIGBUS)
//! or writes into it (the octets would change under a `&[u8]`). So the folder belongs to the loader's user and nobody
//! else may write there, and everything read through a map is checked where it is used: a change after opening can make
//! an answer fail, never make the responder read outside the map.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use memmap2::{Advice, Mmap, MmapOptions};

/// A published file, mapped read-only and shared.
pub(crate) struct Map {
    octets: Mmap,
    /// Device and inode: the file itself, whatever its name.
    file: (u64, u64),
}

impl Map {
    /// Maps the whole of `path`.
    ///
    /// The caller's duty is the promise above: `path` names a sealed file in a store or edge folder, not one that is
    /// still being written.
    pub(crate) fn open(path: &Path) -> io::Result<Map> {
        Self::of(&File::open(path)?)
    }

    /// The same of a file that is open.
    #[expect(
        unsafe_code,
        reason = "mapping a file; the contract is at the top of this file"
    )]
    pub(crate) fn of(file: &File) -> io::Result<Map> {
        let metadata = file.metadata()?;
        let length = usize::try_from(metadata.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::FileTooLarge, "longer than the address space")
        })?;
        if length == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is empty",
            ));
        }
        // SAFETY: the file is sealed (the caller's duty, above): its octets and length do not change while mapped.
        let octets = unsafe { MmapOptions::new().len(length).map(file)? };
        Ok(Map {
            octets,
            file: (metadata.dev(), metadata.ino()),
        })
    }

    /// Whether `path` still names the file that is mapped, at its length. A damaged file is repaired by another one taking
    /// its name.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let octets = self.octets.len() as u64;
        path.metadata().is_ok_and(|metadata| {
            self.file == (metadata.dev(), metadata.ino()) && metadata.len() == octets
        })
    }

    /// Whether `path` names another file by now.
    pub(crate) fn is_replaced_at(&self, path: &Path) -> bool {
        let found = path.metadata();
        found.is_ok_and(|metadata| self.file != (metadata.dev(), metadata.ino()))
    }

    /// The file's octets.
    #[inline]
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Tells the kernel that reads will be random: a fault on a cold page then reads that page, not the 128 KiB around
    /// it, of which 127 would push other records out of the page cache. Pages already cached are still mapped in groups
    /// (fault-around), so a warm file pays nothing.
    pub(crate) fn expect_random_reads(&self) {
        // A kernel that refuses the advice serves the same octets, only slower when cold.
        let _ = self.octets.advise(Advice::Random);
    }

    /// Faults every page in (`MADV_POPULATE_READ`), so that the first question after a swap costs what the second does.
    /// Reads the whole file from disk if it is not cached: to be called off the serving threads.
    pub(crate) fn touch(&self) {
        // Under the advice of random reads every page would be a read of its own: 370 s for 900 MB on one disk.
        let _ = self.octets.advise(Advice::Sequential);
        let populated = self.octets.advise(Advice::PopulateRead);
        self.expect_random_reads();
        if populated.is_ok() {
            return;
        }
        // Before Linux 5.14: read one octet of each page; the sum keeps the reads from being dropped.
        let sum = self
            .octets
            .iter()
            .step_by(4096)
            .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        std::hint::black_box(sum);
    }
}
