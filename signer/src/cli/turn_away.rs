//! `refuse`, `return`, `withdraw`: the ways out for an application that shall have no certificates.

use std::process::ExitCode;

use serde_json::json;
use wire::time::UnixSeconds;

use super::args::TurnAwayArgs;
use super::say::say;
use super::{Outcome, open};
use crate::registry::{By, Store, SubmissionNumber, TurnAway};

pub(super) fn turn_away(args: &TurnAwayArgs, how: TurnAway, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let number = SubmissionNumber(args.submission);
    let by = By::person(&args.officer, now);
    let done = registry.wait(|store| store.turn_away(number, how, &args.why, by))?;
    let (state, dropped) = (done.state.name(), done.dropped);
    if args.data.json {
        say!(
            "{}",
            json!({ "submission": number, "state": state, "dropped": dropped, "officer": args.officer })
        );
    } else {
        say!(
            "submission 受理号 {number}: {state}, {dropped} items dropped, by {}",
            args.officer
        );
    }
    Ok(ExitCode::SUCCESS)
}
