//! What the lane counts.

use prometheus::{IntCounter, IntGauge, Opts, Registry, TextEncoder};

/// The counters.
pub(super) struct Metrics {
    registry: Registry,
    pub(super) signed: IntCounter,
    pub(super) kept: IntCounter,
    pub(super) shared: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) full: IntCounter,
    pub(super) late: IntCounter,
    pub(super) connections: IntGauge,
    depth: IntGauge,
    entries: IntGauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let outcome = |outcome: &'static str| {
            let options = Opts::new(
                "hufu_lane_requests_total",
                "Requests of responders to the live lane, by outcome",
            );
            let counter = IntCounter::with_opts(options.const_label("outcome", outcome))
                .expect("a name and a label of letters");
            registry
                .register(Box::new(counter.clone()))
                .expect("each outcome once");
            counter
        };
        let (signed, kept, shared) = (outcome("signed"), outcome("kept"), outcome("shared"));
        let (refused, full, late) = (outcome("refused"), outcome("full"), outcome("late"));
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help).expect("a name of letters");
            registry
                .register(Box::new(gauge.clone()))
                .expect("each name once");
            gauge
        };
        Self {
            signed,
            kept,
            shared,
            refused,
            full,
            late,
            connections: gauge("hufu_lane_connections_open", "Connections of responders"),
            depth: gauge(
                "hufu_lane_queue_length",
                "Requests that wait or are signed now",
            ),
            entries: gauge(
                "hufu_lane_answers_kept",
                "Answers without nonce that are kept",
            ),
            registry,
        }
    }

    /// The text that Prometheus reads.
    pub(super) fn text(&self, depth: usize, entries: usize) -> String {
        let level = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.depth.set(level(depth));
        self.entries.set(level(entries));
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}
