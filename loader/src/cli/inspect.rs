//! `inspect`: what the current generation holds.

use std::process::ExitCode;

use super::{InspectArgs, Outcome};
use crate::home::Home;
use crate::inspect::Inspection;
use crate::seal::read_pins;
use crate::snapshot::Snapshot;

pub(super) fn run(args: &InspectArgs) -> Outcome {
    let home = Home::at(&args.data.folder);
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
