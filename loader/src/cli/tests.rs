//! The words of the command line.

use super::*;

fn help(name: &str, verb: &str) -> String {
    let mut command = Name::of(Some(&OsString::from(name))).command();
    let verb = command.find_subcommand_mut(verb).expect("the verb exists");
    verb.render_long_help().to_string()
}

#[test]
fn help_names_a_program_that_is_not_there() {
    assert!(help("/usr/bin/hufu-loader", "import").contains("hufu-loader import --crl"));
    let inside = help("hufu loader", "import");
    assert!(inside.contains("hufu loader import --crl"), "{inside}");
    assert!(inside.contains("`hufu signer adopt`"), "{inside}");
    assert!(!inside.contains("hufu-loader"), "{inside}");
}

#[test]
fn an_error_is_told_twice_or_without_its_cause() {
    let inner = std::io::Error::other("no space");
    let error = crate::durable::DiskError {
        action: "write",
        path: "x".into(),
        source: inner,
    };
    assert_eq!(sentence(&error), "cannot write x: no space");
    let outer = crate::run::RunError::Disk(error);
    assert_eq!(sentence(&outer), "cannot write x: no space");
}

#[test]
fn a_verb_without_a_data_folder_runs() {
    for verb in ["import", "init", "publish", "run", "inspect", "verify"] {
        assert!(
            Cli::try_parse_from(["hufu-loader", verb]).is_err(),
            "{verb}"
        );
    }
    assert!(Cli::try_parse_from(["hufu-loader", "publish", "--data", "x"]).is_ok());
}
