-- Provisioners that are to be run in each build of the buckets that they are linked to.
CREATE TABLE enforced_blocks (
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  labels TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE enforced_block_versions (
  id TEXT NOT NULL PRIMARY KEY,
  block_id TEXT NOT NULL REFERENCES enforced_blocks (id) ON DELETE CASCADE,
  version TEXT NOT NULL,
  template_type TEXT NOT NULL,
  content TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (block_id, version)
);

-- A bucket is linked to one version of a block.
CREATE TABLE enforced_block_buckets (
  id TEXT NOT NULL PRIMARY KEY,
  block_id TEXT NOT NULL REFERENCES enforced_blocks (id) ON DELETE CASCADE,
  version_id TEXT NOT NULL REFERENCES enforced_block_versions (id) ON DELETE CASCADE,
  bucket_id TEXT NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  UNIQUE (block_id, bucket_id)
);
CREATE INDEX enforced_block_buckets_of_version ON enforced_block_buckets (version_id);
CREATE INDEX enforced_block_buckets_of_bucket ON enforced_block_buckets (bucket_id);
