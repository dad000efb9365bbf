-- Written for SQLite and PostgreSQL alike. Times are microseconds since 1970; booleans are 0 and 1;
-- ids are ULIDs, which sort by when they were made, except for those that HCP has UUIDs for.

CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE organizations (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL
);

CREATE TABLE projects (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  registry_id TEXT NOT NULL UNIQUE,
  activated BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (organization_id, name)
);

CREATE TABLE principals (
  id TEXT NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  -- NULL: all projects of the organization.
  project_id TEXT REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (organization_id, name)
);

CREATE TABLE buckets (
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  labels TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE versions (
  id TEXT NOT NULL PRIMARY KEY,
  bucket_id TEXT NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
  fingerprint TEXT NOT NULL,
  -- NULL: not complete. Numbers are given in the order of completion.
  number BIGINT,
  template_type TEXT NOT NULL,
  author TEXT NOT NULL,
  -- When it is to be revoked or was; `revoked` says whether that has been carried out.
  revoke_at BIGINT,
  revoked BIGINT NOT NULL,
  revocation_message TEXT NOT NULL,
  revocation_author TEXT NOT NULL,
  revocation_type TEXT NOT NULL,
  revocation_from TEXT REFERENCES versions (id) ON DELETE SET NULL,
  revoke_rollback BIGINT NOT NULL,
  revoke_descendants BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (bucket_id, fingerprint),
  UNIQUE (bucket_id, number)
);
CREATE INDEX versions_to_revoke ON versions (revoke_at) WHERE revoked = 0;
CREATE INDEX versions_revoked_from ON versions (revocation_from);

CREATE TABLE channels (
  id TEXT NOT NULL PRIMARY KEY,
  bucket_id TEXT NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  managed BIGINT NOT NULL,
  restricted BIGINT NOT NULL,
  version_id TEXT REFERENCES versions (id),
  author TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (bucket_id, name)
);
CREATE INDEX channels_of_version ON channels (version_id);

CREATE TABLE assignments (
  id TEXT NOT NULL PRIMARY KEY,
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  -- The order in the channel's history; two servers' clocks may differ.
  number BIGINT NOT NULL,
  -- NULL: the channel was cleared, or the version removed since.
  version_id TEXT REFERENCES versions (id) ON DELETE SET NULL,
  author TEXT NOT NULL,
  assigned_at BIGINT NOT NULL,
  UNIQUE (channel_id, number)
);
CREATE INDEX assignments_of_version ON assignments (version_id);

CREATE TABLE builds (
  id TEXT NOT NULL PRIMARY KEY,
  version_id TEXT NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
  component_type TEXT NOT NULL,
  status TEXT NOT NULL,
  run_uuid TEXT NOT NULL,
  platform TEXT NOT NULL,
  labels TEXT NOT NULL,
  metadata TEXT NOT NULL,
  source_external_identifier TEXT NOT NULL,
  parent_version_id TEXT REFERENCES versions (id) ON DELETE SET NULL,
  parent_channel_id TEXT REFERENCES channels (id) ON DELETE SET NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (version_id, component_type)
);
CREATE INDEX builds_of_parent ON builds (parent_version_id);
CREATE INDEX builds_of_parent_channel ON builds (parent_channel_id);
CREATE INDEX builds_running ON builds (updated_at) WHERE status = 'BUILD_RUNNING';

CREATE TABLE artifacts (
  id TEXT NOT NULL PRIMARY KEY,
  build_id TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
  external_identifier TEXT NOT NULL,
  region TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (build_id, external_identifier, region)
);
CREATE INDEX artifacts_by_name ON artifacts (external_identifier);

CREATE TABLE webhooks (
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  -- What deliveries are signed with. It has to be used, so it cannot be hashed.
  secret TEXT NOT NULL,
  events TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_of_project ON webhooks (project_id);

-- What is to be delivered: written with what it tells of, in one transaction.
CREATE TABLE outbox (
  id TEXT NOT NULL PRIMARY KEY,
  webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  event TEXT NOT NULL,
  body TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  -- When to try; while a server tries, when another may take over.
  next_at BIGINT NOT NULL,
  last_error TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_at);
CREATE INDEX outbox_of_webhook ON outbox (webhook_id);

CREATE TABLE audit (
  id TEXT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  principal TEXT NOT NULL,
  project_id TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL,
  address TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
