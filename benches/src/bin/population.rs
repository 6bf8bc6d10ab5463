//! Makes a synthetic generation of any size, and says how long it takes to open and how large it is.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use hufu_benches::population::{Plan, Population};
use hufu_loader::seal::read_pins;
use hufu_loader::snapshot::Snapshot;

/// Make a synthetic generation that a responder can serve.
///
/// hufu-population --records 10000000 --unsigned --out /tmp/ten-million
#[derive(Parser)]
struct Args {
    /// How many records.
    #[arg(long)]
    records: u64,
    /// The same seed gives the same serials.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Noise for signatures: enough to time opening and lookup, useless to clients.
    #[arg(long)]
    unsigned: bool,
    /// Where to put it.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-population: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan {
        records: args.records,
        seed: args.seed,
        signed: !args.unsigned,
        ..Plan::default()
    };
    let begun = Instant::now();
    let population = Population::build(&args.out, &plan)?;
    println!("records            {}", population.records);
    println!("built in           {:.1} s", begun.elapsed().as_secs_f64());
    println!("pack octets        {}", population.pack_octets);
    println!("octets a record    {:.3}", population.octets_per_record);
    let pins = read_pins(&population.pin)?;
    for opening in ["first open", "second open"] {
        let begun = Instant::now();
        let snapshot = Snapshot::open(&population.edge, &pins, None)?;
        println!(
            "{opening:<18} {:.2} ms (generation {})",
            begun.elapsed().as_secs_f64() * 1000.0,
            snapshot.number()
        );
    }
    println!(
        "serve it with      hufu-responder --edge {} --pin {}",
        population.edge.display(),
        population.pin.display()
    );
    Ok(())
}
