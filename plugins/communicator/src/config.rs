//! The options.

use std::time::Duration;

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning, GoDuration};
use ingot_ssh::{SshConfig, SshSettings};
use ingot_winrm::{WinrmConfig, WinrmSettings};
use schemars::JsonSchema;
use serde::Deserialize;

/// The options that a builder flattens into its own. Those of a communicator that is not chosen
/// are not looked at, as in Packer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct CommunicatorConfig {
    /// How to reach the machine: `ssh` (the default), `winrm` or `none`.
    pub communicator: Option<String>,
    /// How long to wait between the first connection and provisioning. No pause by default.
    pub pause_before_connecting: Option<GoDuration>,
    /// `ssh_*` and `temporary_key_pair_*`.
    #[serde(flatten)]
    pub ssh: SshConfig,
    /// `winrm_*`.
    #[serde(flatten)]
    pub winrm: WinrmConfig,
}

/// How a build reaches its machine.
#[derive(Clone, Default)]
pub struct Communication {
    /// The communicator.
    pub kind: CommunicatorKind,
    /// How long to wait between the first connection and provisioning.
    pub pause: Duration,
}

/// A communicator with its settings.
#[derive(Clone, Default)]
pub enum CommunicatorKind {
    /// Not at all: `communicator = "none"`.
    #[default]
    None,
    /// By SSH.
    Ssh(Box<SshSettings>),
    /// By WinRM.
    Winrm(Box<WinrmSettings>),
}

impl CommunicatorConfig {
    /// The communicator that the template chooses or implies.
    pub fn kind(&self) -> &str {
        self.communicator.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("ssh")
    }

    /// What is accepted but has no effect with the communicator that is used.
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        match self.kind() {
            "ssh" => self.ssh.warnings(),
            _ => Vec::new(),
        }
    }

    /// Like [`CommunicatorConfig::prepare`], as part of a builder's own checks: adds what is wrong
    /// to `errors`, and what is to be warned of to `warnings`.
    pub fn prepare_with(
        &self,
        warnings: &mut Vec<ConfigWarning>,
        errors: &mut ConfigErrors,
    ) -> Communication {
        warnings.extend(self.warnings());
        self.prepare().unwrap_or_else(|found| {
            errors.0.extend(found.0);
            Communication::default()
        })
    }

    /// Checks the options, offline, and fills in defaults. What a builder requires beyond that
    /// (a host, a way to log in) it checks itself.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn prepare(&self) -> Result<Communication, ConfigErrors> {
        let pause = self.pause_before_connecting.map_or(Duration::ZERO, |pause| pause.0);
        let kind = match self.kind() {
            "ssh" => CommunicatorKind::Ssh(Box::new(self.ssh.prepare().map_err(of_communicator)?)),
            "winrm" => {
                CommunicatorKind::Winrm(Box::new(self.winrm.prepare().map_err(of_communicator)?))
            }
            "none" => CommunicatorKind::None,
            other => {
                let message = format!("there is no communicator `{other}`");
                let error = ConfigError::on("communicator", message);
                return Err(error.hint("communicators are ssh, winrm and none").into());
            }
        };
        Ok(Communication { kind, pause })
    }
}

/// Errors in the options of one communicator, which matter only if it is the one that is used.
fn of_communicator(errors: ConfigErrors) -> ConfigErrors {
    errors.0.into_iter().map(|error| error.related(["communicator"])).collect()
}
