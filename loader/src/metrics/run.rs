//! What the loader's main loop tells: passes, batches, the spool, the generation published last.

use std::path::PathBuf;
use std::time::SystemTime;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use super::{OutwardMetrics, counter, counters, gauge, histogram, level, program, unix};
use crate::home::Home;
use crate::manifest::Manifest;
use crate::run::PassReport;
use crate::spool::waiting;

/// What the loader's main loop did.
#[derive(Clone)]
pub struct RunMetrics {
    registry: Registry,
    home: Home,
    passes: IntCounterVec,
    last_success: IntGauge,
    generation: Generation,
    batches: IntCounterVec,
    waiting_unreadable: IntGauge,
    records: IntCounter,
    delay: Histogram,
    spool: IntGauge,
    spool_oldest: IntGauge,
    set_aside: IntGauge,
    damaged_files: IntGauge,
    outward: OutwardMetrics,
}

impl RunMetrics {
    /// All at zero. `home` is whose spool is looked at.
    ///
    /// # Errors
    /// None that a constant name could cause.
    pub fn new(home: Home) -> Result<Self, prometheus::Error> {
        let registry = program("loader run")?;
        let passes = counters(
            &registry,
            "hufu_loader_passes_total",
            "Looks at the spool",
            "outcome",
            &["done", "failed"],
        )?;
        let batches = counters(
            &registry,
            "hufu_loader_batches_total",
            "Batches of the signer that were judged",
            "outcome",
            &["taken", "refused"],
        )?;
        Ok(Self {
            passes,
            batches,
            last_success: gauge(
                &registry,
                "hufu_loader_last_success_timestamp_seconds",
                "When a pass last went through",
            )?,
            generation: Generation::new(&registry, "hufu_loader", "published")?,
            waiting_unreadable: gauge(
                &registry,
                "hufu_loader_batches_put_off",
                "Batches that could not be read in the last pass, and wait",
            )?,
            records: counter(
                &registry,
                "hufu_loader_records_total",
                "Status records taken into packs",
            )?,
            delay: histogram(
                &registry,
                "hufu_loader_publish_delay_seconds",
                "From a batch lying in the spool to its generation being published",
            )?,
            spool: gauge(
                &registry,
                "hufu_loader_spool_batches",
                "Batches in the spool that are not acknowledged",
            )?,
            spool_oldest: gauge(
                &registry,
                "hufu_loader_spool_oldest_timestamp_seconds",
                "When the oldest of them was written; 0 if there is none",
            )?,
            set_aside: gauge(
                &registry,
                "hufu_loader_spool_refused_batches",
                "Refused batches that lie aside",
            )?,
            damaged_files: gauge(
                &registry,
                "hufu_loader_damaged_files",
                "Files of the store that are not what their names say any more",
            )?,
            outward: OutwardMetrics::new(&registry)?,
            registry,
            home,
        })
    }

    /// Those of the thread that tells the outside.
    pub fn outward(&self) -> OutwardMetrics {
        self.outward.clone()
    }

    /// A pass went through. `current` is what is published now.
    pub fn passed(&self, report: &PassReport, current: Option<&Manifest>, now: SystemTime) {
        self.passes.with_label_values(&["done"]).inc();
        self.last_success.set(level(unix(now)));
        if let Some(current) = current {
            self.generation.set(current);
        }
        self.batches
            .with_label_values(&["taken"])
            .inc_by(report.taken.len() as u64);
        self.batches
            .with_label_values(&["refused"])
            .inc_by(report.refused.len() as u64);
        self.waiting_unreadable
            .set(level(report.put_off.len() as u64));
        for taken in &report.taken {
            self.records.inc_by(taken.records);
            let folder = self.home.spool().join(&taken.issuer);
            let batch = folder.join(wire::batch::spool_name(taken.number));
            // The signer may have swept it already; then its time is nobody's.
            let written = std::fs::metadata(batch).and_then(|metadata| metadata.modified());
            if let Some(delay) = written.ok().and_then(|at| now.duration_since(at).ok()) {
                self.delay.observe(delay.as_secs_f64());
            }
        }
    }

    /// So many files of the store are known to be damaged.
    pub fn damaged_files(&self, count: usize) {
        self.damaged_files.set(level(count as u64));
    }

    /// A pass ended in an error.
    pub fn failed(&self) {
        self.passes.with_label_values(&["failed"]).inc();
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// As the encoder's.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        // A spool that cannot be read makes the passes fail, which is told.
        let waiting = waiting(&self.home.spool()).unwrap_or_default();
        self.spool.set(level(waiting.len() as u64));
        let written = waiting
            .iter()
            .filter_map(|batch| batch.path.metadata().ok()?.modified().ok());
        self.spool_oldest
            .set(written.min().map_or(0, |at| level(unix(at))));
        self.set_aside.set(level(set_aside(self.home.spool())));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The generation a program answers for.
#[derive(Clone)]
struct Generation {
    number: IntGauge,
    revision: IntGauge,
    sealed: IntGauge,
    valid_until: IntGauge,
}

impl Generation {
    fn new(registry: &Registry, prefix: &str, which: &str) -> Result<Self, prometheus::Error> {
        let one = |name: &str, help: &str| {
            gauge(
                registry,
                &format!("{prefix}_{name}"),
                &format!("{help} the generation {which} last"),
            )
        };
        Ok(Self {
            number: one("generation_number", "Number of")?,
            revision: one("generation_revision", "Highest registry revision in")?,
            sealed: one("generation_sealed_timestamp_seconds", "Sealing time of")?,
            valid_until: one(
                "generation_valid_until_timestamp_seconds",
                "End of validity of",
            )?,
        })
    }

    fn set(&self, manifest: &Manifest) {
        self.number.set(level(manifest.number));
        self.revision.set(level(manifest.revision));
        self.sealed.set(level(manifest.sealed_at));
        self.valid_until.set(level(manifest.valid_until));
    }
}

/// Batches below `spool/<issuer>/refused/`.
fn set_aside(spool: PathBuf) -> u64 {
    let issuers = std::fs::read_dir(spool).into_iter().flatten().flatten();
    let aside = issuers.flat_map(|issuer| std::fs::read_dir(issuer.path().join("refused")));
    let names = aside
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| wire::batch::parse_spool_name(name).is_some())
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_wait_or_lie_aside_are_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = folder.path().join("spool/00112233445566778899aabbccddeeff");
        std::fs::create_dir_all(issuer.join("refused")).unwrap();
        std::fs::write(issuer.join(wire::batch::spool_name(7)), b"").unwrap();
        std::fs::write(issuer.join("refused").join(wire::batch::spool_name(6)), b"").unwrap();
        let text = RunMetrics::new(Home::at(folder.path()))
            .unwrap()
            .text()
            .unwrap();
        assert!(text.contains("\nhufu_loader_spool_batches 1\n"), "{text}");
        assert!(
            text.contains("\nhufu_loader_spool_refused_batches 1\n"),
            "{text}"
        );
        assert!(
            !text.contains("\nhufu_loader_spool_oldest_timestamp_seconds 0\n"),
            "{text}"
        );
    }
}
