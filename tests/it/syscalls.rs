//! Publishing as the kernel sees it: octets are synced before a name points at them, a name before anything depends on
//! it, and the pointer comes last.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hufu_tests::office::Office;
use hufu_tests::process::{program, run};

/// One system call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    /// Octets into the file at this path.
    Write(String),
    /// fsync or fdatasync of the file or folder at this path.
    Sync(String),
    /// From one path to another.
    Rename(String, String),
}

/// Runs `hufu-loader publish` under strace; what it did below the data folder, in order.
fn traced_publish(office: &Office) -> Vec<Call> {
    let trace = office.data.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "0", "-e"]);
    strace.arg("trace=write,writev,pwrite64,pwritev,copy_file_range,sendfile,fsync,fdatasync,rename,renameat,renameat2,link,linkat");
    strace
        .arg("-o")
        .arg(&trace)
        .arg(program("hufu-loader"))
        .args(["publish", "--data"])
        .arg(&office.data);
    let _ = run(&mut strace).ok();
    let text = std::fs::read_to_string(&trace).unwrap();
    let whole = joined(&text);
    let calls: Vec<Call> = whole
        .iter()
        .filter_map(|line| call(line, &office.data))
        .collect();
    assert!(!calls.is_empty(), "{text}");
    calls
}

/// One call a line, without process ids. What another thread interrupted (`… <unfinished ...>`, `<... fsync resumed>`) is
/// put together where it returned.
fn joined(text: &str) -> Vec<String> {
    let mut begun = BTreeMap::new();
    let lines = text.lines().filter_map(|line| {
        let (process, call) = line.split_once(' ')?;
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            begun.insert(process, start);
            return None;
        }
        match call.strip_prefix("<... ") {
            Some(rest) => {
                let (_, end) = rest.split_once("resumed>")?;
                Some(format!("{}{end}", begun.remove(process)?))
            }
            None => Some(call.to_owned()),
        }
    });
    lines.collect()
}

/// `fsync(7</data/store/tmp/x>) = 0` and its like: what a descriptor means stands in angle brackets, names in quotes.
fn call(line: &str, data: &Path) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (_, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let below = |path: &str| path.strip_prefix(data.to_str()?).map(str::to_owned);
    let of_descriptor = || below(rest.split_once('<')?.1.split_once('>')?.0);
    match name {
        "fsync" | "fdatasync" => of_descriptor().map(Call::Sync),
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
            let mut quoted = rest.split('"').skip(1).step_by(2);
            Some(Call::Rename(below(quoted.next()?)?, below(quoted.next()?)?))
        }
        _ => {
            // copy_file_range and sendfile name their source first.
            let last = rest.rsplit_once('<').map(|(_, last)| last)?;
            let path = if name.starts_with("copy") {
                below(last.split_once('>')?.0)
            } else {
                of_descriptor()
            };
            path.map(Call::Write)
        }
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[test]
fn each_file_is_synced_before_it_is_named_and_the_pointer_comes_last() {
    let data = tempfile::tempdir().unwrap();
    let office = Office::found(&data.path().canonicalize().unwrap().join("data"));
    let _ = office.enrol("p256", "device");
    let _ = office.signer(&["sign"]).ok();
    let calls = traced_publish(&office);

    let renames: Vec<(usize, &str, &str)> = calls
        .iter()
        .enumerate()
        .filter_map(|(at, call)| match call {
            Call::Rename(from, to) if to.starts_with("/store/") => {
                Some((at, from.as_str(), to.as_str()))
            }
            _ => None,
        })
        .collect();
    assert!(
        renames
            .iter()
            .any(|(_, _, to)| to.starts_with("/store/objects/")),
        "{calls:#?}"
    );
    assert!(
        renames
            .iter()
            .any(|(_, _, to)| to.starts_with("/store/manifests/")),
        "{calls:#?}"
    );

    for (at, from, to) in &renames {
        let written = calls[..*at]
            .iter()
            .rposition(|call| *call == Call::Write((*from).to_owned()));
        let synced = calls[..*at]
            .iter()
            .rposition(|call| *call == Call::Sync((*from).to_owned()));
        assert!(
            synced.is_some(),
            "{from} was named {to} without fsync: {calls:#?}"
        );
        assert!(
            written < synced,
            "{from} was written to after its fsync: {calls:#?}"
        );
        let named = Call::Sync(folder(to).to_owned());
        assert!(
            calls[*at..].contains(&named),
            "the folder of {to} was not synced after: {calls:#?}"
        );
    }

    let (pointed, _, last) = renames.last().copied().unwrap();
    assert_eq!(
        last, "/store/current",
        "the pointer is not the last name: {renames:#?}"
    );
    for (at, _, to) in &renames[..renames.len() - 1] {
        let named = Call::Sync(folder(to).to_owned());
        assert!(
            calls[*at..pointed].contains(&named),
            "the pointer came before the folder of {to} was synced"
        );
    }
    assert!(
        calls[pointed..].contains(&Call::Sync("/store".to_owned())),
        "the pointer itself was not synced"
    );
    // Nothing that is published is written in place.
    let in_place =
        |path: &str| path.starts_with("/store/objects/") || path.starts_with("/store/manifests/");
    assert!(
        !calls
            .iter()
            .any(|call| matches!(call, Call::Write(path) if in_place(path))),
        "{calls:#?}"
    );
}

#[test]
fn a_batch_is_acknowledged_only_after_the_pointer() {
    let data = tempfile::tempdir().unwrap();
    let office = Office::found(&data.path().canonicalize().unwrap().join("data"));
    let _ = office.enrol("p256", "device");
    let _ = office.signer(&["sign"]).ok();
    let calls = traced_publish(&office);
    let pointed = calls
        .iter()
        .position(|call| matches!(call, Call::Rename(_, to) if to == "/store/current"))
        .unwrap();
    let synced = calls[pointed..]
        .iter()
        .position(|call| *call == Call::Sync("/store".to_owned()))
        .unwrap()
        + pointed;
    let acknowledged: Vec<usize> = (0..calls.len())
        .filter(|at| matches!(&calls[*at], Call::Rename(_, to) if to.ends_with(".ack")))
        .collect();
    assert!(!acknowledged.is_empty(), "{calls:#?}");
    assert!(
        acknowledged.iter().all(|at| *at > synced),
        "acknowledged before the generation was durable: {calls:#?}"
    );
}

#[test]
fn the_trace_is_read_as_strace_writes_it() {
    let text = "11  fsync(3</d/store/tmp/x>) = 0\n\
                11  write(3</d/store/tmp/x>, \"\"..., 5 <unfinished ...>\n\
                12  fsync(4</elsewhere>) = 0\n\
                11  <... write resumed>) = 5\n\
                11  rename(\"/d/store/tmp/x\", \"/d/store/current\") = -1 ENOENT (No such file or directory)\n\
                11  rename(\"/d/store/tmp/x\", \"/d/store/current\") = 0\n\
                11  copy_file_range(3</d/a>, NULL, 4</d/b>, NULL, 10, 0) = 10\n";
    let calls: Vec<Call> = joined(text)
        .iter()
        .filter_map(|line| call(line, Path::new("/d")))
        .collect();
    let temporary = "/store/tmp/x".to_owned();
    let expected = [
        Call::Sync(temporary.clone()),
        Call::Write(temporary.clone()),
        Call::Rename(temporary, "/store/current".to_owned()),
        Call::Write("/b".to_owned()),
    ];
    assert_eq!(calls, expected);
}
