//! CRL and batch numbers, CRLs, batches, adoptions.

use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::row::{array, loaded, number, number_or_none, stored, unreadable};
use super::{Act, audit, next_revision};
use crate::registry::{
    Adoption, Answer, AuthorityId, BatchKind, BatchRecord, By, Crl, CrlNote, Cut, Foreign,
    IssuerId, ListForm, ListScope, Revision, sql,
};
use crate::text::hex;
use wire::serial::Serial;

/// Lists kept of each authority, scope and form: the newest is served, deltas may change one of the others.
const KEPT_LISTS: i64 = 4;

pub(super) async fn next_crl_number(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<u64> {
    Ok(loaded(
        sqlx::query_scalar(sql::NEXT_CRL_NUMBER)
            .bind(authority.0)
            .fetch_one(db)
            .await?,
    ))
}

pub(super) async fn record_crl(db: &mut SqliteConnection, crl: &Crl, by: By<'_>) -> Answer<()> {
    let (form, base) = match crl.form {
        ListForm::Full => (0_i64, None),
        ListForm::Delta { base } => (1, Some(stored(base))),
    };
    let scope = i64::from(crl.scope.code());
    let add = sqlx::query(sql::ADD_LIST)
        .bind(crl.authority.0)
        .bind(scope)
        .bind(form)
        .bind(stored(crl.number))
        .bind(stored(crl.revision))
        .bind(stored(crl.this_update))
        .bind(stored(crl.next_update))
        .bind(base)
        .bind(crl.cut.map(|cut| stored(cut.time)))
        .bind(crl.cut.map(|cut| stored(cut.revision)))
        .bind(packed(&crl.expired))
        .bind(&crl.der)
        .bind(i64::from(crl.names_deltas))
        .execute(&mut *db);
    // A long list is hashed while the database's own thread writes it down.
    let (added, hash) = tokio::join!(add, async { blake3::hash(&crl.der) });
    added?;
    // A list names every revoked certificate: all that were ever signed would fill the disk.
    sqlx::query(sql::DROP_OLD_LISTS)
        .bind(crl.authority.0)
        .bind(scope)
        .bind(form)
        .bind(KEPT_LISTS)
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "crl",
        object: format!("crl {} of authority {}", crl.number, crl.authority.0),
        detail: json!({ "revision": crl.revision, "partition": crl.scope.code(), "base": base,
            "this_update": crl.this_update, "next_update": crl.next_update,
            "blake3": hash.to_hex().as_str() }),
        by,
        revision: None,
    };
    audit(db, act).await
}

pub(super) async fn crl_notes(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<Vec<CrlNote>> {
    let rows = sqlx::query(sql::LIST_NOTES)
        .bind(authority.0)
        .fetch_all(db)
        .await?;
    rows.iter().map(note).collect()
}

pub(super) async fn crl(db: &mut SqliteConnection, wanted: &CrlNote) -> Answer<Option<Crl>> {
    let row = sqlx::query(sql::LIST)
        .bind(wanted.authority.0)
        .bind(i64::from(wanted.scope.code()))
        .bind(i64::from(wanted.form.is_delta()))
        .bind(stored(wanted.number))
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        Ok(Crl {
            note: note(&row)?,
            expired: unpacked(row.try_get("expired")?)?,
            der: row.try_get("der")?,
        })
    })
    .transpose()
}

pub(super) async fn latest_crl(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<Option<Crl>> {
    match latest_crl_note(&mut *db, authority).await? {
        Some(note) => crl(db, &note).await,
        None => Ok(None),
    }
}

pub(super) async fn latest_crl_note(
    db: &mut SqliteConnection,
    authority: AuthorityId,
) -> Answer<Option<CrlNote>> {
    let row = sqlx::query(sql::LATEST_LIST_NOTE)
        .bind(authority.0)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(note).transpose()
}

fn note(row: &SqliteRow) -> Answer<CrlNote> {
    let scope = number(row, "scope")?;
    let scope = u32::try_from(scope).map_err(|_| unreadable("scope", &scope.to_string()))?;
    let form = match (number(row, "form")?, number_or_none(row, "base")?) {
        (0, None) => ListForm::Full,
        (1, Some(base)) => ListForm::Delta { base },
        (other, _) => return Err(unreadable("form", &other.to_string())),
    };
    let cut = number_or_none(row, "cut_time")?.zip(number_or_none(row, "cut_revision")?);
    Ok(CrlNote {
        authority: AuthorityId(row.try_get("authority")?),
        scope: ListScope::from_code(scope),
        form,
        number: number(row, "number")?,
        revision: number(row, "revision")?,
        this_update: number(row, "this_update")?,
        next_update: number(row, "next_update")?,
        cut: cut.map(|(time, revision)| Cut { time, revision }),
        names_deltas: number(row, "names_deltas")? == 1,
    })
}

/// Serials, each with its length before it.
fn packed(serials: &[Serial]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(serials.len() * TYPICAL_PACKED_OCTETS);
    for serial in serials {
        let content = serial.content();
        octets.push(u8::try_from(content.len()).expect("a serial has at most 32 octets"));
        octets.extend_from_slice(content);
    }
    octets
}

fn unpacked(mut octets: &[u8]) -> Answer<Vec<Serial>> {
    let mut serials = Vec::with_capacity(octets.len() / TYPICAL_PACKED_OCTETS);
    while let Some((&length, rest)) = octets.split_first() {
        let (content, rest) = rest
            .split_at_checked(usize::from(length))
            .ok_or_else(|| unreadable("expired", "a serial is cut off"))?;
        let serial = Serial::from_content(content);
        serials.push(serial.map_err(|_| unreadable("expired", &format!("{content:02x?}")))?);
        octets = rest;
    }
    Ok(serials)
}

/// Sixteen octets and their length.
const TYPICAL_PACKED_OCTETS: usize = 17;

pub(super) async fn next_batch_number(db: &mut SqliteConnection, issuer: &IssuerId) -> Answer<u64> {
    let query = sqlx::query_scalar(sql::NEXT_BATCH_NUMBER).bind(issuer.as_slice());
    Ok(loaded(query.fetch_one(db).await?))
}

pub(super) async fn record_batch(db: &mut SqliteConnection, batch: &BatchRecord) -> Answer<()> {
    sqlx::query(sql::ADD_BATCH)
        .bind(batch.issuer.as_slice())
        .bind(stored(batch.number))
        .bind(batch.kind as i64)
        .bind(i64::from(batch.shard))
        .bind(stored(batch.revision))
        .bind(stored(batch.created_at))
        .bind(stored(batch.next_update))
        .bind(stored(batch.renew_at))
        .bind(stored(batch.records))
        .bind(i64::from(batch.shards))
        .bind(stored(batch.variants))
        .execute(&mut *db)
        .await?;
    // Only the newest of a kind and shard is ever asked for; there may be one a second.
    sqlx::query(sql::DROP_OLD_BATCHES)
        .bind(batch.issuer.as_slice())
        .bind(batch.kind as i64)
        .bind(i64::from(batch.shard))
        .bind(stored(batch.number))
        .execute(db)
        .await?;
    Ok(())
}

/// Into how many shards an authority's records are divided from now on.
pub(super) async fn set_shards(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    shards: u32,
    by: By<'_>,
) -> Answer<()> {
    sqlx::query(sql::SET_SHARDS)
        .bind(authority.0)
        .bind(i64::from(shards))
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "shards",
        object: format!("authority {}", authority.0),
        detail: json!({ "shards": shards }),
        by,
        revision: None,
    };
    audit(db, act).await
}

pub(super) async fn latest_batch(
    db: &mut SqliteConnection,
    issuer: &IssuerId,
    kind: BatchKind,
    shard: u32,
) -> Answer<Option<BatchRecord>> {
    let row = sqlx::query(sql::LATEST_BATCH)
        .bind(issuer.as_slice())
        .bind(kind as i64)
        .bind(i64::from(shard))
        .fetch_optional(db)
        .await?;
    row.map(|row| batch_row(&row, kind)).transpose()
}

pub(super) async fn latest_shards(
    db: &mut SqliteConnection,
    issuer: &IssuerId,
) -> Answer<Vec<BatchRecord>> {
    let query = sqlx::query(sql::LATEST_SHARDS).bind(issuer.as_slice());
    let rows = query.fetch_all(db).await?;
    rows.iter()
        .map(|row| batch_row(row, BatchKind::Shard))
        .collect()
}

fn batch_row(row: &SqliteRow, kind: BatchKind) -> Answer<BatchRecord> {
    let narrow = |name| {
        let value = number(row, name)?;
        u32::try_from(value).map_err(|_| unreadable(name, &value.to_string()))
    };
    Ok(BatchRecord {
        issuer: array(row, "issuer")?,
        number: number(row, "number")?,
        kind,
        shard: narrow("shard")?,
        shards: narrow("shards")?,
        variants: number(row, "variants")?,
        revision: number(row, "revision")?,
        created_at: number(row, "created_at")?,
        next_update: number(row, "next_update")?,
        renew_at: number(row, "renew_at")?,
        records: number(row, "records")?,
    })
}

pub(super) async fn adopt(
    db: &mut SqliteConnection,
    adoption: &Adoption,
    by: By<'_>,
) -> Answer<Revision> {
    let revision = next_revision(&mut *db).await?;
    // The loader's shards of this issuer hang on the key: the first adoption's stays.
    let first: Option<Vec<u8>> = sqlx::query_scalar(sql::FIRST_HASH_KEY)
        .bind(adoption.issuer.as_slice())
        .fetch_optional(&mut *db)
        .await?;
    sqlx::query(sql::ADD_ADOPTION)
        .bind(stored(revision))
        .bind(adoption.issuer.as_slice())
        .bind(&adoption.certificate)
        .bind(first.unwrap_or_else(|| adoption.hash_key.to_vec()))
        .bind(adoption.crl_blake3.as_slice())
        .bind(&adoption.crl_number)
        .bind(stored(adoption.this_update))
        .bind(adoption.next_update.map(stored))
        .bind(adoption.as_of.map(stored))
        .bind(i64::from(adoption.allow_weak))
        .bind(stored(adoption.records))
        .bind(stored(by.at))
        .execute(&mut *db)
        .await?;
    let blake3 = blake3::Hash::from_bytes(adoption.crl_blake3);
    let act = Act {
        verb: "adopt",
        object: format!("issuer {}", hex(&adoption.issuer)),
        detail: json!({ "crl_blake3": blake3.to_hex().as_str(), "this_update": adoption.this_update,
            "next_update": adoption.next_update, "as_of": adoption.as_of,
            "allow_weak": adoption.allow_weak, "records": adoption.records }),
        by,
        revision: Some(revision),
    };
    audit(db, act).await?;
    Ok(revision)
}

pub(super) async fn foreign(db: &mut SqliteConnection) -> Answer<Vec<Foreign>> {
    sqlx::query(sql::FOREIGN)
        .fetch_all(db)
        .await?
        .iter()
        .map(foreign_row)
        .collect()
}

fn foreign_row(row: &SqliteRow) -> Answer<Foreign> {
    let allow_weak = match row.try_get::<i64, _>("allow_weak")? {
        0 => false,
        1 => true,
        other => return Err(unreadable("allow_weak", &other.to_string())),
    };
    Ok(Foreign {
        adoption: Adoption {
            issuer: array(row, "issuer")?,
            certificate: row.try_get("certificate")?,
            hash_key: array(row, "hash_key")?,
            crl_blake3: array(row, "crl_blake3")?,
            crl_number: row.try_get("crl_number")?,
            this_update: number(row, "this_update")?,
            next_update: number_or_none(row, "next_update")?,
            as_of: number_or_none(row, "as_of")?,
            allow_weak,
            records: number(row, "records")?,
        },
        revision: number(row, "revision")?,
        adopted_at: number(row, "adopted_at")?,
    })
}
