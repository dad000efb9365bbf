//! How long and how often to look whether something at AWS is done.

use std::time::Duration;

use ingot_sdk::retry::Retry;
use ingot_sdk::{ConfigError, ConfigErrors};
use schemars::JsonSchema;
use serde::Deserialize;

/// The `aws_polling` block. The environment's `AWS_POLL_DELAY_SECONDS` and `AWS_MAX_ATTEMPTS`
/// stand in for what it does not set, as in Packer, and the older `AWS_TIMEOUT_SECONDS` for both.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct PollingOptions {
    /// How many seconds to wait between two looks. Default: as `AWS_POLL_DELAY_SECONDS` says,
    /// else what fits the thing that is waited for.
    pub delay_seconds: Option<u32>,
    /// How often to look before giving up, whatever time that takes. Default: as
    /// `AWS_MAX_ATTEMPTS` says, else until a time is over that fits.
    pub max_attempts: Option<u32>,
}

/// The variable for the pause between two looks, in seconds.
const DELAY: &str = "AWS_POLL_DELAY_SECONDS";
/// The variable for how often to look.
const ATTEMPTS: &str = "AWS_MAX_ATTEMPTS";
/// The older variable for how long to look, in seconds.
const TIMEOUT: &str = "AWS_TIMEOUT_SECONDS";

/// A whole number in a variable; zero is the same as none, as in Packer. None where it is no
/// number, of which [`warnings`] tells.
fn number(text: Option<String>) -> Option<u32> {
    text?.trim().parse().ok().filter(|&number| number != 0)
}

/// Warnings about invalid variables for polling.
pub fn warnings(options: Option<&PollingOptions>) -> Vec<String> {
    warnings_of(options, |name| std::env::var(name).ok())
}

fn warnings_of(
    options: Option<&PollingOptions>,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in [DELAY, ATTEMPTS, TIMEOUT] {
        let text = variable(name).unwrap_or_default();
        if !text.trim().is_empty() && text.trim().parse::<u32>().is_err() {
            warnings.push(format!(
                "{name} has no effect: {text:?} is not a whole number; set it like {name}=40"
            ));
        }
    }
    let attempts = options.and_then(|options| options.max_attempts).filter(|&number| number != 0);
    let attempts = attempts.or_else(|| number(variable(ATTEMPTS)));
    if attempts.is_some() && number(variable(TIMEOUT)).is_some() {
        warnings.push(format!(
            "{TIMEOUT} has no effect: {ATTEMPTS} or max_attempts says how often to look, which \
             goes before"
        ));
    }
    warnings
}

impl PollingOptions {
    /// Adds to `errors` what is wrong with the options.
    pub fn check(&self, errors: &mut ConfigErrors) {
        if self.delay_seconds.is_some_and(|seconds| seconds > 24 * 3600) {
            errors.push(ConfigError::on(
                "aws_polling.delay_seconds",
                "nothing needs a day between two looks",
            ));
        }
    }

    /// A wait that, where nothing is set, starts looking after `first`, backs off to `longest`
    /// and gives up after `limit`. A delay that is set is kept to, without backing off. Where it is
    /// set how often to look, that many looks are taken, however long it takes.
    pub fn retry(&self, first: Duration, longest: Duration, limit: Duration) -> Retry {
        self.with_environment(|name| std::env::var(name).ok(), first, longest, limit)
    }

    fn with_environment(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        first: Duration,
        longest: Duration,
        limit: Duration,
    ) -> Retry {
        let set = |option: Option<u32>, name: &str| {
            option.filter(|&number| number != 0).or_else(|| number(variable(name)))
        };
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let delay = set(self.delay_seconds, DELAY).map(seconds);
        let tries = set(self.max_attempts, ATTEMPTS);
        let timeout = number(variable(TIMEOUT)).map_or(limit, seconds);
        Retry {
            initial: delay.unwrap_or(first),
            max: delay.unwrap_or(longest),
            tries,
            timeout: tries.is_none().then_some(timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = set.iter().find(|(called, _)| *called == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn options_go_before_the_environment() {
        let seconds = Duration::from_secs;
        let retry = |options: &PollingOptions, environment: &[(&str, &str)]| {
            let Retry { initial, max, tries, timeout } = options.with_environment(
                variables(environment),
                seconds(1),
                seconds(15),
                seconds(600),
            );
            (initial, max, tries, timeout)
        };
        let none = PollingOptions::default();
        let usual = (seconds(1), seconds(15));
        let limit = |timeout| (usual.0, usual.1, None, Some(seconds(timeout)));
        assert_eq!(retry(&none, &[]), limit(600));
        // A number of looks is no time: it neither shortens nor lengthens the pauses.
        let looks = (usual.0, usual.1, Some(40), None);
        assert_eq!(retry(&none, &[("AWS_MAX_ATTEMPTS", "40")]), looks);
        assert_eq!(retry(&none, &[("AWS_TIMEOUT_SECONDS", "90")]), limit(90));
        let both = [("AWS_TIMEOUT_SECONDS", "90"), ("AWS_MAX_ATTEMPTS", " 40 ")];
        assert_eq!(retry(&none, &both), looks);
        let environment = [("AWS_POLL_DELAY_SECONDS", "7"), ("AWS_MAX_ATTEMPTS", "10,")];
        let delayed = (seconds(7), seconds(7), None, Some(seconds(600)));
        assert_eq!(retry(&none, &environment), delayed);
        let set = PollingOptions { delay_seconds: Some(5), max_attempts: Some(50) };
        assert_eq!(retry(&set, &environment), (seconds(5), seconds(5), Some(50), None));
        let zero = PollingOptions { delay_seconds: Some(0), max_attempts: Some(0) };
        assert_eq!(retry(&zero, &[]), limit(600));
    }

    #[test]
    fn variables_that_are_not_numbers_are_a_warning() {
        let warn = |set: &[(&str, &str)]| warnings_of(None, variables(set));
        assert_eq!(warn(&[("AWS_MAX_ATTEMPTS", "40"), ("AWS_POLL_DELAY_SECONDS", "")]), [""; 0]);
        assert_eq!(
            warn(&[("AWS_MAX_ATTEMPTS", "10,")]),
            ["AWS_MAX_ATTEMPTS has no effect: \"10,\" is not a whole number; set it like \
              AWS_MAX_ATTEMPTS=40"]
        );
        for text in ["-1", "1.5", "10s", "99999999999"] {
            assert_eq!(warn(&[("AWS_POLL_DELAY_SECONDS", text)]).len(), 1, "{text}");
        }
        let both = [("AWS_MAX_ATTEMPTS", "40"), ("AWS_TIMEOUT_SECONDS", "90")];
        assert!(warn(&both)[0].starts_with("AWS_TIMEOUT_SECONDS has no effect"));
        let set = PollingOptions { max_attempts: Some(3), ..PollingOptions::default() };
        let one = warnings_of(Some(&set), variables(&both[1..]));
        assert!(one[0].starts_with("AWS_TIMEOUT_SECONDS has no effect"), "{one:?}");
    }
}
