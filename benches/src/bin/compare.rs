//! Hufu beside the kernel's floor and nginx, the same requests and the same answer octets, in one run.
//!
//! Each server has a core to itself, `wrk` has another; they are driven in turn, round by round, and each
//! figure is the median of its rounds: microseconds of the server's processor time for an answer. After each
//! run hufu's own counters are asked: an answer that was not a signed one fails the comparison.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use hufu_benches::contenders::{body, real_answer, start_floor, start_hufu, start_nginx};
use hufu_benches::load::{Shape, micros_an_answer};
use hufu_benches::population::{LIST_PATH, Plan, Population};
use hufu_benches::requests::{Carriage, Method, write_script, write_script_of};
use hufu_benches::server::{Server, ask, raise_file_limit};
use serde_json::{Value, json};

/// Compare hufu with bare epoll loops and with nginx sending one small file.
///
/// Three rows: keep-alive, a connection a request, pipelined by 16. With --full twelve: GET and POST, 64 and 2,000
/// connections, and ten million records.
#[derive(Parser)]
struct Args {
    /// Records in the pack hufu answers from; each is really signed [default: 1000000, with --full 10000000].
    #[arg(long)]
    records: Option<u64>,
    /// Rounds; the median of them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a measurement lasts.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Connections open at a time; give it twice for rows of both [default: 64, with --full 64 and 2000].
    #[arg(long)]
    connections: Vec<u32>,
    /// Rows with POST as well.
    #[arg(long)]
    post: bool,
    /// The wide table.
    #[arg(long)]
    full: bool,
    /// Octets of a list that is fetched whole, over and over, beside nginx sending the same file [with --full 50000000].
    #[arg(long, value_name = "OCTETS")]
    list: Option<usize>,
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

impl Args {
    fn records(&self) -> u64 {
        let default = if self.full { 10_000_000 } else { 1_000_000 };
        self.records.unwrap_or(default)
    }

    fn list_octets(&self) -> usize {
        let default = if self.full { 50_000_000 } else { 0 };
        self.list.unwrap_or(default)
    }

    fn connections(&self) -> Vec<u32> {
        match (&self.connections[..], self.full) {
            ([], false) => vec![64],
            ([], true) => vec![64, 2_000],
            (given, _) => given.to_vec(),
        }
    }

    fn methods(&self) -> &'static [Method] {
        if self.full || self.post {
            &[Method::Get, Method::Post]
        } else {
            &[Method::Get]
        }
    }

    /// The rows, each with its script in `folder`.
    fn rows(&self, folder: &Path, questions: &[Vec<u8>]) -> std::io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for connections in self.connections() {
            for &method in self.methods() {
                for carriage in [
                    Carriage::KeepAlive,
                    Carriage::AConnectionARequest,
                    Carriage::Pipelined,
                ] {
                    rows.push(Row {
                        method,
                        carriage,
                        connections,
                        script: write_script(folder, questions, method, carriage)?,
                        floor: Vec::new(),
                        nginx: Vec::new(),
                        hufu: Vec::new(),
                    });
                }
            }
        }
        Ok(rows)
    }
}

/// Microseconds an answer, one for each round.
type Rounds = Vec<f64>;

/// One way of asking, and what it costs each.
struct Row {
    method: Method,
    carriage: Carriage,
    connections: u32,
    script: PathBuf,
    /// Empty where there is no floor: pipelined.
    floor: Rounds,
    nginx: Rounds,
    hufu: Rounds,
}

/// The servers, all started, each idle unless it is its turn.
struct Field {
    floor: Server,
    early: Server,
    nginx: Server,
    hufu: Server,
    /// Where hufu tells its counters.
    admin: SocketAddr,
}

impl Field {
    fn start(folder: &Path, population: &Population) -> Result<Self, Box<dyn std::error::Error>> {
        let (hufu, admin) = start_hufu(population)?;
        let question = &population.requests[0];
        let kept = real_answer(&hufu, question, Carriage::KeepAlive)?;
        let closed = real_answer(&hufu, question, Carriage::AConnectionARequest)?;
        eprintln!(
            "a real answer: {} octets, {} of them HTTP header",
            kept.len(),
            kept.len() - body(&kept).len()
        );
        Ok(Self {
            floor: start_floor(folder, "loop", &kept)?,
            early: start_floor(folder, "early", &closed)?,
            nginx: start_nginx(folder, &kept)?,
            hufu,
            admin,
        })
    }

    /// One round of a row.
    fn measure(&self, row: &mut Row, seconds: u32) -> Result<(), Box<dyn std::error::Error>> {
        let shape = Shape {
            connections: row.connections,
            seconds,
        };
        let floor = match row.carriage {
            Carriage::KeepAlive => Some(&self.floor),
            Carriage::AConnectionARequest => Some(&self.early),
            Carriage::Pipelined => None,
        };
        if let Some(floor) = floor {
            row.floor.push(micros_an_answer(floor, &row.script, shape)?);
        }
        row.nginx
            .push(micros_an_answer(&self.nginx, &row.script, shape)?);
        row.hufu
            .push(micros_an_answer(&self.hufu, &row.script, shape)?);
        refuse_unsigned(self.admin)
    }
}

fn compare(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    raise_file_limit(args.connections().into_iter().max().unwrap_or(0))?;
    let folder = tempfile::tempdir()?;
    let population = Population::build(
        folder.path(),
        &Plan {
            records: args.records(),
            list_octets: args.list_octets(),
            ..Plan::default()
        },
    )?;
    eprintln!(
        "{} records, {:.1} octets a record, signed and packed",
        population.records, population.octets_per_record
    );
    let field = Field::start(folder.path(), &population)?;
    let mut rows = args.rows(folder.path(), &population.requests)?;
    for round in 1..=args.rounds {
        for row in &mut rows {
            field.measure(row, args.seconds)?;
            eprintln!("round {round}  {}", row.line(last));
        }
    }
    println!(
        "processor time an answer, µs (median of {}), {} records, {} different serials in turn",
        args.rounds,
        args.records(),
        Plan::default().paths
    );
    println!("{HEADING}");
    for row in &rows {
        println!("{}", row.line(median));
    }
    let list = match args.list_octets() {
        0 => Value::Null,
        octets => list(args, &field, folder.path(), octets)?,
    };
    eprintln!("took {:.0} s", begun.elapsed().as_secs_f64());
    if args.json {
        let mut figures = figures(args.records(), &rows);
        figures["list"] = list;
        println!("{figures}");
    }
    Ok(())
}

/// A list of `octets`, fetched whole by a few clients at once: microseconds for each million octets, printed and told.
fn list(
    args: &Args,
    field: &Field,
    folder: &Path,
    octets: usize,
) -> Result<Value, Box<dyn std::error::Error>> {
    let request = format!("GET {LIST_PATH} HTTP/1.1\r\nHost: ocsp\r\n\r\n");
    let answer = ask(field.hufu.address(), request.as_bytes())?;
    if body(&answer).len() != octets {
        return Err("hufu does not send the list".into());
    }
    let folder = folder.join("list");
    std::fs::create_dir(&folder)?;
    let nginx = start_nginx(&folder, &answer)?;
    let script = write_script_of(&folder, "list", [request.as_bytes()])?;
    let shape = Shape {
        connections: 4,
        seconds: args.seconds,
    };
    let (mut hufu, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        for (server, rounds) in [(&nginx, &mut beside), (&field.hufu, &mut hufu)] {
            let micros = micros_an_answer(server, &script, shape)?;
            rounds.push(micros / octets as f64 * 1e6);
        }
    }
    let [nginx, hufu] = [beside, hufu].map(|rounds| median(&rounds).unwrap_or(f64::NAN));
    println!(
        "a list of {octets} octets, µs for each million of them: nginx (sendfile) {nginx:.1}, hufu {hufu:.1}, hufu/nginx {:.2}",
        hufu / nginx
    );
    Ok(json!({ "octets": octets, "nginx_us_a_million": nginx, "hufu_us_a_million": hufu }))
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

fn median(rounds: &[f64]) -> Option<f64> {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied()
}

fn last(rounds: &[f64]) -> Option<f64> {
    rounds.last().copied()
}

const HEADING: &str = "\
method  connections  way                       floor    nginx     hufu  hufu/floor  hufu/nginx";

impl Row {
    fn line(&self, of: fn(&[f64]) -> Option<f64>) -> String {
        let [floor, nginx, hufu] = [&self.floor, &self.nginx, &self.hufu].map(|rounds| of(rounds));
        let way = match self.carriage {
            Carriage::KeepAlive => "keep-alive",
            Carriage::AConnectionARequest => "a connection a request",
            Carriage::Pipelined => "pipelined by 16",
        };
        let column =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let ratio = |to: Option<f64>| column(hufu.zip(to).map(|(hufu, to)| hufu / to));
        format!(
            "{:<6}  {:>11}  {way:<22}  {:>7}  {:>7}  {:>7}  {:>10}  {:>10}",
            self.method.name(),
            self.connections,
            column(floor),
            column(nginx),
            column(hufu),
            ratio(floor),
            ratio(nginx)
        )
    }

    fn json(&self, floor: &str) -> Value {
        let mut figures = json!({ "nginx_us": median(&self.nginx), "hufu_us": median(&self.hufu) });
        if let Some(micros) = median(&self.floor) {
            figures[floor] = json!(micros);
        }
        figures
    }
}

/// The three rows that every run has under names of their own, and all of them as a list.
fn figures(records: u64, rows: &[Row]) -> Value {
    let first = |carriage, floor| {
        let row = rows.iter().find(|row| row.carriage == carriage);
        row.map_or(Value::Null, |row| row.json(floor))
    };
    let all: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut figures = row.json("floor_us");
            figures["method"] = json!(row.method.name());
            figures["way"] = json!(row.carriage.name());
            figures["connections"] = json!(row.connections);
            figures
        })
        .collect();
    json!({
        "records": records,
        "get": first(Carriage::KeepAlive, "loop_us"),
        "close": first(Carriage::AConnectionARequest, "early_loop_us"),
        "pipelined": first(Carriage::Pipelined, ""),
        "rows": all,
    })
}
