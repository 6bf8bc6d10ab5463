//! `hufu-loader …` and `hufu loader …`: one program. Verbs live next door, one file each; this file has the words of the
//! command line, and the one place where errors become text and exit codes.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 not a command, 3 some batches refused or waiting while others went on.

mod bar;
mod follow;
mod import;
mod inspect;
mod nudger;
mod outward;
mod publish;
mod start;
mod verify;

use std::error::Error;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use wire::time::UnixSeconds;

use crate::error::sentence;

/// Runs the program with its arguments, the name first: `hufu-loader`, or `hufu loader` inside the appliance. Help and
/// errors print commands under that name, so that they can be pasted.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = Name::of(args.first());
    let parsed = name.command().try_get_matches_from(args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help asked for goes to standard output with code 0, mistakes to standard error with code 2.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let outcome = start::begin(&cli.common).and_then(|()| match &cli.verb {
        Verb::Import(args) => import::run(args),
        Verb::Init(args) => publish::init(args),
        Verb::Publish(args) => publish::once(args),
        Verb::Run(args) => publish::forever(args),
        Verb::Push(args) => outward::push(args),
        Verb::Follow(args) => follow::run(args),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Verify(args) => verify::run(args),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", name.adapt(&sentence(error.as_ref())));
        ExitCode::from(REFUSED)
    })
}

/// What this program is called where it runs.
struct Name(String);

impl Name {
    fn of(first: Option<&OsString>) -> Self {
        let name = first.and_then(|first| Path::new(first).file_name());
        let name = name.map(|name| name.to_string_lossy().into_owned());
        Self(name.unwrap_or_else(|| PROGRAM.to_owned()))
    }

    /// Commands of `hufu-loader` and `hufu-signer` as they are typed here.
    fn adapt(&self, text: &str) -> String {
        match self.0.strip_suffix(" loader") {
            Some(appliance) => text
                .replace("hufu-signer ", &format!("{appliance} signer "))
                .replace(PROGRAM, &self.0),
            None => text.to_owned(),
        }
    }

    fn command(&self) -> clap::Command {
        let adapt = |command: clap::Command| match command.get_after_help().map(ToString::to_string)
        {
            Some(text) => command.after_help(self.adapt(&text)),
            None => command,
        };
        adapt(Cli::command())
            .bin_name(self.0.clone())
            .mut_subcommands(adapt)
    }
}

/// The outcome of a verb: a code, or an error that ends it.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Imports status, packs it, seals and publishes generations; follows a store; looks inside and proves.
#[derive(Debug, Parser)]
#[command(name = "hufu-loader", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
struct Common {
    /// Write log lines to standard error as JSON
    #[arg(long, global = true)]
    log_json: bool,
    /// End when the process with this id, our parent, does
    #[arg(long, global = true, hide = true, value_name = "PID")]
    exit_with_parent: Option<i32>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check another CA's CRL against its certificate and stage it
    #[command(after_help = import::EXAMPLES)]
    Import(import::ImportArgs),
    /// Make the sealing key and pin the signer's batch key
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Take what lies in the spool into a new generation, once
    #[command(after_help = PUBLISH_EXAMPLES)]
    Publish(PublishArgs),
    /// Publish whenever there is something new or a re-seal is due, until stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Bring a bucket to the newest generation, once
    #[command(after_help = outward::PUSH_EXAMPLES)]
    Push(outward::PushArgs),
    /// Keep an edge's own verified copy of a store up to date
    #[command(after_help = follow::FOLLOW_EXAMPLES)]
    Follow(follow::FollowArgs),
    /// List what the current generation holds
    #[command(after_help = inspect::INSPECT_EXAMPLES)]
    Inspect(inspect::InspectArgs),
    /// Read everything again and prove that CRLs and records agree
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct Data {
    /// The data folder
    #[arg(long = "data", value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
struct Memory {
    /// Memory for sorting what comes in no order; the rest goes to DIR/loader/work
    #[arg(long = "memory", value_name = "MEBIBYTES", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    mebibytes: u32,
}

impl Memory {
    fn octets(&self) -> usize {
        (self.mebibytes as usize) << 20
    }
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The signer's public batch key (64 hexadecimal digits) [default: DIR/signer/batch.pub]
    #[arg(long, value_name = "FILE")]
    batch_key: Option<PathBuf>,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct PublishArgs {
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
    /// Seal what is there anew under a number above this one, and take nothing in: after a restored backup
    #[arg(long, value_name = "NUMBER", conflicts_with = "json")]
    above: Option<u64>,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    sealing: Sealing,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// How often the spool is looked at
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    every: u64,
    /// Tell metrics at this address, /metrics and /healthz: 127.0.0.1:2565 [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Print one JSON object a line for each generation
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    sealing: Sealing,
    #[command(flatten)]
    outward: outward::OutwardArgs,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Sealing {
    /// How long a generation is valid after sealing
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    valid_for: u64,
    /// Seal anew after this long without a change; less than --valid-for
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    reseal_after: u64,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A certificate, DER or PEM: prove that what is answered of it stands on the list it names; may be given several times
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

fn moment(text: &str) -> Result<UnixSeconds, String> {
    crate::staged::parse_rfc3339(text)
}

/// The clock. Read in main loops only, and passed on.
fn now() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

const PROGRAM: &str = "hufu-loader";
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const PARTIAL: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  hufu-loader init --data hufu-data                      make the sealing key, pin the signer's batch key
  hufu-loader import --crl ca.crl --issuer ca.pem --data hufu-data
  hufu-loader run --data hufu-data                       spool → packs → generations, until stopped
  hufu-loader follow --store hufu-data/store --edge hufu-data/edge --pin hufu-data/loader/seal.pub
  hufu-loader follow --store s3://status/city --edge /var/lib/hufu/edge --pin /etc/hufu/seal.pub
  hufu-loader inspect --data hufu-data                   what is served now
  hufu-loader verify --data hufu-data                    prove CRLs and records agree

Exit codes: 0 done, 1 refused or failed, 2 not a command, 3 some batches refused or waiting while others went on.";

const INIT_EXAMPLES: &str = "\
Examples:
  On the signer's machine:
    hufu-loader init --data hufu-data
  Elsewhere, with the signer's batch.pub brought over by hand:
    hufu-loader init --data hufu-data --batch-key batch.pub

What is there already stays as it is. Edges pin DIR/loader/seal.pub: our key
and, after a change of keys, the older ones.";

const PUBLISH_EXAMPLES: &str = "\
Examples:
  hufu-loader publish --data hufu-data
  hufu-loader publish --data hufu-data --json | jq .refused

A batch that breaks a rule is set aside in DIR/spool/<issuer>/refused/ with its reason; the others go on (exit code 3).";

const RUN_EXAMPLES: &str = "\
Examples:
  hufu-loader run --data hufu-data
  hufu-loader run --data hufu-data --valid-for 7200 --reseal-after 3600
  hufu-loader run --data hufu-data --publish-to s3://status/city --nudge http://edge-1:2570/ --nudge http://edge-2:2570/
  hufu-loader run --data hufu-data --metrics 127.0.0.1:2565 &
  curl -s http://127.0.0.1:2565/metrics

Generations are built in DIR/store. A bucket is a mirror of it: its pointer moves once everything else is there. While it is
away, generations go on here, and the newest one is sent when it is back. Keys for it come from the environment
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). Another publisher in the same bucket ends this program.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  hufu-loader verify --data hufu-data && echo proved
  Also of a certificate: what is answered of it stands on the list that it names
  hufu-loader verify --certificate holder.pem --data hufu-data

Exit code 1 names the first differences.";

#[cfg(test)]
mod tests;
