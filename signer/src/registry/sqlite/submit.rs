//! A submission recorded, each item judged against what the registry holds.
//!
//! Rows go [`CHUNK`] at a time through each question and each write: a statement's fixed cost is several times that of
//! one row, and everybody who wants to write waits meanwhile.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wire::serial::Serial;

use super::row::{array, loaded, number as count, serial, stored};
use super::submission::of_file;
use super::{Act, audit};
use crate::registry::{
    Answer, ApplicationState, By, ItemId, ItemOutcome, NewItem, NewSubmission, RefusedRow,
    RegistryError, SubmissionNumber, Submitted, sql,
};

/// Rows of one bulk statement; 9 columns each stay well below SQLite's 32,766 parameters.
const CHUNK: usize = 500;

pub(super) async fn submit(
    db: &mut SqliteConnection,
    new: &NewSubmission,
    by: By<'_>,
) -> Answer<Submitted> {
    if let Some(first) = of_file(&mut *db, &new.file_blake3).await? {
        return Err(RegistryError::SameFile { first });
    }
    let number = insert(&mut *db, new, by).await?;
    let mut items = Vec::with_capacity(new.items.len());
    let mut seen = Seen::default();
    for chunk in new.items.chunks(CHUNK) {
        items.extend(accept(&mut *db, number, new, chunk, &mut seen, by).await?);
    }
    let mut refused = new.refused.clone();
    let outcomes = items.iter().zip(&new.items);
    refused.extend(outcomes.filter_map(|(outcome, item)| outcome.refusal(new.kind, item)));
    refused.sort_by_key(|row| row.line);
    record_refused(&mut *db, number, &refused).await?;
    let accepted = items
        .iter()
        .filter(|o| matches!(o, ItemOutcome::Accepted(_)))
        .count();
    // A row may have broken several rules.
    let refused_rows = refused.chunk_by(|a, b| a.line == b.line).count();
    // A submission of which nothing is left is refused, and its file may come again.
    let state = if accepted == 0 {
        ApplicationState::Refused
    } else {
        ApplicationState::Checked
    };
    sqlx::query(sql::SUBMISSION_COUNTS)
        .bind(stored(number.0))
        .bind(stored(accepted as u64))
        .bind(stored(refused_rows as u64))
        .bind(state.name())
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "submit",
        object: format!("submission {number}"),
        detail: json!({ "file_blake3": blake3::Hash::from_bytes(new.file_blake3).to_hex().as_str(),
            "unit_code": new.unit_code, "alias": new.alias, "accepted": accepted,
            "refused": refused_rows, "additional": new.additional, "state": state.name() }),
        by,
        revision: None,
    };
    audit(db, act).await?;
    Ok(Submitted { number, items })
}

async fn insert(
    db: &mut SqliteConnection,
    new: &NewSubmission,
    by: By<'_>,
) -> Answer<SubmissionNumber> {
    let number: i64 = sqlx::query_scalar(sql::ADD_SUBMISSION)
        .bind(new.file_blake3.as_slice())
        .bind(new.application_blake3.as_slice())
        .bind(new.kind.name())
        .bind(new.business.name())
        .bind(&new.alias)
        .bind(&new.unit_name)
        .bind(&new.unit_code)
        .bind(&new.application)
        .bind(ApplicationState::Submitted.name())
        .bind(by.who)
        .bind(stored(by.at))
        .fetch_one(db)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => {
                RegistryError::NoAuthority(new.alias.clone())
            }
            _ => error.into(),
        })?;
    Ok(SubmissionNumber(loaded(number)))
}

/// What earlier rows of the same submission took.
#[derive(Default)]
struct Seen {
    subjects: HashSet<i64>,
    keys: HashMap<[u8; 32], i64>,
}

/// Records those items of a chunk whose subject neither holds nor waits for a certificate, and whose key is its own.
async fn accept(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
    new: &NewSubmission,
    chunk: &[NewItem],
    seen: &mut Seen,
    by: By<'_>,
) -> Answer<Vec<ItemOutcome>> {
    let (subjects, known) = subjects(&mut *db, new, chunk).await?;
    let waiting = waiting(&mut *db, &known).await?;
    let live = if new.additional {
        HashMap::new()
    } else {
        live(&mut *db, &known, by).await?
    };
    let hashes: Vec<Option<[u8; 32]>> = chunk
        .iter()
        .map(|item| {
            item.spki
                .as_ref()
                .map(|spki| *blake3::hash(spki).as_bytes())
        })
        .collect();
    let keys = keys(&mut *db, &hashes).await?;

    // Rows are never deleted and this transaction is the only writer: numbers may be given here.
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM item")
        .fetch_one(&mut *db)
        .await?;
    let mut taken = Vec::with_capacity(chunk.len());
    let mut outcomes = Vec::with_capacity(chunk.len());
    for (item, hash) in chunk.iter().zip(hashes) {
        let subject = *subjects
            .get(&item.subject_key)
            .ok_or_else(|| super::row::unreadable("subject_key", &item.subject_key))?;
        let key_fault = hash.and_then(|hash| {
            let used = keys.get(&hash).map_or(&[][..], Vec::as_slice);
            key_fault(used, subject).or_else(|| {
                let here = *seen.keys.get(&hash)?;
                (here != subject).then_some(ItemOutcome::KeyOfAnother { number })
            })
        });
        let outcome = if let Some(&number) = waiting.get(&subject) {
            ItemOutcome::AlreadyWaits { number }
        } else if seen.subjects.contains(&subject) {
            ItemOutcome::AlreadyWaits { number }
        } else if let Some((alias, serial)) = live.get(&subject) {
            ItemOutcome::AlreadyHolds {
                alias: alias.clone(),
                serial: serial.to_string(),
            }
        } else if let Some(fault) = key_fault {
            fault
        } else {
            seen.subjects.insert(subject);
            seen.keys.extend(hash.map(|hash| (hash, subject)));
            let id = newest + 1 + stored(taken.len() as u64);
            taken.push((id, subject, item, hash));
            ItemOutcome::Accepted(ItemId(id))
        };
        outcomes.push(outcome);
    }
    if !taken.is_empty() {
        let mut items = QueryBuilder::<Sqlite>::new(
            "INSERT INTO item (id, submission, line, subject, state, name, number, fields, spki, key_blake3) ",
        );
        items.push_values(taken, |mut row, (id, subject, item, hash)| {
            row.push_bind(id)
                .push_bind(stored(number.0))
                .push_bind(stored(item.line))
                .push_bind(subject)
                .push("'open'")
                .push_bind(item.name.clone())
                .push_bind(item.number.clone())
                .push_bind(item.fields.clone())
                .push_bind(item.spki.clone())
                .push_bind(hash.map(Vec::from));
        });
        items.build().execute(db).await?;
    }
    Ok(outcomes)
}

/// The row numbers of a chunk's subjects, and which of them were there before.
async fn subjects(
    db: &mut SqliteConnection,
    new: &NewSubmission,
    chunk: &[NewItem],
) -> Answer<(HashMap<String, i64>, Vec<i64>)> {
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM subject")
        .fetch_one(&mut *db)
        .await?;
    let mut add =
        QueryBuilder::<Sqlite>::new("INSERT INTO subject (subject_key, kind, name, number) ");
    add.push_values(chunk, |mut row, item| {
        row.push_bind(item.subject_key.clone())
            .push_bind(new.kind.name())
            .push_bind(item.name.clone())
            .push_bind(item.number.clone());
    });
    add.push(" ON CONFLICT (subject_key) DO NOTHING");
    add.build().execute(&mut *db).await?;
    let keys = chunk.iter().map(|item| item.subject_key.clone());
    let rows: Vec<(i64, String)> = one_of(
        "SELECT id, subject_key FROM subject WHERE subject_key IN ",
        keys,
    )
    .build_query_as()
    .fetch_all(db)
    .await?;
    let known = rows.iter().map(|(id, _)| *id).filter(|id| *id <= newest);
    let known = known.collect();
    Ok((rows.into_iter().map(|(id, key)| (key, id)).collect(), known))
}

/// Subjects that wait for a certificate, and in which submission.
async fn waiting(
    db: &mut SqliteConnection,
    subjects: &[i64],
) -> Answer<HashMap<i64, SubmissionNumber>> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = one_of(
        "SELECT subject, submission FROM item WHERE state IN ('open', 'reserved') AND subject IN ",
        subjects.iter().copied(),
    );
    let rows: Vec<(i64, i64)> = query.build_query_as().fetch_all(db).await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(subject, number)| (subject, SubmissionNumber(loaded(number))))
        .collect())
}

/// Subjects that hold a certificate, and which.
async fn live(
    db: &mut SqliteConnection,
    subjects: &[i64],
    by: By<'_>,
) -> Answer<HashMap<i64, (String, Serial)>> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = one_of(
        "SELECT c.subject, a.alias, c.serial FROM certificate c JOIN authority a ON a.id = c.authority
         WHERE c.state IN ('reserved', 'issued', 'held') AND c.subject IN ",
        subjects.iter().copied(),
    );
    query.push(" AND c.not_after > ").push_bind(stored(by.at));
    let rows = query.build().fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get("subject")?,
                (row.try_get("alias")?, serial(row)?),
            ))
        })
        .collect()
}

/// Where a public key was seen before.
struct Used {
    subject: i64,
    number: SubmissionNumber,
    compromised: bool,
}

async fn keys(
    db: &mut SqliteConnection,
    hashes: &[Option<[u8; 32]>],
) -> Answer<HashMap<[u8; 32], Vec<Used>>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let hashes: Vec<_> = hashes.iter().flatten().map(|hash| hash.to_vec()).collect();
    if hashes.is_empty() {
        return Ok(found);
    }
    // 1 is keyCompromise (RFC 5280 §5.3.1).
    let mut query = one_of(
        "SELECT i.key_blake3, i.subject, i.submission, coalesce(c.reason = 1, 0) AS compromised
         FROM item i LEFT JOIN certificate c ON c.item = i.id
         WHERE i.state <> 'dropped' AND i.key_blake3 IN ",
        hashes,
    );
    for row in query.build().fetch_all(db).await? {
        found
            .entry(array(&row, "key_blake3")?)
            .or_default()
            .push(Used {
                subject: row.try_get("subject")?,
                number: SubmissionNumber(count(&row, "submission")?),
                compromised: row.try_get::<i64, _>("compromised")? != 0,
            });
    }
    Ok(found)
}

fn key_fault(used: &[Used], subject: i64) -> Option<ItemOutcome> {
    let compromised = used.iter().find(|before| before.compromised);
    let another = used.iter().find(|before| before.subject != subject);
    compromised
        .map(|before| ItemOutcome::KeyCompromised {
            number: before.number,
        })
        .or(another.map(|before| ItemOutcome::KeyOfAnother {
            number: before.number,
        }))
}

/// A question with a list of values at its end.
fn one_of<T>(question: &str, values: impl IntoIterator<Item = T>) -> QueryBuilder<Sqlite>
where
    T: 'static + Send + sqlx::Encode<'static, Sqlite> + sqlx::Type<Sqlite>,
{
    let mut query = QueryBuilder::<Sqlite>::new(question);
    query.push("(");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
    query
}

async fn record_refused(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
    refused: &[RefusedRow],
) -> Answer<()> {
    let mut position = 0_i64;
    for chunk in refused.chunks(CHUNK) {
        let mut rows = QueryBuilder::<Sqlite>::new(
            "INSERT INTO refused_row (submission, position, line, column_chinese, column_english, rule, value) ",
        );
        rows.push_values(chunk, |mut row, refusal| {
            row.push_bind(stored(number.0))
                .push_bind(position)
                .push_bind(stored(refusal.line))
                .push_bind(refusal.column.clone())
                .push_bind(refusal.column_english.clone())
                .push_bind(refusal.rule.clone())
                .push_bind(refusal.value.clone());
            position += 1;
        });
        rows.build().execute(&mut *db).await?;
    }
    Ok(())
}
