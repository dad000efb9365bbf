//! Hides secrets in everything that is shown.

use std::sync::RwLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// What stands where a secret was; Packer's word.
const MASK: &str = "<sensitive>";
/// Shorter texts are not masked: "1" or "no" is everywhere, and hiding it hides everything else.
const SHORTEST: usize = 3;

/// Replaces secrets in text.
#[derive(Debug, Default)]
pub struct Redactor(RwLock<Patterns>);

#[derive(Debug, Default)]
struct Patterns {
    secrets: Vec<String>,
    finder: Option<AhoCorasick>,
}

impl Redactor {
    /// From now on, hides `secret`. One of several lines is hidden line by line too, because
    /// output comes in lines.
    pub fn add(&self, secret: &str) {
        let lines = secret.lines().map(str::trim).filter(|_| secret.contains('\n'));
        let texts = lines.chain([secret, secret.trim()]);
        let mut patterns = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = patterns.secrets.len();
        for text in texts {
            if text.len() >= SHORTEST && !patterns.secrets.iter().any(|known| known == text) {
                patterns.secrets.push(text.to_owned());
            }
        }
        if patterns.secrets.len() > before {
            // Building fails only for more patterns than memory could hold.
            patterns.finder = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&patterns.secrets)
                .ok();
        }
    }

    /// `text` without secrets.
    pub fn apply(&self, text: &str) -> String {
        let patterns = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &patterns.finder {
            None => text.to_owned(),
            Some(finder) => finder.replace_all(text, &vec![MASK; patterns.secrets.len()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    #[test]
    fn hides_the_longest_secret_and_each_line_of_long_ones() {
        let redactor = Redactor::default();
        redactor.add("abc");
        redactor.add("abcdef");
        redactor.add("line one\nline two");
        redactor.add("");
        assert_eq!(redactor.apply("x abcdef y abc"), "x <sensitive> y <sensitive>");
        assert_eq!(redactor.apply("saw line two"), "saw <sensitive>");
    }
}
