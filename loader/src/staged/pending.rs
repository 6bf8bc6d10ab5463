//! A folder in the making: lists come in as they are read, and all files appear at once or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::options::list_file;
use super::{
    CRL_ISSUER_FILE, Form, ISSUER_FILE, OPTIONS_FILE, Options, STAGED_FOLDER, StagedError,
};

/// A folder that nobody reads yet; gone again when it is dropped. Whoever has one holds [`lock`].
#[derive(Debug)]
pub struct Pending {
    staged: PathBuf,
    temp: PathBuf,
    target: PathBuf,
    /// Each list's name and file, in order; the last one is coming in.
    lists: Vec<(String, File)>,
    is_committed: bool,
}

impl Pending {
    /// Begins one for an issuer.
    pub fn begin(data: &Path, issuer_id: &str, form: Form) -> Result<Self, StagedError> {
        let staged = data.join(STAGED_FOLDER);
        let temp = staged.join(format!(".{issuer_id}.{}.new", std::process::id()));
        make_folder(&staged)?;
        remove_if_there(&temp)?;
        make_folder(&temp)?;
        let mut pending = Self {
            target: staged.join(issuer_id),
            staged,
            temp,
            lists: Vec::new(),
            is_committed: false,
        };
        pending.create(form.file().to_owned())?;
        Ok(pending)
    }

    /// Begins another list.
    pub fn next_list(&mut self) -> Result<(), StagedError> {
        self.create(list_file(self.lists.len()))
    }

    /// Takes over a list that is staged already, as it is; gives its name.
    pub fn keep(&mut self, staged: &Path) -> Result<String, StagedError> {
        let name = list_file(self.lists.len());
        let path = self.temp.join(&name);
        // The same octets under a second name: nobody writes into a staged list.
        let linked = fs::hard_link(staged, &path).or_else(|_| fs::copy(staged, &path).map(drop));
        let file = linked.and_then(|()| File::open(&path));
        let file = file.map_err(|source| StagedError::Io {
            action: "taking over",
            path,
            source,
        })?;
        self.lists.push((name.clone(), file));
        Ok(name)
    }

    fn create(&mut self, name: String) -> Result<(), StagedError> {
        let path = self.temp.join(&name);
        let list = File::create(&path).map_err(|source| StagedError::Io {
            action: "creating",
            path,
            source,
        })?;
        self.lists.push((name, list));
        Ok(())
    }

    /// Where the octets of the list that is coming in go.
    pub fn list(&mut self) -> &mut File {
        let (_, list) = self.lists.last_mut().expect("one was begun at first");
        list
    }

    /// Its name in the folder.
    pub fn list_name(&self) -> &str {
        let (name, _) = self.lists.last().expect("one was begun at first");
        name
    }

    /// Where a list lies until the folder is swapped in.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.temp.join(name)
    }

    /// Where the list that is coming in lies.
    pub fn list_path(&self) -> PathBuf {
        self.path_of(self.list_name())
    }

    /// An error of the system's about the list that is coming in.
    pub fn unwritable(&self, source: io::Error) -> StagedError {
        StagedError::Io {
            action: "writing into",
            path: self.temp.clone(),
            source,
        }
    }

    /// Puts the certificate of who signs the indirect lists beside them.
    pub fn put_crl_issuer(&self, certificate: &[u8]) -> Result<(), StagedError> {
        write_synced(&self.temp.join(CRL_ISSUER_FILE), certificate)
    }

    /// Swaps the folder in, replacing what that issuer had staged before; gives its path.
    pub fn commit(mut self, issuer: &[u8], options: &Options) -> Result<PathBuf, StagedError> {
        let text = options.text();
        for (_, list) in &self.lists {
            list.sync_all().map_err(|source| self.unwritable(source))?;
        }
        write_synced(&self.temp.join(ISSUER_FILE), issuer)?;
        write_synced(&self.temp.join(OPTIONS_FILE), text.as_bytes())?;
        sync_folder(&self.temp)?;
        swap_in(&self.temp, &self.target)?;
        sync_folder(&self.staged)?;
        self.is_committed = true;
        // After the swap the temp name holds what was staged before, if anything was.
        remove_if_there(&self.temp)?;
        Ok(self.target.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_committed {
            // What stays is removed by the next import, under its lock.
            let _ = fs::remove_dir_all(&self.temp);
        }
    }
}

/// Stages one CRL that is held whole. The caller holds [`lock`].
pub fn write(
    data: &Path,
    issuer_id: &str,
    crl: &[u8],
    issuer: &[u8],
    options: &Options,
) -> Result<PathBuf, StagedError> {
    let mut pending = Pending::begin(data, issuer_id, options.form)?;
    if let Err(source) = pending.list().write_all(crl) {
        return Err(pending.unwritable(source));
    }
    pending.commit(issuer, options)
}

/// Keeps other imports out for as long as the returned file lives, and removes what killed ones left half-written.
pub fn lock(data: &Path) -> Result<File, StagedError> {
    let staged = data.join(STAGED_FOLDER);
    make_folder(&staged)?;
    let io = |action, path: &Path, source| StagedError::Io {
        action,
        path: path.to_owned(),
        source,
    };
    // The folder itself: whatever else lies in it would have to be explained to others.
    let lock = File::open(&staged).map_err(|source| io("opening", &staged, source))?;
    lock.lock()
        .map_err(|source| io("locking", &staged, source))?;
    let entries = fs::read_dir(&staged).map_err(|source| io("listing", &staged, source))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".new") {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(lock)
}

/// Puts `temp` where `target` is. Readers see the old folder or the new one, never neither.
fn swap_in(temp: &Path, target: &Path) -> Result<(), StagedError> {
    if target.exists() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, temp, CWD, target, RenameFlags::EXCHANGE).map_err(|e| StagedError::Io {
            action: "swapping in",
            path: target.to_owned(),
            source: e.into(),
        })
    } else {
        fs::rename(temp, target).map_err(|source| StagedError::Io {
            action: "renaming to",
            path: target.to_owned(),
            source,
        })
    }
}

fn make_folder(path: &Path) -> Result<(), StagedError> {
    fs::create_dir_all(path).map_err(|source| StagedError::Io {
        action: "making folder",
        path: path.to_owned(),
        source,
    })
}

fn remove_if_there(path: &Path) -> Result<(), StagedError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StagedError::Io {
            action: "removing",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn write_synced(path: &Path, octets: &[u8]) -> Result<(), StagedError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|source| StagedError::Io {
        action: "writing",
        path: path.to_owned(),
        source,
    })
}

fn sync_folder(path: &Path) -> Result<(), StagedError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StagedError::Io {
            action: "syncing",
            path: path.to_owned(),
            source,
        })
}
