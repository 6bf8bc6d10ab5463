//! Durations sorted into buckets: by one thread that observes, for any that reads.
//!
//! Observing is two loads and two stores into cells of its own; no lock, no allocation, no locked addition. The text form
//! is Prometheus' cumulative one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts by duration.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds, nanoseconds, rising.
    bounds: &'static [u64],
    /// One for each bound, then one for what is longer than all of them.
    cells: [AtomicU64; MAX_BOUNDS + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub(crate) const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= MAX_BOUNDS);
        Self {
            bounds,
            cells: [const { AtomicU64::new(0) }; MAX_BOUNDS + 1],
            nanos: AtomicU64::new(0),
        }
    }

    /// Notes one. Only one thread may.
    #[inline]
    pub(crate) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Nearly all lie below the first few bounds: looking from the front beats halving.
        let place = self.bounds.iter().position(|bound| nanos <= *bound);
        let cell = &self.cells[place.unwrap_or(self.bounds.len())];
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let sum = self.nanos.load(Ordering::Relaxed).wrapping_add(nanos);
        self.nanos.store(sum, Ordering::Relaxed);
    }
}

/// Appends the metric `name`, summed over all parts; they must have the same bounds.
pub(crate) fn append<'h>(
    text: &mut String,
    name: &str,
    help: &str,
    parts: impl IntoIterator<Item = &'h Histogram>,
) {
    let mut bounds: &[u64] = &[];
    let mut counts = [0; MAX_BOUNDS + 1];
    let mut nanos = 0_u64;
    for part in parts {
        bounds = part.bounds;
        for (count, cell) in counts.iter_mut().zip(&part.cells) {
            *count += cell.load(Ordering::Relaxed);
        }
        nanos = nanos.wrapping_add(part.nanos.load(Ordering::Relaxed));
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
    let mut so_far = 0;
    for (bound, count) in bounds.iter().zip(counts) {
        so_far += count;
        let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {so_far}", seconds(*bound));
    }
    so_far += counts[bounds.len()];
    let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {so_far}");
    let _ = writeln!(text, "{name}_sum {}", seconds(nanos));
    let _ = writeln!(text, "{name}_count {so_far}");
}

/// Exact, whatever a float would make of it: `0.0000025`, `1`.
fn seconds(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = format!("{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

const MAX_BOUNDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_do_not_add_up_or_a_bound_is_printed_as_another() {
        let (one, other) = (
            Histogram::new(&[2_500, 1_000_000_000]),
            Histogram::new(&[2_500, 1_000_000_000]),
        );
        for nanos in [1, 2_500, 2_501, 1_000_000_000, 4_000_000_000] {
            one.observe(Duration::from_nanos(nanos));
        }
        other.observe(Duration::from_nanos(7));
        let mut text = String::new();
        append(&mut text, "x", "help", [&one, &other]);
        assert_eq!(
            text,
            "# HELP x help\n# TYPE x histogram\n\
             x_bucket{le=\"0.0000025\"} 3\nx_bucket{le=\"1\"} 5\nx_bucket{le=\"+Inf\"} 6\n\
             x_sum 5.000005009\nx_count 6\n"
        );
    }
}
