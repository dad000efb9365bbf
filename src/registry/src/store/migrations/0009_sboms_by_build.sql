-- All of a list of SBOMs: without it SQLite reads the documents, page by page, to come to the columns
-- behind them.
CREATE INDEX sboms_by_build
  ON sboms (build_id, id, name, format, compressed_size, size, created_at);
