-- Who has signed in to the web pages. Of tokens only hashes are kept.

CREATE TABLE web_sessions (
  token_hash TEXT NOT NULL PRIMARY KEY,
  principal_id TEXT NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX web_sessions_of_principal ON web_sessions (principal_id);
CREATE INDEX web_sessions_expired ON web_sessions (expires_at);

-- Links that sign in whoever opens them, once.
CREATE TABLE sign_in_links (
  token_hash TEXT NOT NULL PRIMARY KEY,
  principal_id TEXT NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX sign_in_links_of_principal ON sign_in_links (principal_id);

-- A bucket's versions, newest first.
CREATE INDEX versions_of_bucket ON versions (bucket_id, id);

-- What was built from something, told by the index alone: a bucket's children are counted over all
-- builds that were made from any of its versions.
DROP INDEX builds_of_parent;
CREATE INDEX builds_of_parent ON builds (parent_version_id, version_id, parent_channel_id);
