//! A day of a city in minutes; `tests/city` builds what it needs and starts it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hufu_tests::city::{Plan, day};

/// Ask a whole line of signer, live lane, loader, follower and responder all that a city asks in a day, while certificates are
/// revoked and the responder is killed once, and judge every answer.
///
/// tests/city                         five minutes, 20,000 certificates
/// tests/city --seconds 60 --json     a short one, its figures as JSON on the last line
///
/// Exit codes: 0 no wrong answer and none missing without a reason, 1 otherwise, 2 not a command.
#[derive(Parser)]
struct Args {
    /// How long the day is.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..))]
    seconds: u64,
    /// Certificates.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    records: u64,
    /// Questions a second by GET; in bursts eight times as many.
    #[arg(long, default_value_t = 400)]
    gets: u32,
    /// Questions a second by POST.
    #[arg(long, default_value_t = 100)]
    posts: u32,
    /// Questions a second with a nonce, or about several certificates.
    #[arg(long, default_value_t = 60)]
    live: u32,
    /// Lists fetched a second.
    #[arg(long, default_value_t = 2)]
    lists: u32,
    /// Revocations, spread over the day.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=500))]
    revocations: u32,
    /// Seconds after which a revoked certificate must not be good any more.
    #[arg(long, default_value_t = 5)]
    visible_within: u64,
    /// The same for lists.
    #[arg(long, default_value_t = 10)]
    listed_within: u64,
    /// Seconds within which a killed responder serves again.
    #[arg(long, default_value_t = 5)]
    restarted_within: u64,
    /// The figures as JSON on the last line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        length: Duration::from_secs(args.seconds),
        records: args.records,
        gets: args.gets,
        posts: args.posts,
        live: args.live,
        lists: args.lists,
        burst: 8,
        revocations: args.revocations,
        visible_within: Duration::from_secs(args.visible_within),
        listed_within: Duration::from_secs(args.listed_within),
        restarted_within: Duration::from_secs(args.restarted_within),
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("no folder for the day: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = match day(folder.path(), &plan) {
        Ok(tally) => tally.close(),
        Err(why) => {
            eprintln!("the day did not come to its end: {why}");
            return ExitCode::FAILURE;
        }
    };
    print!("{}", report.table());
    if args.json {
        println!("{}", report.json());
    }
    if report.wrong() + report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
