//! Makes a synthetic generation of any size, and says what that cost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use hufu_benches::population::{Plan, Population};

/// Make a synthetic generation that a responder can serve.
///
/// hufu-population --records 10000000 --unsigned --out /tmp/ten-million
///
/// hufu-population --records 100000000 --unsigned --memory 512 --shards 4 --tiers --out /tmp/province
#[derive(Parser)]
struct Args {
    /// How many records.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// The same seed gives the same serials.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Noise for signatures: enough to time opening and lookup, useless to clients.
    #[arg(long)]
    unsigned: bool,
    /// Base packs; one holds up to 4,294,967,295 records.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shards: u32,
    /// Eight delta tiers before the base, of serials nobody asks about.
    #[arg(long)]
    tiers: bool,
    /// Memory to sort in, mebibytes.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
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

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan {
        records: args.records,
        seed: args.seed,
        signed: !args.unsigned,
        shards: args.shards,
        tiers: args.tiers,
        memory: (args.memory as usize) << 20,
        ..Plan::default()
    };
    let begun = Instant::now();
    let population = Population::build(&args.out, &plan)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = population.records as f64 / seconds;
    let mebibytes = population.peak_anonymous as f64 / f64::from(1 << 20);
    println!("records            {}", population.records);
    println!("built in           {seconds:.1} s ({rate:.0} records/s)");
    println!("peak anonymous     {mebibytes:.1} MiB");
    println!("pack octets        {}", population.pack_octets);
    println!("octets a record    {:.3}", population.octets_per_record);
    for opening in ["first open", "second open"] {
        let begun = Instant::now();
        let snapshot = population.open()?;
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
