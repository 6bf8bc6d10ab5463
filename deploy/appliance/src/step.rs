//! One step of founding: a command of a sub-program, shown as the newcomer would type it, with what it answered.
//!
//! On a terminal a bar tells how far it is; elsewhere plain lines, each printed before its command starts.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::UpError;
use crate::program::Program;

/// Runs steps and shows them.
#[derive(Debug)]
pub(crate) struct Steps {
    program: Program,
    bar: ProgressBar,
}

/// How a command that did its work ended.
#[derive(Debug)]
#[must_use]
pub(crate) enum Done {
    /// All of it.
    Whole(String),
    /// Some rows were refused, the others went on (exit status 3).
    Partial(String),
}

impl Done {
    /// What it wrote to standard output.
    pub(crate) fn output(&self) -> &str {
        match self {
            Self::Whole(output) | Self::Partial(output) => output,
        }
    }
}

impl Steps {
    /// `expected` commands, for the bar only.
    pub(crate) fn new(program: Program, expected: u64) -> Self {
        let bar = ProgressBar::new(expected);
        let style = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {msg} {elapsed}")
            .expect("a constant template");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { program, bar }
    }

    /// Says what comes next.
    pub(crate) fn title(&self, text: &str) {
        self.say(&format!("\n── {text}"));
        self.bar.set_message(text.to_owned());
    }

    /// A plain line.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Shows the command, runs it, shows up to [`SHOWN_LINES`] lines of its answer; advice on what to type next is left
    /// out, since that is the next step.
    pub(crate) fn run(&self, words: &[OsString]) -> Result<Done, UpError> {
        let done = self.run_quietly(words)?;
        let lines = done
            .output()
            .lines()
            .filter(|line| !line.starts_with("next: "));
        let lines: Vec<&str> = lines.collect();
        for line in lines.iter().take(SHOWN_LINES) {
            self.say(&format!("   {line}"));
        }
        if lines.len() > SHOWN_LINES {
            self.say(&format!("   … {} lines more", lines.len() - SHOWN_LINES));
        }
        Ok(done)
    }

    /// The same without its answer, which the caller reads.
    pub(crate) fn run_quietly(&self, words: &[OsString]) -> Result<Done, UpError> {
        let command = self.program.shown(words);
        self.say(&format!("$ {command}"));
        let ran = self
            .program
            .command(words)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| UpError::Spawn {
                command: command.clone(),
                source,
            })?;
        self.bar.inc(1);
        let output = String::from_utf8_lossy(&ran.stdout).into_owned();
        match ran.status.code() {
            Some(0) => Ok(Done::Whole(output)),
            Some(3) => Ok(Done::Partial(output)),
            _ => {
                let output = output + &String::from_utf8_lossy(&ran.stderr);
                Err(UpError::Step {
                    command,
                    status: ran.status,
                    output,
                })
            }
        }
    }

    /// Reads a command's JSON answer.
    pub(crate) fn json(&self, words: &[OsString]) -> Result<serde_json::Value, UpError> {
        let done = self.run_quietly(words)?;
        serde_json::from_str(done.output()).map_err(|error| self.unusable(words, error.to_string()))
    }

    /// For an answer without what is needed.
    pub(crate) fn unusable(&self, words: &[OsString], missing: impl Into<String>) -> UpError {
        UpError::Answer {
            command: self.program.shown(words),
            missing: missing.into(),
        }
    }

    /// Clears the bar.
    pub(crate) fn finish(self) -> Program {
        self.bar.finish_and_clear();
        self.program
    }
}

/// A line to standard output. Whoever closed it (`hufu up | head`) does not stop the service.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

const SHOWN_LINES: usize = 8;
