//! Connecting, and what a build knows about its connection.

use std::sync::Arc;

use ingot_sdk::{Communicator, GeneratedData, Result, RunContext};
use ingot_ssh::KeyPair;
use serde_json::{Value, json};

use crate::config::Communication;
use crate::none::NoCommunicator;

/// The machine to connect to.
#[derive(Clone, Default)]
pub struct Target {
    /// Its name or address.
    pub host: String,
    /// Its port, where it is not the one in the options.
    pub port: Option<u16>,
    /// The build's key pair, for SSH, if it has one.
    pub key_pair: Option<KeyPair>,
    /// The password, for WinRM, where the platform and not the options know it.
    pub password: Option<String>,
}

impl Target {
    fn ssh(&self) -> ingot_ssh::Target {
        ingot_ssh::Target {
            host: self.host.clone(),
            port: self.port,
            key_pair: self.key_pair.clone(),
        }
    }

    fn winrm(&self) -> ingot_winrm::Target {
        ingot_winrm::Target {
            host: self.host.clone(),
            port: self.port,
            password: self.password.clone(),
        }
    }
}

impl Communication {
    /// The host that the options name.
    pub fn host(&self) -> Option<&str> {
        match self {
            Communication::None => None,
            Communication::Ssh(settings) => settings.host.as_deref(),
            Communication::Winrm(settings) => settings.host.as_deref(),
        }
    }

    /// The port on the machine.
    pub fn port(&self) -> Option<u16> {
        match self {
            Communication::None => None,
            Communication::Ssh(settings) => Some(settings.port),
            Communication::Winrm(settings) => Some(settings.port),
        }
    }

    /// Waits until the machine takes connections, and connects. Without a communicator there is
    /// nothing to wait for, and what needs one is an error.
    ///
    /// # Errors
    /// What kept it from connecting; [`ingot_sdk::Error::Cancelled`] when the build is
    /// cancelled.
    pub async fn connect(
        &self,
        ctx: &RunContext,
        target: &Target,
    ) -> Result<Arc<dyn Communicator>> {
        match self {
            Communication::None => Ok(Arc::new(NoCommunicator)),
            Communication::Ssh(settings) => settings.connect(ctx, &target.ssh()).await,
            Communication::Winrm(settings) => settings.connect(ctx, &target.winrm()).await,
        }
    }

    /// The generated data about the connection to `target`, under Packer's names.
    pub fn generated_data(&self, target: Option<&Target>) -> GeneratedData {
        let port = target.and_then(|target| target.port).or(self.port());
        let pair = target.and_then(|target| target.key_pair.as_ref());
        let (kind, user, password) = match self {
            Communication::None => ("none", "", None),
            Communication::Ssh(settings) => {
                ("ssh", settings.login.user.as_str(), settings.login.password.clone())
            }
            Communication::Winrm(settings) => {
                let known = target.and_then(|target| target.password.clone());
                ("winrm", settings.user.as_str(), known.or_else(|| settings.password.clone()))
            }
        };
        let password = password.unwrap_or_default();
        let (key_file, agent): (Option<&str>, bool) = match self {
            Communication::Ssh(settings) => {
                let key = settings.login.key.as_ref().map(|key| key.path.as_str());
                (key, settings.login.agent)
            }
            Communication::None | Communication::Winrm(_) => (None, false),
        };
        let data: [(&str, Value); 10] = [
            ("Host", json!(target.map_or("", |target| &target.host))),
            ("Port", json!(port.unwrap_or(0))),
            ("User", json!(user)),
            ("WinRMPassword", json!(if kind == "winrm" { &password } else { "" })),
            ("Password", json!(password)),
            ("ConnType", json!(kind)),
            ("SSHPublicKey", json!(pair.map_or("", |pair| &pair.public))),
            ("SSHPrivateKey", json!(pair.map_or("", |pair| &pair.private))),
            ("SSHPrivateKeyFile", json!(key_file.unwrap_or(""))),
            ("SSHAgentAuth", json!(agent)),
        ];
        data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
