//! `import`: judge and stage lists, print the report.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wire::time::UnixSeconds;

use super::bar::Bar;
use super::{Data, Memory, Outcome, moment, now};
use crate::durable::FsDisk;
use crate::home::Home;
use crate::import::crl::Judging;
use crate::import::file::{Company, CrlImport, Keeping, Means, import_crl_with};
use crate::import::trust::WeakPolicy;
use crate::import::unsigned::{UnsignedImport, import_unsigned};
use crate::sort::Sorting;
use crate::staged::{Form, Trust};

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    list: List,
    /// The certificate of the CA whose certificates the list is about, DER or PEM
    #[arg(long, value_name = "CERT")]
    issuer: PathBuf,
    /// Of an indirect list: the certificate of who signed it. On your word: no chain is verified from one to the other
    #[arg(long, value_name = "CERT", requires = "crl")]
    crl_issuer: Option<PathBuf>,
    /// Judge CRL and certificate as of this moment instead of now: 2022-03-11T00:00:00Z, 2022-03-11 or @1646956800
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "crl")]
    as_of: Option<UnixSeconds>,
    /// The list is one partition of the CA's certificates: other partitions that are staged stay beside it
    #[arg(long, requires = "crl")]
    partition: bool,
    /// The partitions that are staged now are all there are, on your word: who is on none of them is not revoked
    #[arg(long, requires = "crl")]
    complete: bool,
    /// A staged partition that is no more: the address of its distribution point, or the first digits of its list's BLAKE3
    #[arg(long, value_name = "PARTITION", requires = "partition")]
    retire: Vec<String>,
    /// Read SHA-1 signatures and RSA keys under 2048 bits too
    #[arg(long, requires = "crl")]
    allow_weak: bool,
    /// Who vouches for a list that no CA has signed (--index, --csv): a name that is recorded and shown
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "crl",
        required_unless_present = "crl"
    )]
    trust_unsigned: Option<String>,
    /// For how long: after that nothing is answered from it until it is imported again
    #[arg(long, value_name = "DAYS", default_value_t = 7, conflicts_with = "crl",
          value_parser = clap::value_parser!(u16).range(1..=366))]
    valid_days: u16,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    data: Data,
}

/// A list, or CRLs that stand together.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct List {
    /// A CRL, DER or PEM; several times for a complete list and its delta, or for partitions
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// OpenSSL's index.txt, the database of `openssl ca`
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// CSV with a header; its columns are told below
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

pub(super) fn run(args: &ImportArgs) -> Outcome {
    let mut bar = Bar::of_octets();
    let mut means = Means {
        disk: &FsDisk,
        sorting: Sorting::in_folder(Home::at(&args.data.folder).work())
            .within(args.memory.octets()),
        progress: &mut |read, all| bar.tell(read, all),
    };
    let told = import(args, &mut means);
    bar.end();
    let (table, json) = told?;
    match args.json {
        true => println!("{json}"),
        false => print!("{table}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The report, for people and for machines.
fn import(args: &ImportArgs, means: &mut Means<'_>) -> Result<(String, String), Box<dyn Error>> {
    let (list, form) = match &args.list {
        List { crl, .. } if !crl.is_empty() => {
            let (crl, others) = crl.split_first().expect("it is not empty");
            let judging = Judging {
                now: now(),
                as_of: args.as_of,
                weak: WeakPolicy::of(args.allow_weak),
            };
            let request = CrlImport {
                crl,
                issuer: &args.issuer,
                crl_issuer: args.crl_issuer.as_deref(),
                data: &args.data.folder,
                judging,
                company: Company {
                    others,
                    keeping: match args.partition {
                        true => Keeping::Partitions,
                        false => Keeping::Scope,
                    },
                    complete: args.complete,
                    retired: &args.retire,
                },
            };
            let report = import_crl_with(&request, means)?;
            return Ok((report.table(), serde_json::to_string(&report)?));
        }
        List {
            index: Some(list), ..
        } => (list, Form::Index),
        List { csv, .. } => (csv.as_ref().expect("one of the group is there"), Form::Csv),
    };
    let now = now();
    let by = args.trust_unsigned.clone();
    let trust = Trust {
        by: by.expect("it is required with such lists"),
        until: now + u64::from(args.valid_days) * 86_400,
    };
    let report = import_unsigned(
        &UnsignedImport {
            list,
            form,
            issuer: &args.issuer,
            data: &args.data.folder,
            now,
            trust,
        },
        means,
    )?;
    tracing::warn!(issuer = %report.issuer_id, by = %report.trusted_by, until = %report.trusted_until, blake3 = %report.blake3, "a list without a signature was staged");
    Ok((report.table(), serde_json::to_string(&report)?))
}

pub(super) const EXAMPLES: &str = "\
Examples:
  A CA's current list:
    hufu-loader import --crl ca.crl --issuer ca.pem --data hufu-data
  A list past its nextUpdate, replayed as of the day it was made (answers are marked as replayed):
    hufu-loader import --crl old.crl --issuer ca.pem --as-of 2022-03-11 --data hufu-data
  A delta, on top of the complete list that is staged (or of one that comes at once: --crl full.crl --crl delta.crl):
    hufu-loader import --crl delta.crl --issuer ca.pem --data hufu-data
  Partitions, all at once, and then one of them anew; --complete is your word that there are no others:
    hufu-loader import --crl p1.crl --crl p2.crl --complete --issuer ca.pem --data hufu-data
    hufu-loader import --crl p2.crl --partition --issuer ca.pem --data hufu-data
  One of them is given up by its CA:
    hufu-loader import --crl p2.crl --partition --retire http://ca.example/p1.crl --issuer ca.pem --data hufu-data
  An indirect list, which another issuer signs for several CAs; of its entries those of ca.pem's certificates are kept:
    hufu-loader import --crl indirect.crl --issuer ca.pem --crl-issuer crl-issuer.pem --data hufu-data
  A list from the days of SHA-1:
    hufu-loader import --crl older.crl --issuer ca.pem --as-of 2013-07-12 --allow-weak --data hufu-data

  The database of an `openssl ca`, which bears no signature: somebody vouches for it by name, for a week
    hufu-loader import --index index.txt --issuer ca.pem --trust-unsigned \"Li Hua, operations\" --data hufu-data
  An export of another system, for a month
    hufu-loader import --csv status.csv --issuer ca.pem --trust-unsigned \"Li Hua\" --valid-days 30 --data hufu-data

Columns of a CSV, in any order: serial (hexadecimal) or serial_decimal; status (good, revoked, expired); revoked_at and reason
of revoked ones; not_after; subject and note, which are not read. Times: 2026-01-02T03:04:05Z, 20260102030405Z, @1767323045.

It is verified, staged under DIR/staged/, and reported. `hufu-signer adopt` then signs answers for it.
A list that breaks a rule is refused whole, and what was staged before stays.
Lists are read in passing: of fifty million entries no more than --memory is held at a time.";
