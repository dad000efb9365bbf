-- What is in the images of builds.
CREATE TABLE sboms (
  id TEXT NOT NULL PRIMARY KEY,
  build_id TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  format TEXT NOT NULL,
  -- Compressed by zstd, in base64: there is no type for bytes that both databases know.
  document TEXT NOT NULL,
  -- In bytes: compressed, and as it is.
  compressed_size BIGINT NOT NULL,
  size BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (build_id, name)
);
