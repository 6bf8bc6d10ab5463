//! Lists longer than the memory they are read in: bounded, and gone without a trace when the reader is killed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hufu_tests::process::{command, run, wait_until};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

/// An index.txt of so many valid certificates and their CA's certificate, in a folder.
fn list(folder: &Path, lines: u64) {
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "Authority of a long list");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = parameters
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let mut text = String::new();
    for number in 0..lines {
        let serial = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(text, "V\t491231235959Z\t\t{serial:016X}\tunknown\t/CN=a").unwrap();
    }
    fs::write(folder.join("index.txt"), text).unwrap();
}

/// Imports it; in mebibytes of memory.
fn import(folder: &Path, memory: &str) -> Command {
    let mut import = command("hufu-loader", ["import", "--trust-unsigned", "a test"]);
    import.arg("--index").arg(folder.join("index.txt"));
    import.arg("--issuer").arg(folder.join("ca.pem"));
    import
        .args(["--memory", memory])
        .arg("--data")
        .arg(folder.join("data"));
    import
}

/// The same under a limit of the kernel's on what the process may call its own; in kibibytes.
fn within(kibibytes: u32, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -d {kibibytes}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn a_list_is_held_whole_whatever_the_setting_says() {
    let folder = tempfile::tempdir().unwrap();
    // 22 MB of records to sort, in runs of less than one.
    list(folder.path(), 300_000);
    let taken = run(&mut within(20 << 10, &import(folder.path(), "1"))).ok();
    assert!(taken.stdout.contains("listed       300000"), "{taken:?}");
    assert_eq!(names(&folder.path().join("data/loader/work")), [""; 0]);
    // The limit is one: with the usual memory the same ends.
    let refused = run(&mut within(20 << 10, &import(folder.path(), "256")));
    assert_ne!(refused.code, Some(0), "{refused:?}");
}

#[test]
fn a_reader_killed_in_the_middle_of_a_sort_leaves_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    list(folder.path(), 300_000);
    let (work, staged) = (
        folder.path().join("data/loader/work"),
        folder.path().join("data/staged"),
    );
    let mut reader = import(folder.path(), "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the first run is written", Duration::from_secs(60), || {
        work.exists()
    });
    reader.kill().unwrap();
    let _ = reader.wait().unwrap();
    // At most a file that was just made and had no time to lose its name; nothing is in it.
    let left = names(&work);
    assert!(left.len() <= 1, "{left:?}");
    for name in &left {
        assert_eq!(fs::metadata(work.join(name)).unwrap().len(), 0, "{name}");
    }
    let _ = run(&mut import(folder.path(), "1")).ok();
    assert_eq!(names(&work), [""; 0]);
    let staged = names(&staged);
    assert_eq!(staged.len(), 1, "{staged:?}");
    assert!(!staged[0].starts_with('.'), "{staged:?}");
}
