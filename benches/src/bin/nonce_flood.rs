//! What a flood of nonces costs those who ask without one.
//!
//! A demo is founded by `hufu up`, then served by one responder worker on the first core; the live lane and the clients have
//! the second. Each round measures three loads: GETs of pre-signed answers at 30 % of what the responder can do (`quiet`),
//! POSTs with nonces at the flood's rate (`flood`), and both at once (`both`). The processor time of a pre-signed answer
//! under the flood is what `both` cost less what its nonces cost in `flood`.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use hufu_benches::flood::{Load, Outcome};
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
    #[arg(long, default_value_t = 5_000)]
    flood: u32,
    /// Connections that carry the flood.
    #[arg(long, default_value_t = 32)]
    flood_connections: u32,
    /// Connections of those who ask without a nonce.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Seconds a measurement lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Rounds; the median of them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
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

/// One round's figures.
#[derive(Clone, Copy)]
struct Round {
    /// Microseconds of processor time a pre-signed answer: quiet, flooded.
    micros: [f64; 2],
    /// Microseconds to the answer: p50 and p99 quiet, p50 and p99 flooded.
    times: [f64; 4],
    /// Microseconds of processor time a request with a nonce.
    nonce_micros: f64,
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    found(&data)?;
    let (plain, nonces) = requests(&data)?;
    let live = free()?;
    let _lane = start_lane(&data, live)?;
    let (hufu, admin) = start_responder(&data, live)?;
    // The clients keep to the second core; threads inherit it.
    let mut second = CpuSet::new();
    second.set(cores()?.1.parse()?);
    sched_setaffinity(None, &second)?;

    let time = Duration::from_secs(args.seconds.into());
    let gets = |rate| Load {
        address: hufu.address(),
        requests: &plain,
        connections: args.connections,
        rate,
        time,
    };
    let flood = Load {
        address: hufu.address(),
        requests: &nonces,
        connections: args.flood_connections,
        rate: Some(args.flood.into()),
        time,
    };
    let (most, cost) = costed(&hufu, || gets(None).run())?;
    // The client may be the slower of the two: what the core could do follows from what an answer cost it.
    let rate = args.load * 1e9 / cost;
    eprintln!(
        "alone: {} answers, {:.2} µs of processor time each; GETs at {rate:.0}/s, nonces at {}/s",
        most.answers,
        cost / 1e3,
        args.flood
    );
    let mut rounds = Vec::new();
    for number in 1..=args.rounds.max(1) {
        let (quiet, quiet_cost) = costed(&hufu, || gets(Some(rate)).run())?;
        let (_, nonce_cost) = costed(&hufu, || flood.run())?;
        let before = hufu.run_time_nanos()?;
        let (flooded, with) = std::thread::scope(|scope| {
            let with = scope.spawn(|| flood.run());
            let flooded = gets(Some(rate)).run();
            let with = with.join().map_err(|_| std::io::Error::other("the flood"));
            Ok::<_, std::io::Error>((flooded?, with??))
        })?;
        let spent = (hufu.run_time_nanos()? - before) as f64;
        let flooded_cost = (spent - nonce_cost * with.answers as f64) / flooded.answers as f64;
        let at =
            |outcome: &Outcome, quantile| outcome.times.value_at_quantile(quantile) as f64 / 1e3;
        let round = Round {
            micros: [quiet_cost / 1e3, flooded_cost / 1e3],
            times: [
                at(&quiet, 0.5),
                at(&quiet, 0.99),
                at(&flooded, 0.5),
                at(&flooded, 0.99),
            ],
            nonce_micros: nonce_cost / 1e3,
        };
        eprintln!(
            "round {number}  quiet {:.2} µs, p99 {:.0} µs   flooded {:.2} µs, p99 {:.0} µs   a nonce {:.2} µs",
            round.micros[0], round.times[1], round.micros[1], round.times[3], round.nonce_micros
        );
        rounds.push(round);
    }
    print_figures(args, &rounds, &counted(admin)?);
    Ok(())
}

/// Runs a load; its outcome, and the responder's processor time an answer, nanoseconds.
fn costed(
    hufu: &Server,
    load: impl FnOnce() -> std::io::Result<Outcome>,
) -> std::io::Result<(Outcome, f64)> {
    let before = hufu.run_time_nanos()?;
    let outcome = load()?;
    let spent = (hufu.run_time_nanos()? - before) as f64;
    let answers = outcome.answers.max(1) as f64;
    Ok((outcome, spent / answers))
}

fn print_figures(args: &Args, rounds: &[Round], counted: &[String]) {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let micros = [0, 1].map(|n| median(&|round| round.micros[n]));
    let times = [0, 1, 2, 3].map(|n| median(&|round| round.times[n]));
    println!("                              quiet   flooded   ratio   bar");
    let row = |name, quiet: f64, flooded: f64, bar| {
        println!(
            "{name:<28} {quiet:>7.2} {flooded:>9.2} {:>7.2}   {bar}",
            flooded / quiet
        );
    };
    row(
        "processor time an answer, µs",
        micros[0],
        micros[1],
        "unchanged",
    );
    row("p50 of pre-signed GETs, µs", times[0], times[2], "");
    row("p99 of pre-signed GETs, µs", times[1], times[3], "≤ 1.5");
    let nonce = median(&|round| round.nonce_micros);
    println!("a request with a nonce costs the responder {nonce:.2} µs");
    for line in counted {
        println!("{line}");
    }
    if args.json {
        let figures = json!({
            "processor_micros": micros, "p50_micros": [times[0], times[2]], "p99_micros": [times[1], times[3]],
            "nonce_micros": nonce, "flood_a_second": args.flood,
        });
        println!("{figures}");
    }
}

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
    let mut lane = Command::new("taskset");
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
        .filter(|line| line.starts_with("hufu_live_") && !line.ends_with(" 0"));
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
