//! Reserve, record, resume: serials and to-be-signed octets first, certificates over them.
//!
//! Bulk writes go as rows of one statement, [`CHUNK`] at a time: a statement's fixed cost (a message to
//! the connection's thread and back) is several times that of one row.

use serde_json::json;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wire::time::UnixSeconds;

use super::row::{named, number, partition, serial, stored};
use super::{Act, audit, next_revision};
use crate::registry::{
    Answer, ApplicationState, AuthorityId, By, CertificateId, CertificateKind, Issued, ItemId,
    OcspSigner, RegistryError, Reservation, Reserved, Revision, sql,
};

/// Rows of one bulk statement; 11 columns each stay well below SQLite's 32,766 parameters.
const CHUNK: usize = 200;

pub(super) async fn reserve(
    db: &mut SqliteConnection,
    reservations: &[Reservation],
    by: By<'_>,
) -> Answer<Vec<CertificateId>> {
    if reservations.is_empty() {
        return Ok(Vec::new());
    }
    // Rows are never deleted and this transaction is the only writer: numbers may be given here, and so
    // the order of ids is the order asked (RETURNING promises none).
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM certificate")
        .fetch_one(&mut *db)
        .await?;
    for (chunk, first) in reservations
        .chunks(CHUNK)
        .zip((newest + 1..).step_by(CHUNK))
    {
        take_items(db, chunk).await?;
        insert(db, chunk, first, by.at).await?;
    }
    as_approved(db, newest).await?;
    let ids: Vec<_> = (newest + 1..)
        .map(CertificateId)
        .take(reservations.len())
        .collect();
    let serials: Vec<_> = reservations.iter().map(|r| r.serial.to_string()).collect();
    let act = Act {
        verb: "reserve",
        object: format!(
            "certificates {}..={}",
            newest + 1,
            newest + stored(ids.len() as u64)
        ),
        detail: json!({ "serials": serials }),
        by,
        revision: None,
    };
    audit(db, act).await?;
    Ok(ids)
}

/// `open → reserved` for the items of a chunk; refused unless every one was open and approved.
async fn take_items(db: &mut SqliteConnection, chunk: &[Reservation]) -> Answer<()> {
    let items: Vec<i64> = chunk
        .iter()
        .filter_map(|r| r.item)
        .map(|ItemId(id)| id)
        .collect();
    if items.is_empty() {
        return Ok(());
    }
    let mut update = QueryBuilder::<Sqlite>::new(
        "UPDATE item SET state = 'reserved' WHERE state = 'open' AND submission IN
         (SELECT number FROM submission WHERE state IN ('approved', 'producing')) AND id IN ",
    );
    push_list(&mut update, &items);
    let taken = update.build().execute(&mut *db).await?.rows_affected();
    if taken != items.len() as u64 {
        return Err(RegistryError::ItemTaken);
    }
    let mut producing = QueryBuilder::<Sqlite>::new("UPDATE submission SET state = ");
    producing.push_bind(ApplicationState::Producing.name());
    producing
        .push(" WHERE state = 'approved' AND number IN (SELECT submission FROM item WHERE id IN ");
    push_list(&mut producing, &items);
    producing.push(")");
    producing.build().execute(db).await?;
    Ok(())
}

/// Refuses the lot if one was approved for another authority than the one that would sign it.
async fn as_approved(db: &mut SqliteConnection, newest: i64) -> Answer<()> {
    let other: Option<(String, String)> = sqlx::query_as(sql::OTHER_AUTHORITY)
        .bind(newest)
        .fetch_optional(db)
        .await?;
    match other {
        Some((approved, reserved)) => Err(RegistryError::OtherAuthority { approved, reserved }),
        None => Ok(()),
    }
}

async fn insert(
    db: &mut SqliteConnection,
    chunk: &[Reservation],
    first: i64,
    at: UnixSeconds,
) -> Answer<()> {
    let mut certificates = QueryBuilder::<Sqlite>::new(
        "INSERT INTO certificate (id, authority, serial, kind, state, subject, item, not_before,
         not_after, key_file, reserved_at, crl_partition)
         SELECT v.column1, v.column2, v.column3, v.column4, 'reserved',
         (SELECT subject FROM item WHERE item.id = v.column5), v.column5, v.column6, v.column7, v.column8,
         v.column9, v.column10 FROM (",
    );
    certificates.push_values((first..).zip(chunk), |mut row, (id, new)| {
        row.push_bind(id)
            .push_bind(new.authority.0)
            .push_bind(new.serial.content().to_vec())
            .push_bind(new.kind.name())
            .push_bind(new.item.map(|ItemId(item)| item))
            .push_bind(stored(new.not_before))
            .push_bind(stored(new.not_after))
            .push_bind(new.key_file.clone())
            .push_bind(stored(at))
            .push_bind(new.crl_partition.map(i64::from));
    });
    certificates.push(") AS v");
    certificates
        .build()
        .execute(&mut *db)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => {
                RegistryError::SerialUsed
            }
            sqlx::Error::Database(cause) if cause.is_check_violation() => RegistryError::NoItem,
            _ => error.into(),
        })?;

    let mut octets =
        QueryBuilder::<Sqlite>::new("INSERT INTO certificate_octets (certificate, tbs) ");
    octets.push_values((first..).zip(chunk), |mut row, (id, new)| {
        row.push_bind(id).push_bind(new.tbs.clone());
    });
    octets.build().execute(db).await?;
    Ok(())
}

pub(super) async fn record_issued(
    db: &mut SqliteConnection,
    issued: &[Issued],
    by: By<'_>,
) -> Answer<Revision> {
    // OCSP signers are our own tools: no relying party asks for their status, so they take no revision
    // and cause no delta.
    let mut revision = None;
    for chunk in issued.chunks(CHUNK) {
        let ids: Vec<i64> = chunk.iter().map(|i| i.id.0).collect();
        if revision.is_none() && holds_subjects(db, &ids).await? {
            revision = Some(next_revision(db).await?);
        }
        store_octets(db, chunk).await?;
        mark_issued(db, &ids, revision.unwrap_or(0), by.at).await?;
        deliver(db, &ids).await?;
    }
    let numbers: Vec<i64> = issued.iter().map(|i| i.id.0).collect();
    let act = Act {
        verb: "issue",
        object: format!("{} certificates", issued.len()),
        detail: json!({ "certificates": numbers }),
        by,
        revision,
    };
    audit(db, act).await?;
    match revision {
        Some(revision) => Ok(revision),
        None => Ok(super::loaded(
            sqlx::query_scalar(sql::REVISION).fetch_one(db).await?,
        )),
    }
}

async fn holds_subjects(db: &mut SqliteConnection, ids: &[i64]) -> Answer<bool> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT count(*) FROM certificate WHERE kind <> 'ocsp-signer' AND id IN ",
    );
    push_list(&mut query, ids);
    let count: i64 = query.build_query_scalar().fetch_one(db).await?;
    Ok(count > 0)
}

async fn store_octets(db: &mut SqliteConnection, chunk: &[Issued]) -> Answer<()> {
    let mut update = QueryBuilder::<Sqlite>::new(
        "UPDATE certificate_octets SET tbs = NULL, der = v.column2 FROM (",
    );
    update.push_values(chunk, |mut row, issued| {
        row.push_bind(issued.id.0)
            .push_bind(issued.certificate.clone());
    });
    update.push(") AS v WHERE certificate = v.column1 AND der IS NULL");
    exactly(
        update.build().execute(db).await?.rows_affected(),
        chunk.len(),
    )
}

async fn mark_issued(
    db: &mut SqliteConnection,
    ids: &[i64],
    revision: Revision,
    at: UnixSeconds,
) -> Answer<()> {
    let mut update =
        QueryBuilder::<Sqlite>::new("UPDATE certificate SET state = 'issued', issued_at = ");
    update
        .push_bind(stored(at))
        .push(", revision = ")
        .push_bind(stored(revision));
    update.push(" WHERE state = 'reserved' AND id IN ");
    push_list(&mut update, ids);
    exactly(update.build().execute(db).await?.rows_affected(), ids.len())
}

/// Items of the certificates are issued; a submission whose last item that was is delivered.
async fn deliver(db: &mut SqliteConnection, ids: &[i64]) -> Answer<()> {
    let mut items = QueryBuilder::<Sqlite>::new(
        "UPDATE item SET state = 'issued' WHERE state = 'reserved' AND id IN
         (SELECT item FROM certificate WHERE item IS NOT NULL AND id IN ",
    );
    push_list(&mut items, ids);
    items.push(")");
    if items.build().execute(&mut *db).await?.rows_affected() == 0 {
        return Ok(());
    }
    let mut submissions = QueryBuilder::<Sqlite>::new(
        "UPDATE submission SET issued = issued + n,
         state = CASE WHEN issued + n >= accepted THEN 'delivered' ELSE state END
         FROM (SELECT i.submission AS s, count(*) AS n FROM item i JOIN certificate c ON c.item = i.id
         WHERE c.id IN ",
    );
    push_list(&mut submissions, ids);
    submissions.push(" GROUP BY i.submission) WHERE number = s");
    submissions.build().execute(db).await?;
    Ok(())
}

/// A lot of which some were not reserved is refused whole.
fn exactly(changed: u64, wanted: usize) -> Answer<()> {
    if changed == wanted as u64 {
        return Ok(());
    }
    Err(RegistryError::WrongCertificateState {
        serial: format!("(one of {wanted})"),
        state: "not reserved".to_owned(),
        wanted: "reserved",
    })
}

fn push_list(query: &mut QueryBuilder<Sqlite>, ids: &[i64]) {
    query.push("(");
    let mut list = query.separated(", ");
    for &id in ids {
        list.push_bind(id);
    }
    query.push(")");
}

pub(super) async fn unfinished(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<Vec<Reserved>> {
    let rows = sqlx::query(sql::UNFINISHED)
        .bind(authority.0)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let reservation = Reservation {
                authority: AuthorityId(row.try_get("authority")?),
                serial: serial(row)?,
                item: row.try_get::<Option<i64>, _>("item")?.map(ItemId),
                kind: named(row, "kind", CertificateKind::from_name)?,
                tbs: row.try_get("tbs")?,
                not_before: number(row, "not_before")?,
                not_after: number(row, "not_after")?,
                key_file: row.try_get("key_file")?,
                crl_partition: partition(row)?,
            };
            let reserved_at = number(row, "reserved_at")?;
            Ok(Reserved {
                id: CertificateId(row.try_get("id")?),
                reservation,
                reserved_at,
            })
        })
        .collect()
}

pub(super) async fn ocsp_signers(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    now: UnixSeconds,
) -> Answer<Vec<OcspSigner>> {
    let rows = sqlx::query(sql::OCSP_SIGNERS)
        .bind(authority.0)
        .bind(stored(now))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OcspSigner {
                id: CertificateId(row.try_get("id")?),
                certificate: row.try_get("der")?,
                key_file: row
                    .try_get::<Option<String>, _>("key_file")?
                    .unwrap_or_default(),
                not_before: number(row, "not_before")?,
                not_after: number(row, "not_after")?,
            })
        })
        .collect()
}
