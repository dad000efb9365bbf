-- What each version was revoked by itself. The columns in `versions` say what holds for it: this, or
-- what it inherits. So taking one back brings another to light instead of forgetting it.
CREATE TABLE revocations (
  version_id TEXT NOT NULL PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
  at BIGINT NOT NULL,
  message TEXT NOT NULL,
  author TEXT NOT NULL,
  rollback BIGINT NOT NULL,
  descendants BIGINT NOT NULL,
  made_at BIGINT NOT NULL
);
INSERT INTO revocations (version_id, at, message, author, rollback, descendants, made_at)
  SELECT id, revoke_at, revocation_message, revocation_author, revoke_rollback, revoke_descendants,
    updated_at
  FROM versions WHERE revoke_at IS NOT NULL AND revocation_from IS NULL;

-- Somebody restored it though what it was built from stayed revoked: what was revoked until then is
-- not inherited any more.
ALTER TABLE versions ADD COLUMN pardoned_at BIGINT;

-- The last number that was given to a version, so that none is given twice.
ALTER TABLE buckets ADD COLUMN last_number BIGINT NOT NULL DEFAULT 0;
UPDATE buckets SET last_number =
  (SELECT coalesce(max(v.number), 0) FROM versions v WHERE v.bucket_id = buckets.id);

-- The bucket of the parent, for the builds of versions that the managed channel points at; NULL for
-- all others. So what is related now is found without what was.
ALTER TABLE builds ADD COLUMN current_parent_bucket_id TEXT;
UPDATE builds SET current_parent_bucket_id =
  (SELECT p.bucket_id FROM versions p WHERE p.id = builds.parent_version_id)
  WHERE version_id IN (SELECT c.version_id FROM channels c WHERE c.managed = 1);
CREATE INDEX builds_current ON builds (current_parent_bucket_id)
  WHERE current_parent_bucket_id IS NOT NULL;

-- Azure's ids are the same in capital letters and small ones.
CREATE INDEX artifacts_by_lower_name ON artifacts (lower(external_identifier));
