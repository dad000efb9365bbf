//! The result of a check.

/// How a check went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is not as it should be; nothing if all is.
    pub problems: Vec<String>,
    /// The first lines that a command put out.
    pub output: Vec<String>,
}

impl Verdict {
    /// That of a check that could not be made.
    pub(crate) fn problem(problem: String) -> Self {
        Verdict { problems: vec![problem], output: Vec::new() }
    }
}

/// Adds to `problems` where `found` is not what is `wanted`, if anything is.
pub(crate) fn expect<T: PartialEq + std::fmt::Display>(
    problems: &mut Vec<String>,
    name: &str,
    wanted: Option<&T>,
    found: &T,
) {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        problems.push(format!("{name} is {found}, not {wanted}"));
    }
}
