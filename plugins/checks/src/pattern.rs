//! What a text must have, written as goss writes it: `text`, `/regular expression/`, and either with
//! `!` before it for what it must not have. A backslash before the first character takes its meaning
//! away.

use ingot_sdk::ConfigError;
use regex::Regex;

/// One thing that a text must have or must not have.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// As it was written.
    pub text: String,
    negated: bool,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Text(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with a regular expression.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let inner = rest.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let form = match inner {
            Some(regex) => Form::Regex(
                Regex::new(regex).map_err(|error| format!("{text:?}: {}", first_cause(&error)))?,
            ),
            None => {
                let plain = rest.strip_prefix('\\').filter(|rest| rest.starts_with(['!', '/']));
                Form::Text(plain.unwrap_or(rest).to_owned())
            }
        };
        Ok(Pattern { text: text.to_owned(), negated, form })
    }

    /// Reads the patterns of an option; what is wrong goes to `errors`.
    pub(crate) fn list(
        option: &str,
        texts: &[String],
        errors: &mut ingot_sdk::ConfigErrors,
    ) -> Vec<Pattern> {
        let mut patterns = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match Pattern::parse(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => errors.push(
                    ConfigError::on(
                        format!("{option}[{index}]"),
                        format!("this is not a regular expression: {error}"),
                    )
                    .hint("a text that begins with a slash is written with a backslash before it"),
                ),
            }
        }
        patterns
    }

    /// Whether it says what must not be there.
    pub(crate) fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether `line` has what it names, be that wanted or not.
    pub(crate) fn is_in(&self, line: &str) -> bool {
        match &self.form {
            Form::Text(text) => line.contains(text.as_str()),
            Form::Regex(regex) => regex.is_match(line),
        }
    }

    /// Whether `version` is what it asks for: a text is what it begins with.
    pub(crate) fn fits_version(&self, version: &str) -> bool {
        let found = match &self.form {
            Form::Text(text) => version.starts_with(text.as_str()),
            Form::Regex(regex) => regex.is_match(version),
        };
        found != self.negated
    }
}

/// The last line of what the library says, without its drawing of the place.
fn first_cause(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn texts_and_regular_expressions_with_and_without_not() {
        for (pattern, line, found, negated) in [
            ("nginx/1.", "nginx version: nginx/1.24.0", true, false),
            ("nginx/1.", "nginx version: nginx/2", false, false),
            ("/^v[0-9]+$/", "v12", true, false),
            ("/^v[0-9]+$/", "av12", false, false),
            ("!error", "an error", true, true),
            ("!/^$/", "", true, true),
            (r"\!important", "x !important", true, false),
            (r"\/etc/", "in /etc/motd", true, false),
            ("/etc", "in /etc", true, false),
            (r"\d", r"a\d", true, false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!((parsed.is_in(line), parsed.negated), (found, negated), "{pattern}");
        }
        let error = Pattern::parse("/(/").unwrap_err();
        assert_eq!(error, "\"/(/\": unclosed group");
    }

    #[test]
    fn versions_begin_with_a_text() {
        let fits = |pattern: &str, version| Pattern::parse(pattern).unwrap().fits_version(version);
        assert!(fits("7.", "7.88.1-10") && !fits("7.", "1.7.3") && fits("!8.", "7.88"));
        assert!(fits("/^7|8/", "8.1") && !fits("!7.", "7.1"));
    }
}
