//! For tests only: a disk that dies at a chosen act, with or without what was never flushed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::durable::{Audience, Disk, DiskFile, FsDisk};

/// What a crash leaves of acts that no fsync has covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of them: the process was killed, the kernel lives.
    Nothing,
    /// None of them: the power went.
    Everything,
}

/// Counts acts; from number `dies_at` (from one) on, every act fails.
#[derive(Clone)]
pub(crate) struct TrialDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    acts: Vec<String>,
    dies_at: Option<usize>,
    /// Files with octets that no fsync covers.
    unflushed: Vec<PathBuf>,
    /// Names changed in folders that no fsync covers: the name, and what it named before.
    renamed: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl TrialDisk {
    pub(crate) fn dying_at(act: Option<usize>) -> TrialDisk {
        let state = State {
            dies_at: act,
            ..State::default()
        };
        TrialDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What was done, one line each: `rename current`.
    pub(crate) fn acts(&self) -> Vec<String> {
        self.state.lock().unwrap().acts.clone()
    }

    /// Takes back what the crash loses.
    pub(crate) fn crash(&self, loss: Loss) {
        let mut state = self.state.lock().unwrap();
        if loss == Loss::Nothing {
            return;
        }
        for path in std::mem::take(&mut state.unflushed) {
            if let Ok(octets) = fs::read(&path) {
                fs::write(&path, &octets[..octets.len() / 2]).unwrap();
            }
        }
        for (path, before) in std::mem::take(&mut state.renamed).into_iter().rev() {
            match before {
                Some(octets) => fs::write(&path, octets).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
        }
    }

    fn act(&self, verb: &str, path: &Path) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.state.lock().unwrap();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        state.acts.push(format!("{verb} {name}"));
        if state.dies_at.is_some_and(|act| state.acts.len() >= act) {
            return Err(io::Error::other("the disk is dead"));
        }
        Ok(state)
    }
}

impl State {
    fn name_changes(&mut self, path: &Path) {
        self.renamed.push((path.to_owned(), fs::read(path).ok()));
    }
}

impl Disk for TrialDisk {
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.act("create", path)?;
        state.unflushed.push(path.to_owned());
        let file = FsDisk.create_new(path, audience)?;
        Ok(Box::new(TrialFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn open_end(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.act("open-end", path)?;
        state.unflushed.push(path.to_owned());
        let file = FsDisk.open_end(path)?;
        Ok(Box::new(TrialFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.act("rename", to)?;
        assert!(
            !state.unflushed.contains(&from.to_owned()),
            "{} is renamed before it is flushed",
            from.display()
        );
        state.name_changes(to);
        FsDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.act("sync-folder", folder)?;
        state
            .renamed
            .retain(|(path, _)| path.parent() != Some(folder));
        FsDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.act("remove", path)?;
        if path.exists() {
            state.name_changes(path);
        }
        state.unflushed.retain(|other| other != path);
        FsDisk.remove(path)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let _state = self.act("create-folder", folder)?;
        FsDisk.create_folder(folder)
    }
}

struct TrialFile {
    disk: TrialDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Write for TrialFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.disk.act("write", &self.path) {
            Ok(_) => self.file.write(octets),
            Err(error) => {
                // Dying in the middle of a write leaves a part of it.
                self.file.write_all(&octets[..octets.len() / 2])?;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for TrialFile {
    fn write_over(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let _state = self.disk.act("write-over", &self.path)?;
        self.file.write_over(offset, octets)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.act("sync", &self.path)?;
        state.unflushed.retain(|other| *other != self.path);
        self.file.sync()
    }
}
