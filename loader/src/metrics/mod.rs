//! What `run` and `follow` tell operators; `docs/METRICS.md` says what to do about each.
//!
//! The loops note what they did ([`RunMetrics`], [`OutwardMetrics`], [`FollowMetrics`]); what lies in the spool is looked at when somebody
//! scrapes. This file has the small change: how a metric is made and registered.

mod follow;
mod outward;
mod run;

use std::time::SystemTime;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use wire::time::UnixSeconds;

pub use follow::FollowMetrics;
pub use outward::OutwardMetrics;
pub use run::RunMetrics;

/// A registry that says which program this is, with what the process takes of the machine.
fn program(name: &str) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let info = Opts::new(
        "hufu_build_info",
        "Always 1; which program of which version this is",
    );
    let info = IntGaugeVec::new(info, &["program", "version"])?;
    info.with_label_values(&[name, env!("CARGO_PKG_VERSION")])
        .set(1);
    registry.register(Box::new(info))?;
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    Ok(registry)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// One counter for each value of a label, all of them there from the start: a series that appears with its first fault
/// shows no increase.
fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for value in values {
        family.get_metric_with_label_values(&[value])?;
    }
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn histogram(registry: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    let bounds = vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
    let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

fn unix(at: SystemTime) -> UnixSeconds {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
