//! For tests only: publishes as `hufu-loader publish` does, over a disk that stops before its act number N, says so on
//! standard output, and waits to be killed. No shipped program has such a hook.
//!
//! `publish_paused --data DIR --pause-at N`

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use hufu_loader::durable::{Audience, Disk, DiskFile, FsDisk};
use hufu_loader::run::{Terms, open};

fn main() -> ExitCode {
    let Some((data, pause_at)) = arguments() else {
        eprintln!("usage: publish_paused --data DIR --pause-at N");
        return ExitCode::from(2);
    };
    let disk = PausingDisk {
        counter: Box::leak(Box::new(Counter {
            done: AtomicUsize::new(0),
            pause_at,
        })),
    };
    match publish(&disk, &data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<(PathBuf, usize)> {
    let mut args = std::env::args().skip(1);
    let (mut data, mut pause_at) = (None, None);
    while let Some(name) = args.next() {
        let value = args.next()?;
        match name.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--pause-at" => pause_at = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    data.zip(pause_at)
}

fn publish(disk: &PausingDisk, data: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let terms = Terms {
        valid_for_secs: 3600,
        reseal_after_secs: 1800,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut line = open(disk, data, terms)?;
    let report = line.pass(now.as_secs(), &mut |_, _| ())?;
    println!("{report:?}");
    Ok(())
}

/// The real disk, one act at a time.
#[derive(Clone, Copy)]
struct PausingDisk {
    counter: &'static Counter,
}

struct Counter {
    done: AtomicUsize,
    pause_at: usize,
}

impl Counter {
    /// Counts one act; does not return if it is the one to be killed before.
    fn before(&self, act: &str, path: &Path) {
        let number = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.pause_at {
            println!("paused {number} {act} {}", path.display());
            let _ = io::stdout().flush();
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
}

impl Disk for PausingDisk {
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>> {
        self.counter.before("create", path);
        Ok(Box::new(PausingFile {
            file: FsDisk.create_new(path, audience)?,
            path: path.to_owned(),
            counter: self.counter,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.counter.before("rename", to);
        FsDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.counter.before("sync-folder", folder);
        FsDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.counter.before("remove", path);
        FsDisk.remove(path)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.counter.before("create-folder", folder);
        FsDisk.create_folder(folder)
    }
}

struct PausingFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    counter: &'static Counter,
}

impl Write for PausingFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.counter.before("write", &self.path);
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for PausingFile {
    fn write_over(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.counter.before("write-over", &self.path);
        self.file.write_over(offset, octets)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.counter.before("fsync", &self.path);
        self.file.sync()
    }
}
