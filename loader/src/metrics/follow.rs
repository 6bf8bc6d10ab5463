//! What the follower tells: polls, what was fetched, what was refused, how far behind this edge is, the scrub.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};
use wire::time::UnixSeconds;

use super::{counter, counters, gauge, histogram, level, program};
use crate::error::sentence;
use crate::follow::{Chain, Followed, Refusal};

/// What the follower did.
#[derive(Clone)]
pub struct FollowMetrics {
    registry: Registry,
    polls: IntCounterVec,
    refused: IntCounterVec,
    last_success: IntGauge,
    number: IntGauge,
    files: IntCounter,
    octets: IntCounter,
    unproven: IntCounter,
    duration: Histogram,
    scrub: IntCounterVec,
    /// What was refused last: a store that stays bad counts once, not at every poll.
    told: Option<String>,
}

impl FollowMetrics {
    /// All at zero, for an edge with this generation in place.
    ///
    /// # Errors
    /// None that a constant name could cause.
    pub fn new(in_place: Option<u64>) -> Result<Self, prometheus::Error> {
        let registry = program("loader follow")?;
        let number = gauge(
            &registry,
            "hufu_follow_generation_number",
            "Number of the generation in place at this edge",
        )?;
        number.set(level(in_place.unwrap_or_default()));
        Ok(Self {
            number,
            polls: counters(
                &registry,
                "hufu_follow_polls_total",
                "Looks at the store",
                "outcome",
                &["unchanged", "took", "empty", "refused"],
            )?,
            refused: counters(
                &registry,
                "hufu_follow_refused_total",
                "Generations refused, and stores that could not be read, each once",
                "reason",
                Refusal::KINDS,
            )?,
            last_success: gauge(
                &registry,
                "hufu_follow_last_success_timestamp_seconds",
                "When this edge last had what the store had",
            )?,
            files: counter(
                &registry,
                "hufu_follow_fetched_files_total",
                "Files fetched",
            )?,
            octets: counter(
                &registry,
                "hufu_follow_fetched_bytes_total",
                "Octets fetched",
            )?,
            unproven: counter(
                &registry,
                "hufu_follow_chain_unproven_total",
                "Generations taken whose chain of manifests no longer reaches back to ours",
            )?,
            duration: histogram(
                &registry,
                "hufu_follow_take_duration_seconds",
                "From the look at the store to a new generation being in place",
            )?,
            scrub: counters(
                &registry,
                "hufu_follow_scrub_total",
                "What reading the edge's own files again came to",
                "outcome",
                &["round_done", "damaged", "fetched_anew", "not_fetched"],
            )?,
            registry,
            told: None,
        })
    }

    /// A poll that took so long.
    pub fn polled(
        &mut self,
        outcome: &Result<Followed, Refusal>,
        took: Duration,
        now: UnixSeconds,
    ) {
        let word = match outcome {
            Ok(Followed::Empty) => "empty",
            Ok(Followed::Unchanged) => "unchanged",
            Ok(Followed::Took(_)) => "took",
            Err(_) => "refused",
        };
        self.polls.with_label_values(&[word]).inc();
        match outcome {
            Ok(Followed::Took(taken)) => {
                self.number.set(level(taken.number));
                self.files.inc_by(taken.files);
                self.octets.inc_by(taken.octets);
                self.duration.observe(took.as_secs_f64());
                if matches!(taken.chain, Chain::Unproven { .. }) {
                    self.unproven.inc();
                }
            }
            Ok(_) => {}
            Err(refusal) => {
                let text = sentence(refusal);
                if self.told.as_ref() != Some(&text) {
                    self.refused.with_label_values(&[refusal.kind()]).inc();
                    self.told = Some(text);
                }
                return;
            }
        }
        self.told = None;
        self.last_success.set(level(now));
    }

    /// What the scrub came to: `round_done`, `damaged`, `fetched_anew` or `not_fetched`.
    pub fn scrubbed(&self, outcome: &'static str) {
        self.scrub.with_label_values(&[outcome]).inc();
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// As the encoder's.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_that_stays_bad_counts_at_every_poll() {
        let mut metrics = FollowMetrics::new(Some(4)).unwrap();
        let lower = || {
            Err(Refusal::Lower {
                found: 3,
                highest: 4,
            })
        };
        for now in 1..4 {
            metrics.polled(&lower(), Duration::ZERO, now);
        }
        let says = |metrics: &FollowMetrics, line: &str| {
            metrics.text().unwrap().lines().any(|found| found == line)
        };
        assert!(says(
            &metrics,
            "hufu_follow_refused_total{reason=\"lower\"} 1"
        ));
        assert!(says(
            &metrics,
            "hufu_follow_polls_total{outcome=\"refused\"} 3"
        ));
        assert!(says(
            &metrics,
            "hufu_follow_last_success_timestamp_seconds 0"
        ));
        metrics.polled(&Ok(Followed::Unchanged), Duration::ZERO, 9);
        metrics.polled(&lower(), Duration::ZERO, 10);
        assert!(says(
            &metrics,
            "hufu_follow_refused_total{reason=\"lower\"} 2"
        ));
        assert!(says(
            &metrics,
            "hufu_follow_last_success_timestamp_seconds 9"
        ));
    }
}
