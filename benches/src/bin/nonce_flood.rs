//! What a flood of nonces costs those who ask without one.
//!
//! A demo is founded by `hufu up`, then served by one responder worker on the first core; the live lane and the clients have
//! the second, where lane and flood stand back for the others (`nice`). Three loads take turns, slice by slice: GETs of
//! pre-signed answers at 30 % of what the responder can do, alone, with a quarter of the flood beside them, and with all of
//! it.
//!
//! The scheduler counts the responder's processor time, but not for whom. Two floods that differ make two equations:
//! time = plain answers × what one costs + answers of the lane × what one of those costs. Their solution is what a
//! plain answer costs under the flood; without it there is nothing to divide. (A nonce for which the lane has no room is
//! answered like a plain request, and counts as one.) What a plain answer takes between the reading of its request and its
//! octets, the responder's own histogram tells; answers of the lane are not in it.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use hufu_benches::flood::{Load, times};
use hufu_benches::requests::{Carriage, Method, http_request};
use hufu_benches::server::{Server, ask, cores};
use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::Snapshot;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;
use wire::request::build_request;

/// Measure pre-signed answers, quiet and under a flood of nonces.
#[derive(Parser)]
struct Args {
    /// Nonces a second.
    #[arg(long, default_value_t = 5_000.0)]
    flood: f64,
    /// Connections that carry the flood.
    #[arg(long, default_value_t = 32)]
    flood_connections: u32,
    /// Connections of those who ask without a nonce.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Slices of each load.
    #[arg(long, default_value_t = 20)]
    slices: u32,
    /// Milliseconds a slice lasts.
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

/// What was measured under one kind of load, all its slices together.
struct Sum {
    /// Processor time of the responder, nanoseconds.
    spent: f64,
    /// Pre-signed answers: to GETs, and to nonces for which the lane had no room.
    plain: f64,
    /// Answers of the lane.
    live: f64,
    /// Seconds and number of answers by hufu's own histogram: from reading a request to its pre-signed answer.
    inside: [f64; 2],
    /// How long GETs took, nanoseconds.
    times: Histogram<u64>,
}

/// What the responder has counted so far.
#[derive(Clone, Copy)]
struct Counted {
    spent: f64,
    live: f64,
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
        Ok(Self {
            live: sum("hufu_live_requests_total{outcome=\"answered\"}")
                + sum("hufu_live_requests_total{outcome=\"cached\"}"),
            inside: [
                sum("hufu_ocsp_duration_seconds_sum"),
                sum("hufu_ocsp_duration_seconds_count"),
            ],
            spent: hufu.run_time_nanos()? as f64,
        })
    }
}

impl Sum {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            spent: 0.0,
            plain: 0.0,
            live: 0.0,
            inside: [0.0; 2],
            times: times()?,
        })
    }

    /// Adds a slice: GETs, which `gets` describes, and a flood beside them.
    fn add(
        &mut self,
        rig: &Rig,
        gets: &Load<'_>,
        flood: Option<Load<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        let before = Counted::now(&rig.hufu, rig.admin)?;
        let (gets, flood) = std::thread::scope(|scope| {
            let flood = flood.map(|flood| scope.spawn(move || flood.run()));
            let gets = gets.run();
            let flood = flood.map(|flood| flood.join().map_err(|_| "a client panicked"));
            (gets, flood)
        });
        let gets = gets?;
        let nonces = match flood {
            Some(flood) => flood??.answers,
            None => 0,
        };
        let after = Counted::now(&rig.hufu, rig.admin)?;
        let live = after.live - before.live;
        self.spent += after.spent - before.spent;
        self.live += live;
        self.plain += gets.answers as f64 + nonces as f64 - live;
        for (sum, (after, before)) in self
            .inside
            .iter_mut()
            .zip(after.inside.into_iter().zip(before.inside))
        {
            *sum += after - before;
        }
        self.times += gets.times;
        Ok(())
    }

    /// Microseconds.
    fn time_at(&self, quantile: f64) -> f64 {
        self.times.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Microseconds from reading a request to its answer, in the mean.
    fn inside(&self) -> f64 {
        self.inside[0] / self.inside[1].max(1.0) * 1e6
    }
}

/// Microseconds of processor time for a pre-signed answer and for one of the lane, of two loads that mix them
/// differently: what fits both.
fn costs(one: &Sum, other: &Sum) -> (f64, f64) {
    let determinant = one.plain * other.live - other.plain * one.live;
    let plain = (one.spent * other.live - other.spent * one.live) / determinant;
    let live = (one.plain * other.spent - other.plain * one.spent) / determinant;
    (plain / 1e3, live / 1e3)
}

/// The responder and where it tells its metrics; the lane behind it.
struct Rig {
    hufu: Server,
    admin: SocketAddr,
    _lane: Killed,
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    found(&data)?;
    let (plain, nonces) = requests(&data)?;
    let live = free()?;
    let lane = start_lane(&data, live)?;
    let (hufu, admin) = start_responder(&data, live)?;
    let rig = Rig {
        hufu,
        admin,
        _lane: lane,
    };
    // The clients keep to the second core; threads inherit it.
    let mut second = CpuSet::new();
    second.set(cores()?.1.parse()?);
    sched_setaffinity(None, &second)?;

    let slice = Duration::from_millis(args.slice_millis);
    let gets = |rate, time| Load {
        address: rig.hufu.address(),
        requests: &plain,
        connections: args.connections,
        rate,
        time,
        nice: 0,
    };
    let flood = |rate| Load {
        address: rig.hufu.address(),
        requests: &nonces,
        connections: args.flood_connections,
        rate: Some(rate),
        time: slice,
        nice: STANDS_BACK,
    };
    let before = rig.hufu.run_time_nanos()?;
    let most = gets(None, Duration::from_secs(2)).run()?.answers.max(1);
    let cost = (rig.hufu.run_time_nanos()? - before) as f64 / most as f64;
    // The client may be the slower of the two: what the core could do follows from what an answer cost it.
    let rate = args.load * 1e9 / cost;
    eprintln!(
        "alone: {most} answers, {:.2} µs of processor time each; GETs at {rate:.0}/s, nonces at {}/s",
        cost / 1e3,
        args.flood
    );
    let steady = gets(Some(rate), slice);
    let (mut quiet, mut some, mut all) = (Sum::new()?, Sum::new()?, Sum::new()?);
    // Slices of each in turn: what drifts meanwhile, drifts for all.
    for _ in 0..args.slices.max(1) {
        quiet.add(&rig, &steady, None)?;
        some.add(&rig, &steady, Some(flood(args.flood / 4.0)))?;
        all.add(&rig, &steady, Some(flood(args.flood)))?;
    }
    if all.live <= some.live {
        return Err("the lane answered no more of the whole flood than of a quarter of it".into());
    }
    print_figures(args, [&quiet, &some, &all], &counted(admin)?);
    Ok(())
}

fn print_figures(args: &Args, [quiet, some, all]: [&Sum; 3], counted: &[String]) {
    let (flooded, nonce) = costs(some, all);
    let micros = [quiet.spent / quiet.plain / 1e3, flooded];
    let inside = [quiet.inside(), all.inside()];
    let [p50, p99] = [0.5, 0.99].map(|at| [quiet.time_at(at), all.time_at(at)]);
    println!("                                     quiet   flooded   ratio   bar");
    for (name, [quiet, flooded], bar) in [
        ("processor time an answer, µs", micros, "unchanged"),
        ("from reading to answer, µs", inside, "unchanged"),
        ("p50 of pre-signed GETs, µs", p50, ""),
        ("p99 of pre-signed GETs, µs", p99, "≤ 1.5"),
    ] {
        println!(
            "{name:<35} {quiet:>7.2} {flooded:>9.2} {:>7.2}   {bar}",
            flooded / quiet
        );
    }
    let seconds = args.slices as f64 * args.slice_millis as f64 / 1e3;
    println!(
        "an answer of the lane costs the responder {nonce:.2} µs; {:.0} of them a second among {:.0} others",
        all.live / seconds,
        all.plain / seconds
    );
    for line in counted {
        println!("{line}");
    }
    if args.json {
        let figures = json!({
            "processor_micros": micros, "inside_micros": inside, "p50_micros": p50, "p99_micros": p99,
            "nonce_micros": nonce, "flood_a_second": args.flood,
        });
        println!("{figures}");
    }
}

/// Of the flood's clients and of the lane: so that those who ask without a nonce are not held up by their own machine.
const STANDS_BACK: i32 = 10;

/// Has `hufu up` found a demo and publish it, then stops it.
fn found(data: &Path) -> Result<(), Box<dyn Error>> {
    let (ocsp, admin, live) = (free()?, free()?, free()?);
    let mut up = Command::new(program()?);
    up.arg("up").arg("--data").arg(data).args([
        "--ocsp",
        &ocsp.to_string(),
        "--admin",
        &admin.to_string(),
        "--live",
        &live.to_string(),
    ]);
    let mut up = Killed(up.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ask(admin, b"GET /readyz HTTP/1.0\r\n\r\n")
        .is_ok_and(|said| said.starts_with(b"HTTP/1.0 200") || said.starts_with(b"HTTP/1.1 200"))
    {
        if Instant::now() > deadline || up.0.try_wait()?.is_some() {
            return Err("`hufu up` does not become ready".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&up.0), Signal::TERM)?;
    up.0.wait()?;
    Ok(())
}

/// Whole HTTP requests.
type Messages = Vec<Vec<u8>>;

/// GETs without nonce, and POSTs of the same questions with one, as HTTP sends them.
fn requests(data: &Path) -> Result<(Messages, Messages), Box<dyn Error>> {
    let pins = read_pins(&data.join("loader/seal.pub"))?;
    let snapshot = Snapshot::open(&data.join("edge"), &pins, None)?;
    let (mut plain, mut nonces) = (Vec::new(), Vec::new());
    for (_, pack) in snapshot.packs() {
        let Some(variant) = pack.shared().variants.first() else {
            continue;
        };
        for record in pack.records() {
            let serial = record.serial_content();
            let question = build_request(&variant.prefix, serial, None);
            plain.push(http_request(&question, Method::Get, Carriage::KeepAlive));
            let request = build_request(&variant.prefix, serial, Some(b"sixteen octets!!"));
            let mut post = format!(
                "POST / HTTP/1.1\r\nHost: ocsp\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
                request.len()
            )
            .into_bytes();
            post.extend_from_slice(&request);
            nonces.push(post);
        }
    }
    if plain.is_empty() {
        return Err("the demo holds no records".into());
    }
    Ok((plain, nonces))
}

fn start_lane(data: &Path, live: SocketAddr) -> Result<Killed, Box<dyn Error>> {
    let mut lane = Command::new("nice");
    lane.args(["-n", &STANDS_BACK.to_string(), "taskset"]);
    lane.args(["-c", &cores()?.1]).arg(program()?);
    lane.args(["signer", "live", "--listen", &live.to_string(), "--data"]);
    let lane = lane.arg(data).stdout(Stdio::null()).stderr(Stdio::null());
    let lane = Killed(lane.spawn()?);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(live, b"GET /metrics HTTP/1.0\r\n\r\n").is_err() {
        if Instant::now() > deadline {
            return Err("the live lane does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(lane)
}

fn start_responder(data: &Path, live: SocketAddr) -> Result<(Server, SocketAddr), Box<dyn Error>> {
    let (ocsp, admin) = (free()?, free()?);
    let mut responder = Command::new(program()?);
    responder.args(["responder", "--workers", "1", "--nonce", "live"]);
    responder.args(["--live", &live.to_string(), "--ocsp", &ocsp.to_string()]);
    responder.args(["--admin", &admin.to_string()]);
    responder.arg("--edge").arg(data.join("edge"));
    responder.arg("--pin").arg(data.join("loader/seal.pub"));
    Ok((Server::start(&responder, ocsp)?, admin))
}

/// What the responder counted about the lane.
fn counted(admin: SocketAddr) -> Result<Vec<String>, Box<dyn Error>> {
    let metrics = ask(admin, b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let metrics = String::from_utf8_lossy(&metrics);
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("hufu_live_") && !line.ends_with(" 0"))
        .filter(|line| !line.contains("_bucket"));
    Ok(lines.map(str::to_owned).collect())
}

/// The `hufu` that was built beside this program.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_file_name("hufu");
    fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A child that ends with this program.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has gone already is what was wanted.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
