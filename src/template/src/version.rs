//! Version constraints, as in `required_version = ">= 1.7, < 2"`.

use std::cmp::Ordering;

/// Operators, longest first so that `>=` is not read as `>`.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("~>", Operator::Pessimistic),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Above,
    Below,
    AtLeast,
    AtMost,
    /// `~> 1.2.3`: the last number given may grow, those before it may not.
    Pessimistic,
}

/// A version: numbers, and perhaps a pre-release such as `beta1`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: Vec<u64>,
    pre_release: String,
}

impl Version {
    /// None if the text is not a version. What follows a `+` does not count.
    fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '~' | '+');
        if !text.chars().all(plain) {
            return None;
        }
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, pre_release) = match text.find(|c: char| c != '.' && !c.is_ascii_digit()) {
            Some(at) => (&text[..at], text[at..].strip_prefix('-').unwrap_or(&text[at..])),
            None => (text, ""),
        };
        let numbers = numbers.split('.').map(|number| number.parse().ok());
        Some(Version {
            numbers: numbers.collect::<Option<_>>()?,
            pre_release: pre_release.to_owned(),
        })
    }

    /// Number `index`; those that were not written are 0.
    fn number(&self, index: usize) -> u64 {
        self.numbers.get(index).copied().unwrap_or(0)
    }

    fn order(&self, other: &Version) -> Ordering {
        let length = self.numbers.len().max(other.numbers.len());
        let numbers = (0..length).map(|index| self.number(index).cmp(&other.number(index)));
        let numbers = numbers.fold(Ordering::Equal, Ordering::then);
        // A pre-release comes before the release.
        let release = self.pre_release.is_empty().cmp(&other.pre_release.is_empty());
        numbers.then(release).then_with(|| self.pre_release.cmp(&other.pre_release))
    }
}

/// Constraints that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionConstraints(Vec<(Operator, Version)>);

impl VersionConstraints {
    /// Reads constraints separated by commas.
    ///
    /// # Errors
    /// The part that is not a constraint.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let constraint = |part| {
            let part = str::trim(part);
            let (operator, version) = OPERATORS
                .iter()
                .find_map(|(symbol, operator)| Some((*operator, part.strip_prefix(symbol)?)))
                .unwrap_or((Operator::Equal, part));
            Version::parse(version.trim()).map(|version| (operator, version)).ok_or(part)
        };
        text.split(',').map(constraint).collect::<Result<_, _>>().map(VersionConstraints)
    }

    /// Whether one of them names a pre-release.
    pub fn names_pre_release(&self) -> bool {
        self.0.iter().any(|(_, version)| !version.pre_release.is_empty())
    }

    /// Whether a released version is allowed. A text that is not a version is not.
    pub fn allow(&self, version: &str) -> bool {
        let Some(version) = Version::parse(version) else { return false };
        self.0.iter().all(|(operator, limit)| {
            let order = version.order(limit);
            match operator {
                Operator::Equal => order.is_eq(),
                Operator::NotEqual => order.is_ne(),
                Operator::Above => order.is_gt(),
                Operator::Below => order.is_lt(),
                Operator::AtLeast => order.is_ge(),
                Operator::AtMost => order.is_le(),
                Operator::Pessimistic => {
                    let fixed = limit.numbers.len() - 1;
                    limit.pre_release.is_empty()
                        && order.is_ge()
                        && (0..fixed).all(|index| version.number(index) == limit.number(index))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::VersionConstraints;

    #[test]
    fn constraints_hold_or_not() {
        let allow =
            |constraints, version| VersionConstraints::parse(constraints).unwrap().allow(version);
        assert!(allow(">= 1.7, < 2", "1.16.0"));
        assert!(!allow(">= 1.7, < 1.16", "1.16.0"));
        assert!(allow("1.16", "1.16.0") && allow("= v1.16.0", "1.16.0"));
        assert!(allow("!= 1.15.0", "1.16.0") && !allow("!=1.16.0", "1.16.0"));
        assert!(allow("~> 1.2", "1.16.0") && !allow("~> 1.2.0", "1.16.0"));
        assert!(allow("~> 1.16.0", "1.16.3") && !allow("~> 2", "1.16.0"));
        assert!(allow("> 1.16.0-beta1", "1.16.0") && !allow("> 1.16.0", "1.16.0"));
    }

    #[test]
    fn invalid_constraints_are_refused() {
        for text in ["", "abc", ">= ", "1.2,", "=> 1", ">= 1.x", "1..2"] {
            assert!(VersionConstraints::parse(text).is_err(), "{text}");
        }
        assert_eq!(VersionConstraints::parse(">= 1.0, x"), Err("x"));
    }
}
