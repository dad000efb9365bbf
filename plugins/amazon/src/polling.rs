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
    /// How often to look. Default: as `AWS_MAX_ATTEMPTS` says, else what fits.
    pub max_attempts: Option<u32>,
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
    /// and gives up after `limit`. A delay that is set is kept to, without backing off.
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
        let number = |option: Option<u32>, name: &str| {
            let given = option.filter(|&number| number != 0);
            given.or_else(|| variable(name)?.trim().parse().ok().filter(|&number| number != 0))
        };
        let delay = number(self.delay_seconds, "AWS_POLL_DELAY_SECONDS");
        let delay = delay.map(|seconds| Duration::from_secs(seconds.into()));
        let tries = number(self.max_attempts, "AWS_MAX_ATTEMPTS");
        // A number of looks means a time in Packer: so many delays, which are 2 s by default.
        let timeout = tries.map(|tries| delay.unwrap_or(Duration::from_secs(2)) * tries);
        let timeout = timeout.or_else(|| {
            let seconds = number(None, "AWS_TIMEOUT_SECONDS")?;
            Some(Duration::from_secs(seconds.into()))
        });
        Retry {
            initial: delay.unwrap_or(first),
            max: delay.unwrap_or(longest),
            tries: None,
            timeout: Some(timeout.unwrap_or(limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_before_the_environment() {
        let seconds = Duration::from_secs;
        let retry = |options: PollingOptions, environment: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = environment.iter().find(|(called, _)| *called == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let Retry { initial, max, timeout, .. } =
                options.with_environment(variable, seconds(1), seconds(15), seconds(600));
            (initial, max, timeout.unwrap())
        };
        let set = PollingOptions { delay_seconds: Some(5), max_attempts: Some(50) };
        assert_eq!(retry(PollingOptions::default(), &[]), (seconds(1), seconds(15), seconds(600)));
        assert_eq!(
            retry(PollingOptions::default(), &[("AWS_MAX_ATTEMPTS", "60")]),
            (seconds(1), seconds(15), seconds(120))
        );
        let old = [("AWS_TIMEOUT_SECONDS", "90")];
        assert_eq!(retry(PollingOptions::default(), &old).2, seconds(90));
        let both = [("AWS_TIMEOUT_SECONDS", "90"), ("AWS_MAX_ATTEMPTS", "60")];
        assert_eq!(retry(PollingOptions::default(), &both).2, seconds(120));
        let environment = [("AWS_POLL_DELAY_SECONDS", "7"), ("AWS_MAX_ATTEMPTS", "x")];
        assert_eq!(
            retry(PollingOptions::default(), &environment),
            (seconds(7), seconds(7), seconds(600))
        );
        assert_eq!(retry(set, &environment), (seconds(5), seconds(5), seconds(250)));
    }
}
