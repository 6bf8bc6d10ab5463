//! What every verb needs first: log lines, and a parent to end with.

use std::error::Error;
use std::io;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tracing_subscriber::EnvFilter;

use super::Common;

pub(super) fn begin(common: &Common) -> Result<(), Box<dyn Error>> {
    log_to_stderr(common.log_json);
    if let Some(parent) = common.exit_with_parent {
        die_with(parent)?;
    }
    Ok(())
}

/// One line an event, on standard error; `RUST_LOG` says how much.
fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
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

/// A killed `hufu up` must not leave a loader publishing: nothing here needs to be tidied at the end, so SIGKILL it is.
fn die_with(parent: i32) -> Result<(), Box<dyn Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the call above; then the signal never comes.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        return Err(format!("process {parent} is not our parent, or has ended").into());
    }
    Ok(())
}

/// Our own events; the bucket library would say each of its retries.
const FILTER: &str = "info,object_store=error";
