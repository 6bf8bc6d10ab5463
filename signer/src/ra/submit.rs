//! The whole of a submission: two files in, a number and every row's outcome out.
//!
//! [`judge`] is pure but for reading CSR files: it may be shown as a preview. [`submit`] records what was
//! judged; the registry adds its own judgement (一人一证) and gives the number.

use std::collections::HashMap;
use std::thread;

use jiff::civil::Date;
use wire::time::UnixSeconds;

use super::column as col;
use super::csr::{self, CsrRefused, CsrSource, KeyKind};
use super::row::{FilingUnit, Relation, Row};
use super::rule::{RowRefusal, Rule, SubmissionRefused};
use super::schedule::{self, CheckedLine};
use super::sheet::Sheet;
use super::{application, column};
use crate::registry::{
    Authority, By, NewItem, NewSubmission, RefusedRow, RegistryError, Store, SubjectKind,
    SubmissionNumber, Submitted,
};

/// What is handed in at the counter.
pub struct HandedIn<'a> {
    /// The schedule file's octets.
    pub schedule: &'a [u8],
    /// The application file's octets.
    pub application: &'a [u8],
    /// What the schedule's rows are about.
    pub kind: SubjectKind,
    /// Alias of the authority that shall issue.
    pub alias: &'a str,
    /// Where the CSR files are.
    pub csrs: &'a dyn CsrSource,
    /// Another certificate for subjects that hold one: units and devices that order and pay for more.
    pub additional: bool,
    /// Who takes it in.
    pub clerk: &'a str,
    /// When.
    pub now: UnixSeconds,
}

/// What became of a submission.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Receipt {
    /// Its number; none if it was only a preview.
    pub submission: Option<SubmissionNumber>,
    /// Rows accepted, by line, with the subject's name.
    pub accepted: Vec<AcceptedRow>,
    /// Refusals, by line; a row may break several rules.
    pub refused: Vec<RefusedRow>,
}

/// A row that was accepted.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AcceptedRow {
    /// Line in the schedule.
    pub line: u64,
    /// The subject's name.
    pub name: String,
    /// Whether the signer makes the key (demo only).
    pub key_by_signer: bool,
}

/// Judges and records a submission.
pub async fn submit<S: Store>(
    store: &S,
    handed: &HandedIn<'_>,
) -> Result<Receipt, SubmissionRefused> {
    let new = judge_for(store, handed).await?;
    let by = By::person(handed.clerk, handed.now);
    let done = store.submit(&new, by).await.map_err(told_first)?;
    Ok(Receipt {
        submission: Some(done.number),
        ..receipt(&new, &done)
    })
}

/// Judges a submission to the end and records nothing.
pub async fn preview<S: Store>(
    store: &S,
    handed: &HandedIn<'_>,
) -> Result<Receipt, SubmissionRefused> {
    let new = judge_for(store, handed).await?;
    let by = By::person(handed.clerk, handed.now);
    let would = store.preview(&new, by).await.map_err(told_first)?;
    Ok(receipt(&new, &would))
}

async fn judge_for<S: Store>(
    store: &S,
    handed: &HandedIn<'_>,
) -> Result<NewSubmission, SubmissionRefused> {
    // The same file is told so before anything else: its faults were named the first time.
    let file_blake3 = *blake3::hash(handed.schedule).as_bytes();
    if let Some(first) = store.submission_of_file(&file_blake3).await? {
        return Err(SubmissionRefused::SameFile { first });
    }
    let authority = store
        .authority(handed.alias)
        .await?
        .filter(|a| a.parent.is_some());
    let authority =
        authority.ok_or_else(|| SubmissionRefused::NoAuthority(handed.alias.to_owned()))?;
    judge(handed, &authority)
}

fn told_first(error: RegistryError) -> SubmissionRefused {
    match error {
        RegistryError::SameFile { first } => SubmissionRefused::SameFile { first },
        other => other.into(),
    }
}

fn receipt(new: &NewSubmission, done: &Submitted) -> Receipt {
    let mut receipt = Receipt {
        submission: None,
        accepted: Vec::new(),
        refused: new.refused.clone(),
    };
    for (item, outcome) in new.items.iter().zip(&done.items) {
        match outcome.refusal(new.kind, item) {
            Some(refusal) => receipt.refused.push(refusal),
            None => receipt.accepted.push(AcceptedRow {
                line: item.line,
                name: item.name.clone(),
                key_by_signer: item.spki.is_none(),
            }),
        }
    }
    receipt.refused.sort_by_key(|row| row.line);
    receipt
}

/// Judges a submission as far as its files go.
pub fn judge(
    handed: &HandedIn<'_>,
    authority: &Authority,
) -> Result<NewSubmission, SubmissionRefused> {
    if !super::is_name(handed.clerk) {
        return Err(SubmissionRefused::NoClerk);
    }
    if handed.additional && handed.kind == SubjectKind::Person {
        return Err(SubmissionRefused::AdditionalPerson);
    }
    let today = today(handed.now);
    let application = application::read(handed.application, handed.clerk.trim(), today)?;
    let form = column::schedule_form(handed.kind);
    let sheet = Sheet::read(form, handed.schedule).map_err(|source| SubmissionRefused::Form {
        form: form.name,
        source,
    })?;
    application.fits(handed.kind, sheet.lines().len())?;

    let judge_line = |line: &_| {
        let checked = schedule::check(handed.kind, &sheet, line, today)?;
        let unit = &application.filing_unit;
        if let Some(refusal) = not_own(&checked, unit) {
            return Err(vec![refusal]);
        }
        let spki = key(&checked, handed, authority).map_err(|refusal| vec![refusal])?;
        Ok((checked, spki))
    };
    let (rows, mut refused) = once_each(handed.kind, on_all_cores(sheet.lines(), judge_line));
    refused.sort_by_key(|refusal| refusal.line);
    Ok(NewSubmission {
        file_blake3: *blake3::hash(handed.schedule).as_bytes(),
        application_blake3: *blake3::hash(handed.application).as_bytes(),
        kind: handed.kind,
        business: application.business,
        alias: handed.alias.to_owned(),
        unit_name: application.filing_unit.name.clone(),
        unit_code: application.filing_unit.code.as_str().to_owned(),
        application: json(&application),
        additional: handed.additional,
        items: rows
            .into_iter()
            .map(|(line, spki)| item(&line, spki))
            .collect(),
        refused: refused.iter().map(RowRefusal::to_row).collect(),
    })
}

/// 本单位 is the unit that files, by the same name.
fn not_own(checked: &CheckedLine, filing: &FilingUnit) -> Option<RowRefusal> {
    let Row::Unit(unit) = &checked.row else {
        return None;
    };
    if unit.relation != Relation::Own {
        return None;
    }
    let (column, value) = if unit.code.organisation() != filing.code.organisation() {
        (&col::UNIT_CODE, unit.code.as_str())
    } else if unit.name != filing.name {
        (&col::UNIT_NAME, unit.name.as_str())
    } else {
        return None;
    };
    Some(RowRefusal {
        line: checked.line,
        column: Some(column),
        rule: Rule::NotOwn,
        value: value.to_owned(),
    })
}

/// A line that holds, and the key it brought.
type Keyed = (CheckedLine, Option<Vec<u8>>);
type Judged = Result<Keyed, Vec<RowRefusal>>;

/// The key of a row's CSR, if it names one.
fn key(
    line: &CheckedLine,
    handed: &HandedIn<'_>,
    authority: &Authority,
) -> Result<Option<Vec<u8>>, RowRefusal> {
    let Some(name) = &line.csr else {
        return Ok(None);
    };
    let proven = handed
        .csrs
        .read(name)
        .and_then(|octets| csr::verify(&octets));
    let fitting = proven.and_then(|key| {
        let sm2_authority =
            authority.algorithm == wire::algorithm::SignatureAlgorithm::Sm2Sm3.code();
        if (key.kind == KeyKind::Sm2) == sm2_authority {
            return Ok(key.spki);
        }
        Err(CsrRefused::OtherFamily {
            authority: authority.alias.clone(),
            key: key.kind,
        })
    });
    fitting.map(Some).map_err(|why| RowRefusal {
        line: line.line,
        column: Some(&col::CSR),
        rule: Rule::Csr(why),
        value: name.clone(),
    })
}

/// Rows whose number, subject and key no row before them has.
fn once_each(kind: SubjectKind, judged: Vec<Judged>) -> (Vec<Keyed>, Vec<RowRefusal>) {
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    let (mut numbers, mut subjects, mut keys) = (HashMap::new(), HashMap::new(), HashMap::new());
    for judged in judged {
        let (line, spki) = match judged {
            Ok(row) => row,
            Err(refusals) => {
                refused.extend(refusals);
                continue;
            }
        };
        let subject_column = match kind {
            SubjectKind::Person => &col::ID_NO,
            SubjectKind::Unit => &col::UNIT_CODE,
            SubjectKind::Device => &col::DEVICE_NAME,
        };
        let here = line.line;
        let number = *numbers.entry(line.no).or_insert(here);
        let subject = *subjects.entry(line.row.subject_key()).or_insert(here);
        let key = spki
            .clone()
            .map_or(here, |spki| *keys.entry(spki).or_insert(here));
        let repeats = [
            (number, &col::NO, Rule::SameNo(number), line.no.to_string()),
            (
                subject,
                subject_column,
                Rule::SameSubject(subject),
                line.row.number().to_owned(),
            ),
            (
                key,
                &col::CSR,
                Rule::SameKey(key),
                line.csr.clone().unwrap_or_default(),
            ),
        ];
        let before = refused.len();
        for (first, column, rule, value) in repeats {
            if first != here {
                refused.push(RowRefusal {
                    line: here,
                    column: Some(column),
                    rule,
                    value,
                });
            }
        }
        if refused.len() == before {
            rows.push((line, spki));
        }
    }
    (rows, refused)
}

/// Does something with each of many, in order, on all processors: proving a key takes a hundred
/// microseconds and more.
fn on_all_cores<T: Sync, U: Send>(all: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(threads).max(64);
    let each = &each;
    thread::scope(|scope| {
        let shares = all.chunks(share);
        let running: Vec<_> = shares
            .map(|part| scope.spawn(move || part.iter().map(each).collect::<Vec<_>>()))
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().expect("judging a row does not panic"))
            .collect()
    })
}

fn item(line: &CheckedLine, spki: Option<Vec<u8>>) -> NewItem {
    NewItem {
        line: line.line,
        subject_key: line.row.subject_key(),
        name: line.row.name().to_owned(),
        number: line.row.number().to_owned(),
        fields: json(&line.row),
        spki,
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("rows and applications have string keys and no maps")
}

/// The day it is where the forms are filled in: China has one time zone, eight hours ahead, no summer time.
fn today(now: UnixSeconds) -> Date {
    let seconds = i64::try_from(now.saturating_add(8 * 3600)).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::UTC.to_datetime(moment).date()
}

impl Receipt {
    /// True if every row was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }

    /// Rows that were refused; each may have broken several rules.
    #[must_use]
    pub fn refused_rows(&self) -> usize {
        // Sorted by line.
        self.refused.chunk_by(|a, b| a.line == b.line).count()
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
