//! Waiting for a file to come: the kernel tells; and should it not, nobody waits longer than a poll.
//!
//! Every file that matters here gets its name by a rename or a link, once it is whole. So a name that appears in a watched
//! folder is worth a look, and nothing else is.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Watches folders.
#[derive(Debug)]
pub struct FolderWatch {
    /// None where the kernel cannot watch: waiting is only waiting then.
    watch: Option<OwnedFd>,
    folders: BTreeMap<PathBuf, i32>,
}

impl FolderWatch {
    /// Of no folder yet.
    pub fn new() -> Self {
        Self {
            watch: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok(),
            folders: BTreeMap::new(),
        }
    }

    /// Watches `folder` as well. One that is not there is asked for again by the next call.
    pub fn add(&mut self, folder: &Path) {
        let Some(watch) = &self.watch else { return };
        if self.folders.contains_key(folder) || self.folders.len() >= MOST_FOLDERS {
            return;
        }
        let events = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        if let Ok(number) = inotify::add_watch(watch, folder, events) {
            self.folders.insert(folder.to_owned(), number);
        }
    }

    /// Watches these, and no others any more.
    pub fn keep_to(&mut self, folders: &[PathBuf]) {
        let gone = |folder: &PathBuf| !folders.contains(folder);
        let gone: Vec<_> = self.folders.keys().filter(|f| gone(f)).cloned().collect();
        for folder in gone {
            if let (Some(watch), Some(number)) = (&self.watch, self.folders.remove(&folder)) {
                // It went with its folder, most likely.
                let _ = inotify::remove_watch(watch, number);
            }
        }
        folders.iter().for_each(|folder| self.add(folder));
    }

    /// Returns when a name has appeared since the last call, or after `longest`.
    pub fn wait(&self, longest: Duration) {
        let Some(watch) = self.watch.as_ref().filter(|_| !self.folders.is_empty()) else {
            std::thread::sleep(longest);
            return;
        };
        let timeout = Timespec {
            tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(longest.subsec_nanos()),
        };
        let mut wanted = [PollFd::new(watch, PollFlags::IN)];
        // Interrupted is as good as woken: whoever waits looks, and comes back.
        let _ = poll(&mut wanted, Some(&timeout));
        let mut events = [0; EVENTS_OCTETS];
        while rustix::io::read(watch, &mut events).is_ok_and(|octets| octets > 0) {}
    }
}

impl Default for FolderWatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Folders watched at most; the others are looked at every poll.
const MOST_FOLDERS: usize = 4_096;
/// Events read at once; what they say does not matter.
const EVENTS_OCTETS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_file_that_comes_is_slept_through() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::create_dir_all(&one).unwrap();
        let mut watch = FolderWatch::new();
        // The other is not there yet: its own folder tells.
        watch.keep_to(&[folder.path().to_owned(), one.clone(), other.clone()]);
        std::fs::create_dir_all(&other).unwrap();
        watch.wait(AN_HOUR);
        watch.keep_to(&[one.clone(), other.clone()]);
        std::fs::write(folder.path().join("temp"), "x").unwrap();
        std::fs::rename(folder.path().join("temp"), other.join("x")).unwrap();
        watch.wait(AN_HOUR);
        // Heard once; and one that is watched no more wakes nobody.
        watch.keep_to(std::slice::from_ref(&one));
        std::fs::write(other.join("y"), "y").unwrap();
        watch.wait(Duration::from_millis(1));
        assert_eq!(watch.folders.len(), 1);
    }
}
