//! The registry in one SQLite file, the embedded default.
//!
//! One connection writes (`BEGIN IMMEDIATE`, WAL, `synchronous=FULL`: a committed change survives the loss
//! of power), several read. Every writing method is: begin, work, audit, commit. Another process on the
//! same file (`hufu signer revoke` beside `hufu signer serve`) is waited for.

mod authority;
mod certificate;
mod changes;
mod connections;
mod listing;
mod live;
mod revoke;
mod row;
mod serving;
mod status;
mod submission;
mod submit;
#[cfg(test)]
mod tests;

use sqlx::SqliteConnection;
use wire::serial::Serial;
use wire::time::UnixSeconds;

pub use self::connections::{NUDGE, SqliteStore};
use self::row::{loaded, stored};
use super::{
    Adoption, Answer, ApplicationState, AuditEntry, Authority, AuthorityId, BatchKind, BatchRecord,
    By, Certificate, CertificateFilter, CertificateId, Changes, Crl, CrlNote, Foreign, Issued,
    IssuerId, Item, ListQuery, Listing, LiveStatuses, NewAuthority, NewSubmission, OcspSigner,
    Part, RefusedRow, Reservation, Reserved, Revision, Revocation, StatusRow, Store, Submission,
    SubmissionNumber, Submitted, Told, TurnAway, TurnedAway, sql,
};

/// The next revision, taken in the caller's transaction.
async fn next_revision(db: &mut SqliteConnection) -> Answer<Revision> {
    Ok(loaded(
        sqlx::query_scalar(sql::NEXT_REVISION).fetch_one(db).await?,
    ))
}

/// What an act did, for its audit entry.
struct Act<'a> {
    verb: &'static str,
    object: String,
    detail: serde_json::Value,
    by: By<'a>,
    revision: Option<Revision>,
}

/// Writes the audit entry of an act in the caller's transaction.
async fn audit(db: &mut SqliteConnection, act: Act<'_>) -> Answer<()> {
    sqlx::query(sql::ADD_AUDIT)
        .bind(stored(act.by.at))
        .bind(act.by.who)
        .bind(act.verb)
        .bind(act.object)
        .bind(act.detail.to_string())
        .bind(act.revision.map(stored))
        .execute(db)
        .await?;
    Ok(())
}

/// Each writing method: begin, do the work and its audit entry, commit.
macro_rules! in_one_transaction {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let mut tx = $store.write().await?;
        let answer = $work(&mut tx $(, $argument)*).await?;
        tx.commit().await?;
        Ok(answer)
    }};
}

/// Each reading method: one connection, one statement or one view.
macro_rules! reading {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let mut db = $store.readers.acquire().await?;
        $work(&mut db $(, $argument)*).await
    }};
}

impl Store for SqliteStore {
    async fn revision(&self) -> Answer<Revision> {
        Ok(loaded(
            sqlx::query_scalar(sql::REVISION)
                .fetch_one(&self.readers)
                .await?,
        ))
    }

    async fn fold(&self) -> Answer<()> {
        // Passive: neither waits for those who read and write nor keeps them waiting.
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&self.folder)
            .await?;
        Ok(())
    }

    async fn setting(&self, name: &str) -> Answer<Option<String>> {
        Ok(sqlx::query_scalar(sql::SETTING)
            .bind(name)
            .fetch_optional(&self.readers)
            .await?)
    }

    async fn set_setting(&self, name: &str, value: &str, by: By<'_>) -> Answer<()> {
        in_one_transaction!(self, authority::set_setting, name, value, by)
    }

    async fn add_authority(&self, new: &NewAuthority, by: By<'_>) -> Answer<AuthorityId> {
        in_one_transaction!(self, authority::add, new, by)
    }

    async fn authorities(&self) -> Answer<Vec<Authority>> {
        reading!(self, authority::all)
    }

    async fn authority(&self, alias: &str) -> Answer<Option<Authority>> {
        reading!(self, authority::one, alias)
    }

    async fn submission_of_file(&self, blake3: &[u8; 32]) -> Answer<Option<SubmissionNumber>> {
        reading!(self, submission::of_file, blake3)
    }

    async fn submit(&self, submission: &NewSubmission, by: By<'_>) -> Answer<Submitted> {
        in_one_transaction!(self, submit::submit, submission, by)
    }

    async fn preview(&self, submission: &NewSubmission, by: By<'_>) -> Answer<Submitted> {
        let mut tx = self.write().await?;
        let answer = submit::submit(&mut tx, submission, by).await?;
        tx.rollback().await?;
        Ok(answer)
    }

    async fn submission(&self, number: SubmissionNumber) -> Answer<Option<Submission>> {
        reading!(self, submission::one, number)
    }

    async fn submissions(&self) -> Answer<Vec<Submission>> {
        reading!(self, submission::all)
    }

    async fn items(&self, number: SubmissionNumber) -> Answer<Vec<Item>> {
        reading!(self, submission::items, number)
    }

    async fn refusals(&self, number: SubmissionNumber) -> Answer<Vec<RefusedRow>> {
        reading!(self, submission::refusals, number)
    }

    async fn approve(&self, number: SubmissionNumber, by: By<'_>) -> Answer<()> {
        in_one_transaction!(self, submission::approve, number, by)
    }

    async fn advance(
        &self,
        number: SubmissionNumber,
        to: ApplicationState,
        by: By<'_>,
    ) -> Answer<()> {
        in_one_transaction!(self, submission::advance, number, to, by)
    }

    async fn turn_away(
        &self,
        number: SubmissionNumber,
        how: TurnAway,
        why: &str,
        by: By<'_>,
    ) -> Answer<TurnedAway> {
        in_one_transaction!(self, submission::turn_away, number, how, why, by)
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        by: By<'_>,
    ) -> Answer<Vec<CertificateId>> {
        in_one_transaction!(self, certificate::reserve, reservations, by)
    }

    async fn record_issued(&self, issued: &[Issued], by: By<'_>) -> Answer<Revision> {
        let answer: Answer<Revision> =
            in_one_transaction!(self, certificate::record_issued, issued, by);
        self.nudge();
        answer
    }

    async fn unfinished(&self, authority: AuthorityId) -> Answer<Vec<Reserved>> {
        reading!(self, certificate::unfinished, authority)
    }

    async fn each_status(
        &self,
        authority: AuthorityId,
        since: Option<Revision>,
        each: impl FnMut(StatusRow) + Send,
    ) -> Answer<Revision> {
        let mut view = self.view().await?;
        status::each(&mut view, authority, since, each).await
    }

    async fn changes(&self, authority: AuthorityId, told: Told, most: u32) -> Answer<Changes> {
        let mut view = self.view().await?;
        changes::read(&mut view, authority, told, most).await
    }

    async fn next_turn(&self, authority: AuthorityId, since: Revision) -> Answer<Option<Revision>> {
        reading!(self, changes::next_turn, authority, since)
    }

    async fn listing(&self, query: &ListQuery) -> Answer<Listing> {
        let mut view = self.view().await?;
        let mut beside = match query.full {
            Part::Wanted => self.view_like(&mut view).await?,
            Part::Unwanted => None,
        };
        listing::read(&mut view, beside.as_deref_mut(), query).await
    }

    async fn list_changes(
        &self,
        authority: AuthorityId,
        since: Revision,
    ) -> Answer<Vec<(Option<u32>, Revision)>> {
        reading!(self, listing::changes, authority, since)
    }

    async fn named_lists(
        &self,
        authority: AuthorityId,
        at: UnixSeconds,
    ) -> Answer<Vec<Option<u32>>> {
        reading!(self, listing::named, authority, at)
    }

    async fn unrevised(&self, authority: AuthorityId) -> Answer<Vec<StatusRow>> {
        reading!(self, status::unrevised, authority)
    }

    async fn live_revision(&self, authority: AuthorityId) -> Answer<(Revision, Revision)> {
        reading!(self, live::revision, authority)
    }

    async fn live_statuses(
        &self,
        authority: AuthorityId,
        serials: &[Serial],
    ) -> Answer<LiveStatuses> {
        reading!(self, live::statuses, authority, serials)
    }

    async fn certificate(
        &self,
        authority: AuthorityId,
        serial: &Serial,
    ) -> Answer<Option<Certificate>> {
        reading!(self, status::one, authority, serial)
    }

    async fn certificates(&self, filter: &CertificateFilter) -> Answer<Vec<Certificate>> {
        reading!(self, status::select, filter)
    }

    async fn revoke(&self, revocation: &Revocation, by: By<'_>) -> Answer<Revision> {
        let answer: Answer<Revision> = in_one_transaction!(self, revoke::revoke, revocation, by);
        self.nudge();
        answer
    }

    async fn release(&self, id: CertificateId, by: By<'_>) -> Answer<Revision> {
        let answer: Answer<Revision> = in_one_transaction!(self, revoke::release, id, by);
        self.nudge();
        answer
    }

    async fn expire(&self, by: By<'_>) -> Answer<u64> {
        // Asked every pass and hardly ever due: the one writer is not troubled for nothing.
        let due: i64 = sqlx::query_scalar(sql::EXPIRY_DUE)
            .bind(stored(by.at))
            .fetch_one(&self.readers)
            .await?;
        if due == 0 {
            return Ok(0);
        }
        in_one_transaction!(self, revoke::expire, by)
    }

    async fn ocsp_signers(
        &self,
        authority: AuthorityId,
        now: UnixSeconds,
    ) -> Answer<Vec<OcspSigner>> {
        reading!(self, certificate::ocsp_signers, authority, now)
    }

    async fn ocsp_signer_revoked(&self, authority: AuthorityId, since: Revision) -> Answer<bool> {
        let count: i64 = sqlx::query_scalar(sql::OCSP_SIGNERS_REVOKED)
            .bind(authority.0)
            .bind(stored(since))
            .fetch_one(&self.readers)
            .await?;
        Ok(count > 0)
    }

    async fn next_crl_number(&self, authority: AuthorityId) -> Answer<u64> {
        in_one_transaction!(self, serving::next_crl_number, authority)
    }

    async fn record_crl(&self, crl: &Crl, by: By<'_>) -> Answer<()> {
        in_one_transaction!(self, serving::record_crl, crl, by)
    }

    async fn crl_notes(&self, authority: AuthorityId) -> Answer<Vec<CrlNote>> {
        reading!(self, serving::crl_notes, authority)
    }

    async fn crl(&self, note: &CrlNote) -> Answer<Option<Crl>> {
        reading!(self, serving::crl, note)
    }

    async fn latest_crl(&self, authority: AuthorityId) -> Answer<Option<Crl>> {
        reading!(self, serving::latest_crl, authority)
    }

    async fn latest_crl_note(&self, authority: AuthorityId) -> Answer<Option<CrlNote>> {
        reading!(self, serving::latest_crl_note, authority)
    }

    async fn next_batch_number(&self, issuer: &IssuerId) -> Answer<u64> {
        in_one_transaction!(self, serving::next_batch_number, issuer)
    }

    async fn record_batch(&self, batch: &BatchRecord) -> Answer<()> {
        in_one_transaction!(self, serving::record_batch, batch)
    }

    async fn latest_batch(
        &self,
        issuer: &IssuerId,
        kind: BatchKind,
        shard: u32,
    ) -> Answer<Option<BatchRecord>> {
        reading!(self, serving::latest_batch, issuer, kind, shard)
    }

    async fn latest_shards(&self, issuer: &IssuerId) -> Answer<Vec<BatchRecord>> {
        reading!(self, serving::latest_shards, issuer)
    }

    async fn set_shards(&self, authority: AuthorityId, shards: u32, by: By<'_>) -> Answer<()> {
        in_one_transaction!(self, serving::set_shards, authority, shards, by)
    }

    async fn adopt(&self, adoption: &Adoption, by: By<'_>) -> Answer<Revision> {
        let answer: Answer<Revision> = in_one_transaction!(self, serving::adopt, adoption, by);
        self.nudge();
        answer
    }

    async fn foreign(&self) -> Answer<Vec<Foreign>> {
        reading!(self, serving::foreign)
    }

    async fn audit(&self, after: u64, limit: u32) -> Answer<Vec<AuditEntry>> {
        reading!(self, authority::audit_entries, after, limit)
    }
}
