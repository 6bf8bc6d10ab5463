//! The command line itself; what the verbs do is tested where they do it.

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::Cli;

fn code(words: &str) -> ExitCode {
    super::run(words.split(' ').map(Into::into))
}

#[test]
fn a_word_is_defined_twice_or_a_conflict_names_nothing() {
    Cli::command().debug_assert();
}

#[test]
fn a_verb_has_no_example() {
    for verb in Cli::command().get_subcommands() {
        let taught = verb.get_after_help().is_some() || verb.get_name() == "crl";
        assert!(taught, "{}", verb.get_name());
    }
}

#[test]
fn a_mistyped_command_is_taken_for_a_failure() {
    for words in [
        "hufu-signer",
        "hufu-signer sing",
        "hufu-signer revoke --data x",
        "hufu-signer show --data x",
    ] {
        assert_eq!(
            format!("{:?}", code(words)),
            format!("{:?}", ExitCode::from(2)),
            "{words}"
        );
    }
}

#[test]
fn a_folder_that_is_not_founded_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let words = format!("hufu-signer list --data {}/x", folder.path().display());
    assert_eq!(
        format!("{:?}", code(&words)),
        format!("{:?}", ExitCode::from(1))
    );
    assert!(!folder.path().join("x").exists());
}
