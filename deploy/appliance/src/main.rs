//! The `hufu` program: all of Hufu in one binary.
//!
//! `hufu up` founds a demo, then keeps five children running: itself again as `hufu signer serve`, `hufu signer live`, `hufu loader run`,
//! `hufu loader follow` and `hufu responder`. This crate is glue only: what a child does is in the crate of that name.
//!
//! In the order of a start: [`options`] (command line) → [`data`] (the folder, its lock, what was recorded) → [`ports`] →
//! [`found`] on the first start, by [`step`]s, with the files of [`demo`] → [`children`] under [`supervise`] →
//! [`paste`] (what a newcomer may try). [`up`] is that order as code.

mod children;
mod data;
mod demo;
mod error;
mod found;
mod options;
mod paste;
mod ports;
mod probe;
mod program;
mod scrape;
mod step;
mod supervise;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

/// `0` after an orderly stop, `1` refused or failed, `2` usage; the sub-programs have their own (`3`: some rows refused).
fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let program = args.get(1).and_then(|a| a.to_str()).map(str::to_owned);
    let sub_program = match program.as_deref() {
        Some("signer") => hufu_signer::cli::run as fn(Vec<OsString>) -> ExitCode,
        Some("loader") => hufu_loader::cli::run,
        Some("responder") => hufu_responder::cli::run,
        _ => return up::run(&options::Cli::parse_from(args).into_up()),
    };
    // `hufu signer …` is `hufu-signer …`: the two words become the name that help and usage show.
    args.remove(0);
    args[0] = OsString::from(format!("hufu {}", program.expect("matched above")));
    sub_program(args)
}
