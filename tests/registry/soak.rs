//! How long the tests go on that get better the longer they do.

/// How many rounds to make: `short` in an ordinary run, `INGOT_SOAK` times as many if that is set.
pub(crate) fn rounds(short: usize) -> usize {
    let times = std::env::var("INGOT_SOAK").ok();
    short * times.and_then(|times| times.parse().ok()).unwrap_or(1).max(1)
}
