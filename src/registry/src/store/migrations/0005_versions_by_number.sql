-- Versions are listed by their numbers, those without one first: `versions.rs` has the same expression.
CREATE INDEX versions_by_number ON versions (
  bucket_id,
  (COALESCE(substr('0000000000' || CAST(number AS TEXT), length(CAST(number AS TEXT)) + 1), '9999999999') || id)
);
