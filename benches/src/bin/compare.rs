//! Hufu beside the kernel's floor and nginx, the same requests and the same answer octets, in one run.
//!
//! Each server has a core to itself, `wrk` has another; they are driven in turn, round by round, and each
//! figure is the median of its rounds: microseconds of the server's processor time for an answer. After each
//! run hufu's own counters are asked: an answer that was not a signed one fails the comparison.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use hufu_benches::load::{Shape, drive};
use hufu_benches::population::{Plan, Population};
use hufu_benches::requests::{Carriage, http_request, write_script};
use hufu_benches::server::{Server, ask};
use serde_json::json;

/// Compare hufu with bare epoll loops and with nginx sending one small file.
#[derive(Parser)]
struct Args {
    /// Records in the pack hufu answers from; each is really signed.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Rounds; the median of them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a measurement lasts.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Connections open at a time.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Print the figures as one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Microseconds an answer, one for each round.
type Rounds = Vec<f64>;

fn compare(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let population = Population::build(
        folder.path(),
        &Plan {
            records: args.records,
            ..Plan::default()
        },
    )?;
    eprintln!(
        "{} records, {:.1} octets a record, signed and packed",
        population.records, population.octets_per_record
    );

    let (hufu, admin) = start_hufu(&population)?;
    let kept = real_answer(&hufu, &population.paths[0], Carriage::KeepAlive)?;
    let closed = real_answer(&hufu, &population.paths[0], Carriage::AConnectionARequest)?;
    eprintln!(
        "a real answer: {} octets, {} of them HTTP header",
        kept.len(),
        kept.len() - body(&kept).len()
    );
    let floor = start_floor(folder.path(), "loop", &kept)?;
    let early = start_floor(folder.path(), "early", &closed)?;
    let nginx = start_nginx(folder.path(), &kept)?;

    let shape = Shape {
        connections: args.connections,
        seconds: args.seconds,
    };
    let script = |carriage| write_script(folder.path(), &population.paths, carriage);
    let keep_alive = script(Carriage::KeepAlive)?;
    let close = script(Carriage::AConnectionARequest)?;
    let pipelined = script(Carriage::Pipelined)?;
    let runs = [
        ("loop", &floor, &keep_alive),
        ("nginx", &nginx, &keep_alive),
        ("hufu", &hufu, &keep_alive),
        ("early", &early, &close),
        ("nginx", &nginx, &close),
        ("hufu", &hufu, &close),
        ("nginx", &nginx, &pipelined),
        ("hufu", &hufu, &pipelined),
    ];
    let mut figures: [Rounds; 8] = Default::default();
    for round in 1..=args.rounds {
        for ((name, server, script), rounds) in runs.iter().zip(&mut figures) {
            let micros = micros_an_answer(server, script, shape)?;
            if *name == "hufu" {
                refuse_unsigned(admin)?;
            }
            let carriage = script.file_stem().unwrap_or_default().to_string_lossy();
            eprintln!("round {round}  {carriage:<10}  {name:<6}  {micros:6.2} µs");
            rounds.push(micros);
        }
    }
    print_figures(args, figures.map(median));
    eprintln!("took {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Every answer so far was signed, by hufu's own count: to `wrk` an `unauthorized` looks as good as a `good`.
fn refuse_unsigned(admin: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let metrics = ask(admin, b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let metrics = String::from_utf8_lossy(&metrics);
    let counted = metrics.lines().filter_map(|line| {
        let (outcome, count) = line
            .strip_prefix("hufu_ocsp_responses_total{outcome=\"")?
            .split_once("\"} ")?;
        Some((outcome, count.parse::<f64>().ok()?))
    });
    let (signed, others): (Vec<_>, Vec<_>) =
        counted.partition(|(outcome, _)| matches!(*outcome, "good" | "revoked"));
    let others: Vec<_> = others
        .into_iter()
        .filter(|(_, count)| *count > 0.0)
        .collect();
    if signed.iter().any(|(_, count)| *count > 0.0) && others.is_empty() {
        return Ok(());
    }
    Err(format!("hufu gave answers that are not signed ones: {others:?}").into())
}

fn micros_an_answer(server: &Server, script: &Path, shape: Shape) -> std::io::Result<f64> {
    // A short warm-up, not counted: page cache, branch predictors, connection tables.
    drive(
        server.address(),
        script,
        Shape {
            seconds: 1,
            ..shape
        },
    )?;
    let before = server.run_time_nanos()?;
    let answers = drive(server.address(), script, shape)?;
    let nanos = server.run_time_nanos()? - before;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people, three digits are enough"
    )]
    Ok(nanos as f64 / answers as f64 / 1000.0)
}

fn median(mut rounds: Rounds) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn print_figures(
    args: &Args,
    [
        get_loop,
        get_nginx,
        get_hufu,
        early,
        close_nginx,
        close_hufu,
        piped_nginx,
        piped_hufu,
    ]: [f64; 8],
) {
    println!(
        "processor time an answer, µs (median of {}), {} connections, {} different serials in turn",
        args.rounds,
        args.connections,
        Plan::default().paths
    );
    println!("                        floor    nginx     hufu   hufu/floor  hufu/nginx");
    let row = |name: &str, floor: Option<f64>, nginx: f64, hufu: f64| {
        let floor_column = floor.map_or("      -".into(), |floor| format!("{floor:7.2}"));
        let ratio = floor.map_or("         -".into(), |floor| {
            format!("{:10.2}", hufu / floor)
        });
        println!(
            "{name:<21} {floor_column}  {nginx:7.2}  {hufu:7.2}   {ratio}  {:10.2}",
            hufu / nginx
        );
    };
    row("keep-alive", Some(get_loop), get_nginx, get_hufu);
    row(
        "a connection a request",
        Some(early),
        close_nginx,
        close_hufu,
    );
    row("pipelined by 16", None, piped_nginx, piped_hufu);
    if args.json {
        let figures = json!({
            "records": args.records,
            "get": {"loop_us": get_loop, "nginx_us": get_nginx, "hufu_us": get_hufu},
            "close": {"early_loop_us": early, "nginx_us": close_nginx, "hufu_us": close_hufu},
            "pipelined": {"nginx_us": piped_nginx, "hufu_us": piped_hufu},
        });
        println!("{figures}");
    }
}

/// A loopback address nothing listens on.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A program built beside this one.
fn sibling(name: &str) -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(std::io::Error::other(format!(
        "{} is not built: run benches/compare, which builds it",
        path.display()
    )))
}

/// The responder, and where it tells its metrics.
fn start_hufu(population: &Population) -> std::io::Result<(Server, SocketAddr)> {
    let (ocsp, admin) = (free_address()?, free_address()?);
    let mut command = Command::new(sibling("hufu-responder")?);
    command.arg("--edge").arg(&population.edge);
    command.arg("--pin").arg(&population.pin);
    command.args(["--ocsp", &ocsp.to_string()]);
    command.args(["--admin", &admin.to_string(), "--workers", "1"]);
    Ok((Server::start(&command, ocsp)?, admin))
}

fn start_floor(folder: &Path, mode: &str, response: &[u8]) -> std::io::Result<Server> {
    let address = free_address()?;
    let file = folder.join(format!("{mode}.http"));
    fs::write(&file, response)?;
    let mut command = Command::new(sibling("hufu-floor")?);
    command
        .args([
            "--mode",
            mode,
            "--listen",
            &address.to_string(),
            "--response",
        ])
        .arg(file);
    Server::start(&command, address)
}

/// nginx with one worker that answers every path with the one file that holds hufu's real answer.
fn start_nginx(folder: &Path, response: &[u8]) -> std::io::Result<Server> {
    let address = free_address()?;
    let root = folder.join("nginx");
    fs::create_dir_all(root.join("logs"))?;
    fs::write(root.join("answer.der"), body(response))?;
    // hufu's own header fields in place of those nginx would make.
    let headers: String = ["cache-control", "expires", "etag", "last-modified"]
        .iter()
        .filter_map(|name| Some((name, header(response, name)?.replace('"', "\\\""))))
        .map(|(name, value)| format!("      add_header {name} \"{value}\";\n"))
        .collect();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("  {what}_temp_path {}/tmp;\n", root.display()))
        .collect();
    // `user` means something to root only, and warns everybody else.
    let configuration = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {root}/nginx.pid;\nerror_log {root}/logs/error.log crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}  access_log off; server_tokens off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000;\n\
         \x20 etag off; max_ranges 0; if_modified_since off;\n\
         \x20 open_file_cache max=16; default_type application/ocsp-response; types {{ }}\n\
         \x20 server {{\n    listen {address} backlog=4096;\n    root {root};\n\
         \x20   location / {{\n      try_files /answer.der =404;\n{headers}    }}\n  }}\n}}\n",
        root = root.display()
    );
    let file = root.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&root).arg("-c").arg(file);
    Server::start(&command, address)
}

/// What hufu says to one request, proved to be a successful OCSP response.
fn real_answer(
    hufu: &Server,
    path: &str,
    carriage: Carriage,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let answer = ask(hufu.address(), http_request(path, carriage).as_bytes())?;
    let successful = answer.starts_with(b"HTTP/1.") && answer.get(8..13) == Some(b" 200 ");
    // OCSPResponse: SEQUENCE, then ENUMERATED successful(0) (RFC 6960 section 4.2.1).
    let responded = body(&answer)
        .windows(3)
        .take(5)
        .any(|octets| octets == [0x0A, 1, 0]);
    if successful && responded {
        return Ok(answer);
    }
    Err(format!("hufu does not answer: {}", String::from_utf8_lossy(&answer)).into())
}

fn body(response: &[u8]) -> &[u8] {
    response
        .windows(4)
        .position(|octets| octets == b"\r\n\r\n")
        .map_or(&[], |end| &response[end + 4..])
}

fn header<'a>(response: &'a [u8], name: &str) -> Option<&'a str> {
    let head = &response[..response.len() - body(response).len()];
    std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
