//! The registry: what the back office remembers, behind one trait.
//!
//! [`Store`] is the only way to the database. Each method that changes something takes [`By`] (who, when)
//! and does its work, its audit entry and, where a status changes, the next [`Revision`] in **one
//! transaction**: a crash leaves all of it or nothing.
//!
//! | room | holds |
//! |---|---|
//! | [`authority`] | roots, issuing authorities, their keys' names |
//! | [`submission`] | submitted forms and their items, from `drafted` to `archived` |
//! | [`certificate`] | certificates from `reserved` to `expired`, revocations, status rows |
//! | [`changes`] | what changed since, a piece at a time |
//! | [`listing`] | what stands on a list: a million entries in one view |
//! | [`serving`] | CRL numbers and CRLs, batch numbers, adopted foreign issuers |
//! | [`audit`] | who did what when |
//! | [`sqlite`] | the embedded implementation; portable SQL in one place |
//! | [`blocking`] | the same store for ordinary threads |
//!
//! Next door: [`crate::ra`] decides what may enter, [`crate::ca`] signs what was reserved here.

pub mod audit;
pub mod authority;
pub mod blocking;
pub mod certificate;
pub mod changes;
pub mod error;
pub mod listing;
pub mod serving;
mod sql;
pub mod sqlite;
pub mod submission;

use std::future::Future;

use wire::serial::Serial;
use wire::time::UnixSeconds;

pub use audit::{AuditEntry, By};
pub use authority::{Authority, AuthorityId, IssuerId, NewAuthority};
pub use blocking::Blocking;
pub use certificate::{
    Certificate, CertificateFilter, CertificateId, CertificateKind, CertificateState, Issued,
    LiveStatus, LiveStatuses, OcspSigner, Reservation, Reserved, Revocation, StatusRow, Statuses,
};
pub use changes::{Changes, Place, Rest, Told};
pub use error::RegistryError;
pub use listing::{DeltaSince, ListQuery, Listed, Listing, Part};
pub use serving::{
    Adoption, BatchKind, BatchRecord, Crl, CrlNote, Cut, Foreign, ListForm, ListScope,
};
pub use sqlite::SqliteStore;
pub use submission::{
    ApplicationState, Business, Item, ItemId, ItemOutcome, ItemState, NewItem, NewSubmission,
    RefusedRow, SubjectKind, Submission, SubmissionNumber, Submitted, TurnAway, TurnedAway,
};

/// Number of a change of status; it only rises, over all authorities of one registry. 0: nothing yet.
pub type Revision = u64;

/// What every method answers.
pub type Answer<T> = Result<T, RegistryError>;

/// The registry as the rest of the signer sees it.
///
/// Written for `S: Store`, never `dyn`: each backend keeps its own bulk paths.
pub trait Store: Send + Sync + 'static {
    /// The newest revision. Cheap enough to ask ten times a second.
    fn revision(&self) -> impl Future<Output = Answer<Revision>> + Send;

    /// Brings what was committed to its final place in the file, where a backend keeps a log before it. The thousand scattered
    /// pages of that take as long as ten revocations: whoever commits must not pay for it, so somebody else asks for it often.
    fn fold(&self) -> impl Future<Output = Answer<()>> + Send;

    /// A small fact about this registry (`public_url`, `founded_at`, …).
    fn setting(&self, name: &str) -> impl Future<Output = Answer<Option<String>>> + Send;

    /// Records or replaces such a fact.
    fn set_setting(
        &self,
        name: &str,
        value: &str,
        by: By<'_>,
    ) -> impl Future<Output = Answer<()>> + Send;

    // ---- authorities -------------------------------------------------------------------------

    /// Records a founded authority. Its alias and issuer id must be new.
    fn add_authority(
        &self,
        authority: &NewAuthority,
        by: By<'_>,
    ) -> impl Future<Output = Answer<AuthorityId>> + Send;

    /// All authorities, parents before children.
    fn authorities(&self) -> impl Future<Output = Answer<Vec<Authority>>> + Send;

    /// The authority of that alias (`p256`, `sm2`, `p256-root`, …).
    fn authority(&self, alias: &str) -> impl Future<Output = Answer<Option<Authority>>> + Send;

    // ---- submissions -------------------------------------------------------------------------

    /// The submission that already holds a schedule of these octets (BLAKE3), if one does.
    fn submission_of_file(
        &self,
        blake3: &[u8; 32],
    ) -> impl Future<Output = Answer<Option<SubmissionNumber>>> + Send;

    /// Records a submission with all its accepted items and refused rows.
    ///
    /// Whether a subject already holds a certificate of the kind (一人一证) is judged here, inside the
    /// transaction, so that two clerks cannot both be told yes. Refused if the same file was submitted.
    fn submit(
        &self,
        submission: &NewSubmission,
        by: By<'_>,
    ) -> impl Future<Output = Answer<Submitted>> + Send;

    /// What [`Self::submit`] would answer now; nothing is kept.
    fn preview(
        &self,
        submission: &NewSubmission,
        by: By<'_>,
    ) -> impl Future<Output = Answer<Submitted>> + Send;

    /// One submission.
    fn submission(
        &self,
        number: SubmissionNumber,
    ) -> impl Future<Output = Answer<Option<Submission>>> + Send;

    /// All submissions, oldest first.
    fn submissions(&self) -> impl Future<Output = Answer<Vec<Submission>>> + Send;

    /// The accepted items of a submission, in the order of the form.
    fn items(&self, number: SubmissionNumber) -> impl Future<Output = Answer<Vec<Item>>> + Send;

    /// The refused rows of a submission, in the order of the form.
    fn refusals(
        &self,
        number: SubmissionNumber,
    ) -> impl Future<Output = Answer<Vec<RefusedRow>>> + Send;

    /// `checked → approved`, by somebody other than the clerk. Only [`crate::ra::approval`] should call this.
    fn approve(
        &self,
        number: SubmissionNumber,
        by: By<'_>,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Any other step of an application's life; refused unless it follows from the present state.
    fn advance(
        &self,
        number: SubmissionNumber,
        to: ApplicationState,
        by: By<'_>,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Refuses, returns or withdraws an application: its items without a certificate are dropped, their
    /// subjects may be submitted again, and so may the file if there was no certificate at all.
    fn turn_away(
        &self,
        number: SubmissionNumber,
        how: TurnAway,
        why: &str,
        by: By<'_>,
    ) -> impl Future<Output = Answer<TurnedAway>> + Send;

    // ---- certificates ------------------------------------------------------------------------

    /// Stores serials and to-be-signed octets before anything is signed: all in one transaction, durable
    /// when this returns. Ids come back in the order given. A serial used before is refused, with the lot.
    fn reserve(
        &self,
        reservations: &[Reservation],
        by: By<'_>,
    ) -> impl Future<Output = Answer<Vec<CertificateId>>> + Send;

    /// Stores signed certificates over their reservations (tbs dropped): one transaction, one revision.
    fn record_issued(
        &self,
        issued: &[Issued],
        by: By<'_>,
    ) -> impl Future<Output = Answer<Revision>> + Send;

    /// What is reserved but not issued: what a crash left to be finished.
    fn unfinished(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<Vec<Reserved>>> + Send;

    /// Hands out every certificate of an authority that has a status (all but the reserved), or only those
    /// whose status changed after `since`, in no order. One consistent view; the answer is the revision it
    /// shows.
    fn each_status(
        &self,
        authority: AuthorityId,
        since: Option<Revision>,
        each: impl FnMut(StatusRow) + Send,
    ) -> impl Future<Output = Answer<Revision>> + Send;

    /// The same, collected.
    fn statuses(
        &self,
        authority: AuthorityId,
        since: Option<Revision>,
    ) -> impl Future<Output = Answer<Statuses>> + Send {
        async move {
            let mut rows = Vec::new();
            let revision = self
                .each_status(authority, since, |row| rows.push(row))
                .await?;
            Ok(Statuses { revision, rows })
        }
    }

    /// A piece of what changed after `told`, `most` certificates or little more, in one view: what was revoked, held or
    /// released first, then what was issued.
    fn changes(
        &self,
        authority: AuthorityId,
        told: Told,
        most: u32,
    ) -> impl Future<Output = Answer<Changes>> + Send;

    /// The first revision after `since` at which a certificate of the authority was revoked, held or released.
    fn next_turn(
        &self,
        authority: AuthorityId,
        since: Revision,
    ) -> impl Future<Output = Answer<Option<Revision>>> + Send;

    /// What stands on a list, in one view: a million entries in well under a second.
    fn listing(&self, query: &ListQuery) -> impl Future<Output = Answer<Listing>> + Send;

    /// Of each scope in which a revoked or released certificate changed after `since`: the newest such change. The whole
    /// is not among them. Cheap enough for every pass.
    fn list_changes(
        &self,
        authority: AuthorityId,
        since: Revision,
    ) -> impl Future<Output = Answer<Vec<(Option<u32>, Revision)>>> + Send;

    /// The partitions that certificates name which had not expired at `at`; `None` stands for the list of all.
    fn named_lists(
        &self,
        authority: AuthorityId,
        at: UnixSeconds,
    ) -> impl Future<Output = Answer<Vec<Option<u32>>>> + Send;

    /// The statuses of an authority that took no revision: of its own OCSP signers, which no relying party asks about.
    fn unrevised(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<Vec<StatusRow>>> + Send;

    /// The newest revision, and that at which a certificate of this authority last changed. Asked for each live answer that
    /// might be kept.
    fn live_revision(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<(Revision, Revision)>> + Send;

    /// What is known of some certificates, reserved ones too, in one consistent view.
    fn live_statuses(
        &self,
        authority: AuthorityId,
        serials: &[Serial],
    ) -> impl Future<Output = Answer<LiveStatuses>> + Send;

    /// One certificate by serial.
    fn certificate(
        &self,
        authority: AuthorityId,
        serial: &Serial,
    ) -> impl Future<Output = Answer<Option<Certificate>>> + Send;

    /// Certificates that match every part of the filter that is set, oldest first.
    fn certificates(
        &self,
        filter: &CertificateFilter,
    ) -> impl Future<Output = Answer<Vec<Certificate>>> + Send;

    /// Revokes, once and for good: [`RegistryError::AlreadyRevoked`] tells when it was before, unless it was only on hold
    /// (reason certificateHold) and is revoked for another reason now. An invalidity date lies between notBefore and the
    /// revocation.
    fn revoke(
        &self,
        revocation: &Revocation,
        by: By<'_>,
    ) -> impl Future<Output = Answer<Revision>> + Send;

    /// Ends a hold: the certificate is good again.
    fn release(
        &self,
        id: CertificateId,
        by: By<'_>,
    ) -> impl Future<Output = Answer<Revision>> + Send;

    /// Marks what is past notAfter as expired, and unmarks what a clock that was ahead took for it. No revision: the status
    /// on the wire stays what it was.
    fn expire(&self, by: By<'_>) -> impl Future<Output = Answer<u64>> + Send;

    /// Issued OCSP signer certificates of an authority that are valid after `now`, by notBefore.
    fn ocsp_signers(
        &self,
        authority: AuthorityId,
        now: UnixSeconds,
    ) -> impl Future<Output = Answer<Vec<OcspSigner>>> + Send;

    /// Whether an OCSP signer certificate of an authority was revoked after that revision.
    fn ocsp_signer_revoked(
        &self,
        authority: AuthorityId,
        since: Revision,
    ) -> impl Future<Output = Answer<bool>> + Send;

    // ---- what is published -------------------------------------------------------------------

    /// Takes the next CRL number of an authority; never the same one twice, used or not.
    fn next_crl_number(&self, authority: AuthorityId) -> impl Future<Output = Answer<u64>> + Send;

    /// Keeps a signed CRL, and of those before it the last few: what was signed stands in the audit trail.
    fn record_crl(&self, crl: &Crl, by: By<'_>) -> impl Future<Output = Answer<()>> + Send;

    /// What the kept lists of an authority say of themselves, oldest first: of each scope and form the last few.
    fn crl_notes(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<Vec<CrlNote>>> + Send;

    /// The document of which that is the note, if it is still kept.
    fn crl(&self, note: &CrlNote) -> impl Future<Output = Answer<Option<Crl>>> + Send;

    /// The full list of all certificates with the highest number.
    fn latest_crl(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<Option<Crl>>> + Send;

    /// What that CRL says of itself, without the document.
    fn latest_crl_note(
        &self,
        authority: AuthorityId,
    ) -> impl Future<Output = Answer<Option<CrlNote>>> + Send;

    /// Takes the next batch number of an issuer (own or foreign); rises, never reused.
    fn next_batch_number(&self, issuer: &IssuerId) -> impl Future<Output = Answer<u64>> + Send;

    /// Remembers what a written batch covers. Outside the audit trail, as all periodic re-signing.
    fn record_batch(&self, batch: &BatchRecord) -> impl Future<Output = Answer<()>> + Send;

    /// The newest batch of a kind; for shard batches of that shard.
    fn latest_batch(
        &self,
        issuer: &IssuerId,
        kind: BatchKind,
        shard: u32,
    ) -> impl Future<Output = Answer<Option<BatchRecord>>> + Send;

    /// The newest batch of kind shard of each shard that has one, by shard.
    fn latest_shards(
        &self,
        issuer: &IssuerId,
    ) -> impl Future<Output = Answer<Vec<BatchRecord>>> + Send;

    /// Divides an authority's records into so many shards from now on.
    fn set_shards(
        &self,
        authority: AuthorityId,
        shards: u32,
        by: By<'_>,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Records that another authority's CRL was verified and adopted. One revision.
    fn adopt(
        &self,
        adoption: &Adoption,
        by: By<'_>,
    ) -> impl Future<Output = Answer<Revision>> + Send;

    /// What is adopted now, the newest of each issuer.
    fn foreign(&self) -> impl Future<Output = Answer<Vec<Foreign>>> + Send;

    /// Audit entries after that number, oldest first, at most `limit`.
    fn audit(&self, after: u64, limit: u32)
    -> impl Future<Output = Answer<Vec<AuditEntry>>> + Send;
}
