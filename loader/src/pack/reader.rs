//! Opening a pack (cheap: header and tables) and asking it. Verifying it (costly: every record) is next door, in
//! [`super::verify`].

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wire::cert_id::IssuerId;
use wire::record::{RecordLayout, RecordRef};
use wire::serial::SerialHashKey;
use zerocopy::FromBytes as _;

use super::flaw::Flaw;
use super::index::{MAX_BUCKET_RECORDS, Needle, bucket};
use super::layout::{FLAG_REPLAYED, HEADER_OCTETS, Header, KIND_DELTA, MAX_TABLES_OCTETS};
use super::map::Map;
use super::tables::{Shared, Tables, Window, window_at};

/// A published pack, mapped.
pub struct Pack {
    path: PathBuf,
    pub(super) map: Map,
    pub(super) tables: Tables,
    hash_key: SerialHashKey,
    // Copied out of the header in native form: what a question reads.
    shards: u32,
    shard: u32,
    pub(super) buckets: u64,
    windows: u64,
    pub(super) records: usize,
    pub(super) record_octets: usize,
    serial_octets: usize,
    pub(super) directory: usize,
    pub(super) filter: Option<usize>,
}

/// What a pack knows of a serial.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub enum Find<'p> {
    /// Nothing.
    NotHere,
    /// This record.
    Here(RecordRef<'p>),
    /// The file is damaged where the answer would be: nobody may conclude "not here" and ask an older pack.
    Damaged(Flaw),
}

impl Pack {
    /// Maps `path`, reads header and tables, checks every offset against the file's length. Costs microseconds
    /// whatever the number of records; says nothing about the records themselves, see [`Pack::verify`].
    pub fn open(path: &Path) -> Result<Pack, PackError> {
        let unreadable = |source| PackError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        // Read, not looked at in the map: a sector that the disk does not give back would be a SIGBUS there.
        let front = read_front(&file).map_err(unreadable)?;
        let map = Map::of(&file).map_err(unreadable)?;
        let tables =
            Tables::parse(&front, map.octets().len() as u64).map_err(|flaw| PackError::Flawed {
                path: path.to_owned(),
                flaw,
            })?;
        map.expect_random_reads();
        let place = |offset: u64| usize::try_from(offset).expect("inside a file that is mapped");
        let header = &tables.header;
        Ok(Pack {
            path: path.to_owned(),
            hash_key: SerialHashKey(header.hash_key),
            shards: header.shards.into(),
            shard: header.shard.into(),
            buckets: header.buckets.into(),
            windows: tables.sections.windows,
            records: place(tables.sections.records),
            record_octets: tables.record.record_octets(),
            serial_octets: tables.record.serial_octets(),
            directory: place(tables.sections.directory),
            filter: (header.kind == KIND_DELTA).then(|| place(tables.sections.filter)),
            map,
            tables,
        })
    }

    /// False if the filter of this delta rules the serial out, which it does for 996 of 1,000 that are not in it, with
    /// one read. Apart from [`find`](Self::find), so that the reads of eight tiers run side by side. True for a base pack.
    #[inline]
    pub fn may_hold(&self, needle: &Needle) -> bool {
        let Some(filter) = self.filter else {
            return true;
        };
        let word = self.word(filter, bucket(needle.hash, self.buckets));
        word.is_none_or(|word| word & needle.filter_bits == needle.filter_bits)
    }

    /// Looks a serial up: one read of the directory, then the bucket's records, whose addresses are known at once.
    #[inline]
    pub fn find(&self, needle: &Needle) -> Find<'_> {
        let (shard, rest) = needle.shard(self.shards);
        if shard != self.shard {
            return Find::NotHere;
        }
        let Some(serial) = needle.padded(self.serial_octets) else {
            return Find::NotHere;
        };
        let bucket = bucket(rest, self.buckets);
        let Some(records) = self.bucket_records(bucket) else {
            return Find::Damaged(Flaw::Directory { bucket });
        };
        match self.scan(records, serial) {
            Some(octets) => {
                let record = self.tables.record.record(octets);
                record.map_or(Find::Damaged(Flaw::RecordWidth), Find::Here)
            }
            None => Find::NotHere,
        }
    }

    /// The record of this serial. The last eight octets are compared first, in a register: they differ between any two
    /// serials of an authority that draws them or counts them.
    #[inline]
    fn scan<'p>(&self, records: &'p [u8], serial: &[u8]) -> Option<&'p [u8]> {
        let mut records = records.chunks_exact(self.record_octets);
        let (Some(tail), Some(at)) = (serial.last_chunk::<8>(), serial.len().checked_sub(8)) else {
            return records.find(|octets| octets.starts_with(serial));
        };
        records.find(|octets| octets.get(at..at + 8) == Some(tail) && octets.starts_with(serial))
    }

    #[inline]
    pub(super) fn word(&self, filter: usize, bucket: u64) -> Option<u64> {
        let octets = self.map.octets().get(filter + bucket as usize * 8..)?;
        octets.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    /// The records of a bucket; none if the directory is damaged.
    #[inline]
    fn bucket_records(&self, bucket: u64) -> Option<&[u8]> {
        let (first, end) = self.bucket_range(bucket)?;
        if end.checked_sub(first)? > MAX_BUCKET_RECORDS {
            return None;
        }
        let start = self.records + first as usize * self.record_octets;
        let end = self.records + end as usize * self.record_octets;
        self.map.octets().get(start..end)
    }

    #[inline]
    pub(super) fn bucket_range(&self, bucket: u64) -> Option<(u32, u32)> {
        let pair = self
            .map
            .octets()
            .get(self.directory + bucket as usize * 4..)?;
        let [a, b, c, d, e, f, g, h] = *pair.first_chunk::<8>()?;
        Some((
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ))
    }

    /// The window a record names.
    #[inline]
    pub fn window(&self, number: u16) -> Option<Window> {
        if u32::from(number) >= self.tables.header.window_count.get() {
            return None;
        }
        window_at(self.map.octets(), self.windows, number)
    }

    /// Every window, in order.
    pub fn windows(&self) -> impl Iterator<Item = Window> + '_ {
        (0..=u16::MAX).map_while(|number| self.window(number))
    }

    /// What its responses share, but for the windows.
    pub fn shared(&self) -> &Shared {
        &self.tables.shared
    }

    /// Where a record's parts lie.
    pub fn record_layout(&self) -> &RecordLayout {
        &self.tables.record
    }

    /// Every record, in the file's order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        let octets = self.map.octets();
        let end = self.records + self.record_count() as usize * self.record_octets;
        octets[self.records..end]
            .chunks_exact(self.record_octets)
            .map(|octets| {
                self.tables
                    .record
                    .record(octets)
                    .expect("chunks have the record's width")
            })
    }

    /// Faults all pages in; to be called off the serving threads.
    pub fn touch(&self) {
        self.map.touch();
    }

    /// The whole file's octets.
    pub fn octets(&self) -> &[u8] {
        self.map.octets()
    }

    /// Whether its path still names the file that is mapped.
    pub(crate) fn is_in_place(&self) -> bool {
        self.map.is_at(&self.path)
    }

    /// Whether its path names another file than the one that is mapped.
    pub(crate) fn is_replaced(&self) -> bool {
        self.map.is_replaced_at(&self.path)
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose certificates.
    pub fn issuer(&self) -> IssuerId {
        IssuerId(self.header().issuer_id)
    }

    /// The key of the hash of serials.
    pub fn hash_key(&self) -> &SerialHashKey {
        &self.hash_key
    }

    /// True for what changed since, false for a whole shard.
    pub fn is_delta(&self) -> bool {
        self.filter.is_some()
    }

    /// Number of shards and which of them.
    pub fn shards(&self) -> (u32, u32) {
        (self.shards, self.shard)
    }

    /// Registry revision and batch number: the order of packs, the higher answers.
    pub fn age(&self) -> (u64, u64) {
        (self.header().revision.into(), self.header().batch.into())
    }

    /// How many records.
    pub fn record_count(&self) -> u64 {
        self.header().record_count.into()
    }

    /// When the newest batch in it read the registry.
    pub fn created_at(&self) -> u64 {
        self.header().created_at.into()
    }

    /// The clock a replayed CRL was judged by.
    pub fn as_of(&self) -> Option<u64> {
        (self.header().flags == FLAG_REPLAYED).then(|| self.header().as_of.into())
    }

    /// The BLAKE3 of the CRL these records repeat.
    pub fn crl_blake3(&self) -> Option<&[u8; 32]> {
        let hash = &self.header().crl_blake3;
        (*hash != [0; 32]).then_some(hash)
    }

    /// Eight octets that differ between packs: for the `ETag`.
    pub fn tag(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.header().tables_blake3;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn header(&self) -> &Header {
        &self.tables.header
    }
}

/// The header and the tables, as long as it says they are; less of a file that is shorter.
fn read_front(mut file: impl Read) -> io::Result<Vec<u8>> {
    let mut front = Vec::with_capacity(FRONT_OCTETS);
    let mut header = file.by_ref().take(HEADER_OCTETS as u64);
    header.read_to_end(&mut front)?;
    if let Ok((header, _)) = Header::read_from_prefix(&front) {
        // Longer ones are refused.
        let tables = u64::from(header.tables_octets).min(MAX_TABLES_OCTETS);
        file.take(tables).read_to_end(&mut front)?;
    }
    Ok(front)
}

/// What header and tables of most packs fit in.
const FRONT_OCTETS: usize = 8 << 10;

/// A pack that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file cannot be opened, read or mapped.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what a pack must be.
    #[error("{} is not a sound pack", path.display())]
    Flawed {
        /// Which file.
        path: PathBuf,
        /// The rule it breaks.
        #[source]
        flaw: Flaw,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of which a sector cannot be read.
    struct Failing {
        octets: Vec<u8>,
        at: usize,
        sound_to: usize,
    }

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = &self.octets[self.at..self.sound_to];
            if rest.is_empty() && !buffer.is_empty() && self.at < self.octets.len() {
                // EIO.
                return Err(io::Error::from_raw_os_error(5));
            }
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            self.at += read;
            Ok(read)
        }
    }

    #[test]
    fn a_sector_that_the_disk_does_not_give_back_kills_whoever_opens_the_pack() {
        let tables = 1_000_u64;
        let front = HEADER_OCTETS + 1_000;
        let mut octets = vec![0; 9_000];
        octets[16..24].copy_from_slice(&tables.to_le_bytes());
        let read = |sound_to| {
            read_front(Failing {
                octets: octets.clone(),
                at: 0,
                sound_to,
            })
        };
        for sound_to in [0, 100, HEADER_OCTETS, front - 1] {
            assert!(read(sound_to).is_err(), "{sound_to}");
        }
        // Behind it nothing is looked at.
        assert_eq!(read(front).unwrap(), octets[..front]);
        // A header that claims more than there is.
        octets[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(read_front(&octets[..]).unwrap(), octets);
        assert_eq!(read_front(&octets[..9]).unwrap(), octets[..9]);
    }
}
