//! What those who ask notice when the responder is killed and started again, and when generations are swapped under them.
//!
//! The responder has the first core, the clients and the publisher the second. Before anything else each question is
//! asked once: later every answer must have the same octets, whatever is killed or swapped meanwhile.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use hufu_benches::contenders::{Hufu, body, real_answer};
use hufu_benches::flood::Load;
use hufu_benches::population::{Plan, Population};
use hufu_benches::requests::{Carriage, Method, http_request};
use hufu_benches::server::{Server, cores};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;

/// Kill a responder under load and time its return; swap generations under load and count what fails.
#[derive(Parser)]
struct Args {
    /// Records in the generation.
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// How often it is killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Clients that ask meanwhile, a connection a question.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Seconds of a measurement with or without swaps, one swap a second.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Records in the delta that each swapped generation brings.
    #[arg(long, default_value_t = 1_000)]
    delta: u64,
    /// Share of the responder's capacity that is asked for while generations are swapped.
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
            eprintln!("hufu-restart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        records: args.records,
        paths: 1_000,
        ..Plan::default()
    };
    let population = Population::build(folder.path(), &plan)?;
    let mut second = CpuSet::new();
    second.set(cores()?.1.parse()?);
    let hufu = Hufu::of(&population)?;
    let server = hufu.start()?;
    let known = Known::learn(&server, &population)?;
    let (server, mut back) = restarts(args, &hufu, server, &known, second)?;
    // From here on nothing is started any more: this thread publishes, and the others inherit its core.
    sched_setaffinity(None, &second)?;
    let swaps = swaps(args, &population, &server, &known)?;
    let unlike = known.unlike.load(Ordering::Relaxed);

    back.sort_by(f64::total_cmp);
    let (p50, most) = (back[back.len() / 2], back[back.len() - 1]);
    let answers = known.right.load(Ordering::Relaxed);
    println!(
        "killed {} times under {} clients, {} records: an answer again after {p50:.0} ms (p50), {most:.0} ms at most (bar {BAR_MS:.0})",
        args.kills, args.clients, args.records
    );
    println!(
        "processor time an answer: {:.2} µs, {:.2} µs with a swap a second ({} of them); failed requests {}",
        swaps.steady, swaps.swapping, swaps.swapped, swaps.failed
    );
    println!("answers compared with the first ones: {answers}, unlike them: {unlike}");
    if args.json {
        let figures = json!({
            "records": args.records,
            "restart_ms": { "p50": p50, "max": most, "all": back },
            "swap": { "steady_us": swaps.steady, "swapping_us": swaps.swapping, "swaps": swaps.swapped,
                      "failed": swaps.failed },
            "answers": answers, "wrong": unlike,
        });
        println!("{figures}");
    }
    if unlike + swaps.failed > 0 {
        return Err("a request failed, or was answered otherwise than before".into());
    }
    if most > BAR_MS {
        return Err(format!("{most:.0} ms without an answer; the bar is {BAR_MS:.0}").into());
    }
    Ok(())
}

/// Questions, as HTTP sends them on a connection each, and what was answered first.
struct Known {
    asked: Vec<(Vec<u8>, Vec<u8>)>,
    kept: Vec<Vec<u8>>,
    next: AtomicUsize,
    right: AtomicU64,
    unlike: AtomicU64,
}

impl Known {
    fn learn(server: &Server, population: &Population) -> Result<Self, Box<dyn Error>> {
        let closing = Carriage::AConnectionARequest;
        let mut asked = Vec::new();
        let mut kept = Vec::new();
        // The first is proved to be an OCSP response; from the others it differs in little.
        real_answer(server, &population.requests[0], closing)?;
        for question in &population.requests {
            let request = http_request(question, Method::Get, closing);
            let answer = exchange(server.address(), &request)?;
            asked.push((request, answer));
            kept.push(http_request(question, Method::Get, Carriage::KeepAlive));
        }
        Ok(Self {
            asked,
            kept,
            next: AtomicUsize::new(0),
            right: AtomicU64::new(0),
            unlike: AtomicU64::new(0),
        })
    }

    /// Asks the next question.
    ///
    /// # Errors
    /// When no whole answer comes.
    fn ask(&self, address: SocketAddr) -> std::io::Result<()> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.asked.len();
        let (request, first) = &self.asked[place];
        let answer = exchange(address, request)?;
        if answer == *first {
            self.right.fetch_add(1, Ordering::Relaxed);
        } else {
            self.unlike.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The body of the answer to a request after which the server closes.
fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let octets = body(&answer);
    let head = String::from_utf8_lossy(&answer[..answer.len() - octets.len()]);
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if length.and_then(|length| length.parse().ok()) == Some(octets.len()) {
        return Ok(octets.to_vec());
    }
    Err(std::io::Error::other("half an answer"))
}

/// Kills and starts it, over and over, while clients ask; milliseconds from each kill to the next whole answer.
fn restarts(
    args: &Args,
    hufu: &Hufu,
    mut server: Server,
    known: &Known,
    second: CpuSet,
) -> Result<(Server, Vec<f64>), Box<dyn Error>> {
    let stop = AtomicBool::new(false);
    // When the last one to be killed was gone, and the first answer to a question asked after that.
    let gone = Mutex::new(None::<Instant>);
    let answered = Mutex::new(None::<Instant>);
    let mut back = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..args.clients {
            scope.spawn(|| {
                // Failing that, the clients are slower, and so is the return that they see.
                let _ = sched_setaffinity(None, &second);
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    if known.ask(hufu.ocsp).is_err() {
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    let gone = *gone.lock().expect("nobody panics with it");
                    if gone.is_some_and(|gone| gone <= asked) {
                        let mut answered = answered.lock().expect("nobody panics with it");
                        answered.get_or_insert_with(Instant::now);
                    }
                }
            });
        }
        let mut kill = || -> Result<f64, Box<dyn Error>> {
            std::thread::sleep(Duration::from_millis(300));
            let killed = Instant::now();
            server.kill();
            *answered.lock().expect("nobody panics with it") = None;
            *gone.lock().expect("nobody panics with it") = Some(Instant::now());
            server = hufu.start()?;
            loop {
                if let Some(answered) = *answered.lock().expect("nobody panics with it") {
                    return Ok(answered.duration_since(killed).as_secs_f64() * 1e3);
                }
                if killed.elapsed() > PATIENCE {
                    return Err("it does not answer again".into());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let outcome = (0..args.kills.max(1)).try_for_each(|_| {
            back.push(kill()?);
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        outcome
    })
    .map(|()| (server, back))
}

/// Microseconds an answer without and with swaps.
struct Swaps {
    steady: f64,
    swapping: f64,
    swapped: u64,
    failed: u64,
}

fn swaps(
    args: &Args,
    population: &Population,
    server: &Server,
    known: &Known,
) -> Result<Swaps, Box<dyn Error>> {
    let load = |rate, seconds| Load {
        address: server.address(),
        requests: &known.kept,
        connections: 16,
        rate,
        time: Duration::from_secs(seconds),
        nice: 0,
    };
    let micros = |rate, seconds| -> std::io::Result<f64> {
        let before = server.run_time_nanos()?;
        let answers = load(rate, seconds).run()?.answers.max(1);
        Ok((server.run_time_nanos()? - before) as f64 / answers as f64 / 1e3)
    };
    let mut sequel = population.sequel()?;
    // With and without swaps there is one delta.
    sequel.publish(args.delta)?;
    let most = micros(None, 2)?;
    let rate = Some(args.load * 1e6 / most);
    let steady = micros(rate, args.seconds.into())?;

    let stop = AtomicBool::new(false);
    let failed = AtomicU64::new(0);
    let (swapping, swapped) = std::thread::scope(|scope| {
        // Beside the steady load, answers are looked into.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if known.ask(server.address()).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let measuring = scope.spawn(|| micros(rate, args.seconds.into()));
        let mut publish = || {
            let mut swapped = 0_u64;
            while !measuring.is_finished() {
                std::thread::sleep(Duration::from_secs(1));
                sequel.publish(args.delta)?;
                swapped += 1;
            }
            Ok::<_, Box<dyn Error>>(swapped)
        };
        let swapped = publish();
        let swapping = measuring.join().map_err(|_| "a client panicked")?;
        stop.store(true, Ordering::Relaxed);
        Ok::<_, Box<dyn Error>>((swapping?, swapped?))
    })?;
    Ok(Swaps {
        steady,
        swapping,
        swapped,
        failed: failed.into_inner(),
    })
}

/// From a kill to the next answer, on a quiet machine; past it this ends with 1.
const BAR_MS: f64 = 200.0;

/// How long anything may take that should take a moment.
const PATIENCE: Duration = Duration::from_secs(30);
