//! What the environment says about publishing, in Packer's variables.

use std::time::Duration;

use ingot_hcl::Diagnostic;
use ingot_sdk::GoDuration;
use ingot_sdk::environment::set_text;

use ingot_registry::settings::variable;

/// Packer's variable for the bucket's name.
pub(super) const BUCKET_NAME: &str = "HCP_PACKER_BUCKET_NAME";
/// Packer's variable for the version's fingerprint.
pub(super) const FINGERPRINT: &str = "HCP_PACKER_BUILD_FINGERPRINT";
/// Ingot's variable for how a fingerprint is made where none is given.
pub(super) const FINGERPRINT_FROM: &str = "INGOT_BUILD_FINGERPRINT";
/// Packer's switch.
const REGISTRY: &str = "HCP_PACKER_REGISTRY";
/// How often a registry is notified that a build still runs, as a duration.
const HEARTBEAT: &str = "INGOT_REGISTRY_HEARTBEAT";
/// Packer's period.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(120);
/// The longest one: a registry takes a build for dead that it has not heard of for ten minutes.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(300);

/// The variables.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// `HCP_PACKER_REGISTRY`
    pub registry: Option<String>,
    /// `HCP_PACKER_BUCKET_NAME`, if it is not empty.
    pub bucket_name: Option<String>,
    /// `HCP_PACKER_BUILD_FINGERPRINT`, if it is not empty.
    pub fingerprint: Option<String>,
    /// `INGOT_BUILD_FINGERPRINT`, if it is not empty.
    pub fingerprint_from: Option<String>,
    /// `INGOT_REGISTRY_HEARTBEAT`, if it is not empty.
    pub heartbeat: Option<String>,
}

impl Environment {
    pub(super) fn read() -> Self {
        Environment {
            registry: variable(REGISTRY),
            bucket_name: set_text(BUCKET_NAME),
            fingerprint: set_text(FINGERPRINT),
            fingerprint_from: set_text(FINGERPRINT_FROM),
            heartbeat: set_text(HEARTBEAT),
        }
    }

    /// Whether builds are published; `block` says whether the template has a registry block.
    pub(super) fn enables(&self, block: bool) -> bool {
        match self.registry.as_deref() {
            Some(text) if text == "0" || text.eq_ignore_ascii_case("off") => false,
            Some(_) => true,
            None => block || self.bucket_name.is_some(),
        }
    }

    /// How often a registry is notified that a build still runs.
    ///
    /// # Errors
    /// What the variable says is no such time.
    pub(super) fn heartbeat(&self) -> Result<Duration, Diagnostic> {
        let Some(text) = &self.heartbeat else { return Ok(DEFAULT_HEARTBEAT) };
        let problem = match GoDuration::parse(text) {
            Ok(GoDuration(Duration::ZERO)) => "there has to be some time between two".to_owned(),
            Ok(GoDuration(period)) if period > LONGEST_HEARTBEAT => {
                "a registry would take running builds for dead".to_owned()
            }
            Ok(GoDuration(period)) => return Ok(period),
            Err(problem) => problem,
        };
        Err(Diagnostic::error(format!("{HEARTBEAT} is {text:?}: {problem}"))
            .help("set it to a duration of at most 5m, such as 30s, or not at all for 2m"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Environment;

    #[test]
    fn the_heartbeat_is_a_duration_that_is_short_enough() {
        let with = |text: &str| {
            let environment =
                Environment { heartbeat: Some(text.into()), ..Environment::default() };
            environment.heartbeat().map_err(|error| error.message)
        };
        assert_eq!(Environment::default().heartbeat().unwrap(), Duration::from_secs(120));
        assert_eq!(with("5m"), Ok(Duration::from_secs(300)));
        for (text, problem) in [
            ("30", "has no unit"),
            ("0s", "some time between two"),
            ("-5s", "some time between two"),
            ("20m", "take running builds for dead"),
            ("soon", "cannot read"),
        ] {
            let said = with(text).unwrap_err();
            assert!(said.contains(problem) && said.contains("INGOT_REGISTRY_HEARTBEAT"), "{said}");
        }
    }

    #[test]
    fn the_switch_overrides_the_rest() {
        let with = |registry: &str| Environment {
            registry: Some(registry.into()),
            ..Environment::default()
        };
        assert!(!with("OFF").enables(true) && !with("0").enables(true));
        assert!(with("").enables(false) && with("on").enables(false));
        let environment = Environment::default();
        assert!(environment.enables(true) && !environment.enables(false));
        let named = Environment { bucket_name: Some("b".into()), ..Environment::default() };
        assert!(named.enables(false));
    }
}
