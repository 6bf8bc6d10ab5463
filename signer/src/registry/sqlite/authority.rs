//! Authorities, settings and the audit trail's reader.

use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::row::{array, loaded, number, number_or_none, stored, unreadable};
use super::{Act, audit};
use crate::registry::{
    Answer, AuditEntry, Authority, AuthorityId, By, NewAuthority, RegistryError, sql,
};

pub(super) async fn set_setting(
    db: &mut SqliteConnection,
    name: &str,
    value: &str,
    by: By<'_>,
) -> Answer<()> {
    sqlx::query(sql::SET_SETTING)
        .bind(name)
        .bind(value)
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "set",
        object: format!("setting {name}"),
        detail: json!({ "value": value }),
        by,
        revision: None,
    };
    audit(db, act).await
}

pub(super) async fn add(
    db: &mut SqliteConnection,
    new: &NewAuthority,
    by: By<'_>,
) -> Answer<AuthorityId> {
    let id: i64 = sqlx::query_scalar(sql::ADD_AUTHORITY)
        .bind(&new.alias)
        .bind(&new.parent)
        .bind(i64::from(new.algorithm))
        .bind(&new.certificate)
        .bind(&new.key_file)
        .bind(new.issuer_id.as_slice())
        .bind(new.hash_key.as_slice())
        .bind(i64::from(new.shards))
        .bind(&new.public_url)
        .bind(stored(by.at))
        .fetch_one(&mut *db)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => {
                RegistryError::AuthorityExists(new.alias.clone())
            }
            _ => error.into(),
        })?;
    let act = Act {
        verb: "found",
        object: format!("authority {}", new.alias),
        detail: json!({ "parent": new.parent, "algorithm": new.algorithm, "public_url": new.public_url,
            "certificate_blake3": blake3::hash(&new.certificate).to_hex().as_str() }),
        by,
        revision: None,
    };
    audit(db, act).await?;
    Ok(AuthorityId(id))
}

pub(super) async fn all(db: &mut SqliteConnection) -> Answer<Vec<Authority>> {
    sqlx::query(sql::AUTHORITIES)
        .fetch_all(db)
        .await?
        .iter()
        .map(authority)
        .collect()
}

pub(super) async fn one(db: &mut SqliteConnection, alias: &str) -> Answer<Option<Authority>> {
    let row = sqlx::query(sql::AUTHORITY)
        .bind(alias)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(authority).transpose()
}

fn authority(row: &SqliteRow) -> Answer<Authority> {
    let algorithm = number(row, "algorithm")?;
    let shards = number(row, "shards")?;
    Ok(Authority {
        id: AuthorityId(row.try_get("id")?),
        founded: NewAuthority {
            alias: row.try_get("alias")?,
            parent: row.try_get("parent")?,
            algorithm: u8::try_from(algorithm)
                .map_err(|_| unreadable("algorithm", &algorithm.to_string()))?,
            certificate: row.try_get("certificate")?,
            key_file: row.try_get("key_file")?,
            issuer_id: array(row, "issuer_id")?,
            hash_key: array(row, "hash_key")?,
            shards: u32::try_from(shards).map_err(|_| unreadable("shards", &shards.to_string()))?,
            public_url: row.try_get("public_url")?,
        },
        created_at: number(row, "created_at")?,
    })
}

pub(super) async fn audit_entries(
    db: &mut SqliteConnection,
    after: u64,
    limit: u32,
) -> Answer<Vec<AuditEntry>> {
    let rows = sqlx::query(sql::AUDIT)
        .bind(stored(after))
        .bind(i64::from(limit))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(AuditEntry {
                number: loaded(row.try_get("number")?),
                at: number(row, "at")?,
                who: row.try_get("who")?,
                act: row.try_get("act")?,
                object: row.try_get("object")?,
                detail: row.try_get("detail")?,
                revision: number_or_none(row, "revision")?,
            })
        })
        .collect()
}
