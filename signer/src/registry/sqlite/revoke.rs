//! Revocation, once and for good; holds and their release; expiry, which changes no status on the wire.

use serde_json::json;
use sqlx::SqliteConnection;

use super::row::stored;
use super::{Act, audit, next_revision, status};
use crate::registry::certificate::RevokedMark;
use crate::registry::{
    Answer, By, CertificateId, CertificateState, RegistryError, Revision, Revocation, sql,
};
use wire::status::RevocationReason;

pub(super) async fn revoke(
    db: &mut SqliteConnection,
    order: &Revocation,
    by: By<'_>,
) -> Answer<Revision> {
    let found = status::by_id(&mut *db, order.id)
        .await?
        .ok_or(RegistryError::NoCertificate)?;
    // A hold is no revocation for good (RFC 5280 §5.3.1): it may end in one.
    let was_on_hold = |before: &RevokedMark| {
        before.reason == RevocationReason::CertificateHold
            && order.reason != RevocationReason::CertificateHold
    };
    if let Some(before) = found.revoked.filter(|before| !was_on_hold(before)) {
        return Err(RegistryError::AlreadyRevoked {
            serial: found.serial.to_string(),
            at: before.at,
            ground: before.ground,
        });
    }
    if found.state == CertificateState::Reserved {
        return Err(RegistryError::WrongCertificateState {
            serial: found.serial.to_string(),
            state: found.state.name().to_owned(),
            wanted: "issued",
        });
    }
    // It goes into the CRL as it is, and verifiers judge signatures of before by it.
    if let Some(at) = order.invalidity_date
        && !(found.not_before..=order.at).contains(&at)
    {
        return Err(RegistryError::InvalidityDate {
            serial: found.serial.to_string(),
            at,
            not_before: found.not_before,
        });
    }
    let revision = next_revision(&mut *db).await?;
    let reason = i64::from(order.reason.code());
    sqlx::query(sql::REVOKE)
        .bind(order.id.0)
        .bind(stored(order.at))
        .bind(reason)
        .bind(order.invalidity_date.map(stored))
        .bind(stored(revision))
        .execute(&mut *db)
        .await?;
    sqlx::query(sql::ADD_REVOCATION)
        .bind(order.id.0)
        .bind(reason)
        .bind(&order.ground)
        .bind(stored(order.at))
        .bind(order.invalidity_date.map(stored))
        .bind(by.who)
        .bind(stored(revision))
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "revoke",
        object: format!("certificate {}/{}", found.alias, found.serial),
        detail: json!({ "ground": order.ground, "reason": order.reason.name(), "at": order.at,
            "invalidity_date": order.invalidity_date }),
        by,
        revision: Some(revision),
    };
    audit(db, act).await?;
    Ok(revision)
}

/// Out of a hold, and out of nothing else.
pub(super) async fn release(
    db: &mut SqliteConnection,
    id: CertificateId,
    by: By<'_>,
) -> Answer<Revision> {
    let found = status::by_id(&mut *db, id)
        .await?
        .ok_or(RegistryError::NoCertificate)?;
    let on_hold = |mark: &RevokedMark| mark.reason == RevocationReason::CertificateHold;
    if !found.revoked.as_ref().is_some_and(on_hold) {
        return Err(RegistryError::WrongCertificateState {
            serial: found.serial.to_string(),
            state: found.state.name().to_owned(),
            wanted: "held",
        });
    }
    let revision = next_revision(&mut *db).await?;
    sqlx::query(sql::RELEASE)
        .bind(id.0)
        .bind(stored(by.at))
        .bind(stored(revision))
        .execute(&mut *db)
        .await?;
    let act = Act {
        verb: "release",
        object: format!("certificate {}/{}", found.alias, found.serial),
        detail: json!({ "at": by.at }),
        by,
        revision: Some(revision),
    };
    audit(db, act).await?;
    Ok(revision)
}

pub(super) async fn expire(db: &mut SqliteConnection, by: By<'_>) -> Answer<u64> {
    let expired = sqlx::query(sql::EXPIRE)
        .bind(stored(by.at))
        .execute(&mut *db)
        .await?
        .rows_affected();
    if expired > 0 {
        let act = Act {
            verb: "expire",
            object: format!("{expired} certificates"),
            detail: json!({ "not_after_before": by.at }),
            by,
            revision: None,
        };
        audit(&mut *db, act).await?;
    }
    let restored = sqlx::query(sql::UNEXPIRE)
        .bind(stored(by.at))
        .execute(&mut *db)
        .await?
        .rows_affected();
    if restored > 0 {
        let act = Act {
            verb: "unexpire",
            object: format!("{restored} certificates"),
            detail: json!({ "not_after_from": by.at }),
            by,
            revision: None,
        };
        audit(db, act).await?;
    }
    Ok(expired)
}
