//! What leaves the publisher's machine: generations pushed into a bucket, what goes from there, nudges.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};
use wire::time::UnixSeconds;

use super::{counter, counters, gauge, level};
use crate::bucket::push::{PushError, Pushed};

/// What was sent to the outside. All at zero, and there, also without a bucket and edges to nudge.
#[derive(Clone)]
pub struct OutwardMetrics {
    pushes: IntCounterVec,
    last_success: IntGauge,
    number: IntGauge,
    files: IntCounter,
    octets: IntCounter,
    swept: IntCounter,
    sweep_failures: IntCounter,
    nudges: IntCounterVec,
}

impl OutwardMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            pushes: counters(
                registry,
                "hufu_loader_pushes_total",
                "Looks whether the bucket has what the store has",
                "outcome",
                &["moved", "unchanged", "failed"],
            )?,
            last_success: gauge(
                registry,
                "hufu_loader_push_last_success_timestamp_seconds",
                "When the bucket last had what the store had, the start of this process before that; 0 without a bucket",
            )?,
            number: gauge(
                registry,
                "hufu_loader_pushed_generation_number",
                "Number of the generation that the bucket's pointer names; 0 without a bucket",
            )?,
            files: counter(
                registry,
                "hufu_loader_pushed_files_total",
                "Files sent to the bucket",
            )?,
            octets: counter(
                registry,
                "hufu_loader_pushed_bytes_total",
                "Octets of files sent to the bucket",
            )?,
            swept: counter(
                registry,
                "hufu_loader_swept_files_total",
                "Old files removed from the bucket",
            )?,
            sweep_failures: counter(
                registry,
                "hufu_loader_sweep_failures_total",
                "Times that old files of the bucket could not be listed or removed",
            )?,
            nudges: counters(
                registry,
                "hufu_loader_nudges_total",
                "Nudges to edges",
                "outcome",
                &["heard", "not_heard"],
            )?,
        })
    }

    /// There is a bucket, and from now on it can be behind.
    pub fn begin(&self, now: UnixSeconds) {
        self.last_success.set(level(now));
    }

    /// A push came to its end, or to this.
    pub fn pushed(&self, outcome: &Result<Pushed, PushError>, now: UnixSeconds) {
        let (word, number) = match outcome {
            Ok(Pushed::Empty) => ("unchanged", None),
            Ok(Pushed::Unchanged { number }) => ("unchanged", Some(*number)),
            Ok(Pushed::Moved { number, .. }) => ("moved", Some(*number)),
            Err(_) => ("failed", None),
        };
        self.pushes.with_label_values(&[word]).inc();
        if let Some(number) = number {
            self.number.set(level(number));
        }
        if outcome.is_ok() {
            self.last_success.set(level(now));
        }
    }

    /// An object of so many octets is in the bucket now.
    pub fn sent(&self, octets: u64) {
        self.files.inc();
        self.octets.inc_by(octets);
    }

    /// So many old files went.
    pub fn swept(&self, files: u64) {
        self.swept.inc_by(files);
    }

    /// A sweep was given up.
    pub fn sweep_failed(&self) {
        self.sweep_failures.inc();
    }

    /// An edge took a nudge, or did not.
    pub fn nudged(&self, was_heard: bool) {
        let outcome = if was_heard { "heard" } else { "not_heard" };
        self.nudges.with_label_values(&[outcome]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;

    #[test]
    fn a_bucket_that_was_never_reached_looks_like_none() {
        let registry = Registry::new();
        let metrics = OutwardMetrics::new(&registry).unwrap();
        let says = |line: &str| {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            text.unwrap().lines().any(|found| found == line)
        };
        let since = "hufu_loader_push_last_success_timestamp_seconds";
        assert!(says(&format!("{since} 0")));
        metrics.begin(100);
        let away = || {
            Err(PushError::Unconditional {
                place: "s3://b".to_owned(),
            })
        };
        metrics.pushed(&away(), 150);
        assert!(says(&format!("{since} 100")));
        let moved = Pushed::Moved {
            number: 7,
            files: 1,
            octets: 9,
        };
        metrics.pushed(&Ok(moved), 200);
        metrics.pushed(&away(), 250);
        assert!(says(&format!("{since} 200")));
        assert!(says("hufu_loader_pushed_generation_number 7"));
        assert!(says("hufu_loader_pushes_total{outcome=\"failed\"} 2"));
    }
}
