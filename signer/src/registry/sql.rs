//! SQL that SQLite and PostgreSQL both understand, in one place. `$n` placeholders; what only one of them
//! can do (bulk writes, pragmas) stands with that backend.

/// The newest revision.
pub(super) const REVISION: &str = "SELECT newest FROM revision WHERE only_row = 1";
/// The next revision.
pub(super) const NEXT_REVISION: &str =
    "UPDATE revision SET newest = newest + 1 WHERE only_row = 1 RETURNING newest";

pub(super) const SETTING: &str = "SELECT value FROM setting WHERE name = $1";
pub(super) const SET_SETTING: &str = "INSERT INTO setting (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

pub(super) const ADD_AUDIT: &str = "INSERT INTO audit (at, who, act, object, detail, revision)
    VALUES ($1, $2, $3, $4, $5, $6)";
pub(super) const AUDIT: &str = "SELECT number, at, who, act, object, detail, revision FROM audit
    WHERE number > $1 ORDER BY number LIMIT $2";

pub(super) const ADD_AUTHORITY: &str =
    "INSERT INTO authority (alias, parent, algorithm, certificate,
    key_file, issuer_id, hash_key, shards, public_url, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
pub(super) const AUTHORITIES: &str = "SELECT id, alias, parent, algorithm, certificate, key_file,
    issuer_id, hash_key, shards, public_url, created_at FROM authority ORDER BY id";
pub(super) const AUTHORITY: &str = "SELECT id, alias, parent, algorithm, certificate, key_file,
    issuer_id, hash_key, shards, public_url, created_at FROM authority WHERE alias = $1";

pub(super) const SUBMISSION_OF_FILE: &str = "SELECT number FROM submission WHERE file_blake3 = $1
    AND state NOT IN ('refused', 'returned', 'withdrawn')";
pub(super) const ADD_SUBMISSION: &str =
    "INSERT INTO submission (file_blake3, application_blake3, kind,
    business, alias, unit_name, unit_code, application, state, clerk, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING number";
pub(super) const SUBMISSION_COUNTS: &str =
    "UPDATE submission SET accepted = $2, refused = $3, state = $4 WHERE number = $1";
pub(super) const SUBMISSION: &str = "SELECT number, kind, business, alias, unit_name, unit_code, state,
    clerk, received_at, officer, approved_at, accepted, refused, issued FROM submission WHERE number = $1";
pub(super) const SUBMISSIONS: &str = "SELECT number, kind, business, alias, unit_name, unit_code, state,
    clerk, received_at, officer, approved_at, accepted, refused, issued FROM submission ORDER BY number";
pub(super) const SET_STATE: &str = "UPDATE submission SET state = $2 WHERE number = $1";
pub(super) const APPROVE: &str =
    "UPDATE submission SET state = 'approved', officer = $2, approved_at = $3 WHERE number = $1";
/// Subjects that an approved form calls otherwise than the forms before: old and new name and number.
pub(super) const RENAMED: &str =
    "SELECT s.id, s.name, s.number, i.name AS new_name, i.number AS new_number
    FROM item i JOIN subject s ON s.id = i.subject
    WHERE i.submission = $1 AND i.state = 'open' AND (s.name <> i.name OR s.number <> i.number)";
pub(super) const RENAME: &str = "UPDATE subject SET name = $2, number = $3 WHERE id = $1";
pub(super) const DROP_ITEMS: &str =
    "UPDATE item SET state = 'dropped' WHERE submission = $1 AND state = 'open'";
pub(super) const ITEMS: &str =
    "SELECT i.id, i.submission, i.line, i.state, i.fields, i.spki, s.kind, i.name
    FROM item i JOIN subject s ON s.id = i.subject WHERE i.submission = $1 ORDER BY i.line";
/// What is left of a submission whose open items were dropped: certificates made, or reserved.
pub(super) const ITEMS_KEPT: &str = "SELECT count(*) FROM item
    WHERE submission = $1 AND state IN ('reserved', 'issued')";
pub(super) const TURN_AWAY: &str =
    "UPDATE submission SET state = $2, accepted = accepted - $3 WHERE number = $1";
pub(super) const REFUSED: &str = "SELECT line, column_chinese, column_english, rule, value
    FROM refused_row WHERE submission = $1 ORDER BY position";

/// Of the certificates after that number, one that was approved for another authority.
pub(super) const OTHER_AUTHORITY: &str = "SELECT s.alias, a.alias FROM certificate c
    JOIN item i ON i.id = c.item JOIN submission s ON s.number = i.submission
    JOIN authority a ON a.id = c.authority WHERE c.id > $1 AND a.alias <> s.alias LIMIT 1";
pub(super) const UNFINISHED: &str =
    "SELECT c.id, c.authority, c.serial, c.item, c.kind, c.not_before,
    c.not_after, c.key_file, c.crl_partition, c.reserved_at, o.tbs FROM certificate c
    JOIN certificate_octets o ON o.certificate = c.id
    WHERE c.authority = $1 AND c.state = 'reserved' ORDER BY c.id";
/// A page of the statuses of later revisions, by (revision, row number): the order of the index, so that no page is sorted.
pub(super) const STATUS_PAGE: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND state <> 'reserved'
    ORDER BY revision, id LIMIT $3";
/// The rest of one revision. A statement of its own: of `(revision, id) > ($2, $3)` SQLite asks the index for the revision
/// only and steps over the rows before `id`, page after page (ten million of one revision took hours).
pub(super) const STATUS_PAGE_REST: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision = $2 AND id > $4 AND state <> 'reserved'
    ORDER BY id LIMIT $3";
/// A page of what was revoked or held after a revision, up to another.
pub(super) const REVOKED_PAGE: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND revision <= $3 AND revoked_at IS NOT NULL
    ORDER BY revision, id LIMIT $4";
/// The same of what was released from hold.
pub(super) const RELEASED_PAGE: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND revision <= $3 AND released_at IS NOT NULL AND revoked_at IS NULL
    ORDER BY revision, id LIMIT $4";
/// The first revision after one that revoked, held or released.
pub(super) const NEXT_TURN: &str = "SELECT min(revision) FROM (
    SELECT min(revision) AS revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND revoked_at IS NOT NULL
    UNION ALL SELECT min(revision) AS revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND released_at IS NOT NULL) AS turned";
/// A page of what was issued and never revoked, held or released since; as `STATUS_PAGE`.
pub(super) const ISSUED_PAGE: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND state <> 'reserved' AND revoked_at IS NULL AND released_at IS NULL
    ORDER BY revision, id LIMIT $3";
/// The rest of one revision; as `STATUS_PAGE_REST`.
pub(super) const ISSUED_PAGE_REST: &str =
    "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision = $2 AND id > $4 AND state <> 'reserved'
    AND revoked_at IS NULL AND released_at IS NULL
    ORDER BY id LIMIT $3";
/// Statuses that took no revision: those of our own OCSP signers, which are few.
pub(super) const UNREVISED: &str = "SELECT id, serial, state, revoked_at, reason, invalidity_date,
    not_before, not_after, revision FROM certificate
    WHERE authority = $1 AND revision = 0 AND state <> 'reserved'";
/// What a delta may say: what is revoked and changed since.
pub(super) const LISTED_SINCE: &str =
    "SELECT serial, revoked_at, reason, invalidity_date, not_after, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND revoked_at IS NOT NULL AND ($3 = 0 OR crl_partition = $3)";
/// What was released from hold since.
pub(super) const RELEASED_SINCE: &str = "SELECT serial, released_at FROM certificate
    WHERE authority = $1 AND revision > $2 AND released_at IS NOT NULL AND revoked_at IS NULL
    AND ($3 = 0 OR crl_partition = $3)";
/// What is revoked and ended in a span of time.
pub(super) const REVOKED_ENDED: &str =
    "SELECT serial, revoked_at, reason, invalidity_date, not_after, revision FROM certificate
    WHERE authority = $1 AND not_after >= $2 AND not_after < $3 AND revoked_at IS NOT NULL
    AND ($4 = 0 OR crl_partition = $4)";
/// What changed on lists since, by partition.
pub(super) const LIST_CHANGES: &str = "SELECT crl_partition, max(revision) AS revision FROM (
    SELECT crl_partition, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND revoked_at IS NOT NULL
    UNION ALL SELECT crl_partition, revision FROM certificate
    WHERE authority = $1 AND revision > $2 AND released_at IS NOT NULL) AS changed GROUP BY crl_partition";
/// The greatest partition below one, and when the last certificate that names it ends; asked step by step, so that each is
/// a look into the index.
pub(super) const NAMED_PARTITION: &str = "SELECT crl_partition, not_after FROM certificate
    WHERE authority = $1 AND kind <> 'ocsp-signer' AND crl_partition < $2
    ORDER BY crl_partition DESC, not_after DESC LIMIT 1";
/// Whether certificates that end after name the list of all.
pub(super) const NAMED_WHOLE: &str = "SELECT count(*) FROM (SELECT 1 FROM certificate
    WHERE authority = $1 AND kind <> 'ocsp-signer' AND crl_partition IS NULL AND not_after >= $2 LIMIT 1) AS one";
/// The newest revision, and that at which a certificate of the authority last changed.
pub(super) const LIVE_REVISION: &str = "SELECT newest,
    coalesce((SELECT max(revision) FROM certificate WHERE authority = $1), 0) AS changed_at
    FROM revision WHERE only_row = 1";
/// The same, and single certificates: an authority, an authority, a list of serials, a limit follow.
pub(super) const LIVE_STATUSES_BEGIN: &str =
    "SELECT r.newest, coalesce((SELECT max(revision) FROM certificate WHERE authority = ";
pub(super) const LIVE_STATUSES_JOIN: &str =
    "), 0) AS changed_at, c.serial, c.state, c.revoked_at, c.reason, c.not_after
    FROM revision r LEFT JOIN certificate c ON c.authority = ";
pub(super) const LIVE_STATUSES_END: &str = ") WHERE r.only_row = 1 LIMIT ";
/// Begins a selection of certificates; conditions are appended.
pub(super) const CERTIFICATES: &str = "SELECT c.id, c.authority, a.alias, c.serial, c.kind, c.state, c.item,
    i.submission, i.name, s.kind AS subject_kind, c.not_before, c.not_after, c.revoked_at, c.reason, c.revision, c.key_file, o.der,
    r.ground, r.officer
    FROM certificate c JOIN authority a ON a.id = c.authority
    LEFT JOIN item i ON i.id = c.item LEFT JOIN subject s ON s.id = c.subject
    LEFT JOIN certificate_octets o ON o.certificate = c.id
    LEFT JOIN revocation r ON r.id = (SELECT max(id) FROM revocation WHERE certificate = c.id)
    WHERE 1 = 1";
pub(super) const ADD_REVOCATION: &str = "INSERT INTO revocation (certificate, reason, ground, at,
    invalidity_date, officer, revision) VALUES ($1, $2, $3, $4, $5, $6, $7)";
/// Out of a hold.
pub(super) const RELEASE: &str = "UPDATE certificate SET state = CASE WHEN not_after < $2 THEN 'expired' ELSE 'issued' END,
    revoked_at = NULL, reason = NULL, invalidity_date = NULL, released_at = $2, revision = $3 WHERE id = $1";
pub(super) const REVOKE: &str =
    "UPDATE certificate SET state = CASE WHEN $3 = 6 THEN 'held' ELSE 'revoked' END, revoked_at = $2, reason = $3,
    invalidity_date = $4, revision = $5 WHERE id = $1";
/// Whether `EXPIRE` or `UNEXPIRE` has work.
pub(super) const EXPIRY_DUE: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM certificate
    WHERE state <> 'expired' AND state <> 'reserved' AND not_after < $1 LIMIT 1) AS due)
    + (SELECT count(*) FROM (SELECT 1 FROM certificate
    WHERE state = 'expired' AND not_after >= $1 LIMIT 1) AS undue)";
/// What a clock that was ahead took for expired. 6: certificateHold.
pub(super) const UNEXPIRE: &str = "UPDATE certificate SET state = CASE
    WHEN revoked_at IS NULL THEN 'issued' WHEN reason = 6 THEN 'held' ELSE 'revoked' END
    WHERE state = 'expired' AND not_after >= $1";
pub(super) const EXPIRE: &str = "UPDATE certificate SET state = 'expired'
    WHERE state <> 'expired' AND state <> 'reserved' AND not_after < $1";
pub(super) const OCSP_SIGNERS: &str = "SELECT c.id, o.der, c.key_file, c.not_before, c.not_after
    FROM certificate c JOIN certificate_octets o ON o.certificate = c.id
    WHERE c.authority = $1 AND c.kind = 'ocsp-signer' AND c.state = 'issued' AND c.not_after > $2
    ORDER BY c.not_before, c.id";
pub(super) const OCSP_SIGNERS_REVOKED: &str = "SELECT count(*) FROM certificate
    WHERE authority = $1 AND kind = 'ocsp-signer' AND revoked_at IS NOT NULL AND revision > $2";

pub(super) const NEXT_CRL_NUMBER: &str =
    "UPDATE authority SET crl_number = crl_number + 1 WHERE id = $1 RETURNING crl_number";
pub(super) const ADD_LIST: &str = "INSERT INTO list (authority, scope, form, number, revision,
    this_update, next_update, base, cut_time, cut_revision, expired, der, names_deltas)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
pub(super) const LIST_NOTES: &str = "SELECT authority, scope, form, number, revision, this_update,
    next_update, base, cut_time, cut_revision, names_deltas FROM list WHERE authority = $1 ORDER BY number, scope, form";
pub(super) const LIST: &str = "SELECT authority, scope, form, number, revision, this_update,
    next_update, base, cut_time, cut_revision, names_deltas, expired, der FROM list
    WHERE authority = $1 AND scope = $2 AND form = $3 AND number = $4";
pub(super) const LATEST_LIST_NOTE: &str =
    "SELECT authority, scope, form, number, revision, this_update,
    next_update, base, cut_time, cut_revision, names_deltas FROM list
    WHERE authority = $1 AND scope = 0 AND form = 0 ORDER BY number DESC LIMIT 1";
pub(super) const DROP_OLD_LISTS: &str =
    "DELETE FROM list WHERE authority = $1 AND scope = $2 AND form = $3
    AND number < (SELECT min(number) FROM (SELECT number FROM list
    WHERE authority = $1 AND scope = $2 AND form = $3 ORDER BY number DESC LIMIT $4) AS kept)";
pub(super) const NEXT_BATCH_NUMBER: &str =
    "INSERT INTO batch_number (issuer, newest) VALUES ($1, 1)
    ON CONFLICT (issuer) DO UPDATE SET newest = batch_number.newest + 1 RETURNING newest";
pub(super) const ADD_BATCH: &str =
    "INSERT INTO batch (issuer, number, kind, shard, revision, created_at,
    next_update, renew_at, records, shards, variants)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
pub(super) const DROP_OLD_BATCHES: &str = "DELETE FROM batch
    WHERE issuer = $1 AND kind = $2 AND shard = $3 AND number < $4";
pub(super) const LATEST_BATCH: &str = "SELECT issuer, number, kind, shard, revision, created_at,
    next_update, renew_at, records, shards, variants FROM batch
    WHERE issuer = $1 AND kind = $2 AND shard = $3 ORDER BY number DESC LIMIT 1";
/// Of each shard of an issuer, its newest batch. 2: kind shard.
pub(super) const LATEST_SHARDS: &str = "SELECT issuer, number, kind, shard, revision, created_at,
    next_update, renew_at, records, shards, variants FROM batch b
    WHERE issuer = $1 AND kind = 2 AND number = (SELECT max(c.number) FROM batch c
        WHERE c.issuer = b.issuer AND c.kind = 2 AND c.shard = b.shard)
    ORDER BY shard";
pub(super) const SET_SHARDS: &str = "UPDATE authority SET shards = $2 WHERE id = $1";
pub(super) const FIRST_HASH_KEY: &str =
    "SELECT hash_key FROM adoption WHERE issuer = $1 ORDER BY revision LIMIT 1";
pub(super) const ADD_ADOPTION: &str =
    "INSERT INTO adoption (revision, issuer, certificate, hash_key,
    crl_blake3, crl_number, this_update, next_update, as_of, allow_weak, records, adopted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub(super) const FOREIGN: &str = "SELECT a.revision, a.issuer, a.certificate, a.hash_key, a.crl_blake3,
    a.crl_number, a.this_update, a.next_update, a.as_of, a.allow_weak, a.records, a.adopted_at
    FROM adoption a WHERE a.revision = (SELECT max(b.revision) FROM adoption b WHERE b.issuer = a.issuer)
    ORDER BY a.revision";
