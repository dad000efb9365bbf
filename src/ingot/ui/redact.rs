//! Hides secrets in everything that is shown.

use std::collections::HashSet;
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
    secrets: HashSet<String>,
    /// Finds them; none until it is needed.
    finder: Option<AhoCorasick>,
}

impl Redactor {
    /// From now on, hides `secret`.
    pub fn add(&self, secret: &str) {
        self.add_all([secret]);
    }

    /// From now on, hides `secrets`. One of several lines is hidden line by line too, because
    /// output comes in lines; and each also as it is written in quotes.
    pub fn add_all<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut patterns = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = patterns.secrets.len();
        for secret in secrets {
            let lines = secret.lines().map(str::trim).filter(|_| secret.contains('\n'));
            for text in lines.chain([secret, secret.trim()]) {
                if text.len() < SHORTEST {
                    continue;
                }
                let rust = format!("{text:?}");
                let json = serde_json::Value::from(text).to_string();
                let inside = |quoted: &str| quoted[1..quoted.len() - 1].to_owned();
                patterns.secrets.extend([text.to_owned(), inside(&rust), inside(&json)]);
            }
        }
        if patterns.secrets.len() > before {
            patterns.finder = None;
        }
    }

    /// `text` without secrets.
    pub fn apply(&self, text: &str) -> String {
        {
            let patterns = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            if patterns.secrets.is_empty() {
                return text.to_owned();
            }
            if let Some(finder) = &patterns.finder {
                return finder.replace_all(text, &vec![MASK; patterns.secrets.len()]);
            }
        }
        let mut patterns = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Building fails only for more patterns than memory could hold.
        patterns.finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns.secrets)
            .ok();
        match &patterns.finder {
            Some(finder) => finder.replace_all(text, &vec![MASK; patterns.secrets.len()]),
            None => MASK.to_owned(),
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
        redactor.add("quo\"te\\d");
        assert_eq!(redactor.apply(r#"in "quo\"te\\d" quotes"#), r#"in "<sensitive>" quotes"#);
        assert_eq!(redactor.apply("x abcdef y abc"), "x <sensitive> y <sensitive>");
        assert_eq!(redactor.apply("saw line two"), "saw <sensitive>");
    }
}
