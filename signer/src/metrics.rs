//! What `serve` tells operators; `docs/METRICS.md` says what to do about each.
//!
//! The loop notes what each pass did; what lies in the spool is looked at when somebody scrapes.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use wire::batch::{Kind, acknowledgement_name, parse_spool_name};
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

use crate::adopt;
use crate::registry::Revision;
use crate::serve::PassReport;

/// What the signer's main loop did.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    spool: PathBuf,
    issuers: IntGaugeVec,
    passes: IntCounterVec,
    last_success: IntGaugeVec,
    duration: HistogramVec,
    revision: IntGauge,
    batches: IntCounterVec,
    records: IntCounter,
    carried: IntCounter,
    faults: IntCounter,
    adoptions: IntCounterVec,
    waiting: IntGauge,
    oldest: IntGauge,
    refused: IntGauge,
}

impl Metrics {
    /// All at zero. `spool` is the folder of the issuers' spools.
    ///
    /// # Errors
    /// None that a constant name could cause.
    pub fn new(spool: PathBuf) -> Result<Self, prometheus::Error> {
        let registry = program("signer serve")?;
        let r = &registry;
        Ok(Self {
            spool,
            issuers: issuers(r)?,
            passes: rounds(r)?,
            last_success: last_success(r)?,
            duration: durations(r)?,
            revision: gauge(
                r,
                "hufu_signer_registry_revision",
                "The registry's revision when the last pass began",
            )?,
            batches: counters(
                r,
                "hufu_signer_batches_total",
                "Batches written for the loader",
                "kind",
                &["full", "shard", "delta", "documents"],
            )?,
            records: counter(
                r,
                "hufu_signer_records_signed_total",
                "Status records signed into batches; each has one signature for each variant",
            )?,
            carried: counter(
                r,
                "hufu_signer_records_carried_total",
                "Records of expired certificates in batches whose signatures were carried over from the batch before",
            )?,
            faults: counter(
                r,
                "hufu_signer_faults_total",
                "Pieces of work that failed while the others went on",
            )?,
            adoptions: counters(
                r,
                "hufu_signer_adoptions_total",
                "Staged CRLs of other authorities, by what became of them",
                "outcome",
                &["adopted", "renewed", "refused", "failed"],
            )?,
            waiting: gauge(
                r,
                "hufu_signer_spool_batches",
                "Batches in the spool that the loader has not acknowledged",
            )?,
            oldest: gauge(
                r,
                "hufu_signer_spool_oldest_timestamp_seconds",
                "When the oldest of them was written; 0 if there is none",
            )?,
            refused: gauge(
                r,
                "hufu_signer_spool_refused_batches",
                "Batches that the loader has set aside",
            )?,
            registry,
        })
    }

    /// An authority of ours by the name its operators know.
    pub fn serves(&self, issuer: IssuerId, alias: &str) {
        let names = [&*issuer.to_string(), alias];
        self.issuers.with_label_values(&names).set(1);
    }

    /// The registry's revision as the loop that watches it saw it.
    pub fn saw(&self, revision: Revision) {
        self.revision.set(level(revision));
    }

    /// A round of one of the [`LOOPS`] that took so long; no report if it ended in an error.
    pub fn passed(
        &self,
        which: &str,
        report: Option<&PassReport>,
        took: Duration,
        now: UnixSeconds,
    ) {
        let duration = self.duration.with_label_values(&[which]);
        duration.observe(took.as_secs_f64());
        let Some(report) = report else {
            self.passes.with_label_values(&[which, "failed"]).inc();
            return;
        };
        let outcome = if report.faults.is_empty() {
            self.last_success
                .with_label_values(&[which])
                .set(level(now));
            "done"
        } else {
            "with_faults"
        };
        self.passes.with_label_values(&[which, outcome]).inc();
        self.faults.inc_by(report.faults.len() as u64);
        for batch in &report.batches {
            self.batches.with_label_values(&[kind(batch.kind)]).inc();
            self.records.inc_by(batch.records - batch.carried);
            self.carried.inc_by(batch.carried);
        }
        for adoption in &report.adoptions {
            let outcome = match adoption {
                adopt::Outcome::Adopted { .. } => "adopted",
                adopt::Outcome::Renewed(_) => "renewed",
                adopt::Outcome::Refused { .. } => "refused",
                adopt::Outcome::Failed { .. } => "failed",
                // Told when it was refused, and by the gauge of the loader's staged lists.
                adopt::Outcome::Unchanged(_) | adopt::Outcome::StillRefused(_) => continue,
            };
            self.adoptions.with_label_values(&[outcome]).inc();
        }
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// As the encoder's.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let spool = Spool::look(&self.spool);
        self.waiting.set(level(spool.waiting));
        self.oldest.set(level(spool.oldest.unwrap_or_default()));
        self.refused.set(level(spool.refused));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "full",
        Kind::Shard => "shard",
        Kind::Delta => "delta",
        Kind::Documents => "documents",
    }
}

/// What lies in the spool. Folders that cannot be listed count as empty: writing into them fails, which is told.
#[derive(Default)]
struct Spool {
    waiting: u64,
    oldest: Option<UnixSeconds>,
    refused: u64,
}

impl Spool {
    fn look(folder: &PathBuf) -> Self {
        let mut spool = Self::default();
        for issuer in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let names = names(issuer.path());
            for name in &names {
                let Some(number) = parse_spool_name(name) else {
                    continue;
                };
                if names.contains(&acknowledgement_name(number)) {
                    continue;
                }
                spool.waiting += 1;
                let written = std::fs::metadata(issuer.path().join(name));
                let written = written.and_then(|metadata| metadata.modified()).ok();
                let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                let written = written.map(|since| since.as_secs());
                spool.oldest = [spool.oldest, written].into_iter().flatten().min();
            }
            let aside = names_of_batches(issuer.path().join("refused"));
            spool.refused += aside;
        }
        spool
    }
}

fn names_of_batches(folder: PathBuf) -> u64 {
    let names = names(folder);
    names
        .iter()
        .filter(|name| parse_spool_name(name).is_some())
        .count() as u64
}

fn names(folder: PathBuf) -> HashSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn issuers(registry: &Registry) -> Result<IntGaugeVec, prometheus::Error> {
    let words = Opts::new(
        "hufu_signer_issuer_info",
        "Always 1; the alias of each authority of ours, whom other metrics name by a hash",
    );
    let names = IntGaugeVec::new(words, &["issuer", "alias"])?;
    registry.register(Box::new(names.clone()))?;
    Ok(names)
}

/// A registry that says which program this is, with what the process takes of the machine.
pub(crate) fn program(name: &str) -> Result<Registry, prometheus::Error> {
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

pub(crate) fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
) -> Result<IntGauge, prometheus::Error> {
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

/// Rounds by loop and outcome, all there from the start.
fn rounds(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let words = Opts::new(
        "hufu_signer_passes_total",
        "Rounds of the signer's loops: changes, papers (lists, certificates), base shards",
    );
    let family = IntCounterVec::new(words, &["loop", "outcome"])?;
    for which in LOOPS {
        for outcome in ["done", "with_faults", "failed"] {
            family.get_metric_with_label_values(&[which, outcome])?;
        }
    }
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn last_success(registry: &Registry) -> Result<IntGaugeVec, prometheus::Error> {
    let words = Opts::new(
        "hufu_signer_last_success_timestamp_seconds",
        "When a round of each loop last went through without a fault; 0 before the first",
    );
    let family = IntGaugeVec::new(words, &["loop"])?;
    for which in LOOPS {
        family.get_metric_with_label_values(&[which])?;
    }
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn durations(registry: &Registry) -> Result<HistogramVec, prometheus::Error> {
    let words = HistogramOpts::new(
        "hufu_signer_pass_duration_seconds",
        "How long rounds took, signing included",
    );
    let bounds = vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0];
    let family = HistogramVec::new(words.buckets(bounds), &["loop"])?;
    for which in LOOPS {
        family.get_metric_with_label_values(&[which])?;
    }
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// The signer's loops, as a label says them.
pub const LOOPS: [&str; 3] = ["changes", "papers", "base"];

pub(crate) fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_nobody_takes_are_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = folder.path().join("00112233445566778899aabbccddeeff");
        std::fs::create_dir_all(issuer.join("refused")).unwrap();
        for number in [5, 7] {
            std::fs::write(issuer.join(wire::batch::spool_name(number)), b"").unwrap();
        }
        std::fs::write(issuer.join(acknowledgement_name(5)), b"").unwrap();
        std::fs::write(issuer.join("refused").join(wire::batch::spool_name(6)), b"").unwrap();
        let text = Metrics::new(folder.path().to_owned())
            .unwrap()
            .text()
            .unwrap();
        assert!(text.contains("\nhufu_signer_spool_batches 1\n"), "{text}");
        assert!(
            text.contains("\nhufu_signer_spool_refused_batches 1\n"),
            "{text}"
        );
        assert!(
            !text.contains("\nhufu_signer_spool_oldest_timestamp_seconds 0\n"),
            "{text}"
        );
    }

    #[test]
    fn operator_sees_a_hash_where_an_authority_has_a_name() {
        let metrics = Metrics::new(PathBuf::new()).unwrap();
        metrics.serves(IssuerId([0xab; 16]), "p256");
        let text = metrics.text().unwrap();
        let told = format!(
            "\nhufu_signer_issuer_info{{alias=\"p256\",issuer=\"{}\"}} 1\n",
            "ab".repeat(16)
        );
        assert!(text.contains(&told), "{text}");
    }

    #[test]
    fn pass_with_faults_is_told_as_a_success() {
        let metrics = Metrics::new(PathBuf::new()).unwrap();
        metrics.passed("papers", Some(&PassReport::default()), Duration::ZERO, 7);
        metrics.passed("papers", None, Duration::ZERO, 8);
        let text = metrics.text().unwrap();
        assert!(
            text.contains("hufu_signer_passes_total{loop=\"papers\",outcome=\"failed\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("hufu_signer_last_success_timestamp_seconds{loop=\"papers\"} 7\n"),
            "{text}"
        );
    }
}
