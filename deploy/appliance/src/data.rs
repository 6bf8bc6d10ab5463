//! The data folder as `hufu up` sees it: its lock, how far its founding got, and `hufu.toml`, what was recorded.
//!
//! ```text
//! DIR/lock       held (flock) by the one `hufu up` that works here; holds its process number
//! DIR/founding   present from before the first octet of the demo until its last one: a start that finds it was
//!                interrupted in the middle, and founds anew
//! DIR/hufu.toml  public URL (never changes) and addresses (of the last start)
//! ```
//! The other folders belong to the rooms; the list of those that founding makes is [`MADE_BY_FOUNDING`].

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::UpError;
use crate::options::Up;
use crate::scrape::Scrape;

/// The locked data folder. Dropping it (or dying, however) lets go of the lock.
#[derive(Debug)]
pub(crate) struct Data {
    root: PathBuf,
    lock: File,
    /// Whoever had the lock before was killed, or the machine was: it did not wipe its number from the file.
    pub(crate) left_in_disorder: bool,
}

/// How far an earlier start got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum State {
    /// No registry: at most staged CRLs.
    Empty,
    /// An earlier founding was interrupted; nothing of it was ever served.
    HalfFounded,
    /// There is a registry to go on with.
    Founded,
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) ocsp: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) live: SocketAddr,
    pub(crate) metrics: Scrape,
}

/// `hufu.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) public_url: String,
    pub(crate) ocsp: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) live: SocketAddr,
    /// Folders of earlier versions lack it.
    #[serde(default)]
    pub(crate) metrics: Scrape,
}

impl Data {
    /// Makes the folder if need be and takes its lock, or names the process that has it.
    pub(crate) fn lock(root: &Path) -> Result<Self, UpError> {
        fs::create_dir_all(root).map_err(UpError::file("cannot make", root))?;
        let path = root.join("lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(UpError::file("cannot open", &path))?;
        let locked = lock.try_lock();
        let mut pid = String::new();
        // The number is for people only; a reader that comes between lock and write sees an empty one.
        let _ = lock.read_to_string(&mut pid);
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = if pid.trim().is_empty() {
                    "just starting".to_owned()
                } else {
                    pid.trim().to_owned()
                };
                return Err(UpError::Locked {
                    data: root.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(UpError::File {
                    action: "cannot lock",
                    path,
                    source,
                });
            }
        }
        lock.set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()))
            .map_err(UpError::file("cannot write", &path))?;
        Ok(Self {
            root: std::path::absolute(root).map_err(UpError::file("cannot find", root))?,
            lock,
            left_in_disorder: !pid.is_empty(),
        })
    }

    /// The folder; absolute, for the commands that are shown work wherever they are pasted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Looks at what is there; refuses a folder that has no registry, but holds what founding would make: somebody else's.
    pub(crate) fn state(&self) -> Result<State, UpError> {
        if self.root.join(MARKER).exists() {
            return Ok(State::HalfFounded);
        }
        if self.root.join("signer/registry.sqlite").exists() {
            return Ok(State::Founded);
        }
        match MADE_BY_FOUNDING
            .into_iter()
            .find(|folder| self.root.join(folder).exists())
        {
            // Founding over it would publish a lower generation than its edges have seen, or write over what is there; and
            // an interrupted one would be cleared with all that lies in these folders.
            Some(found) => Err(UpError::NotOurs {
                data: self.root.clone(),
                found,
            }),
            None => Ok(State::Empty),
        }
    }

    /// Marks the folder as being founded. Durable before anything else is made.
    pub(crate) fn begin_founding(&self) -> Result<(), UpError> {
        write_durably(
            &self.root,
            MARKER,
            "hufu up is founding the demo here; if none runs, the next one starts it anew.\n",
        )
    }

    /// Takes away what an interrupted founding made. Staged CRLs stay: they are the operator's.
    pub(crate) fn clear_half_founded(&self) -> Result<(), UpError> {
        for name in MADE_BY_FOUNDING {
            let path = self.root.join(name);
            match fs::remove_dir_all(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(UpError::File {
                        action: "cannot clear",
                        path,
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The founding is complete: from here on a start goes on with what is there.
    pub(crate) fn end_founding(&self) -> Result<(), UpError> {
        let path = self.root.join(MARKER);
        fs::remove_file(&path).map_err(UpError::file("cannot remove", &path))?;
        sync_folder(&self.root)
    }

    /// Reads `hufu.toml`, if there is one.
    pub(crate) fn recorded(&self) -> Result<Option<Recorded>, UpError> {
        let path = self.root.join(RECORDED);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|error| UpError::Recorded {
                    path,
                    rule: error.message().to_owned(),
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(UpError::File {
                action: "cannot read",
                path,
                source,
            }),
        }
    }

    /// Writes `hufu.toml`.
    pub(crate) fn record(&self, settings: &Recorded) -> Result<(), UpError> {
        let Recorded {
            public_url,
            ocsp,
            admin,
            live,
            metrics,
        } = settings;
        let text = format!(
            "# Written by `hufu up`. The public URL stands in every certificate issued here and cannot be changed;\n\
             # the addresses are those of the last start and hold for the next one unless it is told otherwise.\n\
             public_url = \"{public_url}\"\nocsp = \"{ocsp}\"\nadmin = \"{admin}\"\nlive = \"{live}\"\nmetrics = \"{metrics}\"\n"
        );
        write_durably(&self.root, RECORDED, &text)
    }

    /// The staged CRLs that are replayed: folder name (issuer identity) and the time they are judged at.
    ///
    /// Unreadable options are not this program's to judge: the signer names them when it adopts.
    pub(crate) fn replayed(&self) -> Vec<(String, String)> {
        let staged = fs::read_dir(self.root.join("staged"))
            .into_iter()
            .flatten()
            .flatten();
        let mut replayed: Vec<_> = staged
            .filter_map(|folder| {
                let options = fs::read_to_string(folder.path().join("options.toml")).ok()?;
                let as_of = options
                    .parse::<toml::Table>()
                    .ok()?
                    .get("as_of")?
                    .to_string();
                Some((
                    folder.file_name().to_string_lossy().into_owned(),
                    as_of.trim_matches('"').to_owned(),
                ))
            })
            .collect();
        replayed.sort();
        replayed
    }

    /// Whether `hufu loader import` left anything to adopt.
    pub(crate) fn has_staged(&self) -> bool {
        fs::read_dir(self.root.join("staged")).is_ok_and(|mut folders| folders.next().is_some())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Tells the next one that this one ended in order. If it cannot, that one is a little more patient than it need be.
        let _ = self.lock.set_len(0);
    }
}

impl Recorded {
    /// Command line over what was recorded over defaults; the public URL is fixed once recorded.
    pub(crate) fn settle(up: &Up, before: Option<&Self>) -> Result<Self, UpError> {
        let default = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ocsp = up
            .ocsp
            .or(before.map(|b| b.ocsp))
            .unwrap_or_else(|| default(2560));
        let asked = up.public_url.as_deref().map(checked_url).transpose()?;
        let public_url = match (before.map(|b| b.public_url.clone()), asked) {
            (Some(founded), Some(asked)) if founded != asked => {
                return Err(UpError::OtherPublicUrl { founded, asked });
            }
            (Some(founded), _) => founded,
            (None, Some(asked)) => asked,
            (None, None) if ocsp.ip().is_unspecified() => {
                return Err(UpError::UnspecifiedAddress { address: ocsp });
            }
            (None, None) => format!("http://{ocsp}"),
        };
        let live = up
            .live
            .or(before.map(|b| b.live))
            .unwrap_or_else(|| default(2562));
        if !live.ip().is_loopback() {
            return Err(UpError::LiveOffLoopback { address: live });
        }
        Ok(Self {
            public_url,
            ocsp,
            live,
            admin: up
                .admin
                .or(before.map(|b| b.admin))
                .unwrap_or_else(|| default(2561)),
            metrics: up.metrics.or(before.map(|b| b.metrics)).unwrap_or_default(),
        })
    }

    /// Where to listen.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            ocsp: self.ocsp,
            admin: self.admin,
            live: self.live,
            metrics: self.metrics,
        }
    }
}

/// A URL that can be put in front of `/crl/…` in a certificate. A slash at its end is dropped.
fn checked_url(url: &str) -> Result<String, UpError> {
    let refuse = |rule| {
        Err(UpError::PublicUrl {
            url: url.to_owned(),
            rule,
        })
    };
    // RFC 5280 §4.2.1.13: clients need not follow https here, and one that checks the very certificate could not.
    let Some(rest) = url.strip_prefix("http://") else {
        return refuse(
            "must start with http:// (a status address behind TLS would have to be checked by itself)",
        );
    };
    if rest.trim_end_matches('/').is_empty() {
        return refuse("names no host");
    }
    if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains(['?', '#', '"', '\\']) {
        return refuse("must be plain ASCII without query, fragment or quotes");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Temp, fsync, rename, fsync folder: the file is there whole or not at all.
fn write_durably(folder: &Path, name: &str, text: &str) -> Result<(), UpError> {
    let (temp, path) = (folder.join(format!(".{name}.new")), folder.join(name));
    File::create(&temp)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| fs::rename(&temp, &path))
        .map_err(UpError::file("cannot write", &path))?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), UpError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(UpError::file("cannot sync", folder))
}

const MARKER: &str = "founding";
const RECORDED: &str = "hufu.toml";
/// What founding makes, and an interrupted one leaves; `staged` is not among it.
const MADE_BY_FOUNDING: [&str; 6] = ["signer", "spool", "loader", "store", "edge", "demo"];

#[cfg(test)]
mod tests;
