-- Base packs signed again shard by shard. shards: into how many the batch divides its issuer. variants: one bit for each
-- CertID form it was signed for, by the code of the form; 0: not known, so it is signed again.
ALTER TABLE batch ADD COLUMN shards INTEGER NOT NULL DEFAULT 1;
ALTER TABLE batch ADD COLUMN variants INTEGER NOT NULL DEFAULT 0;
