//! Processor time of the thread that asks, as the scheduler books it: it holds also while others share the machine, and
//! leaves out what the disk was waited for.

use std::fs;
use std::time::Duration;

/// So far, since the thread began. The kernel books at its ticks: some milliseconds may still be missing.
#[must_use]
pub fn time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    Duration::from_nanos(first.parse().unwrap_or_default())
}
