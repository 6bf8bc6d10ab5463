//! A bar for what takes long, if a person is looking.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that appears only where it is worth one.
pub(super) struct Bar {
    style: &'static str,
    worth: u64,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Of octets that are read.
    pub(super) fn of_octets() -> Self {
        Self {
            style: "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
            worth: WORTH_OCTETS,
            bar: None,
        }
    }

    /// Of records that are judged.
    pub(super) fn of_records() -> Self {
        Self {
            style: "{bar:40} {human_pos} of {human_len} records, {per_sec}, {eta} left",
            worth: WORTH_RECORDS,
            bar: None,
        }
    }

    /// So much of all that there is was done; it goes with the last.
    pub(super) fn tell(&mut self, done: u64, all: u64) {
        if all < self.worth || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template(self.style);
            ProgressBar::new(all).with_style(style.expect("the template is a constant"))
        });
        bar.set_length(all);
        bar.set_position(done);
        if done == all {
            self.end();
        }
    }

    /// It goes.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Shorter lists are read before a bar could be.
const WORTH_OCTETS: u64 = 16 << 20;
/// Fewer records are done before a bar could be read.
const WORTH_RECORDS: u64 = 500_000;
