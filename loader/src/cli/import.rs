//! `import`: judge and stage one list, print the report.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use wire::time::UnixSeconds;

use super::{Data, Memory, Outcome, moment, now};
use crate::durable::FsDisk;
use crate::home::Home;
use crate::import::crl::Judging;
use crate::import::file::{CrlImport, Means, import_crl_with};
use crate::import::trust::WeakPolicy;
use crate::sort::Sorting;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CRL, DER or PEM
    #[arg(long, value_name = "FILE")]
    crl: PathBuf,
    /// The certificate of the CA that signed it, DER or PEM
    #[arg(long, value_name = "CERT")]
    issuer: PathBuf,
    /// Judge CRL and certificate as of this moment instead of now: 2022-03-11T00:00:00Z, 2022-03-11 or @1646956800
    #[arg(long, value_name = "TIME", value_parser = moment)]
    as_of: Option<UnixSeconds>,
    /// Read SHA-1 signatures and RSA keys under 2048 bits too
    #[arg(long)]
    allow_weak: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    data: Data,
}

pub(super) fn run(args: &ImportArgs) -> Outcome {
    let weak = WeakPolicy::of(args.allow_weak);
    let request = CrlImport {
        crl: &args.crl,
        issuer: &args.issuer,
        data: &args.data.folder,
        judging: Judging {
            now: now(),
            as_of: args.as_of,
            weak,
        },
    };
    let mut bar = Bar::default();
    let mut means = Means {
        disk: &FsDisk,
        sorting: Sorting::in_folder(Home::at(&args.data.folder).work())
            .within(args.memory.octets()),
        progress: &mut |read, all| bar.tell(read, all),
    };
    let report = import_crl_with(&request, &mut means);
    bar.end();
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar for long lists, if a person is looking.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    fn tell(&mut self, read: u64, all: u64) {
        if all < WORTH_A_BAR || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
            let style = ProgressStyle::with_template(style).expect("the template is a constant");
            ProgressBar::new(all).with_style(style)
        });
        bar.set_position(read);
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Shorter lists are read before a bar could be.
const WORTH_A_BAR: u64 = 16 << 20;

pub(super) const EXAMPLES: &str = "\
Examples:
  A CA's current list:
    hufu-loader import --crl ca.crl --issuer ca.pem --data hufu-data
  A list past its nextUpdate, replayed as of the day it was made (answers are marked as replayed):
    hufu-loader import --crl old.crl --issuer ca.pem --as-of 2022-03-11 --data hufu-data
  A list from the days of SHA-1:
    hufu-loader import --crl older.crl --issuer ca.pem --as-of 2013-07-12 --allow-weak --data hufu-data

It is verified, staged under DIR/staged/, and reported. `hufu-signer adopt` then signs answers for it.
A list that breaks a rule is refused whole, and what was staged before stays.
Lists are read in passing: of fifty million entries no more than --memory is held at a time.";
