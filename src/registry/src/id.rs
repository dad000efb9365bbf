//! Ids that sort by age.

/// A new ULID.
pub fn new_id() -> String {
    ulid::Ulid::generate().to_string()
}
