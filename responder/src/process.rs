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
