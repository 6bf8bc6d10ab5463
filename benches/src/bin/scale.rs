//! What a generation costs to open, to hold and to ask: one row for each, so that sizes can be set side by side. The last
//! column is an answer over the network: a responder's processor time over kept connections, driven by `wrk`.
//!
//! Cold means that the pages of every published file were given back to the kernel first (`posix_fadvise`, DONTNEED), as
//! after a reboot. A lookup waits for the one before it, as questions of different clients do, and so does each plain
//! read of a cache line it is held against. Their time is the processor time the kernel books for this thread, the best of
//! several rounds: the machine may be shared.

use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use hufu_benches::contenders::{Hufu, real_answer};
use hufu_benches::load::{Shape, micros_an_answer};
use hufu_benches::memory::Resident;
use hufu_benches::population::{SERIAL_OCTETS, Serials};
use hufu_benches::processor;
use hufu_benches::requests::{Carriage, Method, write_script};
use hufu_benches::server::{Server, raise_file_limit};
use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::{Lookup, Snapshot};
use rustix::fs::{Advice, fadvise};
use wire::request::build_request;

/// Measure a generation that `hufu-population` made.
///
/// hufu-scale --population /tmp/ten-million
#[derive(Parser)]
struct Args {
    /// What `hufu-population` was given as --out.
    #[arg(long)]
    population: PathBuf,
    /// The seed it was made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the names of the columns first.
    #[arg(long)]
    header: bool,
    /// Leave the answers over the network out: they need wrk, taskset and two cores.
    #[arg(long)]
    no_answers: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-scale: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let edge = args.population.join("edge");
    let pin = args.population.join("seal.pub");
    let pins = read_pins(&pin)?;
    let open = || -> Result<(Snapshot, f64), Box<dyn std::error::Error>> {
        let begun = Instant::now();
        let snapshot = Snapshot::open(&edge, &pins, None)?;
        Ok((snapshot, begun.elapsed().as_secs_f64() * 1e3))
    };
    let before = Resident::now();
    evict(&edge)?;
    let (snapshot, cold) = open()?;
    let opened = Resident::now();
    let begun = Instant::now();
    snapshot.touch_new(None);
    let touch = begun.elapsed().as_secs_f64() * 1e3;
    let mut warm = f64::INFINITY;
    for _ in 0..ROUNDS {
        warm = warm.min(open()?.1);
    }
    let touched = Resident::now();

    let (_, base) = snapshot
        .packs()
        .max_by_key(|(_, pack)| pack.record_count())
        .ok_or("no pack")?;
    let bases = snapshot.packs().filter(|(_, pack)| !pack.is_delta());
    let (mut records, mut octets, mut shards) = (0, 0, 0);
    for (_, pack) in bases {
        records += pack.record_count();
        octets += pack.octets().len();
        shards += 1;
    }
    let line = best(|| lines(base.octets()));
    let prefix = &base.shared().variants.first().ok_or("no variant")?.prefix;
    let hits = Questions::drawn(args.seed, 0, records);
    if hits.found(&snapshot, prefix) != QUESTIONS {
        return Err(
            "a serial of the population is not found: is --seed the one it was made from?".into(),
        );
    }
    let hit = best(|| hits.ask(&snapshot, prefix));
    let misses = Questions::drawn(args.seed, 1 << 50, records);
    if misses.found(&snapshot, prefix) != 0 {
        return Err("a serial nobody drew is found".into());
    }
    let miss = best(|| misses.ask(&snapshot, prefix));
    let answer = match args.no_answers {
        true => "-".to_owned(),
        false => {
            let requests = hits.requests(prefix);
            format!("{:.2} µs", answers(&edge, &pin, &requests)?)
        }
    };

    let mebibytes = |octets: u64| octets as f64 / f64::from(1 << 20);
    if args.header {
        println!(
            "{:>11} {:>6} {:>8} {:>9} {:>9} {:>10} {:>9} {:>10} {:>8} {:>8} {:>6} {:>8} {:>6} {:>8}",
            "records",
            "shards",
            "octets/r",
            "open warm",
            "open cold",
            "touch",
            "anonymous",
            "mapped",
            "line",
            "hit",
            "lines",
            "miss",
            "lines",
            "answer"
        );
    }
    println!(
        "{records:>11} {shards:>6} {:>8.3} {warm:>6.2} ms {cold:>6.2} ms {touch:>7.1} ms {:>5.1} MiB {:>6.0} MiB {line:>5.0} ns {hit:>5.0} ns {:>6.2} {miss:>5.0} ns {:>6.2} {answer:>8}",
        octets as f64 / records as f64,
        mebibytes(opened.anonymous.saturating_sub(before.anonymous)),
        mebibytes(touched.mapped.saturating_sub(before.mapped)),
        hit / line,
        miss / line,
    );
    Ok(())
}

/// Gives the pages of all files below a folder back. They were flushed when they were published, so none is kept.
fn evict(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
        } else if path.is_file() {
            let file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Nanoseconds an operation, the best round.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn best(mut round: impl FnMut() -> usize) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let clock = processor::time();
            let count = round();
            (processor::time() - clock).as_nanos() as f64 / count as f64
        })
        .fold(f64::INFINITY, f64::min)
}

/// Microseconds of a responder's processor time for an answer over a kept connection, the best round.
fn answers(
    edge: &Path,
    pin: &Path,
    requests: &[Vec<u8>],
) -> Result<f64, Box<dyn std::error::Error>> {
    raise_file_limit(SHAPE.connections)?;
    let folder = tempfile::tempdir()?;
    let script = write_script(folder.path(), requests, Method::Get, Carriage::KeepAlive)?;
    let hufu = Hufu::serving(edge, pin)?.start()?;
    let first = requests.first().ok_or("nothing to ask")?;
    real_answer(&hufu, first, Carriage::KeepAlive)?;
    until_idle(&hufu)?;
    let mut best = f64::INFINITY;
    for _ in 0..ANSWER_ROUNDS {
        best = best.min(micros_an_answer(&hufu, &script, SHAPE)?);
    }
    Ok(best)
}

/// A responder that has just started reads its first generation ahead while it serves: that time is no answer's.
fn until_idle(server: &Server) -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut before = server.run_time_nanos()?;
    while began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        let now = server.run_time_nanos()?;
        if now - before < IDLE_NANOS {
            return Ok(());
        }
        before = now;
    }
    Err("the responder does not come to rest".into())
}

/// Reads cache lines all over a mapping, each place depending on what the one before it held.
fn lines(octets: &[u8]) -> usize {
    let count = octets.len() as u128 / 64;
    let mut state = 1_u64;
    for _ in 0..QUESTIONS {
        let place = usize::try_from((u128::from(mix(state)) * count) >> 64).expect("inside") * 64;
        state = state.wrapping_add(1 + u64::from(octets[place]));
    }
    black_box(state);
    QUESTIONS
}

/// Serials to ask about, drawn ahead and asked in turn: a question's own cost is that of reading on.
struct Questions {
    serials: Vec<[u8; SERIAL_OCTETS]>,
}

impl Questions {
    fn drawn(seed: u64, first: u64, records: u64) -> Self {
        let mut serials = Serials::new(seed);
        let number = |i: u64| {
            let place = (u128::from(mix(i + 1)) * u128::from(records)) >> 64;
            first + u64::try_from(place).expect("below the count")
        };
        let count = QUESTIONS as u64;
        Self {
            serials: (0..count).map(|i| serials.serial(number(i))).collect(),
        }
    }

    fn found(&self, snapshot: &Snapshot, prefix: &[u8]) -> usize {
        let found = |serial: &&[u8; SERIAL_OCTETS]| {
            matches!(snapshot.lookup(prefix, &serial[..], None), Lookup::Found(_))
        };
        self.serials.iter().filter(found).count()
    }

    /// Some of them, as clients ask.
    fn requests(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let some = self.serials.iter().take(REQUESTS);
        some.map(|serial| build_request(prefix, serial, None))
            .collect()
    }

    fn ask(&self, snapshot: &Snapshot, prefix: &[u8]) -> usize {
        // Nothing, but only known once the answer before is there: nobody may ask ahead.
        let nothing = black_box(0_usize);
        let mut place = 0_usize;
        for _ in 0..QUESTIONS {
            place = (place + 1) % QUESTIONS;
            let serial = &self.serials[place];
            place += match snapshot.lookup(prefix, serial, None) {
                Lookup::Found(found) => usize::from(found.signature[63]) & nothing,
                _ => 0,
            };
        }
        black_box(place);
        QUESTIONS
    }
}

fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

const QUESTIONS: usize = 1 << 18;
const ROUNDS: usize = 7;
/// As many different ones as a `wrk` script may hold.
const REQUESTS: usize = 60_000;
const ANSWER_ROUNDS: usize = 3;
const SHAPE: Shape = Shape {
    connections: 64,
    seconds: 3,
};
/// In half a second: what looking at a pointer ten times a second costs, and no more.
const IDLE_NANOS: u64 = 5_000_000;
/// How long reading ahead may take, from a slow disk.
const PATIENCE: Duration = Duration::from_secs(600);
