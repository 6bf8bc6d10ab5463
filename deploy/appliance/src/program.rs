//! This very binary, started again as one of its sub-programs, and how such a command is written down for people.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// The words of a command written as it is read: `"signer list --data {}"`, each `{}` one word however it is spelt.
pub(crate) fn words(line: &str, values: &[&dyn AsRef<OsStr>]) -> Vec<OsString> {
    let mut values = values.iter();
    let mut next = || {
        values
            .next()
            .expect("a value for each {}")
            .as_ref()
            .to_owned()
    };
    let words = line
        .split_whitespace()
        .map(|word| if word == "{}" { next() } else { word.into() })
        .collect();
    assert!(values.next().is_none(), "a {{}} for each value: {line}");
    words
}

/// How to start this binary again, and what to call it.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    shown: String,
}

impl Program {
    /// The running program.
    pub(crate) fn this() -> Self {
        // Absolute, so that what is shown works from any folder.
        let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("hufu"));
        Self {
            shown: quoted(path.as_os_str()),
        }
    }

    /// `signer found …` as a command that ends when this process does, even by `kill -9`.
    ///
    /// The kernel ties that to the *thread* that starts the child, so call this from the main thread only.
    pub(crate) fn command(&self, words: &[OsString]) -> Command {
        // Not `current_exe`: the file may have been replaced by a newer build, and a restarted child must match its siblings.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("hufu");
        let (room, rest) = words.split_first().expect("a sub-program is named");
        command
            .arg(room)
            .arg("--exit-with-parent")
            .arg(std::process::id().to_string())
            .args(rest);
        command
    }

    /// The same for people to paste; what only ties the child to its parent is left out.
    pub(crate) fn shown(&self, words: &[OsString]) -> String {
        let mut line = self.shown.clone();
        for word in words {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line
    }
}

/// A word as a POSIX shell takes it.
pub(crate) fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_word_stays_one_word() {
        for (word, expected) in [
            ("a/b.csv", "a/b.csv"),
            ("私钥泄露", "私钥泄露"),
            ("a b", "'a b'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("$x", "'$x'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
    }

    #[test]
    fn a_shown_command_has_no_parent_in_it() {
        let program = Program {
            shown: "./hufu".to_owned(),
        };
        assert_eq!(
            program.shown(&words("signer list --data {}", &[&"my data"])),
            "./hufu signer list --data 'my data'"
        );
    }
}
