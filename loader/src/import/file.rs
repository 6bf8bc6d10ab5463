//! `import --crl`: lists and a certificate of the operator's in, one staged folder and a report out, or nothing.
//!
//! `intake.rs` reads each list. What is already staged of the same issuer is the floor (`floor.rs`); what stands in the folder in the end must speak
//! together (`set.rs`, `together.rs`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use wire::serial::SerialHashKey;

use super::certificate::{Certificate, CertificateError};
use super::crl::Judging;
use super::floor::{Comer, Floor, Stays, Unusable};
use super::intake::{Bench, Came};
use super::refusal::CrlRefusal;
pub use super::report::{RecurringSerial, Report};
use super::set::Set;
use super::trust::WeakPolicy;
use super::whose::Parties;
use crate::durable::{Disk, FsDisk};
use crate::home::Home;
use crate::sort::{SortError, Sorting};
use crate::staged::{self, Form, MOST_LISTS, Options, Pending, StagedError};

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct CrlImport<'a> {
    /// The list, DER or PEM.
    pub crl: &'a Path,
    /// The certificate of the CA whose certificates are asked about, DER or PEM.
    pub issuer: &'a Path,
    /// The certificate of who signs indirect lists about them, if that is not the CA.
    pub crl_issuer: Option<&'a Path>,
    /// The data folder.
    pub data: &'a Path,
    /// Clock and leniency.
    pub judging: Judging,
    /// What it stands together with.
    pub company: Company<'a>,
}

/// Which lists stand together with the one that is imported.
#[derive(Debug, Clone, Copy, Default)]
pub struct Company<'a> {
    /// Others that come at once: its delta or complete list, other partitions.
    pub others: &'a [PathBuf],
    /// What stays of what is staged.
    pub keeping: Keeping,
    /// Whether the operator says that all partitions are there.
    pub complete: bool,
    /// Staged partitions that are no more: each by the URI of its distribution point, or the first digits of a list's BLAKE3.
    pub retired: &'a [String],
}

/// What stays of the staged lists that nothing replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeping {
    /// Only what is of one scope with what comes: a complete list and its delta.
    #[default]
    Scope,
    /// Other partitions too.
    Partitions,
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

/// Reads each list once, from front to back: into the staging folder, hashed, its entries sorted and settled. Then it is
/// judged, by itself and beside what is staged; the folder is swapped in only if all pass.
pub fn import_crl_with(
    request: &CrlImport<'_>,
    means: &mut Means<'_>,
) -> Result<Report, ImportError> {
    let issuer = read_issuer(request.issuer)?;
    let crl_issuer = request.crl_issuer.map(read_issuer).transpose()?;
    let id = issuer.id().to_string();
    let paths = request.paths()?;
    // From the look at what is staged until it is replaced.
    let _lock = staged::lock(request.data)?;
    let mut pending = Pending::begin(request.data, &id, Form::Crl)?;
    let bench = Bench {
        disk: means.disk,
        sorting: &means.sorting,
        parties: Parties {
            issuer: &issuer,
            crl_issuer: crl_issuer.as_ref(),
        },
        judging: &request.judging,
    };
    let mut came = Vec::with_capacity(paths.len());
    for (place, path) in paths.iter().enumerate() {
        if place > 0 {
            pending.next_list()?;
        }
        came.push(bench.take(path, &mut pending, means.progress)?);
    }
    let stays = beside(request, &bench.parties, &came, &paths)?;
    let mut set = Set::gather(came, stays, request, &mut pending)?;
    if let Some(named) = &crl_issuer {
        set.crl_issuer = Some(named.clone());
    }
    set.speak_together(&bench, &paths)?;
    if let Some(crl_issuer) = &set.crl_issuer {
        pending.put_crl_issuer(&crl_issuer.der)?;
    }
    let options = Options {
        as_of: request.judging.as_of,
        allow_weak: request.judging.weak == WeakPolicy::Allow,
        crl_blake3: set.identity(),
        imported_at: request.judging.now,
        form: Form::Crl,
        trust: None,
        lists: set.list_files(),
        complete: set.complete,
        crl_issuer: set.crl_issuer.as_ref().map(|it| Options::name_of(&it.der)),
    };
    let folder = pending.commit(&issuer.der, &options)?;
    Ok(super::report::report(
        request, &issuer, &set, &options, folder,
    ))
}

impl<'a> CrlImport<'a> {
    fn paths(&self) -> Result<Vec<&'a Path>, ImportError> {
        let others = self.company.others;
        if others.len() >= MOST_LISTS {
            let source = CrlRefusal::TooMany(others.len() + 1);
            return Err(refused_at(self.crl, source));
        }
        let others = others.iter().map(PathBuf::as_path);
        Ok(std::iter::once(self.crl).chain(others).collect())
    }
}

pub(super) fn refused_at(path: &Path, source: CrlRefusal) -> ImportError {
    ImportError::Crl {
        path: path.to_owned(),
        source,
    }
}

/// What stays of what is staged, beside what came.
fn beside(
    request: &CrlImport<'_>,
    parties: &Parties<'_>,
    came: &[Came],
    paths: &[&Path],
) -> Result<Stays, ImportError> {
    let nothing = |odd: String| Stays {
        odd: vec![odd],
        ..Stays::default()
    };
    let opened = staged::open(request.data, &parties.issuer.id().to_string());
    let has_lists = matches!(&opened, Ok(Some(before)) if before.options.form.is_signed());
    if let (false, Ok(_), Some(wanted)) = (has_lists, &opened, request.company.retired.first()) {
        let wanted = wanted.clone();
        return Err(refused_at(request.crl, CrlRefusal::NotThere { wanted }));
    }
    let before = match opened {
        Ok(None) => return Ok(Stays::default()),
        Ok(Some(before)) if !before.options.form.is_signed() => {
            return Ok(nothing(
                "what was staged of this issuer bore no signature and is replaced".to_owned(),
            ));
        }
        Ok(Some(before)) => Floor::of(before),
        Err(error) => Err(error.into()),
    };
    let floor = match before {
        Ok(floor) => floor,
        // It may be as good as ever: what must not go backwards is not forgotten for a disk that fails or a right that lacks.
        Err(Unusable::Unreadable(error)) => return Err(error.into()),
        // What is staged cannot be read: the way out is to import again, which is what happens here.
        Err(Unusable::Damaged(why)) if request.company.keeping == Keeping::Scope => {
            return Ok(nothing(format!(
                "what was staged of this issuer was damaged ({why}) and is replaced"
            )));
        }
        Err(Unusable::Damaged(why)) => {
            return Err(refused_at(request.crl, CrlRefusal::DamagedBeside { why }));
        }
    };
    let comers: Vec<Comer<'_>> = came
        .iter()
        .map(|came| Comer {
            crl: came.crl(),
            blake3: came.blake3,
        })
        .collect();
    let judged = floor.judge(&comers, &request.company, parties);
    judged.map_err(|(place, source)| refused_at(paths[place], source))
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
pub(super) fn open(path: &Path) -> Result<(File, u64), ImportError> {
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
