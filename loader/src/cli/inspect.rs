//! `inspect`: what the current generation holds, here or in a store elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Outcome;
use super::outward::BucketArgs;
use crate::bucket::{BucketSource, Place};
use crate::follow::newest;
use crate::home::Home;
use crate::inspect::Inspection;
use crate::inspect::listing::Listing;
use crate::seal::read_pins;
use crate::snapshot::Snapshot;
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The data folder
    #[arg(long, value_name = "DIR", required_unless_present = "store")]
    data: Option<PathBuf>,
    #[arg(
        long,
        value_name = "STORE",
        requires = "pin",
        conflicts_with = "data",
        help = "A store elsewhere (a folder, s3://bucket/prefix, https://host/prefix): only its manifest is fetched"
    )]
    store: Option<Place>,
    /// The sealing keys that are believed of it
    #[arg(long, value_name = "FILE")]
    pin: Option<PathBuf>,
    #[command(flatten)]
    access: BucketArgs,
}

pub(super) fn run(args: &InspectArgs) -> Outcome {
    match (&args.data, &args.store, &args.pin) {
        (_, Some(store), Some(pin)) => elsewhere(args, store, pin),
        (Some(data), ..) => here(args, data),
        _ => Err("say --data DIR, or --store STORE with --pin FILE".into()),
    }
}

fn here(args: &InspectArgs, data: &Path) -> Outcome {
    let home = Home::at(data);
    let pins = read_pins(&home.seal_pin())?;
    let snapshot = Snapshot::open(home.store().root(), &pins, None)?;
    let inspection = Inspection::of(&snapshot);
    if args.json {
        println!("{}", serde_json::to_string(&inspection)?);
    } else {
        print!("{inspection}");
    }
    Ok(ExitCode::SUCCESS)
}

fn elsewhere(args: &InspectArgs, store: &Place, pin: &Path) -> Outcome {
    let pins = read_pins(pin)?;
    let manifest = match store {
        Place::Folder(path) => newest(&Store::at(path), &pins)?,
        place => newest(&BucketSource::new(args.access.open(place)?), &pins)?,
    };
    let manifest = manifest.ok_or("the store holds no generation yet")?;
    let listing = Listing::of(manifest.manifest());
    if args.json {
        println!("{}", serde_json::to_string(&listing)?);
    } else {
        print!("{listing}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) const INSPECT_EXAMPLES: &str = "\
Examples:
  hufu-loader inspect --data hufu-data
  hufu-loader inspect --json --data hufu-data | jq '.packs[].octets_per_record'
  hufu-loader inspect --store s3://status/city --pin /etc/hufu/seal.pub";
