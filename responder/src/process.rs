//! What the process asks of the system: to end with its parent, and to hold as many connections as it is set to.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// Has the kernel send SIGTERM when the parent dies, even by `kill -9`. If it is gone already (`expected` is not our
/// parent), says so now: nobody would.
pub(crate) fn exit_with_parent(expected: Option<u32>) -> io::Result<()> {
    let Some(expected) = expected else {
        return Ok(());
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let parent = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
    if i64::from(parent) == i64::from(expected) {
        Ok(())
    } else {
        Err(io::Error::other(format!("the parent {expected} has gone")))
    }
}

/// Raises the limit of open files to what `connections` need, as far as the system allows; tells if it does not.
pub(crate) fn raise_file_limit(connections: usize) {
    let wanted = connections as u64 + OTHER_FILES;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let allowed = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let raised = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(allowed),
            maximum: limit.maximum,
        },
    );
    if raised.is_err() || allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            "fewer open files allowed than max-connections needs: connections beyond will wait"
        );
    }
}

/// Open files that are no connections: maps being opened, listeners, epoll, logs.
const OTHER_FILES: u64 = 256;

/// Processor time of a process in seconds, by its `/proc/…/stat` (proc(5)): user's and kernel's share.
pub(crate) fn processor_seconds(stat: &str) -> Option<f64> {
    // The program's name stands in parentheses and may hold any, spaces too.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(FIELDS_BEFORE_UTIME);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS_A_SECOND)
}

/// Between the name and `utime`.
const FIELDS_BEFORE_UTIME: usize = 11;
/// `USER_HZ`, which every Linux that Rust is built for has at this.
const TICKS_A_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_in_another_field_or_in_whole_seconds() {
        let stat = "7 (a) 1 2 (b) S 1 7 7 0 -1 4194560 5 0 0 0 136 83 0 0 20 0 3 0 99 1 2";
        assert_eq!(processor_seconds(stat), Some(2.19));
        for stat in ["", "7 (a) S", "7 (a) S 1 7 7 0 -1 4194560 5 0 0 0 x 83"] {
            assert_eq!(processor_seconds(stat), None, "{stat}");
        }
    }

    #[test]
    fn kernel_writes_another_line_than_is_read() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(processor_seconds(&stat).is_some(), "{stat}");
    }
}
