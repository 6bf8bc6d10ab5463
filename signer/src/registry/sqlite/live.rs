//! Statuses of single certificates, for answers that are signed when they are asked for.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wire::serial::Serial;
use wire::status::CertStatus;

use super::row::{named, number, number_or_none, reason, serial, stored};
use crate::registry::{
    Answer, AuthorityId, CertificateState, LiveStatus, LiveStatuses, Revision, sql,
};

/// The newest revision, and that at which a certificate of the authority last changed.
pub(super) async fn revision(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<(Revision, Revision)> {
    let row = sqlx::query(sql::LIVE_REVISION)
        .bind(authority.0)
        .fetch_one(db)
        .await?;
    Ok((number(&row, "newest")?, number(&row, "changed_at")?))
}

/// One statement, and so one moment: the revisions stand in every row, of which there is at least one.
pub(super) async fn statuses(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    serials: &[Serial],
) -> Answer<LiveStatuses> {
    let mut query = QueryBuilder::<Sqlite>::new(sql::LIVE_STATUSES_BEGIN);
    query
        .push_bind(authority.0)
        .push(sql::LIVE_STATUSES_JOIN)
        .push_bind(authority.0)
        .push(" AND c.serial IN (");
    let mut list = query.separated(", ");
    for serial in serials {
        list.push_bind(serial.content().to_vec());
    }
    query
        .push(sql::LIVE_STATUSES_END)
        .push_bind(stored(serials.len() as u64 + 1));
    let rows = query.build().fetch_all(db).await?;
    let mut found = LiveStatuses::default();
    for row in &rows {
        found.revision = number(row, "newest")?;
        found.changed_at = number(row, "changed_at")?;
        if row.try_get::<Option<&[u8]>, _>("serial")?.is_none() {
            continue;
        }
        found.rows.push(LiveStatus {
            serial: serial(row)?,
            status: match number_or_none(row, "revoked_at")? {
                Some(at) => CertStatus::Revoked {
                    at,
                    reason: reason(row)?,
                },
                None => CertStatus::Good,
            },
            state: named(row, "state", CertificateState::from_name)?,
            not_after: number(row, "not_after")?,
        });
    }
    Ok(found)
}
