//! `import --crl`: two files of the operator's in, one staged folder and a report out, or nothing.
//!
//! What is already staged of the same issuer is the floor: a list never goes backwards, by thisUpdate or by CRL number.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use wire::crl::{Crl, IssuingDistributionPoint, PemLabel};
use wire::serial::SerialHashKey;

use super::armour::DerInput;
use super::certificate::{Certificate, CertificateError};
use super::crl::{JudgedList, Judging, judge_read};
use super::list::{ListError, ListRead, ListReader, outline_of};
use super::listed::{LISTED_OCTETS, SettleError, Settled};
use super::refusal::CrlRefusal;
pub use super::report::{RecurringSerial, Report};
use super::trust::WeakPolicy;
use crate::digest::encode_hex;
use crate::durable::{Disk, FsDisk};
use crate::home::Home;
use crate::sort::{SortError, Sorter, Sorting};
use crate::staged::{self, Form, Options, Pending, StagedError};

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct CrlImport<'a> {
    /// The list, DER or PEM.
    pub crl: &'a Path,
    /// The issuer's certificate, DER or PEM.
    pub issuer: &'a Path,
    /// The data folder.
    pub data: &'a Path,
    /// Clock and leniency.
    pub judging: Judging,
}

/// What an import works with.
pub struct Means<'a> {
    /// Holds what memory does not.
    pub disk: &'a dyn Disk,
    /// Where and in how much memory entries are sorted.
    pub sorting: Sorting,
    /// Told of the list's octets read so far, and of how many there are.
    pub progress: &'a mut dyn FnMut(u64, u64),
}

/// Why nothing was staged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Longer than any list we know of.
    #[error("{}: {octets} octets are more than the {MOST_OCTETS} that are read", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Its length.
        octets: u64,
    },
    /// The issuer's certificate.
    #[error("{}: {source}", path.display())]
    Issuer {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
    /// The list.
    #[error("{}: {source}", path.display())]
    Crl {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: CrlRefusal,
    },
    /// A list that no CA has signed.
    #[error("{}: {source}", path.display())]
    Unsigned {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: super::unsigned::UnsignedRefusal,
    },
    /// The staging folder.
    #[error(transparent)]
    Staging(#[from] StagedError),
    /// The entries cannot be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
}

/// Reads, judges and stages one list; on the real disk, in the usual memory.
pub fn import_crl(request: &CrlImport<'_>) -> Result<Report, ImportError> {
    let mut means = Means {
        disk: &FsDisk,
        sorting: Sorting::in_folder(Home::at(request.data).work()),
        progress: &mut |_, _| (),
    };
    import_crl_with(request, &mut means)
}

/// Reads the list once, from front to back: into the staging folder, hashed, its entries sorted and settled. Then it is
/// judged; the folder is swapped in only if it passes.
pub fn import_crl_with(
    request: &CrlImport<'_>,
    means: &mut Means<'_>,
) -> Result<Report, ImportError> {
    let issuer = read_issuer(request.issuer)?;
    let refused = |source: CrlRefusal| ImportError::Crl {
        path: request.crl.to_owned(),
        source,
    };
    let (file, octets) = open(request.crl)?;
    let id = issuer.id().to_string();
    // From the look at what is staged until it is replaced.
    let _lock = staged::lock(request.data)?;
    let mut pending = Pending::begin(request.data, &id, Form::Crl)?;
    let input = Counted::new(file, octets, means.progress);
    let bench = Bench {
        disk: means.disk,
        sorting: &means.sorting,
        issuer: &issuer,
    };
    let mut read = bench.read_into(request.crl, input, &mut pending)?;
    let is_plain = read.is_plain()?;
    let mut judged = judge_read(read, &issuer, &request.judging).map_err(refused)?;
    if is_plain {
        judged.settled.revoked = judged.entries;
    } else {
        judged.settled = bench.settle(&pending, &judged.blake3)?;
        match judged.settle() {
            Ok(()) => {}
            Err(SettleError::Fault(fault)) => return Err(refused(fault.into())),
            Err(SettleError::Sort(error)) => return Err(error.into()),
            Err(SettleError::Twice { .. }) => unreachable!("only lines are numbered"),
        }
    }
    refuse_backwards(request.data, &id, &mut judged).map_err(refused)?;
    let options = Options {
        as_of: request.judging.as_of,
        allow_weak: request.judging.weak == WeakPolicy::Allow,
        crl_blake3: judged.blake3,
        imported_at: request.judging.now,
        form: Form::Crl,
        trust: None,
    };
    let folder = pending.commit(&issuer.der, &options)?;
    Ok(super::report::report(
        request, &issuer, &judged, &options, folder,
    ))
}

/// What a list is read with.
struct Bench<'a> {
    disk: &'a dyn Disk,
    sorting: &'a Sorting,
    issuer: &'a Certificate,
}

impl Bench<'_> {
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
        Ok(ListReader::new(sorter, key, &self.issuer.key, progress))
    }
}

fn refused_at(path: &Path, source: CrlRefusal) -> ImportError {
    ImportError::Crl {
        path: path.to_owned(),
        source,
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

/// A list of this issuer that is staged already is the floor for the new one.
fn refuse_backwards(data: &Path, id: &str, judged: &mut JudgedList) -> Result<(), CrlRefusal> {
    let damaged = |error: &dyn std::fmt::Display| {
        format!("what was staged of this issuer was damaged ({error}) and is replaced")
    };
    let before = match staged::open(data, id) {
        Ok(Some(before)) => before,
        Ok(None) => return Ok(()),
        // What is staged cannot be read: the way out is to import again, which is what happens here.
        Err(error) => {
            judged.odd.push(damaged(&error));
            return Ok(());
        }
    };
    if !before.options.form.is_signed() {
        judged
            .odd
            .push("what was staged of this issuer bore no signature and is replaced".to_owned());
        return Ok(());
    }
    let unchanged = before
        .hash()
        .and_then(|hash| before.expect_unchanged(&hash));
    if let Err(error) = unchanged {
        judged.odd.push(damaged(&error));
        return Ok(());
    }
    let outline = outline_of(&before.list);
    let Some(old) = outline.as_ref().ok().and_then(|old| old.read().ok()) else {
        judged
            .odd
            .push("what was staged of this issuer was not a CRL and is replaced".to_owned());
        return Ok(());
    };
    let new = judged.crl();
    if new.this_update < old.this_update {
        return Err(CrlRefusal::Older {
            this_update: new.this_update,
            staged: old.this_update,
        });
    }
    if let (Some(number), Some(staged)) = (new.extensions.number, old.extensions.number)
        && unsigned(number) < unsigned(staged)
    {
        return Err(CrlRefusal::LowerNumber {
            number: encode_hex(number),
            staged: encode_hex(staged),
        });
    }
    if scope(&new) != scope(&old) {
        return Err(CrlRefusal::OtherScope {
            folder: before.folder.display().to_string(),
        });
    }
    if new.this_update == old.this_update && judged.blake3 != before.options.crl_blake3 {
        judged.odd.push(
            "the staged list bears the same thisUpdate and is another; the new one replaces it"
                .to_owned(),
        );
    }
    Ok(())
}

/// Two lists of one CA with different scopes are different lists.
fn scope<'a>(crl: &Crl<'a>) -> Option<IssuingDistributionPoint<'a>> {
    crl.extensions.distribution_point
}

/// INTEGER content octets of a non-negative number, so that they compare: by length, then by value.
pub(crate) fn unsigned(content: &[u8]) -> (usize, &[u8]) {
    let zeros = content.iter().take_while(|&&octet| octet == 0).count();
    (content.len() - zeros, &content[zeros..])
}

/// The certificate of the CA that signed a list.
pub(super) fn read_issuer(path: &Path) -> Result<Certificate, ImportError> {
    let (file, _) = open(path)?;
    let mut octets = Vec::new();
    file.take(MOST_CERTIFICATE_OCTETS)
        .read_to_end(&mut octets)
        .map_err(|source| unreadable(path, source))?;
    Certificate::from_pem_or_der(&octets).map_err(|source| ImportError::Issuer {
        path: path.to_owned(),
        source,
    })
}

/// A file of the operator's, of any length, and that length.
pub(super) fn open_long(path: &Path) -> Result<(File, u64), ImportError> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    Ok((file, metadata.len()))
}

/// A file of the operator's, and its length.
fn open(path: &Path) -> Result<(File, u64), ImportError> {
    let (file, octets) = open_long(path)?;
    if octets > MOST_OCTETS {
        return Err(ImportError::TooLong {
            path: path.to_owned(),
            octets,
        });
    }
    Ok((file, octets))
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> ImportError {
    ImportError::Read {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn random_key() -> SerialHashKey {
    let mut key = [0; 16];
    SystemRandom::new()
        .fill(&mut key)
        .expect("the system has random octets");
    SerialHashKey(key)
}

/// No CRL we know of has more; `wire` takes up to four gibioctets.
const MOST_OCTETS: u64 = 2 << 30;
/// No certificate comes near; text may stand around it.
const MOST_CERTIFICATE_OCTETS: u64 = 1 << 20;
/// Less than what is asked for at a time, which then goes past this buffer.
const READ_OCTETS: usize = 64 << 10;
const HASH_OCTETS: usize = 8;
