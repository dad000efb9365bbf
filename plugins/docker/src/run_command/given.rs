//! The flags that were given.

use std::collections::HashMap;

use clap::ArgMatches;

use super::values;

/// The flags that were given.
pub(super) struct Flags<'a>(pub(super) &'a ArgMatches);

impl Flags<'_> {
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.0.get_one::<bool>(name).copied()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get_one::<String>(name).cloned()
    }

    /// A number, a size in bytes or a duration in nanoseconds.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.0.get_one::<i64>(name).copied()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0.get_many::<String>(name).into_iter().flatten().cloned().collect()
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.texts(name)).filter(|texts| !texts.is_empty())
    }

    pub(super) fn pairs(&self, name: &str) -> Option<HashMap<String, String>> {
        Some(self.list(name)?.iter().map(|text| values::pair(text)).collect())
    }

    /// The flag's values as `read` reads them; `what` says what one should be.
    pub(super) fn read<T>(
        &self,
        name: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, String> {
        let one =
            |text: &String| read(text).ok_or_else(|| format!("--{name}: {text:?} is not {what}"));
        self.list(name).map(|texts| texts.iter().map(one).collect()).transpose()
    }
}

/// What the docker client refuses as well.
pub(super) fn check_conflicts(flags: &Flags<'_>) -> Result<(), String> {
    if flags.list("attach").is_some() {
        return Err("--attach and --detach exclude each other".to_owned());
    }
    let restarts = flags.text("restart").is_some_and(|policy| policy != "no");
    if restarts && flags.switch("rm") == Some(true) {
        return Err("--restart and --rm exclude each other".to_owned());
    }
    let health = [
        "health-interval",
        "health-retries",
        "health-start-interval",
        "health-start-period",
        "health-timeout",
    ];
    let health = health.iter().any(|name| flags.number(name).is_some());
    let health = health || flags.text("health-cmd").is_some();
    if flags.switch("no-healthcheck") == Some(true) && health {
        return Err("--no-healthcheck and the --health-… flags exclude each other".to_owned());
    }
    if let Some(swappiness) = flags.number("memory-swappiness")
        && !(-1..=100).contains(&swappiness)
    {
        return Err(format!("--memory-swappiness: {swappiness} is not between 0 and 100"));
    }
    Ok(())
}
