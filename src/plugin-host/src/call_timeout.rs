//! How long plugins may take to answer.

use std::time::Duration;

use ingot_sdk::GoDuration;

/// The variable that says how long a plugin may take to answer what needs no work.
pub(crate) const TIMEOUT: &str = "INGOT_PLUGIN_TIMEOUT";
/// How long that is where it does not say: to check its options, some ask a service in the network.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a plugin may take to answer, as the environment has it.
///
/// # Errors
/// That is no such time.
pub fn call_timeout() -> ingot_sdk::Result<Duration> {
    match std::env::var(TIMEOUT) {
        Ok(text) if !text.is_empty() => read_timeout(&text),
        _ => Ok(CALL_TIMEOUT),
    }
}

fn read_timeout(text: &str) -> ingot_sdk::Result<Duration> {
    let problem = match GoDuration::parse(text) {
        Ok(GoDuration(Duration::ZERO)) => "a plugin needs some time to answer".to_owned(),
        Ok(GoDuration(limit)) => return Ok(limit),
        Err(problem) => problem,
    };
    Err(ingot_sdk::Error::new(format!("{TIMEOUT} is {text:?}: {problem}"))
        .hint("set it to a duration such as 10m, or not at all for 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_timeout_is_an_error() {
        assert_eq!(read_timeout("10m").unwrap(), Duration::from_secs(600));
        for (text, problem) in [
            ("600", "has no unit"),
            ("10min", "is not a unit of time"),
            ("abc", "cannot read"),
            ("0", "needs some time"),
            ("0s", "needs some time"),
            ("-5m", "needs some time"),
        ] {
            let error = read_timeout(text).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(problem) && said.contains(TIMEOUT), "{text}: {said}");
            assert!(error.advice().is_some_and(|advice| advice.contains("10m")));
        }
    }
}
