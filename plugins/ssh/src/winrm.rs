//! The options of Packer's other communicator.

use schemars::JsonSchema;
use serde::Deserialize;

/// The options of WinRM. They are known, so that a template that holds them for another source
/// works unchanged and one that needs them gets one error, about `communicator`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "known to the schema only")]
pub struct WinrmConfig {
    /// WinRM is not supported.
    winrm_username: Option<String>,
    /// WinRM is not supported.
    #[schemars(extend("sensitive" = true))]
    winrm_password: Option<String>,
    /// WinRM is not supported.
    winrm_host: Option<String>,
    /// WinRM is not supported.
    winrm_no_proxy: Option<bool>,
    /// WinRM is not supported.
    winrm_port: Option<u16>,
    /// WinRM is not supported.
    winrm_timeout: Option<String>,
    /// WinRM is not supported.
    winrm_use_ssl: Option<bool>,
    /// WinRM is not supported.
    winrm_insecure: Option<bool>,
    /// WinRM is not supported.
    winrm_use_ntlm: Option<bool>,
}
