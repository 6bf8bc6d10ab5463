-- Lists in their forms: full or delta, of all certificates or of one partition.

-- The partition whose list the certificate names (CRL distribution point); null: the list of all.
ALTER TABLE certificate ADD COLUMN crl_partition INTEGER CHECK (crl_partition > 0);
-- When a hold ended: a delta list has to say so (RFC 5280 §5.2.4).
ALTER TABLE certificate ADD COLUMN released_at INTEGER;

-- A list of a million entries is read from this index alone.
CREATE INDEX certificate_listed ON certificate (authority, id, serial, revoked_at, reason, invalidity_date,
    not_after, revision, crl_partition) WHERE revoked_at IS NOT NULL;
-- What leaves lists by expiry, and what was released: few rows among many.
CREATE INDEX certificate_revoked_end ON certificate (authority, not_after) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_released    ON certificate (authority, revision)  WHERE released_at IS NOT NULL;
-- Which partitions are named by certificates that still live.
CREATE INDEX certificate_partition   ON certificate (authority, crl_partition, not_after) WHERE kind <> 'ocsp-signer';

-- scope: 0 all certificates, else the partition. form: 0 full, 1 delta. base: of a delta, the number of the list it
-- changes. cut_*: what had expired before that time and was revoked up to that revision is not on it any more.
-- expired: those serials, as far as they are still answered for; each with its length before it.
CREATE TABLE list (
    authority    INTEGER NOT NULL REFERENCES authority (id),
    scope        INTEGER NOT NULL CHECK (scope >= 0),
    form         INTEGER NOT NULL CHECK (form IN (0, 1)),
    number       INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    this_update  INTEGER NOT NULL,
    next_update  INTEGER NOT NULL,
    base         INTEGER,
    cut_time     INTEGER,
    cut_revision INTEGER,
    expired      BLOB    NOT NULL,
    der          BLOB    NOT NULL,
    PRIMARY KEY (authority, scope, form, number),
    CHECK ((form = 1) = (base IS NOT NULL)),
    CHECK ((cut_time IS NULL) = (cut_revision IS NULL))
);
INSERT INTO list (authority, scope, form, number, revision, this_update, next_update, expired, der)
    SELECT authority, 0, 0, number, revision, this_update, next_update, x'', der FROM crl;
DROP TABLE crl;
