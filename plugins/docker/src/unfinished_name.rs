//! The names of images on their way to being somebody's.

/// The repository of the names of unfinished images.
pub(crate) const REPOSITORY: &str = "ingot-unfinished";

/// Whether a name, with a tag or a digest, is one of those.
pub(crate) fn is_ours(name: &str) -> bool {
    name.split([':', '@']).next() == Some(REPOSITORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_recognized_by_their_repository() {
        for ours in ["ingot-unfinished:0a1b", "ingot-unfinished@sha256:0a1b"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["ingot-unfinished-not:1", "host:5000/ingot-unfinished:1", "base@sha256:0a1b"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
