//! What the lane tells operators; `docs/METRICS.md` says what to do about each.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry, TextEncoder};

use crate::metrics::{gauge, level, program};

/// The counters.
pub(super) struct Metrics {
    registry: Registry,
    pub(super) signed: IntCounter,
    pub(super) kept: IntCounter,
    pub(super) shared: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) full: IntCounter,
    pub(super) late: IntCounter,
    pub(super) duration: Histogram,
    pub(super) connections: IntGauge,
    depth: IntGauge,
    entries: IntGauge,
}

impl Metrics {
    /// All at zero; `queue` requests may wait or be signed at once.
    pub(super) fn new(queue: usize) -> Result<Self, prometheus::Error> {
        let registry = program("signer live")?;
        let r = &registry;
        gauge(
            r,
            "hufu_lane_queue_limit",
            "Requests that may wait or be signed at once",
        )?
        .set(level(queue as u64));
        Ok(Self {
            signed: outcome(r, "signed")?,
            kept: outcome(r, "kept")?,
            shared: outcome(r, "shared")?,
            refused: outcome(r, "refused")?,
            failed: outcome(r, "failed")?,
            full: outcome(r, "full")?,
            late: outcome(r, "late")?,
            duration: duration(r)?,
            connections: gauge(r, "hufu_lane_connections_open", "Connections of responders")?,
            depth: gauge(
                r,
                "hufu_lane_queue_length",
                "Requests that wait or are signed now",
            )?,
            entries: gauge(
                r,
                "hufu_lane_answers_kept",
                "Answers without nonce that are kept",
            )?,
            registry,
        })
    }

    /// The text that Prometheus reads.
    pub(super) fn text(&self, depth: usize, entries: usize) -> Result<String, prometheus::Error> {
        self.depth.set(level(depth as u64));
        self.entries.set(level(entries as u64));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Requests that came to this.
fn outcome(registry: &Registry, outcome: &str) -> Result<IntCounter, prometheus::Error> {
    let words = Opts::new(
        "hufu_lane_requests_total",
        "Requests of responders to the live lane, by outcome",
    );
    let counter = IntCounter::with_opts(words.const_label("outcome", outcome))?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn duration(registry: &Registry) -> Result<Histogram, prometheus::Error> {
    let words = HistogramOpts::new(
        "hufu_lane_duration_seconds",
        "From a request's last octet to its answer, those that were turned away or late left out",
    );
    let bounds = vec![
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    ];
    let histogram = Histogram::with_opts(words.buckets(bounds))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}
