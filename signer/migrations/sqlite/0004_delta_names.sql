-- Whether a full list says where its deltas are (RFC 5280 §5.2.6): as long as a client may hold such a list, deltas are written.
ALTER TABLE list ADD COLUMN names_deltas INTEGER NOT NULL DEFAULT 0 CHECK (names_deltas IN (0, 1));
-- Of lists before, those that may have: there was a delta beside some of their scope.
UPDATE list SET names_deltas = 1 WHERE form = 0 AND EXISTS (SELECT 1 FROM list AS delta
    WHERE delta.authority = list.authority AND delta.scope = list.scope AND delta.form = 1);
