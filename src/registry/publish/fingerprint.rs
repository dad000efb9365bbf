//! Fingerprints: what makes several runs fill one version.

use crate::registry::store::new_id;

/// A new fingerprint: a ULID, as Packer makes.
pub(super) fn generate() -> String {
    new_id()
}

/// Whether a text can be a fingerprint: HCP Packer's rule.
pub(super) fn is_valid(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 40 && bytes.iter().all(|&c| fits(c)) && ends(bytes.first()) && ends(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shas_are_fingerprints_and_spaces_are_not() {
        assert!(is_valid(&"a1".repeat(20)) && is_valid("v1.2-3_x"));
        assert!(!is_valid("") && !is_valid("-a") && !is_valid("a b") && !is_valid(&"a".repeat(41)));
        let (one, other) = (generate(), generate());
        assert!(one != other && is_valid(&one) && one.len() == 26);
    }
}
