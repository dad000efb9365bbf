//! Guesses at what a misspelt name was meant to be.

/// The name most like `wrong`, if it is like enough to be a slip of the fingers.
pub fn closest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| {
            let slip = strsim::damerau_levenshtein(wrong, name) == 1 && name.len() > 2;
            (strsim::jaro_winkler(wrong, name) + f64::from(u8::from(slip)), name)
        })
        .filter(|(score, _)| *score > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
