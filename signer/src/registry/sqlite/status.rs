//! Certificates read back: statuses by the million, single ones with all that people ask.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wire::serial::Serial;
use wire::status::CertStatus;

use super::row::{loaded, named, number, number_or_none, reason, serial, stored};
use crate::registry::certificate::RevokedMark;
use crate::registry::{
    Answer, AuthorityId, Certificate, CertificateFilter, CertificateId, CertificateKind,
    CertificateState, ItemId, Revision, StatusRow, SubjectKind, SubmissionNumber, sql,
};

/// Rows read at a time: bounds what is in memory besides the caller's own.
const PAGE: i64 = 4096;

/// Hands out statuses; `view` is one read transaction, so all pages show one moment.
pub(super) async fn each(
    view: &mut SqliteConnection,
    authority: AuthorityId,
    since: Option<Revision>,
    mut each: impl FnMut(StatusRow) + Send,
) -> Answer<Revision> {
    let newest = loaded(
        sqlx::query_scalar(sql::REVISION)
            .fetch_one(&mut *view)
            .await?,
    );
    let mut after = since.map_or(-1, stored);
    // Where a full page ended, for the rest of its last revision.
    let mut within: Option<i64> = None;
    loop {
        let rows = match within {
            None => sqlx::query(sql::STATUS_PAGE),
            Some(_) => sqlx::query(sql::STATUS_PAGE_REST),
        };
        let rows = rows.bind(authority.0).bind(after).bind(PAGE);
        let rows = match within {
            None => rows,
            Some(id) => rows.bind(id),
        };
        let rows = rows.fetch_all(&mut *view).await?;
        for row in &rows {
            each(status_row(row)?);
        }
        let full = stored(rows.len() as u64) == PAGE;
        match rows.last() {
            Some(row) if full => {
                after = row.try_get("revision")?;
                within = Some(row.try_get("id")?);
            }
            _ if within.is_some() => within = None,
            _ => return Ok(newest),
        }
    }
}

pub(super) fn status_row(row: &SqliteRow) -> Answer<StatusRow> {
    let status = match number_or_none(row, "revoked_at")? {
        Some(at) => CertStatus::Revoked {
            at,
            reason: reason(row)?,
        },
        None => CertStatus::Good,
    };
    Ok(StatusRow {
        serial: serial(row)?,
        status,
        state: named(row, "state", CertificateState::from_name)?,
        invalidity_date: number_or_none(row, "invalidity_date")?,
        not_before: number(row, "not_before")?,
        not_after: number(row, "not_after")?,
        revision: number(row, "revision")?,
    })
}

/// What took no revision.
pub(super) async fn unrevised(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<Vec<StatusRow>> {
    let query = sqlx::query(sql::UNREVISED).bind(authority.0);
    query.fetch_all(db).await?.iter().map(status_row).collect()
}

pub(super) async fn one(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    serial: &Serial,
) -> Answer<Option<Certificate>> {
    let mut query = QueryBuilder::<Sqlite>::new(sql::CERTIFICATES);
    query.push(" AND c.authority = ").push_bind(authority.0);
    query
        .push(" AND c.serial = ")
        .push_bind(serial.content().to_vec());
    let row = query.build().fetch_optional(db).await?;
    row.as_ref().map(certificate).transpose()
}

pub(super) async fn by_id(
    db: &mut SqliteConnection,
    id: CertificateId,
) -> Answer<Option<Certificate>> {
    let mut query = QueryBuilder::<Sqlite>::new(sql::CERTIFICATES);
    query.push(" AND c.id = ").push_bind(id.0);
    let row = query.build().fetch_optional(db).await?;
    row.as_ref().map(certificate).transpose()
}

pub(super) async fn select(
    db: &mut SqliteConnection,
    filter: &CertificateFilter,
) -> Answer<Vec<Certificate>> {
    selection(filter)
        .build()
        .fetch_all(db)
        .await?
        .iter()
        .map(certificate)
        .collect()
}

pub(super) fn selection(filter: &CertificateFilter) -> QueryBuilder<Sqlite> {
    // Each condition is said so that an index answers it.
    let mut query = QueryBuilder::<Sqlite>::new(sql::CERTIFICATES);
    if let Some(alias) = &filter.alias {
        query.push(" AND a.alias = ").push_bind(alias.clone());
    }
    if let Some(kind) = filter.kind {
        query.push(" AND c.kind = ").push_bind(kind.name());
    }
    if let Some(state) = filter.state {
        query.push(" AND c.state = ").push_bind(state.name());
    }
    if let Some(name) = &filter.name {
        query
            .push(" AND c.subject IN (SELECT id FROM subject WHERE name = ")
            .push_bind(name.clone())
            .push(")");
    }
    if let Some(number) = &filter.number {
        query
            .push(" AND c.subject IN (SELECT id FROM subject WHERE number = ")
            .push_bind(number.clone());
        if let Some(key) = &filter.subject_key {
            query
                .push(" UNION SELECT id FROM subject WHERE subject_key = ")
                .push_bind(key.clone());
        }
        query.push(")");
    }
    if let Some(SubmissionNumber(submission)) = filter.submission {
        query
            .push(" AND c.item IN (SELECT id FROM item WHERE submission = ")
            .push_bind(stored(submission))
            .push(")");
    }
    if let Some(ItemId(item)) = filter.item {
        query.push(" AND c.item = ").push_bind(item);
    }
    if let Some(serial) = &filter.serial {
        query
            .push(" AND c.authority IN (SELECT id FROM authority) AND c.serial = ")
            .push_bind(serial.content().to_vec());
    }
    query.push(" ORDER BY c.id");
    if filter.limit > 0 {
        query.push(" LIMIT ").push_bind(i64::from(filter.limit));
    }
    query
}

fn certificate(row: &SqliteRow) -> Answer<Certificate> {
    let revoked = match (number_or_none(row, "revoked_at")?, reason(row)?) {
        (Some(at), Some(reason)) => Some(RevokedMark {
            at,
            reason,
            ground: row
                .try_get::<Option<String>, _>("ground")?
                .unwrap_or_default(),
            officer: row
                .try_get::<Option<String>, _>("officer")?
                .unwrap_or_default(),
        }),
        _ => None,
    };
    let item = row.try_get::<Option<i64>, _>("item")?.map(ItemId);
    let submission = number_or_none(row, "submission")?.map(SubmissionNumber);
    Ok(Certificate {
        id: CertificateId(row.try_get("id")?),
        authority: AuthorityId(row.try_get("authority")?),
        alias: row.try_get("alias")?,
        serial: serial(row)?,
        kind: named(row, "kind", CertificateKind::from_name)?,
        state: named(row, "state", CertificateState::from_name)?,
        item: item.zip(submission),
        name: row
            .try_get::<Option<String>, _>("name")?
            .unwrap_or_default(),
        subject_kind: row
            .try_get::<Option<String>, _>("subject_kind")?
            .and_then(|kind| SubjectKind::from_name(&kind)),
        not_before: number(row, "not_before")?,
        not_after: number(row, "not_after")?,
        revoked,
        revision: number(row, "revision")?,
        key_file: row.try_get("key_file")?,
        certificate: row.try_get("der")?,
    })
}
