//! What the environment says about publishing, in Packer's variables.

use std::time::Duration;

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
}

impl Environment {
    pub(super) fn read() -> Self {
        Environment {
            registry: variable(REGISTRY),
            bucket_name: set_text(BUCKET_NAME),
            fingerprint: set_text(FINGERPRINT),
            fingerprint_from: set_text(FINGERPRINT_FROM),
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
}

/// How often a registry is notified that a build still runs.
pub(super) fn heartbeat() -> Duration {
    let set = variable(HEARTBEAT).and_then(|text| Some(GoDuration::parse(&text).ok()?.0));
    set.filter(|period| !period.is_zero()).unwrap_or(DEFAULT_HEARTBEAT)
}

#[cfg(test)]
mod tests {
    use super::Environment;

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
