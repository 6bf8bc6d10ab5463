-- The registry, first edition. Times are Unix seconds, codes and names are those of the Rust enums
-- ("stored state: add, never change"). A released migration is never edited; a change is a new file.

-- One row: the newest revision. Only rises; taken inside the transaction that changes a status.
CREATE TABLE revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    newest   INTEGER NOT NULL CHECK (newest >= 0)
);
INSERT INTO revision (only_row, newest) VALUES (1, 0);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE authority (
    id          INTEGER PRIMARY KEY,
    alias       TEXT    NOT NULL UNIQUE,
    parent      TEXT,
    algorithm   INTEGER NOT NULL,
    certificate BLOB    NOT NULL,
    key_file    TEXT    NOT NULL,
    issuer_id   BLOB    NOT NULL UNIQUE CHECK (length(issuer_id) = 16),
    hash_key    BLOB    NOT NULL CHECK (length(hash_key) = 16),
    shards      INTEGER NOT NULL CHECK (shards > 0),
    public_url  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    crl_number  INTEGER NOT NULL DEFAULT 0
);

-- Exists once, whoever submits it. Name and number are those of the form approved last.
CREATE TABLE subject (
    id          INTEGER PRIMARY KEY,
    subject_key TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    number      TEXT NOT NULL
);
CREATE INDEX subject_by_name   ON subject (name);
CREATE INDEX subject_by_number ON subject (number);

CREATE TABLE submission (
    number             INTEGER PRIMARY KEY AUTOINCREMENT,
    file_blake3        BLOB    NOT NULL CHECK (length(file_blake3) = 32),
    application_blake3 BLOB    NOT NULL CHECK (length(application_blake3) = 32),
    kind               TEXT    NOT NULL,
    business           TEXT    NOT NULL,
    alias              TEXT    NOT NULL REFERENCES authority (alias),
    unit_name          TEXT    NOT NULL,
    unit_code          TEXT    NOT NULL,
    application        TEXT    NOT NULL,
    state              TEXT    NOT NULL,
    clerk              TEXT    NOT NULL,
    received_at        INTEGER NOT NULL,
    officer            TEXT,
    approved_at        INTEGER,
    accepted           INTEGER NOT NULL DEFAULT 0,
    refused            INTEGER NOT NULL DEFAULT 0,
    issued             INTEGER NOT NULL DEFAULT 0,
    CHECK (officer IS NULL OR officer <> clerk)
);
-- The same file twice is refused, unless the first came to nothing.
CREATE UNIQUE INDEX submission_by_file ON submission (file_blake3)
    WHERE state NOT IN ('refused', 'returned', 'withdrawn');

CREATE TABLE item (
    id         INTEGER PRIMARY KEY,
    submission INTEGER NOT NULL REFERENCES submission (number),
    line       INTEGER NOT NULL,
    subject    INTEGER NOT NULL REFERENCES subject (id),
    state      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    number     TEXT    NOT NULL,
    fields     TEXT    NOT NULL,
    spki       BLOB,
    key_blake3 BLOB    CHECK (length(key_blake3) = 32),
    UNIQUE (submission, line),
    CHECK ((spki IS NULL) = (key_blake3 IS NULL))
);
-- A key belongs to one subject; what was dropped never had a certificate.
CREATE INDEX item_by_key  ON item (key_blake3) WHERE key_blake3 IS NOT NULL AND state <> 'dropped';
CREATE INDEX item_waiting ON item (subject) WHERE state IN ('open', 'reserved');

CREATE TABLE refused_row (
    submission     INTEGER NOT NULL REFERENCES submission (number),
    position       INTEGER NOT NULL,
    line           INTEGER NOT NULL,
    column_chinese TEXT    NOT NULL,
    column_english TEXT    NOT NULL,
    rule           TEXT    NOT NULL,
    value          TEXT    NOT NULL,
    PRIMARY KEY (submission, position)
) WITHOUT ROWID;

CREATE TABLE certificate (
    id              INTEGER PRIMARY KEY,
    authority       INTEGER NOT NULL REFERENCES authority (id),
    serial          BLOB    NOT NULL,
    kind            TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    subject         INTEGER REFERENCES subject (id),
    item            INTEGER UNIQUE REFERENCES item (id),
    not_before      INTEGER NOT NULL,
    not_after       INTEGER NOT NULL,
    key_file        TEXT,
    reserved_at     INTEGER NOT NULL,
    issued_at       INTEGER,
    revision        INTEGER NOT NULL DEFAULT 0,
    revoked_at      INTEGER,
    reason          INTEGER,
    invalidity_date INTEGER,
    UNIQUE (authority, serial),
    -- What is made for somebody answers an approved item.
    CHECK ((kind = 'subject') = (item IS NOT NULL)),
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
);
CREATE INDEX certificate_by_revision ON certificate (authority, revision, id);
CREATE INDEX certificate_revoked     ON certificate (authority, revision, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_of_subject  ON certificate (subject) WHERE subject IS NOT NULL;
CREATE INDEX certificate_unfinished  ON certificate (authority, id) WHERE state = 'reserved';
CREATE INDEX certificate_unexpired   ON certificate (not_after) WHERE state <> 'expired' AND state <> 'reserved';
CREATE INDEX certificate_expired     ON certificate (not_after) WHERE state = 'expired';
CREATE INDEX certificate_ocsp        ON certificate (authority, not_before) WHERE kind = 'ocsp-signer';

-- Octets apart from statuses, so that reading all statuses does not read all certificates.
CREATE TABLE certificate_octets (
    certificate INTEGER PRIMARY KEY REFERENCES certificate (id),
    tbs         BLOB,
    der         BLOB,
    CHECK ((tbs IS NULL) <> (der IS NULL))
);

-- Every revocation (later: hold and release) as it was ordered; the certificate's row has the outcome.
CREATE TABLE revocation (
    id              INTEGER PRIMARY KEY,
    certificate     INTEGER NOT NULL REFERENCES certificate (id),
    reason          INTEGER NOT NULL,
    ground          TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    invalidity_date INTEGER,
    officer         TEXT    NOT NULL,
    revision        INTEGER NOT NULL
);
CREATE INDEX revocation_by_certificate ON revocation (certificate);

CREATE TABLE crl (
    authority   INTEGER NOT NULL REFERENCES authority (id),
    number      INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    der         BLOB    NOT NULL,
    PRIMARY KEY (authority, number)
);

CREATE TABLE batch_number (
    issuer BLOB PRIMARY KEY CHECK (length(issuer) = 16),
    newest INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE batch (
    issuer      BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    shard       INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    renew_at    INTEGER NOT NULL,
    records     INTEGER NOT NULL,
    PRIMARY KEY (issuer, number)
) WITHOUT ROWID;
CREATE INDEX batch_by_kind ON batch (issuer, kind, shard, number);

CREATE TABLE adoption (
    revision    INTEGER PRIMARY KEY,
    issuer      BLOB    NOT NULL CHECK (length(issuer) = 16),
    certificate BLOB    NOT NULL,
    hash_key    BLOB    NOT NULL CHECK (length(hash_key) = 16),
    crl_blake3  BLOB    NOT NULL CHECK (length(crl_blake3) = 32),
    crl_number  BLOB,
    this_update INTEGER NOT NULL,
    next_update INTEGER,
    as_of       INTEGER,
    allow_weak  INTEGER NOT NULL,
    records     INTEGER NOT NULL,
    adopted_at  INTEGER NOT NULL
);
CREATE INDEX adoption_by_issuer ON adoption (issuer, revision);

CREATE TABLE audit (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT    NOT NULL,
    act      TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    revision INTEGER
);
-- An audit entry, once written, stays.
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'an audit entry is never changed'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'an audit entry is never deleted'); END;
