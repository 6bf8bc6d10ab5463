//! `init`, `publish`, `run`: keys, one pass, passes without end.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use super::bar::Bar;
use super::outward::Outward;
use super::{InitArgs, Outcome, PARTIAL, PublishArgs, RunArgs, Sealing, now, sentence};
use crate::admin;
use crate::durable::FsDisk;
use crate::home::Home;
use crate::manifest::Manifest;
use crate::metrics::RunMetrics;
use crate::nudge::FolderWatch;
use crate::publish::{Edition, Publisher};
use crate::run::{PassReport, Terms, open};
use crate::staged::rfc3339;

pub(super) fn init(args: &InitArgs) -> Outcome {
    let home = Home::at(&args.data.folder);
    let keys = home.keys(&FsDisk, args.batch_key.as_deref())?;
    println!(
        "seal key   {}  {}",
        keys.seal.public(),
        home.seal_pin().display()
    );
    println!("batch key  {}  {}", keys.batch, home.batch_pin().display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn once(args: &PublishArgs) -> Outcome {
    if let Some(number) = args.above {
        return above(args, number);
    }
    let line = open(&FsDisk, &args.data.folder, terms(&args.sealing))?;
    let mut line = line.sorting_within(args.memory.octets());
    let mut bar = Bar::of_records();
    let report = line.pass(now(), &mut |read, all| bar.tell(read, all))?;
    bar.end();
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", text(&report));
    }
    Ok(if report.refused.is_empty() && report.put_off.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTIAL)
    })
}

/// A store that was restored from a backup goes on above the numbers that edges have seen of the lost one.
fn above(args: &PublishArgs, number: u64) -> Outcome {
    let home = Home::at(&args.data.folder);
    let keys = home.keys(&FsDisk, None)?;
    let mut publisher = Publisher::open(&FsDisk, home.store(), keys.seal, &keys.older_seals)?;
    if publisher.current().is_none() {
        return Err("the store holds no generation to go on from".into());
    }
    publisher.number_above(number);
    let edition = Edition {
        valid_for_secs: args.sealing.valid_for,
        ..publisher.same_again(now())
    };
    let published = publisher.publish(&edition)?;
    println!("generation {} sealed anew", published.number);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn forever(args: &RunArgs) -> Outcome {
    let line = open(&FsDisk, &args.data.folder, terms(&args.sealing))?;
    let line = line.sorting_within(args.memory.octets());
    if let Some(current) = line.publisher().current() {
        warn_of_replays(current);
    }
    let metrics = RunMetrics::new(Home::at(&args.data.folder))?;
    let outward = Outward::start(
        &args.outward,
        &Home::at(&args.data.folder),
        metrics.outward(),
    )?;
    if let Some(address) = args.metrics {
        let asked = metrics.clone();
        let address = admin::serve(address, move || asked.text())?;
        tracing::info!(%address, "telling metrics");
    }
    let tell = |report: &PassReport, current: Option<&Manifest>| {
        metrics.passed(report, current, SystemTime::now());
        if report.generation.is_some() {
            outward.wake();
        }
        log(report);
        match serde_json::to_string(report) {
            Ok(text) if args.json && !report.is_quiet() => println!("{text}"),
            _ => {}
        }
    };
    let mut line = line.telling(Box::new(tell));
    let mut bar = Bar::of_records();
    let mut failure = Failure::default();
    let mut watch = FolderWatch::new();
    loop {
        if outward.has_ended() {
            drop(line);
            return outward.why();
        }
        // Before looking: what comes while we look wakes the next wait.
        watch.keep_to(&line.spool_folders());
        let stepped = line.step(now(), &mut |read, all| bar.tell(read, all));
        // Also where the step failed: that may be why.
        metrics.damaged_files(line.damaged_files());
        match stepped {
            Ok(report) => {
                bar.end();
                tell(&report, line.publisher().current());
                match report.put_off.first() {
                    None => failure.over(),
                    Some(batch) => failure.tell(&format!(
                        "batch {} of {} waits: {}",
                        batch.number, batch.issuer, batch.reason
                    )),
                }
                if report.is_quiet() {
                    watch.wait(Duration::from_millis(args.every));
                }
            }
            Err(error) => {
                bar.end();
                metrics.failed();
                failure.tell(&sentence(&error));
                std::thread::sleep(failure.pause());
            }
        }
    }
}

fn terms(sealing: &Sealing) -> Terms {
    Terms {
        valid_for_secs: sealing.valid_for,
        reseal_after_secs: sealing.reseal_after,
    }
}

/// Said on every start: what is answered of these issuers is history.
fn warn_of_replays(current: &Manifest) {
    for replay in &current.replayed {
        tracing::warn!(
            issuer = %replay.issuer.0,
            as_of = %rfc3339(replay.as_of),
            "a CRL past its nextUpdate is replayed: present windows, past status"
        );
    }
}

fn log(report: &PassReport) {
    for taken in &report.taken {
        tracing::info!(
            issuer = %taken.issuer,
            number = taken.number,
            kind = taken.kind,
            records = taken.records,
            revision = taken.revision,
            verified = taken.verified,
            "batch taken"
        );
    }
    if let Some(generation) = report.generation {
        tracing::info!(
            generation,
            resealed = report.resealed,
            batches = report.taken.len(),
            "generation published"
        );
    }
    if report.acknowledged_late > 0 {
        tracing::info!(
            batches = report.acknowledged_late,
            "acknowledged what an earlier run had published"
        );
    }
}

fn text(report: &PassReport) -> String {
    let mut lines = String::new();
    for taken in &report.taken {
        lines.push_str(&format!(
            "taken    {} number {} ({}): {} records, revision {}, {} signatures verified\n",
            taken.issuer, taken.number, taken.kind, taken.records, taken.revision, taken.verified
        ));
    }
    for refused in &report.refused {
        lines.push_str(&format!(
            "refused  {} number {}: {}\n",
            refused.issuer, refused.number, refused.reason
        ));
    }
    for waiting in &report.put_off {
        lines.push_str(&format!(
            "put off  {} number {}: {}\n",
            waiting.issuer, waiting.number, waiting.reason
        ));
    }
    match report.generation {
        Some(generation) if report.resealed => {
            lines.push_str(&format!("generation {generation} sealed anew\n"));
        }
        Some(generation) => lines.push_str(&format!("generation {generation} published\n")),
        None => lines.push_str("nothing new\n"),
    }
    lines
}

/// A pass that fails is tried again, less and less often; the same words are logged once a minute.
#[derive(Default)]
struct Failure {
    in_a_row: u32,
    told: Option<(String, Instant)>,
}

impl Failure {
    fn tell(&mut self, what: &str) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let fresh = self
            .told
            .as_ref()
            .is_some_and(|(told, when)| told == what && when.elapsed() < ONE_MINUTE);
        if !fresh {
            tracing::error!(
                error = what,
                "a pass failed or left a batch waiting, and will be tried again"
            );
            self.told = Some((what.to_owned(), Instant::now()));
        }
    }

    fn over(&mut self) {
        if self.in_a_row > 0 {
            tracing::info!(failures = self.in_a_row, "passes go on again");
        }
        *self = Self::default();
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(100 << self.in_a_row.min(6))
    }
}

const ONE_MINUTE: Duration = Duration::from_secs(60);
