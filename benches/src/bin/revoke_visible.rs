//! From `revoke` returning to "revoked" on the wire, over the whole line: signer, loader, follower, responder, each a process
//! of its own, with every base shard being signed again in its turn all the while.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use hdrhistogram::Histogram;
use hufu_benches::ask::{Client, Questions};
use hufu_benches::line::{Line, Place, done};
use serde_json::json;
use wire::response::SingleStatus;
use wire::serial::Serial;

/// How long after `hufu-signer revoke` has returned does the responder say "revoked"?
///
/// benches/revoke-visible                               100,000 certificates, under a minute
/// benches/revoke-visible --records 10000000 --json     the figure; twenty minutes on two cores, most of them founding
#[derive(Parser)]
struct Args {
    /// Certificates of the issuer.
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// Revocations one after another.
    #[arg(long, default_value_t = 100)]
    one_by_one: u64,
    /// Revocations by several officers at once.
    #[arg(long, default_value_t = 40)]
    at_once: u64,
    /// How many officers.
    #[arg(long, default_value_t = 4)]
    officers: u64,
    /// Seconds in which every base shard has its turn once.
    #[arg(long, default_value_t = 600)]
    refresh: u64,
    /// Seconds a founding may take.
    #[arg(long, default_value_t = 3_600)]
    patience: u64,
    /// Keep everything here, and use what lies here already.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The figures as JSON on the last line.
    #[arg(long)]
    json: bool,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-revoke-visible: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let temporary = tempfile::tempdir()?;
    let data = args.data.as_deref().unwrap_or(temporary.path());
    let settings = format!("[signing]\nrefresh-secs = {}\n", args.refresh);
    let place = Place::new(data, &settings)?;
    if !data.join("signer/registry.sqlite").exists() {
        found(&place, args)?;
    }
    let begun = Instant::now();
    let mut line = place.start(Duration::from_secs(args.patience))?;
    let questions = wait_until_served(&mut line, args)?;
    println!(
        "everything served after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let trial = Trial {
        place: &place,
        ocsp: line.ocsp,
        questions,
        records: args.records,
        next: AtomicU64::new(seed()),
    };
    let mut alone = Tally::new()?;
    for _ in 0..args.one_by_one {
        alone.add(&trial.revoke()?)?;
        line.check()?;
    }
    alone.print("one after another");
    let mut together = Tally::new()?;
    let share = args.at_once.div_ceil(args.officers.max(1));
    std::thread::scope(|scope| {
        let officers: Vec<_> = (0..args.officers)
            .map(|_| scope.spawn(|| (0..share).map(|_| trial.revoke()).collect::<Vec<_>>()))
            .collect();
        for officer in officers {
            for seen in officer.join().map_err(|_| "an officer was lost")? {
                together.add(&seen?)?;
            }
        }
        Ok::<_, Error>(())
    })?;
    together.print(&format!("{} officers at once", args.officers));
    if args.json {
        let figures = json!({
            "records": args.records, "refresh_secs": args.refresh,
            "one_by_one": alone.json(), "at_once": together.json(), "officers": args.officers,
        });
        println!("{figures}");
    }
    Ok(())
}

fn found(place: &Place, args: &Args) -> Result<(), Error> {
    let url = ["found", "--public-url", "http://127.0.0.1:2560"];
    done(&mut place.signer(&url))?;
    let mut init = place.program("hufu-loader", &["init"]);
    done(init.arg("--data").arg(place.data()))?;
    let records = args.records.to_string();
    let mut fill = place.program("examples/fill", &["--ca", "p256", "--records", &records]);
    print!("{}", done(fill.arg("--data").arg(place.data()))?);
    Ok(())
}

/// Until a spread of serials that reaches every shard is answered.
fn wait_until_served(line: &mut Line, args: &Args) -> Result<Questions, Error> {
    let deadline = Instant::now() + Duration::from_secs(args.patience);
    loop {
        match all_served(line.ocsp, args.records) {
            Ok(Some(questions)) => return Ok(questions),
            Ok(None) | Err(_) if Instant::now() < deadline => {
                line.check()?;
                std::thread::sleep(Duration::from_millis(500));
            }
            Ok(None) => return Err("not everything is served".into()),
            Err(error) => return Err(error),
        }
    }
}

fn all_served(ocsp: SocketAddr, records: u64) -> Result<Option<Questions>, Error> {
    let mut client = Client::connect(ocsp)?;
    let questions = Questions::about(&client.get("/ca/p256.cer")?)?;
    let step = (records / SPREAD).max(1);
    for number in (0..records).step_by(usize::try_from(step)?) {
        if client.status(&questions, 0, &serial(number)?)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(questions))
}

/// One registry, one responder, and which certificate is the next.
struct Trial<'a> {
    place: &'a Place,
    ocsp: SocketAddr,
    questions: Questions,
    records: u64,
    next: AtomicU64,
}

/// When a revocation was where, from when `revoke` had returned.
struct Seen {
    wire: Duration,
    /// When the pointers that are in place now were: the store's, the edge's.
    store: Option<Duration>,
    edge: Option<Duration>,
}

impl Trial<'_> {
    fn revoke(&self) -> Result<Seen, Error> {
        let serial = self.a_good_one()?;
        let mut client = Client::connect(self.ocsp)?;
        let (hex, ground) = (serial.to_string(), "key-compromise");
        let words = [
            "revoke", "--ca", "p256", "--serial", &hex, "--ground", ground,
        ];
        done(self.place.signer(&words).args(["--officer", "bench"]))?;
        let (returned, at) = (Instant::now(), SystemTime::now());
        loop {
            let said = client.status(&self.questions, 0, &serial)?;
            if matches!(said, Some(SingleStatus::Revoked { .. })) {
                break;
            }
            if returned.elapsed() > PATIENCE {
                return Err(format!("{serial} is not revoked after {PATIENCE:?}").into());
            }
            std::thread::sleep(POLL);
        }
        let wire = returned.elapsed();
        for form in 1..self.questions.forms() {
            let said = client.status(&self.questions, form, &serial)?;
            if !matches!(said, Some(SingleStatus::Revoked { .. })) {
                return Err(
                    format!("{serial} is revoked in one form and {said:?} in another").into(),
                );
            }
        }
        let pointer = |path: &str| {
            let file = std::fs::metadata(self.place.data().join(path)).ok()?;
            file.modified().ok()?.duration_since(at).ok()
        };
        Ok(Seen {
            wire,
            store: pointer("store/current"),
            edge: pointer("edge/current"),
        })
    }

    /// A certificate that is good, anywhere among all.
    fn a_good_one(&self) -> Result<Serial, Error> {
        let mut client = Client::connect(self.ocsp)?;
        loop {
            let drawn = self
                .next
                .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let number = u64::try_from((u128::from(drawn) * u128::from(self.records)) >> 64)?;
            let serial = serial(number)?;
            match client.status(&self.questions, 0, &serial)? {
                Some(SingleStatus::Good) => return Ok(serial),
                Some(_) => {}
                None => return Err(format!("{serial} is not answered").into()),
            }
        }
    }
}

/// What the filling tool gives the certificate of this number.
fn serial(number: u64) -> Result<Serial, Error> {
    let text = format!("A{number:015}");
    Ok(Serial::from_content(text.as_bytes()).map_err(|rule| rule.to_string())?)
}

fn seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| since.subsec_nanos().into())
}

/// Times in microseconds.
struct Tally {
    wire: Histogram<u64>,
    store: Histogram<u64>,
    edge: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self, Error> {
        let new = || Histogram::new_with_bounds(1, 600_000_000, 3);
        Ok(Self {
            wire: new()?,
            store: new()?,
            edge: new()?,
        })
    }

    fn add(&mut self, seen: &Seen) -> Result<(), Error> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.wire.record(micros(seen.wire))?;
        for (stage, time) in [(&mut self.store, seen.store), (&mut self.edge, seen.edge)] {
            if let Some(time) = time {
                stage.record(micros(time))?;
            }
        }
        Ok(())
    }

    fn print(&self, what: &str) {
        println!("{what}: {} revocations", self.wire.len());
        let stages = [
            ("in the store", &self.store),
            ("at the edge", &self.edge),
            ("on the wire", &self.wire),
        ];
        for (stage, times) in stages {
            let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1_000.0;
            println!(
                "  {stage:<13} p50 {:7.1} ms   p90 {:7.1} ms   p99 {:7.1} ms   max {:7.1} ms",
                ms(0.5),
                ms(0.9),
                ms(0.99),
                ms(1.0)
            );
        }
        for (millis, count) in buckets(&self.wire) {
            println!("  ≤ {millis:>6} ms  {count:>6}");
        }
    }

    fn json(&self) -> serde_json::Value {
        let ms = |quantile: f64| self.wire.value_at_quantile(quantile) as f64 / 1_000.0;
        let histogram: Vec<_> = buckets(&self.wire)
            .into_iter()
            .map(|(millis, count)| json!({ "up_to_ms": millis, "count": count }))
            .collect();
        json!({ "revocations": self.wire.len(), "p50_ms": ms(0.5), "p90_ms": ms(0.9), "p99_ms": ms(0.99),
            "max_ms": ms(1.0), "histogram": histogram })
    }
}

/// How many fell into each doubling.
fn buckets(times: &Histogram<u64>) -> Vec<(u64, u64)> {
    let edges = (0..16).map(|power| 1_u64 << power);
    let mut before = 0;
    let counted = edges.map(|millis| {
        let from = if before == 0 { 0 } else { before * 1_000 + 1 };
        let count = times.count_between(from, millis * 1_000);
        before = millis;
        (millis, count)
    });
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Serials asked for before the trial begins: more than there are shards.
const SPREAD: u64 = 20_000;
/// Between two questions.
const POLL: Duration = Duration::from_millis(2);
/// A revocation that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(120);
