//! What came of a day: how many were asked, what was said, how long it took, and what was wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Plan;
use super::line::Restart;

/// Kinds of questions.
pub const KINDS: [&str; 8] = [
    "GET",
    "GET, a connection each",
    "GET, if it changed",
    "POST",
    "nonce",
    "several certificates",
    "never issued",
    "list",
];

/// What came of one kind.
#[derive(Debug, Default, Clone)]
pub struct Kind {
    /// Answers, each judged.
    pub answered: u64,
    /// Saying good.
    pub good: u64,
    /// Saying revoked.
    pub revoked: u64,
    /// 304.
    pub unchanged: u64,
    /// Refused, as it had to be.
    pub refused: u64,
    /// Signed ahead in the place of live.
    pub fell_back: u64,
    /// No answer, for the responder was being started anew.
    pub lost: u64,
    /// No answer, and no reason for that.
    pub failed: u64,
    /// Answers that cannot be true, or do not verify.
    pub wrong: u64,
    /// Microseconds.
    times: Vec<u32>,
}

#[derive(Debug, Default)]
struct Sheet {
    kinds: BTreeMap<&'static str, Kind>,
    faults: Vec<String>,
    revocations: u64,
    unseen: u64,
    generations: u64,
    restart: Option<Restart>,
    visible: Vec<Duration>,
    /// Failures whose reason is known when the restart is over: kind, connection's opening, when it failed, how.
    failures: Vec<(&'static str, Instant, Instant, String)>,
}

/// Counted by everybody at once.
#[derive(Debug)]
pub struct Tally {
    plan: Plan,
    sheet: Mutex<Sheet>,
}

/// What one answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Says good.
    Good,
    /// Says revoked.
    Revoked,
    /// 304.
    Unchanged,
    /// Refused, as it had to be.
    Refused,
    /// A list.
    Read,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            sheet: Mutex::default(),
        }
    }

    fn sheet(&self) -> std::sync::MutexGuard<'_, Sheet> {
        self.sheet.lock().expect("nobody panics while counting")
    }

    /// An answer was right.
    pub fn right(&self, kind: &'static str, outcome: Outcome, fell_back: bool, took: Duration) {
        let mut sheet = self.sheet();
        let kind = sheet.kinds.entry(kind).or_default();
        kind.answered += 1;
        kind.fell_back += u64::from(fell_back);
        match outcome {
            Outcome::Good => kind.good += 1,
            Outcome::Revoked => kind.revoked += 1,
            Outcome::Unchanged => kind.unchanged += 1,
            Outcome::Refused => kind.refused += 1,
            Outcome::Read => {}
        }
        kind.times
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// An answer was wrong.
    pub fn wrong(&self, kind: &'static str, why: &str) {
        let mut sheet = self.sheet();
        let counted = sheet.kinds.entry(kind).or_default();
        counted.answered += 1;
        counted.wrong += 1;
        note(&mut sheet, format!("wrong: {kind}: {why}"));
    }

    /// No answer came over a connection that was opened then.
    pub fn failed(&self, kind: &'static str, opened: Instant, why: String) {
        self.sheet()
            .failures
            .push((kind, opened, Instant::now(), why));
    }

    /// The responder was started anew.
    pub fn restarted(&self, restart: Restart) {
        self.sheet().restart = Some(restart);
    }

    /// A certificate was revoked.
    pub fn revoked(&self) {
        self.sheet().revocations += 1;
    }

    /// A revocation that no answer signed ahead has told of, long after it.
    pub fn unseen(&self, hex: &str) {
        let mut sheet = self.sheet();
        sheet.unseen += 1;
        note(&mut sheet, format!("wrong: {hex} is not served as revoked"));
    }

    /// So many generations came one after another.
    pub fn generations(&self, count: u64) {
        self.sheet().generations = count;
    }

    /// How long each revocation took to be seen.
    pub fn visible(&self, mut times: Vec<Duration>) {
        times.sort_unstable();
        self.sheet().visible = times;
    }

    /// The end of the day: failures are sorted into what the restart explains and what nothing does.
    #[must_use]
    pub fn close(self) -> Report {
        let mut sheet = self
            .sheet
            .into_inner()
            .expect("nobody panics while counting");
        for (kind, opened, failed, why) in std::mem::take(&mut sheet.failures) {
            let explained = sheet
                .restart
                .is_some_and(|restart| opened <= restart.serving && failed >= restart.killed);
            let counted = sheet.kinds.entry(kind).or_default();
            if explained {
                counted.lost += 1;
            } else {
                counted.failed += 1;
                note(&mut sheet, format!("failed: {kind}: {why}"));
            }
        }
        for kind in sheet.kinds.values_mut() {
            kind.times.sort_unstable();
        }
        Report {
            plan: self.plan,
            sheet,
        }
    }
}

/// The first of them tell enough.
fn note(sheet: &mut Sheet, fault: String) {
    if sheet.faults.len() < MOST_FAULTS {
        sheet.faults.push(fault);
    }
}

/// A day that is over.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    sheet: Sheet,
}

impl Report {
    /// One kind's.
    #[must_use]
    pub fn kind(&self, kind: &str) -> Kind {
        self.sheet.kinds.get(kind).cloned().unwrap_or_default()
    }

    /// Answers that were wrong and questions that failed without a reason, described; the first of them only.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.sheet.faults
    }

    /// Wrong answers, and revocations that never came out.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        let answers: u64 = self.sheet.kinds.values().map(|kind| kind.wrong).sum();
        answers + self.sheet.unseen
    }

    /// Questions without an answer that the restart does not explain.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.sheet.kinds.values().map(|kind| kind.failed).sum()
    }

    /// Generations that came during the day.
    #[must_use]
    pub fn generations(&self) -> u64 {
        self.sheet.generations
    }

    /// How long the responder was away.
    #[must_use]
    pub fn away(&self) -> Option<Duration> {
        self.sheet
            .restart
            .map(|restart| restart.serving - restart.killed)
    }

    /// For a person.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "A day of {} s: {} certificates, {} revocations, {} generations, the responder away for {} ms\n\
             {:<24}{:>9}{:>9}{:>9}{:>7}{:>9}{:>9}{:>6}{:>7}{:>7}{:>9}{:>9}{:>9}\n",
            self.plan.length.as_secs(),
            self.plan.records,
            self.sheet.revocations,
            self.sheet.generations,
            self.away().unwrap_or_default().as_millis(),
            "",
            "answered",
            "good",
            "revoked",
            "304",
            "refused",
            "no nonce",
            "lost",
            "failed",
            "wrong",
            "p50 ms",
            "p99 ms",
            "max ms",
        );
        for name in KINDS {
            let kind = self.kind(name);
            let ms = |part| f64::from(kind.time(part)) / 1_000.0;
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{name:<24}{:>9}{:>9}{:>9}{:>7}{:>9}{:>9}{:>6}{:>7}{:>7}{:>9.2}{:>9.2}{:>9.2}",
                kind.answered,
                kind.good,
                kind.revoked,
                kind.unchanged,
                kind.refused,
                kind.fell_back,
                kind.lost,
                kind.failed,
                kind.wrong,
                ms(0.5),
                ms(0.99),
                ms(1.0),
            );
        }
        let visible = |part| {
            quantile(&self.sheet.visible, part)
                .unwrap_or_default()
                .as_millis()
        };
        let _ = writeln!(
            text,
            "revoked on the wire after, as seen by who happened to ask: p50 {} ms, p99 {} ms, max {} ms",
            visible(0.5),
            visible(0.99),
            visible(1.0)
        );
        let _ = writeln!(
            text,
            "wrong answers: {}, failed: {}",
            self.wrong(),
            self.failed()
        );
        for fault in &self.sheet.faults {
            let _ = writeln!(text, "  {fault}");
        }
        text
    }

    /// For a machine.
    #[must_use]
    pub fn json(&self) -> Value {
        let kinds: BTreeMap<_, _> = KINDS
            .iter()
            .map(|name| {
                let kind = self.kind(name);
                let figures = json!({
                    "answered": kind.answered, "good": kind.good, "revoked": kind.revoked,
                    "not_modified": kind.unchanged, "refused": kind.refused, "without_nonce": kind.fell_back,
                    "lost_in_restart": kind.lost, "failed": kind.failed, "wrong": kind.wrong,
                    "p50_us": kind.time(0.5), "p99_us": kind.time(0.99), "max_us": kind.time(1.0),
                });
                (*name, figures)
            })
            .collect();
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        json!({
            "seconds": self.plan.length.as_secs(), "records": self.plan.records,
            "revocations": self.sheet.revocations, "never_visible": self.sheet.unseen, "generations": self.sheet.generations,
            "away_ms": self.away().map(millis), "wrong": self.wrong(), "failed": self.failed(),
            "visible_ms": {
                "p50": quantile(&self.sheet.visible, 0.5).map(millis),
                "p99": quantile(&self.sheet.visible, 0.99).map(millis),
                "max": quantile(&self.sheet.visible, 1.0).map(millis),
            },
            "kinds": kinds, "faults": self.sheet.faults,
        })
    }
}

impl Kind {
    fn time(&self, part: f64) -> u32 {
        quantile(&self.times, part).unwrap_or_default()
    }
}

/// Of sorted values.
fn quantile<T: Copy>(sorted: &[T], part: f64) -> Option<T> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

const MOST_FAULTS: usize = 20;
