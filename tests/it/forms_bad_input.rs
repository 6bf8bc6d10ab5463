//! A row that fails is named by line, column, rule and value while the others go on; a form is taken once.

use std::fs;
use std::path::{Path, PathBuf};

use hufu_tests::office::Office;
use hufu_tests::root;
use serde_json::Value;

/// A schedule to spoil: the demo's persons, the first ten rows.
struct Form {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Form {
    fn persons() -> Self {
        let text = fs::read_to_string(forms().join("p256-person/schedule.csv")).unwrap();
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let header = cells(lines.next().unwrap());
        let rows = lines
            .map(cells)
            .filter(|row| row.len() == header.len())
            .take(10)
            .collect();
        Self { header, rows }
    }

    fn column(&self, name: &str) -> usize {
        self.header
            .iter()
            .position(|column| column == name)
            .unwrap()
    }

    /// Puts a value into a column of a row; rows count from one.
    fn put(&mut self, row: usize, column: &str, value: &str) {
        let column = self.column(column);
        self.rows[row - 1][column] = value.to_owned();
    }

    fn write(&self, path: &Path) {
        let lines = std::iter::once(&self.header)
            .chain(&self.rows)
            .map(|cells| cells.join(",") + "\r\n");
        fs::write(path, lines.collect::<String>()).unwrap();
    }

    /// The demo's application, for as many rows as this schedule has.
    fn write_application(&self, path: &Path) {
        let text = fs::read_to_string(forms().join("p256-person/application.csv")).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let (header, mut row) = (lines.next().unwrap(), lines.next().unwrap());
        let count = self.rows.len().to_string();
        row[header.iter().position(|column| *column == "count").unwrap()] = &count;
        fs::write(
            path,
            format!("{}\r\n{}\r\n", header.join(","), row.join(",")),
        )
        .unwrap();
    }
}

fn forms() -> PathBuf {
    root().join("deploy/demo/forms")
}

/// Hands the form in to a new office; exit code, answer, and what was said besides.
fn submit(form: &Form) -> (Option<i32>, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let schedule = folder.path().join("schedule.csv");
    form.write(&schedule);
    // A request nobody can read lies among the right ones.
    let requests = folder.path().join("csr");
    fs::create_dir(&requests).unwrap();
    for request in fs::read_dir(forms().join("csr")).unwrap().flatten() {
        fs::copy(request.path(), requests.join(request.file_name())).unwrap();
    }
    fs::write(
        requests.join("torn.csr"),
        "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n",
    )
    .unwrap();
    let application = folder.path().join("application.csv");
    form.write_application(&application);
    let ran = office.submit("p256", "person", &application, &schedule, &requests);
    let answer = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran.code, answer, ran.both())
}

/// One spoilt row is refused with its line, column and value; the nine others are accepted.
#[track_caller]
fn only_row_refused(form: &Form, row: usize, column: &str, value: &str) {
    let (code, answer, said) = submit(form);
    assert_eq!(code, Some(3), "partial: {said}");
    let refused = answer["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{answer}");
    // The header is line 1.
    assert_eq!(refused[0]["line"], row + 1, "{answer}");
    assert_eq!(refused[0]["column"], column, "{answer}");
    assert_eq!(refused[0]["value"], value, "{answer}");
    assert!(
        refused[0]["rule"]
            .as_str()
            .is_some_and(|rule| rule.len() > 5),
        "{answer}"
    );
    assert_eq!(answer["accepted"], 9, "{answer}");
}

#[test]
fn a_wrong_check_digit() {
    let mut form = Form::persons();
    let right = form.rows[3][form.column("证件号码")].clone();
    let last = if right.ends_with('1') { '2' } else { '1' };
    let wrong = format!("{}{last}", &right[..17]);
    form.put(4, "证件号码", &wrong);
    only_row_refused(&form, 4, "证件号码", &wrong);
}

#[test]
fn a_missing_name() {
    let mut form = Form::persons();
    form.put(7, "姓名", "");
    only_row_refused(&form, 7, "姓名", "");
}

#[test]
fn a_subject_that_stands_there_twice() {
    let mut form = Form::persons();
    let first = form.rows[1][form.column("证件号码")].clone();
    form.put(6, "证件号码", &first);
    only_row_refused(&form, 6, "证件号码", &first);
}

#[test]
fn an_unreadable_request() {
    let mut form = Form::persons();
    form.put(2, "CSR文件", "torn.csr");
    only_row_refused(&form, 2, "CSR文件", "torn.csr");
}

#[test]
fn a_request_that_is_not_there_or_not_in_its_folder() {
    for name in [
        "none.csr",
        "../../deploy/demo/forms/csr/none.csr",
        "/etc/hostname",
    ] {
        let mut form = Form::persons();
        form.put(2, "CSR文件", name);
        only_row_refused(&form, 2, "CSR文件", name);
    }
}

#[test]
fn a_column_nobody_knows() {
    let mut form = Form::persons();
    let column = form.column("职务");
    form.header[column] = "爱好".to_owned();
    let (code, _, said) = submit(&form);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("爱好"), "the column is not named: {said}");
}

#[test]
fn a_row_with_a_cell_too_many() {
    let mut form = Form::persons();
    form.rows[4].push("more".to_owned());
    let (code, answer, said) = submit(&form);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(answer["refused"][0]["line"], 6, "{answer}");
    assert_eq!(answer["accepted"], 9, "{answer}");
}

#[test]
fn the_same_file_twice_names_the_first_submission() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let form = |name: &str| forms().join("p256-device").join(name);
    let hand_in = || {
        office.submit(
            "p256",
            "device",
            &form("application.csv"),
            &form("schedule.csv"),
            &forms().join("csr"),
        )
    };
    let first = hand_in();
    assert!(matches!(first.code, Some(0 | 3)), "{first:?}");
    let answer: Value = serde_json::from_str(&first.stdout).unwrap();
    let second = hand_in().ended_with(1);
    assert!(
        second.both().contains(&answer["submission"].to_string()),
        "{second:?}"
    );
}

#[test]
fn the_clerk_does_not_approve_what_she_handed_in() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let form = |name: &str| forms().join("p256-device").join(name);
    let first = office.submit(
        "p256",
        "device",
        &form("application.csv"),
        &form("schedule.csv"),
        &forms().join("csr"),
    );
    let answer: Value = serde_json::from_str(&first.stdout).unwrap();
    let number = answer["submission"].to_string();
    let _ = office.signer(&["issue", &number]).ended_with(1);
    let _ = office
        .signer(&["approve", &number, "--officer", "Ada"])
        .ended_with(1);
    let _ = office
        .signer(&["approve", &number, "--officer", "Grace"])
        .ok();
}

#[test]
fn files_that_are_no_forms_are_refused_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let nasty: [&[u8]; 6] = [
        b"",
        b"\xff\xfe\0\0",
        b"\0",
        b"\"unclosed\n",
        b",,,,\n,,,,\n",
        &[0xE4; 70_000],
    ];
    for octets in nasty {
        let file = folder.path().join("schedule.csv");
        fs::write(&file, octets).unwrap();
        let application = forms().join("p256-person/application.csv");
        let ran = office.submit("p256", "person", &application, &file, folder.path());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(!ran.both().contains("panicked"), "{ran:?}");
    }
}
