//! `submit`, `approve`, `issue`: the way of an application.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use wire::time::UnixSeconds;

use super::args::{ApproveArgs, Common, IssueArgs, SubmitArgs};
use super::say::say;
use super::{Outcome, PARTIAL, REFUSED, open, table};
use crate::error::{SignerError, sentence};
use crate::ra::approval;
use crate::ra::csr::CsrFolder;
use crate::ra::rule::{RowRefusal, SubmissionRefused};
use crate::ra::submit::{self, HandedIn, Receipt};
use crate::registry::{By, RefusedRow, SubmissionNumber};

pub(super) fn submit(args: &SubmitArgs, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let schedule = read(&args.form)?;
    let application = read(&args.application)?;
    let beside = args
        .form
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = args.csr_dir.as_deref().or(beside).unwrap_or(Path::new("."));
    let csrs = CsrFolder::open(folder).map_err(|source| file_error(folder, source))?;
    let handed = HandedIn {
        schedule: &schedule,
        application: &application,
        kind: args.kind,
        alias: &args.ca,
        csrs: &csrs,
        additional: args.additional,
        clerk: &args.clerk,
        now,
    };
    let store = registry.store();
    let receipt = if args.preview {
        registry.drive(submit::preview(store, &handed))
    } else {
        registry.drive(submit::submit(store, &handed))
    };
    match receipt {
        Ok(receipt) => Ok(report(&receipt, args.data.json)),
        // The form's own faults are listed like a row's; the code says that nothing was taken.
        Err(SubmissionRefused::Application(refusals)) => {
            Ok(refused_whole(&refusals, args.data.json))
        }
        Err(other) => Err(other.into()),
    }
}

fn report(receipt: &Receipt, json: bool) -> ExitCode {
    let by_signer = receipt
        .accepted
        .iter()
        .filter(|row| row.key_by_signer)
        .count();
    if json {
        let answer = json!({ "submission": receipt.submission, "accepted": receipt.accepted.len(),
            "refused": receipt.refused, "keys_by_signer": by_signer });
        say!("{answer}");
    } else {
        match receipt.submission {
            Some(number) => say!("submission 受理号: {number}"),
            None => say!("preview, nothing was recorded (预览，未登记)"),
        }
        let mut rows: Vec<(u64, Vec<String>)> = Vec::new();
        for row in &receipt.accepted {
            let key = if row.key_by_signer {
                "signer makes the key (demo)"
            } else {
                ""
            };
            rows.push((
                row.line,
                cells(row.line, "accepted 受理", "", &row.name, key),
            ));
        }
        for row in &receipt.refused {
            rows.push((row.line, refused_cells(row)));
        }
        rows.sort_by_key(|(line, _)| *line);
        let rows: Vec<_> = rows.into_iter().map(|(_, cells)| cells).collect();
        table::print(HEADERS, &rows);
        say!(
            "accepted 受理 {}, refused 不予受理 {}",
            receipt.accepted.len(),
            receipt.refused_rows()
        );
    }
    match (receipt.accepted.is_empty(), receipt.is_complete()) {
        (true, _) => ExitCode::from(REFUSED),
        (false, false) => ExitCode::from(PARTIAL),
        (false, true) => ExitCode::SUCCESS,
    }
}

fn refused_whole(refusals: &[RowRefusal], json: bool) -> ExitCode {
    let rows: Vec<_> = refusals.iter().map(RowRefusal::to_row).collect();
    if json {
        say!(
            "{}",
            json!({ "submission": null, "accepted": 0, "form": "application", "refused": rows })
        );
    } else {
        table::print(HEADERS, &rows.iter().map(refused_cells).collect::<Vec<_>>());
    }
    eprintln!("error: the application form was refused, nothing was recorded (业务申请表不予受理)");
    ExitCode::from(REFUSED)
}

const HEADERS: &[&str] = &[
    "行 line",
    "结果 result",
    "列 column",
    "值 value",
    "规则 rule",
];

fn refused_cells(row: &RefusedRow) -> Vec<String> {
    let column = format!("{} {}", row.column, row.column_english);
    cells(row.line, "REFUSED 退", column.trim(), &row.value, &row.rule)
}

fn cells(line: u64, result: &str, column: &str, value: &str, rule: &str) -> Vec<String> {
    [line.to_string().as_str(), result, column, value, rule]
        .map(str::to_owned)
        .to_vec()
}

pub(super) fn approve(args: &ApproveArgs, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let number = SubmissionNumber(args.submission);
    let by = By::person(&args.officer, now);
    let approved = registry.drive(approval::approve(registry.store(), number, by))?;
    let items = approved.items().len();
    if args.data.json {
        say!(
            "{}",
            json!({ "submission": number, "approved": items, "officer": args.officer })
        );
    } else {
        say!(
            "submission 受理号 {number}: approved 审批通过, {items} items, by {}",
            args.officer
        );
        say!(
            "next: hufu signer issue --data {} {number}",
            args.data.folder.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn issue(common: &Common, args: &IssueArgs, now: UnixSeconds) -> Outcome {
    let office = open::office(common, &args.data.folder)?;
    let number = SubmissionNumber(args.submission);
    let registry = &office.registry;
    let approved = registry.drive(approval::approved(registry.store(), number))?;
    let lines: Vec<_> = approved
        .items()
        .iter()
        .map(|item| (item.id(), item.line()))
        .collect();
    let bar = progress(lines.len() as u64, "issued");
    let done =
        crate::ca::issue::issue(&office, approved, By::signer(now), |n| bar.set_position(n))?;
    bar.finish_and_clear();
    let line = |item| {
        lines
            .iter()
            .find(|(id, _)| *id == item)
            .map_or(0, |(_, line)| *line)
    };
    let refused: Vec<_> = done
        .refused
        .iter()
        .map(|(item, why)| (line(*item), sentence(why)))
        .collect();
    if args.data.json {
        let refused: Vec<_> = refused
            .iter()
            .map(|(line, why)| json!({ "line": line, "rule": why }))
            .collect();
        say!(
            "{}",
            json!({ "submission": number, "issued": done.issued, "refused": refused,
            "revision": done.revision })
        );
    } else {
        for (line, why) in &refused {
            say!("line {line}: not issued: {why}");
        }
        say!(
            "submission 受理号 {number}: {} certificates issued (已签发)",
            done.issued
        );
        if office.home.deliveries().exists() {
            say!(
                "keys made by the signer (demo): {}",
                office.home.deliveries().display()
            );
        }
    }
    Ok(if refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTIAL)
    })
}

/// A bar on standard error, if somebody watches it.
pub(super) fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = if total == 0 {
        "{spinner} {pos} {msg}, {per_sec}"
    } else {
        "{bar:40} {pos}/{len} {msg}, {per_sec}, {eta}"
    };
    let bar = ProgressBar::new(total).with_message(what);
    bar.with_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

fn read(path: &Path) -> Result<Vec<u8>, SignerError> {
    fs::read(path).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> SignerError {
    SignerError::File {
        path: path.to_owned(),
        source,
    }
}
