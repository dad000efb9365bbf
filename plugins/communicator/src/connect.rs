//! Connecting, and what a build knows about its connection.

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::communicator::NoCommunicator;
use ingot_sdk::{Communicator, Error, GeneratedData, GoDuration, Result, RunContext};
use ingot_ssh::KeyPair;
use serde_json::{Value, json};

use crate::config::{Communication, CommunicatorKind};

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
        match &self.kind {
            CommunicatorKind::None => None,
            CommunicatorKind::Ssh(settings) => settings.host.as_deref(),
            CommunicatorKind::Winrm(settings) => settings.host.as_deref(),
        }
    }

    /// The port on the machine.
    pub fn port(&self) -> Option<u16> {
        match &self.kind {
            CommunicatorKind::None => None,
            CommunicatorKind::Ssh(settings) => Some(settings.port),
            CommunicatorKind::Winrm(settings) => Some(settings.port),
        }
    }

    /// How long to wait for the machine; none for no limit.
    pub fn timeout(&self) -> Option<Duration> {
        match &self.kind {
            CommunicatorKind::None => None,
            CommunicatorKind::Ssh(settings) => settings.timeout,
            CommunicatorKind::Winrm(settings) => Some(settings.timeout),
        }
    }

    /// Waits until the machine takes connections, and connects. Without a communicator there is
    /// nothing to wait for, and what needs one is an error.
    ///
    /// # Errors
    /// What kept it from connecting; [`Error::Cancelled`] when the build is
    /// cancelled.
    pub async fn connect(
        &self,
        ctx: &RunContext,
        target: &Target,
    ) -> Result<Arc<dyn Communicator>> {
        let name = match &self.kind {
            CommunicatorKind::None => return Ok(Arc::new(NoCommunicator)),
            CommunicatorKind::Ssh(_) => "SSH",
            CommunicatorKind::Winrm(_) => "WinRM",
        };
        ctx.ui.say(format!("Using {name} communicator to connect: {}", target.host));
        let mut link = self.open(ctx, target).await?;
        if !self.pause.is_zero() {
            // As in Packer: the machine must be up before the pause begins.
            drop(link);
            ctx.ui.say(format!("Pausing {} before connecting...", GoDuration(self.pause)));
            tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(self.pause) => {}
            }
            link = self.open(ctx, target).await?;
        }
        Ok(link)
    }

    async fn open(&self, ctx: &RunContext, target: &Target) -> Result<Arc<dyn Communicator>> {
        match &self.kind {
            CommunicatorKind::None => Ok(Arc::new(NoCommunicator)),
            CommunicatorKind::Ssh(settings) => settings.connect(ctx, &target.ssh()).await,
            CommunicatorKind::Winrm(settings) => settings.connect(ctx, &target.winrm()).await,
        }
    }

    /// The generated data about the connection to `target`, under Packer's names.
    pub fn generated_data(&self, target: Option<&Target>) -> GeneratedData {
        if let CommunicatorKind::None = self.kind {
            // Without a connection there is nothing else to know.
            return GeneratedData::from([("ConnType".to_owned(), json!("none"))]);
        }
        let port = target.and_then(|target| target.port).or(self.port());
        let pair = target.and_then(|target| target.key_pair.as_ref());
        let (kind, user, password) = match &self.kind {
            CommunicatorKind::None => ("none", "", None),
            CommunicatorKind::Ssh(settings) => {
                ("ssh", settings.login.user.as_str(), settings.login.password.clone())
            }
            CommunicatorKind::Winrm(settings) => {
                let known = target.and_then(|target| target.password.clone());
                ("winrm", settings.user.as_str(), known.or_else(|| settings.password.clone()))
            }
        };
        let password = password.unwrap_or_default();
        let (key_file, agent): (Option<&str>, bool) = match &self.kind {
            CommunicatorKind::Ssh(settings) => {
                let key = settings.login.key.as_ref().map(|key| key.path.as_str());
                (key, settings.login.agent)
            }
            CommunicatorKind::None | CommunicatorKind::Winrm(_) => (None, false),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CommunicatorConfig;

    fn prepare(options: Value) -> Result<Communication, String> {
        let config: CommunicatorConfig = serde_json::from_value(options).unwrap();
        config.prepare().map_err(|errors| format!("{:?}", errors.0))
    }

    #[test]
    fn only_the_options_of_the_chosen_way_count() {
        let both = |kind: &str| {
            json!({
                "communicator": kind, "ssh_username": "s", "winrm_username": "w",
                "ssh_password": "sp", "winrm_password": "wp", "pause_before_connecting": "2s",
            })
        };
        let target = Target { host: "h".into(), port: Some(7), ..Target::default() };
        for (kind, port, user, password, winrm) in
            [("", 22, "s", "sp", ""), ("ssh", 22, "s", "sp", ""), ("winrm", 5985, "w", "wp", "wp")]
        {
            let communication = prepare(both(kind)).unwrap();
            assert_eq!(communication.port(), Some(port));
            assert_eq!(communication.pause.as_secs(), 2);
            let data = communication.generated_data(Some(&target));
            let text = |name: &str| data[name].as_str().unwrap().to_owned();
            let known = ["Host", "User", "Password", "WinRMPassword"].map(text);
            assert_eq!(known, ["h", user, password, winrm]);
            assert_eq!(data["Port"], 7);
        }
        let none = prepare(both("none")).unwrap();
        assert_eq!(none.generated_data(None)["ConnType"], "none");
        let known = Target { password: Some("new".into()), ..target };
        let data = prepare(both("winrm")).unwrap().generated_data(Some(&known));
        assert_eq!((&data["WinRMPassword"], &data["ConnType"]), (&json!("new"), &json!("winrm")));
    }

    #[test]
    fn unknown_communicators_are_named() {
        let error = prepare(json!({ "communicator": "ssl" })).err().unwrap();
        assert!(error.contains("no communicator `ssl`"), "{error}");
    }
}
