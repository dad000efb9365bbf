//! The options. Names and defaults are Packer's.

use std::time::Duration;

use ingot_sdk::{ConfigError, ConfigErrors, GoDuration};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::service::Access;

/// The options that a builder flattens into its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct WinrmConfig {
    /// The machine's name or address. Many builders know it by themselves.
    pub winrm_host: Option<String>,
    /// The port of its WinRM service. Default 5985, or 5986 with `winrm_use_ssl`.
    pub winrm_port: Option<u16>,
    /// The user to log in as.
    pub winrm_username: Option<String>,
    /// The password to log in with.
    #[schemars(extend("sensitive" = true))]
    pub winrm_password: Option<String>,
    /// How long to wait for the machine to take connections. Default 30m.
    pub winrm_timeout: Option<GoDuration>,
    /// Connect by HTTPS.
    #[serde(default)]
    pub winrm_use_ssl: bool,
    /// Take any certificate.
    #[serde(default)]
    pub winrm_insecure: bool,
    /// Connect straight, whatever proxies the environment names.
    #[serde(default)]
    pub winrm_no_proxy: bool,
    /// Log in by NTLM (version 2) rather than by basic authentication. Without `winrm_use_ssl`,
    /// messages are encrypted by NTLM.
    #[serde(default)]
    pub winrm_use_ntlm: bool,
}

/// The checked options of [`WinrmConfig`].
#[derive(Clone)]
pub struct WinrmSettings {
    /// The machine, where the template names it.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With what; a builder may learn it only while it runs.
    pub password: Option<String>,
    /// How long to wait for the machine.
    pub timeout: Duration,
    pub(crate) tls: bool,
    pub(crate) access: Access,
}

impl WinrmConfig {
    /// Checks the options, offline, and fills in defaults. What a builder requires beyond that
    /// (a host, a password) it checks itself.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn prepare(&self) -> Result<WinrmSettings, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let user = given(&self.winrm_username).unwrap_or_default();
        if user.is_empty() {
            errors.push(
                ConfigError::new("`winrm_username` is missing: who to log in as")
                    .related(["winrm_username"])
                    .hint("set winrm_username = \"Administrator\" or another administrator"),
            );
        }
        let port = match self.winrm_use_ssl {
            true => 5986,
            false => 5985,
        };
        let timeout = self.winrm_timeout.map(|limit| limit.0).filter(|limit| !limit.is_zero());
        errors.into_result(WinrmSettings {
            host: given(&self.winrm_host),
            port: self.winrm_port.filter(|&port| port != 0).unwrap_or(port),
            user,
            password: given(&self.winrm_password),
            timeout: timeout.unwrap_or(Duration::from_secs(30 * 60)),
            tls: self.winrm_use_ssl,
            access: Access {
                any_certificate: self.winrm_insecure,
                no_proxy: self.winrm_no_proxy,
                ntlm: self.winrm_use_ntlm,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> WinrmConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn defaults_are_packers() {
        let settings = config(serde_json::json!({ "winrm_username": "u" })).prepare().unwrap();
        assert_eq!((settings.port, settings.timeout.as_secs()), (5985, 1800));
        let tls = config(serde_json::json!({ "winrm_username": "u", "winrm_use_ssl": true }));
        assert_eq!(tls.prepare().unwrap().port, 5986);
    }

    #[test]
    fn what_is_missing_is_named() {
        let Err(errors) = config(serde_json::json!({ "winrm_use_ntlm": true })).prepare() else {
            panic!("accepted")
        };
        let texts: Vec<_> = errors.0.iter().map(|error| error.message.as_str()).collect();
        assert!(matches!(texts[..], [text] if text.contains("winrm_username")), "{texts:?}");
    }
}
