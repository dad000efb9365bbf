//! Hides secrets in everything that is shown.

use std::collections::HashSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use parking_lot::RwLock;

/// What stands where a secret was; Packer's word.
const MASK: &str = "<sensitive>";
/// Shorter texts are not masked: "1" or "no" is everywhere, and hiding it hides everything else.
const SHORTEST: usize = 3;

/// Replaces secrets in text. Names are kept: a secret that is only part of what a block, build or
/// file is called is none there.
#[derive(Debug, Default)]
pub struct Redactor(RwLock<Patterns>);

/// A callback for each secret.
type SecretObserver = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Debug, Default)]
struct Patterns {
    secrets: HashSet<String>,
    names: HashSet<String>,
    /// Finds both; none until they are needed.
    finders: Option<Finders>,
    observer: Observer,
}

impl Patterns {
    fn add(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let before = self.secrets.len();
        let rust = format!("{text:?}");
        let json = serde_json::Value::from(text).to_string();
        let inside = |quoted: &str| quoted[1..quoted.len() - 1].to_owned();
        if let (Observer(Some(observer)), false) = (&self.observer, self.secrets.contains(text)) {
            observer(text);
        }
        self.secrets.extend([text.to_owned(), inside(&rust), inside(&json)]);
        if self.secrets.len() > before {
            self.finders = None;
        }
    }
}

/// The observer of secrets.
#[derive(Default)]
struct Observer(Option<SecretObserver>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

#[derive(Debug)]
struct Finders {
    secrets: AhoCorasick,
    names: AhoCorasick,
}

impl Redactor {
    /// From now on, hides `secret`.
    pub fn add(&self, secret: &str) {
        self.add_all([secret]);
    }

    /// From now on, hides `secrets`. One of several lines is hidden line by line too, because
    /// output comes in lines; and each also as it is written in quotes.
    pub fn add_all<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut patterns = self.0.write();
        for secret in secrets {
            let lines = secret.lines().map(str::trim).filter(|_| secret.contains('\n'));
            lines.chain([secret, secret.trim()]).for_each(|text| patterns.add(text));
        }
    }

    /// From now on, hides `text`, but not each of its lines alone, as it has harmless ones.
    pub fn add_whole(&self, text: &str) {
        let mut patterns = self.0.write();
        [text, text.trim()].into_iter().for_each(|text| patterns.add(text));
    }

    /// Tells `observer` of each secret, those that are known and those to come. It must not use this
    /// redactor.
    pub fn observe(&self, observer: SecretObserver) {
        let mut patterns = self.0.write();
        patterns.secrets.iter().for_each(|secret| observer(secret));
        patterns.observer = Observer(Some(observer));
    }

    /// From now on, shows `names` as they are, whatever secret is part of them.
    pub fn keep(&self, names: impl IntoIterator<Item = String>) {
        let mut patterns = self.0.write();
        patterns.names.extend(names.into_iter().filter(|name| !name.is_empty()));
        patterns.finders = None;
    }

    /// `text` without secrets.
    pub fn apply(&self, text: &str) -> String {
        {
            let patterns = self.0.read();
            if patterns.secrets.is_empty() {
                return text.to_owned();
            }
            if let Some(finders) = &patterns.finders {
                return finders.apply(text);
            }
        }
        let mut patterns = self.0.write();
        patterns.finders = Finders::of(&patterns.secrets, &patterns.names);
        patterns.finders.as_ref().map_or_else(|| MASK.to_owned(), |finders| finders.apply(text))
    }
}

impl Finders {
    /// Building fails only for more patterns than memory could hold.
    fn of(secrets: &HashSet<String>, names: &HashSet<String>) -> Option<Finders> {
        let finder = |patterns: &HashSet<String>| {
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns).ok()
        };
        Some(Finders { secrets: finder(secrets)?, names: finder(names)? })
    }

    fn apply(&self, text: &str) -> String {
        let inside_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let whole = |found: &aho_corasick::Match| {
            !text[..found.start()].ends_with(inside_word)
                && !text[found.end()..].starts_with(inside_word)
        };
        let names: Vec<_> = self.names.find_iter(text).filter(whole).collect();
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for secret in self.secrets.find_iter(text) {
            let within = |name: &aho_corasick::Match| {
                // A name that is a secret as a whole is a secret where it stands alone.
                name.len() > secret.len()
                    && name.start() <= secret.start()
                    && secret.end() <= name.end()
            };
            if names.iter().any(within) {
                continue;
            }
            shown.push_str(&text[end..secret.start()]);
            shown.push_str(MASK);
            end = secret.end();
        }
        shown.push_str(&text[end..]);
        shown
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
        redactor.add_whole("pw=abc\ndone\n");
        assert_eq!(redactor.apply("all done: pw=abc\ndone"), "all done: <sensitive>");
    }

    #[test]
    fn names_are_kept() {
        let redactor = Redactor::default();
        redactor.add_all(["vagrant", "nothing"]);
        redactor.keep(["null.vagrant", "./vagrant-box.pkr.hcl", "null.n"].map(str::to_owned));
        for (text, shown) in [
            ("Build 'null.vagrant' errored: vagrant", "Build 'null.vagrant' errored: <sensitive>"),
            ("┌─ ./vagrant-box.pkr.hcl:1:1", "┌─ ./vagrant-box.pkr.hcl:1:1"),
            // What only begins or ends like a name is none.
            ("null.nothing", "null.<sensitive>"),
            ("null.vagrant-x is not-null.vagrant", "null.<sensitive>-x is not-null.<sensitive>"),
        ] {
            assert_eq!(redactor.apply(text), shown);
        }
    }
}
