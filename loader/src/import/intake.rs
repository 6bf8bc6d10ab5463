//! One list of an import: read once, copied to where it is staged, judged and settled by itself.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use wire::algorithm::ForeignAlgorithm;
use wire::crl::{Crl, Outline, PemLabel};

use super::armour::DerInput;
use super::check::Recurrence;
use super::crl::{Judging, Wanted, judge_read_as};
use super::file::{ImportError, open, random_key, refused_at, unreadable};
use super::list::{ListError, ListRead, ListReader};
use super::listed::{LISTED_OCTETS, SettleError, Settled};
use super::refusal::CrlRefusal;
use super::whose::Parties;
use crate::durable::Disk;
use crate::sort::{SortError, Sorter, Sorting};
use crate::staged::{Pending, StagedError};

/// A list that came and passed by itself.
pub(super) struct Came {
    /// Its file in the staging folder.
    pub(super) name: String,
    /// Where it is staged, until the folder is swapped in.
    pub(super) path: PathBuf,
    /// Everything but its entries.
    pub(super) outline: Outline,
    /// The algorithm its signature was made with.
    pub(super) algorithm: ForeignAlgorithm,
    /// Entries as they stand in it.
    pub(super) entries: u64,
    /// How many of them are about certificates of other issuers.
    pub(super) others: u64,
    /// Serials revoked in the end.
    pub(super) revoked: u64,
    /// Serials that stand there more than once.
    pub(super) recurring: u64,
    /// The first of them.
    pub(super) recurrences: Vec<Recurrence>,
    /// BLAKE3.
    pub(super) blake3: [u8; 32],
    /// What is unusual, in sentences.
    pub(super) odd: Vec<String>,
}

impl Came {
    /// Everything but its entries. Its `tbs` is not what was signed.
    pub(super) fn crl(&self) -> Crl<'_> {
        self.outline.read().expect("it was read when it was judged")
    }
}

/// What a list is read and judged with.
pub(super) struct Bench<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) sorting: &'a Sorting,
    pub(super) parties: Parties<'a>,
    pub(super) judging: &'a Judging,
}

impl Bench<'_> {
    /// Reads, judges and settles one list.
    pub(super) fn take(
        &self,
        path: &Path,
        pending: &mut Pending,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Came, ImportError> {
        let refused = |source: CrlRefusal| refused_at(path, source);
        let (file, octets) = open(path)?;
        let input = Counted::new(file, octets, progress);
        let mut read = self.read_into(path, input, pending)?;
        let is_plain = read.is_plain()?;
        let wanted = match read.outline.read() {
            Ok(crl) => Wanted::of(&crl),
            Err(error) => return Err(refused(error.into())),
        };
        let judged = judge_read_as(wanted, read, &self.parties, self.judging);
        let mut judged = judged.map_err(refused)?;
        if is_plain {
            judged.settled.revoked = judged.entries - judged.others;
        } else {
            judged.settled = self.settle(pending, &judged.blake3)?;
            match judged.settle() {
                Ok(()) => {}
                Err(SettleError::Fault(fault)) => return Err(refused(fault.into())),
                Err(SettleError::Sort(error)) => return Err(error.into()),
                Err(SettleError::Twice { .. }) => unreachable!("only lines are numbered"),
            }
        }
        Ok(Came {
            name: pending.list_name().to_owned(),
            path: pending.list_path(),
            outline: judged.outline,
            algorithm: judged.algorithm,
            entries: judged.entries,
            others: judged.others,
            revoked: judged.settled.revoked,
            recurring: judged.settled.recurring,
            recurrences: judged.settled.recurrences,
            blake3: judged.blake3,
            odd: judged.odd,
        })
    }

    /// Reads a list, and writes it as DER to where it is staged on the way. Of its entries only hashes are kept: in nearly
    /// every list each serial stands once, and there is nothing to settle.
    fn read_into(
        &self,
        path: &Path,
        input: impl Read,
        pending: &mut Pending,
    ) -> Result<ListRead, ImportError> {
        let input = BufReader::with_capacity(READ_OCTETS, input);
        let mut copied = Copied::new(DerInput::new(input, PemLabel::Crl), pending.list());
        let hashes = Sorter::begin(self.disk, self.sorting, HASH_OCTETS)?;
        let nobody = &mut |_| ();
        let read = self.reader(nobody)?.hashes_only(hashes).read(&mut copied);
        if let Some(source) = copied.failed {
            return Err(pending.unwritable(source).into());
        }
        read.map_err(|error| match error {
            ListError::Sort(error) => error.into(),
            ListError::Decode(error) => refused_at(path, error.into()),
            ListError::Io(source) => match broken_armour(&source) {
                Some(rule) => refused_at(path, rule.at(0).into()),
                None => unreadable(path, source),
            },
        })
    }

    /// Reads the copy again, now with its entries: some serial recurs, or is cleared.
    fn settle(&self, pending: &Pending, blake3: &[u8; 32]) -> Result<Settled, ImportError> {
        let path = pending.list_path();
        let list = File::open(&path).map_err(|source| unreadable(&path, source))?;
        let nobody = &mut |_| ();
        let read = self.reader(nobody)?.read(list);
        let read = read.map_err(|error| match error {
            ListError::Sort(error) => error.into(),
            ListError::Decode(error) => refused_at(&path, error.into()),
            ListError::Io(source) => unreadable(&path, source),
        })?;
        if read.blake3 != *blake3 {
            return Err(StagedError::Changed { path }.into());
        }
        Ok(Settled::new(read.sorted))
    }

    fn reader<'b>(
        &'b self,
        progress: &'b mut dyn FnMut(u64),
    ) -> Result<ListReader<'b, 'b>, SortError> {
        let sorter = Sorter::begin(self.disk, self.sorting, LISTED_OCTETS)?;
        let key = random_key();
        Ok(ListReader::new(sorter, key, self.parties, progress))
    }
}

/// The rule of PEM that was broken, if it was that.
fn broken_armour(error: &io::Error) -> Option<wire::Rule> {
    error.get_ref()?.downcast_ref().copied()
}

/// Hands on what it reads and writes it down.
pub(super) struct Copied<'a, R> {
    input: R,
    copy: &'a mut File,
    /// What kept it from writing.
    pub(super) failed: Option<io::Error>,
}

impl<'a, R> Copied<'a, R> {
    pub(super) fn new(input: R, copy: &'a mut File) -> Self {
        Self {
            input,
            copy,
            failed: None,
        }
    }
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        if let Err(error) = self.copy.write_all(&out[..read]) {
            let kind = error.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        Ok(read)
    }
}

/// Tells how far it is.
pub(super) struct Counted<'a> {
    file: File,
    read: u64,
    all: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Counted<'a> {
    pub(super) fn new(file: File, all: u64, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self {
            file,
            read: 0,
            all,
            progress,
        }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.read += read as u64;
        (self.progress)(self.read, self.all);
        Ok(read)
    }
}

/// Less than what is asked for at a time, which then goes past this buffer.
const READ_OCTETS: usize = 64 << 10;
const HASH_OCTETS: usize = 8;
