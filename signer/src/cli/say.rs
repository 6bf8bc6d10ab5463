//! Standard output that may be a pipe somebody closes: `hufu signer list | head` is no failure, and what a
//! verb did stays done whether or not anybody reads about it.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// Writes a line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::say::line(format_args!($($words)*)) };
}
pub(super) use say;

pub(super) fn line(words: Arguments<'_>) {
    text(&format!("{words}\n"));
}

/// Writes a text to standard output; what cannot be written is said on standard error, but for a closed pipe.
pub(super) fn text(text: &str) {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            // Nothing is left to tell it to if this fails as well.
            let _ = writeln!(std::io::stderr(), "warning: standard output: {error}");
        }
        _ => {}
    }
}
