//! What a flood of nonces costs those who ask without one.
//!
//! A demo is founded by `hufu up`, then served by one responder worker, alone on the first core. GETs of pre-signed answers
//! leave at 30 % of what the responder can do, from one thread on the second core. The flood's clients and the live lane
//! have a core of their own each where there are four; else they share the second with the GETs' client, in the
//! scheduler's idle class: they run only while nobody else there wants to. What the lane serves so is measured first, and
//! the flood is a multiple of it.
//!
//! Everything is taken in rounds of four slices:
//!
//! | slice | GETs | nonces | tells |
//! |---|---|---|---|
//! | quiet | yes | none | what a pre-signed answer costs, and how long it takes |
//! | trickle | none | half of what the lane serves | what an answer of the lane costs the responder |
//! | torrent | none | the flood | what one costs that the lane had no room for |
//! | flooded | yes | the flood | the rest, after those two have been taken off, is the pre-signed answers' |
//!
//! Processor time is that of the serving thread, by the scheduler's count. The exchange with the lane runs on that thread too,
//! hence the slices without GETs: their costs are counted by themselves, not solved out of a sum. Ratios are taken
//! round by round, and their quartiles say how far to trust the median.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use hufu_benches::demo::{Killed, Messages, found, free, requests, start_lane, start_responder};
use hufu_benches::server::{Server, ask, cores, ran_and_waited};
use hufu_benches::slices::{Kind, Nonces, Slice, quartiles};
use hufu_benches::timetable::{Kept, Timetable};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};
use serde_json::json;

/// Measure pre-signed answers, quiet and under a flood of nonces.
#[derive(Parser)]
struct Args {
    /// The flood, in multiples of the nonces that the lane serves on this machine.
    #[arg(long, default_value_t = 2.0)]
    times: f64,
    /// The flood in nonces a second, whatever the lane serves.
    #[arg(long)]
    flood: Option<f64>,
    /// Connections that carry the flood.
    #[arg(long, default_value_t = 32)]
    flood_connections: u32,
    /// Connections of those who ask without a nonce.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Rounds of four slices.
    #[arg(long, default_value_t = 16)]
    rounds: u32,
    /// Milliseconds that a slice with GETs lasts; one without lasts half as long.
    #[arg(long, default_value_t = 1_500)]
    slice_millis: u64,
    /// Share of the responder's capacity that the GETs take.
    #[arg(long, default_value_t = 0.3)]
    load: f64,
    /// Print the figures as one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-nonce-flood: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the responder has counted so far.
#[derive(Clone, Copy)]
struct Counted {
    /// Its serving thread, nanoseconds: has run, has waited for its core.
    ran: f64,
    waited: f64,
    /// Answers of the lane.
    live: f64,
    /// Seconds and number of answers by hufu's own histogram: from reading a request to its pre-signed answer.
    inside: [f64; 2],
}

impl Counted {
    fn now(hufu: &Server, admin: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let told = ask(admin, b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let told = String::from_utf8_lossy(&told);
        let sum = |name: &str| {
            let lines = told.lines().filter_map(|line| line.strip_prefix(name));
            lines
                .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        let [ran, waited] = hufu.thread_nanos(SERVING_THREAD)?;
        Ok(Self {
            ran: ran as f64,
            waited: waited as f64,
            live: sum("hufu_live_requests_total{outcome=\"answered\"}")
                + sum("hufu_live_requests_total{outcome=\"cached\"}"),
            inside: [
                sum("hufu_ocsp_duration_seconds_sum"),
                sum("hufu_ocsp_duration_seconds_count"),
            ],
        })
    }
}

/// Which core is whose, by number.
struct Places {
    lane: usize,
    gets: usize,
    flood: usize,
    /// Lane and flood run only while the GETs' client does not want to.
    shared: bool,
}

impl Places {
    fn of_this_machine() -> std::io::Result<Self> {
        let (_, second) = cores()?;
        let second = second.parse().map_err(std::io::Error::other)?;
        let allowed = sched_getaffinity(None)?;
        let usable: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|&core| allowed.is_set(core))
            .collect();
        Ok(match usable[..] {
            [_, gets, flood, lane, ..] => Self {
                lane,
                gets,
                flood,
                shared: false,
            },
            _ => Self {
                lane: second,
                gets: second,
                flood: second,
                shared: true,
            },
        })
    }
}

/// Nonces beside the GETs.
#[derive(Clone, Copy)]
enum Flood {
    Absent,
    /// So many a second.
    At(f64),
    AsFastAsAnswered,
}

/// The responder and where it tells its metrics; the lane behind it.
struct Rig {
    hufu: Server,
    admin: SocketAddr,
    places: Places,
    plain: Messages,
    nonces: Messages,
    connections: [u32; 2],
    _lane: Killed,
}

impl Rig {
    /// A slice of both loads, or of either.
    fn slice(
        &self,
        gets: Option<f64>,
        flood: Flood,
        time: Duration,
    ) -> Result<Slice, Box<dyn Error>> {
        let table = |requests, connections, rate| Timetable {
            address: self.hufu.address(),
            requests,
            connections,
            rate,
            time,
        };
        let before = Counted::now(&self.hufu, self.admin)?;
        let (gets, flood) = std::thread::scope(|scope| {
            let gets = gets.map(|rate| {
                let table = table(&self.plain, self.connections[0], Some(rate));
                scope.spawn(move || {
                    stay_on(self.places.gets)?;
                    let kept = table.keep()?;
                    // This thread's own, from its beginning.
                    Ok((kept, ran_and_waited(Path::new("/proc/thread-self"))?))
                })
            });
            let rate = match flood {
                Flood::Absent => None,
                Flood::At(rate) => Some(Some(rate)),
                Flood::AsFastAsAnswered => Some(None),
            };
            let flood = rate.map(|rate| {
                let table = table(&self.nonces, self.connections[1], rate);
                scope.spawn(move || {
                    stay_on(self.places.flood)?;
                    if self.places.shared {
                        stand_back()?;
                    }
                    table.keep()
                })
            });
            (joined(gets), joined(flood))
        });
        let (gets, flood) = (gets?, flood?);
        let after = Counted::now(&self.hufu, self.admin)?;
        let mut slice = Slice::empty()?;
        slice.seconds = time.as_secs_f64();
        slice.ran = after.ran - before.ran;
        slice.waited = after.waited - before.waited;
        slice.live = after.live - before.live;
        slice.fell_back = flood.map_or(0, |kept: Kept| kept.answers) as f64 - slice.live;
        slice.inside = [0, 1].map(|part| after.inside[part] - before.inside[part]);
        if let Some((kept, client)) = gets {
            slice.plain = kept.answers as f64;
            slice.client = client.map(|nanos| nanos as f64);
            slice.times += kept.times;
            slice.late += kept.late;
        }
        Ok(slice)
    }
}

/// What a client's thread has to say, if there was one.
fn joined<T>(
    thread: Option<std::thread::ScopedJoinHandle<'_, std::io::Result<T>>>,
) -> std::io::Result<Option<T>> {
    let Some(thread) = thread else {
        return Ok(None);
    };
    let outcome = thread.join();
    outcome
        .map_err(|_| std::io::Error::other("a client panicked"))?
        .map(Some)
}

fn stay_on(core: usize) -> std::io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// From here on this thread runs only while nobody else on its core wants to.
fn stand_back() -> std::io::Result<()> {
    let thread = gettid().as_raw_nonzero().to_string();
    let mut command = Command::new("chrt");
    let status = command.args(["--idle", "--pid", "0", &thread]).status()?;
    if status.success() {
        return Ok(());
    }
    Err(std::io::Error::other("chrt cannot change this thread"))
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    found(&data)?;
    let (plain, nonces) = requests(&data)?;
    let (live, places) = (free()?, Places::of_this_machine()?);
    let lane = start_lane(&data, live, places.lane, places.shared)?;
    let (hufu, admin) = start_responder(&data, live)?;
    let rig = Rig {
        hufu,
        admin,
        places,
        plain,
        nonces,
        connections: [args.connections, args.flood_connections],
        _lane: lane,
    };
    // What this thread does between the slices is nobody's figure; during them it waits.
    stay_on(rig.places.gets)?;

    let slice = Duration::from_millis(args.slice_millis);
    let cost = cost_alone(&rig)?;
    let rate = args.load * 1e9 / cost;
    // Warm, then for the figure.
    rig.slice(None, Flood::AsFastAsAnswered, slice)?;
    let served = rig.slice(None, Flood::AsFastAsAnswered, 2 * slice)?;
    let lane = served.live / served.seconds;
    let flood = args.flood.unwrap_or(args.times * lane);
    eprintln!(
        "a pre-signed answer: {:.2} µs of processor time at full speed; GETs at {rate:.0}/s; the lane serves {lane:.0} nonces a second, \
         the flood is {flood:.0}/s",
        cost / 1e3
    );
    if lane < 10.0 {
        return Err("the live lane hardly answers: nothing can be said of a flood".into());
    }
    let (mut quiet, mut trickle, mut torrent, mut flooded) =
        (Kind::new()?, Kind::new()?, Kind::new()?, Kind::new()?);
    // In turn: what drifts meanwhile, drifts for all.
    for _ in 0..args.rounds.max(4) {
        quiet.add(rig.slice(Some(rate), Flood::Absent, slice)?);
        trickle.add(rig.slice(None, Flood::At(lane / 2.0), slice / 2)?);
        flooded.add(rig.slice(Some(rate), Flood::At(flood), slice)?);
        torrent.add(rig.slice(None, Flood::At(flood), slice / 2)?);
    }
    let nonces = Nonces::of(&trickle.sum, &torrent.sum);
    print_figures(args, &rig, [&quiet, &flooded], nonces);
    Ok(())
}

/// Nanoseconds of processor time that a pre-signed answer costs while the responder has all it can do.
fn cost_alone(rig: &Rig) -> Result<f64, Box<dyn Error>> {
    let full = Timetable {
        address: rig.hufu.address(),
        requests: &rig.plain,
        connections: rig.connections[0],
        rate: None,
        time: Duration::from_secs(2),
    };
    let [before, _] = rig.hufu.thread_nanos(SERVING_THREAD)?;
    let answers = full.keep()?.answers.max(1);
    let [after, _] = rig.hufu.thread_nanos(SERVING_THREAD)?;
    // The client may be the slower of the two: what the core could do follows from what an answer cost it.
    Ok((after - before) as f64 / answers as f64)
}

/// What is made of a slice, or of all of a kind.
type Figure<'f> = &'f dyn Fn(&Slice) -> f64;

fn print_figures(args: &Args, rig: &Rig, [quiet, flooded]: [&Kind; 2], nonces: Nonces) {
    let plain_cost =
        |slice: &Slice| (slice.ran - nonces.in_slice(slice)) / slice.plain.max(1.0) / 1e3;
    let each = |figure: Figure<'_>| {
        let rounds = quiet.each.iter().zip(&flooded.each);
        quartiles(
            rounds
                .map(|(quiet, flooded)| figure(flooded) / figure(quiet))
                .collect(),
        )
    };
    let p99 = |slice: &Slice| slice.time_at(0.99);
    let p50 = |slice: &Slice| slice.time_at(0.5);
    let rows: [(&str, Figure<'_>, &str); 4] = [
        ("processor time an answer, µs", &plain_cost, "unchanged"),
        ("from reading to answer, µs", &Slice::inside, "unchanged"),
        ("p50 of pre-signed GETs, µs", &p50, ""),
        ("p99 of pre-signed GETs, µs", &p99, "≤ 1.5"),
    ];
    println!("                                   quiet   flooded   ratio, round by round   bar");
    println!("                                                     median  (quartiles)");
    let mut figures = json!({});
    for (name, figure, bar) in rows {
        let [low, median, high] = each(figure);
        let [calm, busy] = [figure(&quiet.sum), figure(&flooded.sum)];
        println!(
            "{name:<30} {calm:>9.2} {busy:>9.2}   {median:>6.2}  ({low:.2} to {high:.2})   {bar}"
        );
        figures[name] =
            json!({ "quiet": calm, "flooded": busy, "ratio": median, "quartiles": [low, high] });
    }
    let sum = &flooded.sum;
    let share = nonces.in_slice(sum) / sum.ran;
    println!(
        "under the flood, a second: {:.0} GETs, {:.0} nonces answered by the lane ({:.1} µs of the responder each), {:.0} without it ({:.1} µs each)",
        sum.plain / sum.seconds,
        sum.live / sum.seconds,
        nonces.live / 1e3,
        sum.fell_back / sum.seconds,
        nonces.fell_back / 1e3
    );
    println!(
        "nonces took {:.0} % of the responder's time, taken off above",
        share * 100.0
    );
    let verdicts = verdicts(
        &quiet.sum,
        sum,
        nonces,
        each(&plain_cost),
        rig.places.shared,
    );
    for line in &verdicts {
        println!("{line}");
    }
    if args.json {
        figures["nonce_micros"] = json!([nonces.live / 1e3, nonces.fell_back / 1e3]);
        figures["share_of_nonces"] = json!(share);
        figures["verdicts"] = json!(verdicts);
        println!("{figures}");
    }
}

/// How far the figures can be trusted, in words.
fn verdicts(
    quiet: &Slice,
    flooded: &Slice,
    nonces: Nonces,
    [low, _, high]: [f64; 3],
    shared: bool,
) -> Vec<String> {
    let both = [quiet, flooded];
    let say = |what: &str, trusted: bool, why: String| {
        let word = if trusted {
            "to be trusted"
        } else {
            "NOT to be trusted"
        };
        format!("{what}: {word} ({why})")
    };
    // Shares of the time.
    let disturbed = quiet.waited / 1e9 / quiet.seconds;
    let [busy, held_up] =
        [0, 1].map(|part| both.map(|slice| slice.client[part] / 1e9 / slice.seconds));
    let late = both.map(|slice| slice.late_at(0.99));
    let solved = nonces.live > 0.0 && nonces.fell_back > 0.0;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut said = vec![
        say(
            "processor time",
            solved && high - low < MOST_SPREAD && disturbed < MOST_DISTURBED,
            format!(
                "quartiles {low:.2} to {high:.2}; quiet, others had its core for {} of the time; what nonces cost was measured without \
                 GETs, on a thread that sleeps more often: a ratio below one is that",
                percent(disturbed)
            ),
        ),
        say(
            "p99",
            busy[1] < MOST_BUSY
                && held_up.iter().all(|share| *share < MOST_DISTURBED)
                && late[1] < flooded.time_at(0.99),
            format!(
                "quiet and flooded, the GETs' client was busy for {} and {} of the time, held up by others for {} and {}, and at p99 its \
                 GETs left {:.0} and {:.0} µs late",
                percent(busy[0]),
                percent(busy[1]),
                percent(held_up[0]),
                percent(held_up[1]),
                late[0],
                late[1]
            ),
        ),
    ];
    if shared {
        said.push(
            "fewer than four cores: lane and flood had what the GETs' client left of the second"
                .to_owned(),
        );
    }
    said
}

/// Between the quartiles of a ratio that says something.
const MOST_SPREAD: f64 = 0.15;

/// Share of its core that a client may take without waiting for itself.
const MOST_BUSY: f64 = 0.85;

/// Share of the time that a thread may want its core and not have it.
const MOST_DISTURBED: f64 = 0.05;

/// The responder's only worker.
const SERVING_THREAD: &str = "worker-0";
