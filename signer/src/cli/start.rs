//! What every verb needs first: log lines, and a parent to end with.

use std::io;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tracing_subscriber::EnvFilter;

use super::args::Common;
use crate::error::SignerError;

pub(super) fn begin(common: &Common) -> Result<(), SignerError> {
    log_to_stderr(common.log_json);
    match common.exit_with_parent {
        Some(parent) => die_with(parent),
        None => Ok(()),
    }
}

/// One line an event, on standard error; `RUST_LOG` says how much.
fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    // A second call in one process (tests) finds a subscriber set, which is as good.
    let _ = if json {
        lines.json().try_init()
    } else {
        lines.with_ansi(false).try_init()
    };
}

/// A killed `hufu up` must not leave a signer writing batches. Whatever it does is safe against being
/// killed, so SIGKILL it is.
fn die_with(parent: i32) -> Result<(), SignerError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| SignerError::Process(error.into()))?;
    // The parent may have died before the call above; then the signal never comes.
    if getppid().map(|pid| Pid::as_raw_nonzero(pid).get()) == Some(parent) {
        Ok(())
    } else {
        Err(SignerError::NoParent(parent))
    }
}
