//! `hufu-signer …` and `hufu signer …`: one program. This file has the words of the command line and the
//! one place where an outcome becomes an exit code; the verbs live next door.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 not a command, 3 some rows refused while others went on.

mod args;
mod examples;
mod export;
mod hold;
mod list;
mod live;
mod open;
mod publish;
mod revoke;
mod say;
mod show;
mod start;
mod submit;
mod table;
mod turn_away;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Verb};
use crate::error::{SignerError, sentence};
use crate::registry::TurnAway;

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const PARTIAL: u8 = 3;

/// The outcome of a verb: a code, or the error that ended it.
type Outcome = Result<ExitCode, SignerError>;

/// Runs the program with its arguments, the name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for goes to standard output with 0, mistakes to standard error with 2.
            // A closed pipe is no reason to fail twice.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match start::begin(&cli.common).and_then(|()| verb(&cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            ExitCode::from(REFUSED)
        }
    }
}

fn verb(cli: &Cli) -> Outcome {
    let now = crate::serve::clock();
    match &cli.verb {
        Verb::Found(args) => publish::found(&cli.common, args, now),
        Verb::Submit(args) => submit::submit(args, now),
        Verb::Approve(args) => submit::approve(args, now),
        Verb::Refuse(args) => turn_away::turn_away(args, TurnAway::Refuse, now),
        Verb::Return(args) => turn_away::turn_away(args, TurnAway::Return, now),
        Verb::Withdraw(args) => turn_away::turn_away(args, TurnAway::Withdraw, now),
        Verb::Issue(args) => submit::issue(&cli.common, args, now),
        Verb::Revoke(args) => revoke::revoke(args, now),
        Verb::Hold(args) => hold::hold(args, now),
        Verb::Release(args) => hold::release(args, now),
        Verb::Crl(args) => publish::crl(&cli.common, args, now),
        Verb::Sign(args) => publish::sign(&cli.common, args),
        Verb::Serve(args) => publish::serve(&cli.common, args),
        Verb::Live(args) => live::live(&cli.common, args),
        Verb::Adopt(args) => publish::adopt(&cli.common, args),
        Verb::List(args) => list::list(args),
        Verb::Show(args) => show::show(args),
        Verb::Export(args) => export::export(args),
    }
}

#[cfg(test)]
mod tests;
