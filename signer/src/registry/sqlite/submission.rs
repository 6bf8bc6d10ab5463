//! Submissions read back; their lives step by step.

use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::row::{loaded, named, number, number_or_none, stored};
use super::{Act, audit};
use crate::registry::{
    Answer, ApplicationState, Business, By, Item, ItemId, ItemState, RefusedRow, RegistryError,
    SubjectKind, Submission, SubmissionNumber, TurnAway, TurnedAway, sql,
};

pub(super) async fn of_file(
    db: &mut SqliteConnection,
    blake3: &[u8; 32],
) -> Answer<Option<SubmissionNumber>> {
    let number: Option<i64> = sqlx::query_scalar(sql::SUBMISSION_OF_FILE)
        .bind(blake3.as_slice())
        .fetch_optional(db)
        .await?;
    Ok(number.map(|n| SubmissionNumber(loaded(n))))
}

pub(super) async fn approve(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
    by: By<'_>,
) -> Answer<()> {
    let found = one(&mut *db, number)
        .await?
        .ok_or(RegistryError::NoSubmission(number))?;
    if found.state != ApplicationState::Checked {
        let to = ApplicationState::Approved;
        return Err(RegistryError::WrongState {
            number,
            from: found.state,
            to,
        });
    }
    if by.is(&found.clerk) {
        return Err(RegistryError::SameOfficer {
            who: found.clerk,
            number,
        });
    }
    sqlx::query(sql::APPROVE)
        .bind(stored(number.0))
        .bind(by.who)
        .bind(stored(by.at))
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "approve",
        object: format!("submission {number}"),
        detail: json!({ "clerk": found.clerk, "accepted": found.accepted }),
        by,
        revision: None,
    };
    audit(&mut *db, act).await?;
    rename(db, number, by).await
}

/// People and units change their names, units their codes: what was approved last is what they are found by.
async fn rename(db: &mut SqliteConnection, number: SubmissionNumber, by: By<'_>) -> Answer<()> {
    let renamed = sqlx::query(sql::RENAMED)
        .bind(stored(number.0))
        .fetch_all(&mut *db)
        .await?;
    for row in renamed {
        let text = |column| row.try_get::<String, _>(column);
        let subject: i64 = row.try_get("id")?;
        let (name, code) = (text("new_name")?, text("new_number")?);
        sqlx::query(sql::RENAME)
            .bind(subject)
            .bind(&name)
            .bind(&code)
            .execute(&mut *db)
            .await?;
        let act = Act {
            verb: "rename",
            object: format!("subject {subject}"),
            detail: json!({ "submission": number, "from": [text("name")?, text("number")?],
                "to": [name, code] }),
            by,
            revision: None,
        };
        audit(&mut *db, act).await?;
    }
    Ok(())
}

pub(super) async fn advance(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
    to: ApplicationState,
    by: By<'_>,
) -> Answer<()> {
    let found = one(&mut *db, number)
        .await?
        .ok_or(RegistryError::NoSubmission(number))?;
    if !found.state.may_become(to) {
        return Err(RegistryError::WrongState {
            number,
            from: found.state,
            to,
        });
    }
    sqlx::query(sql::SET_STATE)
        .bind(stored(number.0))
        .bind(to.name())
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "advance",
        object: format!("submission {number}"),
        detail: json!({ "from": found.state.name(), "to": to.name() }),
        by,
        revision: None,
    };
    audit(db, act).await
}

pub(super) async fn turn_away(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
    how: TurnAway,
    why: &str,
    by: By<'_>,
) -> Answer<TurnedAway> {
    let found = one(&mut *db, number)
        .await?
        .ok_or(RegistryError::NoSubmission(number))?;
    if !found.state.may_be_turned_away(how) {
        return Err(RegistryError::WrongState {
            number,
            from: found.state,
            to: how.state(),
        });
    }
    let dropped = sqlx::query(sql::DROP_ITEMS)
        .bind(stored(number.0))
        .execute(&mut *db)
        .await?
        .rows_affected();
    let kept: i64 = sqlx::query_scalar(sql::ITEMS_KEPT)
        .bind(stored(number.0))
        .fetch_one(&mut *db)
        .await?;
    let state = match loaded(kept) {
        0 => how.state(),
        // Nothing is left to drop: what is reserved will be issued, what is issued is revoked, not refused.
        _ if dropped == 0 => {
            return Err(RegistryError::WrongState {
                number,
                from: found.state,
                to: how.state(),
            });
        }
        kept if kept == found.issued => ApplicationState::Delivered,
        _ => found.state,
    };
    // Of one that ends here the count stays: it says how many were asked for.
    let fewer = if kept == 0 { 0 } else { dropped };
    sqlx::query(sql::TURN_AWAY)
        .bind(stored(number.0))
        .bind(state.name())
        .bind(stored(fewer))
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: how.verb(),
        object: format!("submission {number}"),
        detail: json!({ "from": found.state.name(), "to": state.name(), "dropped": dropped, "why": why }),
        by,
        revision: None,
    };
    audit(db, act).await?;
    Ok(TurnedAway { state, dropped })
}

pub(super) async fn one(
    db: &mut SqliteConnection,
    number: SubmissionNumber,
) -> Answer<Option<Submission>> {
    let row = sqlx::query(sql::SUBMISSION)
        .bind(stored(number.0))
        .fetch_optional(db)
        .await?;
    row.as_ref().map(submission).transpose()
}

pub(super) async fn all(db: &mut SqliteConnection) -> Answer<Vec<Submission>> {
    sqlx::query(sql::SUBMISSIONS)
        .fetch_all(db)
        .await?
        .iter()
        .map(submission)
        .collect()
}

fn submission(row: &SqliteRow) -> Answer<Submission> {
    Ok(Submission {
        number: SubmissionNumber(number(row, "number")?),
        kind: named(row, "kind", SubjectKind::from_name)?,
        business: named(row, "business", Business::from_name)?,
        alias: row.try_get("alias")?,
        unit_name: row.try_get("unit_name")?,
        unit_code: row.try_get("unit_code")?,
        state: named(row, "state", ApplicationState::from_name)?,
        clerk: row.try_get("clerk")?,
        received_at: number(row, "received_at")?,
        officer: row.try_get("officer")?,
        approved_at: number_or_none(row, "approved_at")?,
        accepted: number(row, "accepted")?,
        refused: number(row, "refused")?,
        issued: number(row, "issued")?,
    })
}

pub(super) async fn items(
    db: &mut SqliteConnection,
    submission: SubmissionNumber,
) -> Answer<Vec<Item>> {
    let rows = sqlx::query(sql::ITEMS)
        .bind(stored(submission.0))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Item {
                id: ItemId(row.try_get("id")?),
                submission,
                line: number(row, "line")?,
                kind: named(row, "kind", SubjectKind::from_name)?,
                state: named(row, "state", ItemState::from_name)?,
                name: row.try_get("name")?,
                fields: row.try_get("fields")?,
                spki: row.try_get("spki")?,
            })
        })
        .collect()
}

pub(super) async fn refusals(
    db: &mut SqliteConnection,
    submission: SubmissionNumber,
) -> Answer<Vec<RefusedRow>> {
    let rows = sqlx::query(sql::REFUSED)
        .bind(stored(submission.0))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RefusedRow {
                line: number(row, "line")?,
                column: row.try_get("column_chinese")?,
                column_english: row.try_get("column_english")?,
                rule: row.try_get("rule")?,
                value: row.try_get("value")?,
            })
        })
        .collect()
}
