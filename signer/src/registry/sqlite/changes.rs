//! Statuses that changed, in pieces. Each half has an index in whose order it is read: what turned has two small ones.

use sqlx::{Row, SqliteConnection};

use super::row::{loaded, number, stored};
use super::status::status_row;
use crate::registry::{Answer, AuthorityId, Changes, Place, Rest, Revision, StatusRow, Told, sql};

/// At most `most` of what was not told yet, and what of it cannot be told apart: the changes of one revision that turned
/// statuses are told together, since a list may show that revision. `view` is one read transaction.
pub(super) async fn read(
    view: &mut SqliteConnection,
    authority: AuthorityId,
    told: Told,
    most: u32,
) -> Answer<Changes> {
    let newest = loaded(
        sqlx::query_scalar(sql::REVISION)
            .fetch_one(&mut *view)
            .await?,
    );
    let mut piece = Piece {
        view,
        authority,
        most: most.max(1) as usize,
    };
    let (mut rows, turned) = piece.turned(told.turned, newest).await?;
    let mut told = Told { turned, ..told };
    let mut rest = Rest::More;
    if turned == newest {
        let room = piece.most.saturating_sub(rows.len());
        let (issued, place) = piece.issued(told.issued, room).await?;
        rows.extend(issued);
        told.issued = match place {
            Some(place) => place,
            None => Told::all(newest).issued,
        };
        if place.is_none() {
            rest = Rest::Nothing;
        }
    }
    Ok(Changes {
        revision: newest,
        rows,
        told,
        rest,
    })
}

/// The first revision after `since` that revoked, held or released a certificate of an authority.
pub(super) async fn next_turn(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    since: Revision,
) -> Answer<Option<Revision>> {
    let next: Option<i64> = sqlx::query_scalar(sql::NEXT_TURN)
        .bind(authority.0)
        .bind(stored(since))
        .fetch_one(db)
        .await?;
    Ok(next.map(loaded))
}

/// A status with its place in the order of reading.
struct Placed {
    revision: Revision,
    row: i64,
    status: StatusRow,
}

struct Piece<'v> {
    view: &'v mut SqliteConnection,
    authority: AuthorityId,
    most: usize,
}

impl Piece<'_> {
    /// Of what turned after `since` whole revisions, as many as fit, one at least; and up to which revision that is all.
    async fn turned(
        &mut self,
        since: Revision,
        newest: Revision,
    ) -> Answer<(Vec<StatusRow>, Revision)> {
        let limit = i64::try_from(self.most).unwrap_or(i64::MAX);
        let mut found = self.turned_between(since, newest, limit + 1).await?;
        let Some(beyond) = found.get(self.most).map(|first| first.revision) else {
            return Ok((statuses(found), newest));
        };
        if found.first().is_some_and(|first| first.revision < beyond) {
            found.retain(|placed| placed.revision < beyond);
            return Ok((statuses(found), beyond - 1));
        }
        // One act that turned more than a piece holds.
        let found = self.turned_between(since, beyond, NO_LIMIT).await?;
        Ok((statuses(found), beyond))
    }

    /// The first of what turned after one revision, up to another, in order; of each kind at most `limit`.
    async fn turned_between(
        &mut self,
        after: Revision,
        until: Revision,
        limit: i64,
    ) -> Answer<Vec<Placed>> {
        let mut found = Vec::new();
        for statement in [sql::REVOKED_PAGE, sql::RELEASED_PAGE] {
            let rows = sqlx::query(statement)
                .bind(self.authority.0)
                .bind(stored(after))
                .bind(stored(until))
                .bind(limit)
                .fetch_all(&mut *self.view)
                .await?;
            for row in &rows {
                found.push(placed(row)?);
            }
        }
        found.sort_by_key(|placed| (placed.revision, placed.row));
        Ok(found)
    }

    /// At most `room` of what was issued behind a place and never turned since, and where that ends; none: all of it.
    async fn issued(
        &mut self,
        from: Place,
        room: usize,
    ) -> Answer<(Vec<StatusRow>, Option<Place>)> {
        let mut found = Vec::new();
        // One more than fits tells whether that was all.
        let wanted = |found: &Vec<Placed>| i64::try_from(room + 1 - found.len()).unwrap_or(1);
        if let Some(row) = from.row {
            let rows = sqlx::query(sql::ISSUED_PAGE_REST)
                .bind(self.authority.0)
                .bind(stored(from.revision))
                .bind(wanted(&found))
                .bind(row)
                .fetch_all(&mut *self.view)
                .await?;
            for row in &rows {
                found.push(placed(row)?);
            }
        }
        if found.len() <= room {
            let rows = sqlx::query(sql::ISSUED_PAGE)
                .bind(self.authority.0)
                .bind(stored(from.revision))
                .bind(wanted(&found))
                .fetch_all(&mut *self.view)
                .await?;
            for row in &rows {
                found.push(placed(row)?);
            }
        }
        if found.len() <= room {
            return Ok((statuses(found), None));
        }
        found.truncate(room);
        let place = found.last().map_or(from, |last| Place {
            revision: last.revision,
            row: Some(last.row),
        });
        Ok((statuses(found), Some(place)))
    }
}

fn placed(row: &sqlx::sqlite::SqliteRow) -> Answer<Placed> {
    Ok(Placed {
        revision: number(row, "revision")?,
        row: row.try_get("id")?,
        status: status_row(row)?,
    })
}

fn statuses(placed: Vec<Placed>) -> Vec<StatusRow> {
    placed.into_iter().map(|placed| placed.status).collect()
}

/// To SQLite a negative limit is none.
const NO_LIMIT: i64 = -1;
