//! Waiting for the registry's next revision: the file that is written after each, noticed by the kernel; and, should it not
//! be noticed, no longer than a poll.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Watches a folder.
#[derive(Debug)]
pub(super) struct Watch(Option<OwnedFd>);

impl Watch {
    /// Of files written and closed, or renamed, in `folder`. Where the kernel cannot watch, waiting is only waiting.
    pub(super) fn of(folder: &Path) -> Self {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let events = inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVED_TO;
        let watched = inotify::init(flags).and_then(|watch| {
            inotify::add_watch(&watch, folder, events)?;
            Ok(watch)
        });
        if let Err(error) = &watched {
            tracing::warn!(folder = %folder.display(), %error, "cannot be watched; it is looked at every poll");
        }
        Self(watched.ok())
    }

    /// Returns when something happened, or after `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        let Some(watch) = &self.0 else {
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

/// Events read at once; what they say does not matter.
const EVENTS_OCTETS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nudge_is_slept_through() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::of(folder.path());
        std::fs::write(folder.path().join("registry.nudge"), "\n").unwrap();
        // Would wait for an hour.
        watch.wait(Duration::from_secs(3_600));
        // Heard once.
        watch.wait(Duration::from_millis(1));
    }
}
