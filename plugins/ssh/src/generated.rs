//! What a build knows about its connection: `build.Host`, `build.User`, …

use ingot_sdk::GeneratedData;
use serde_json::json;

use crate::connect::Target;
use crate::settings::{Communication, SshSettings};

impl Communication {
    /// The generated data about the connection to `target`, under Packer's names.
    pub fn generated_data(&self, target: Option<&Target>) -> GeneratedData {
        match self {
            // Without a connection there is nothing to know, not even that there is none.
            Communication::None => GeneratedData::new(),
            Communication::Ssh(settings) => settings.generated(target),
        }
    }
}

impl SshSettings {
    fn generated(&self, target: Option<&Target>) -> GeneratedData {
        let pair = target.and_then(|target| target.key_pair.as_ref());
        let login = &self.login;
        let data = [
            ("Host", json!(target.map_or("", |target| &target.host))),
            ("Port", json!(target.and_then(|target| target.port).unwrap_or(self.port))),
            ("User", json!(login.user)),
            ("Password", json!(login.password.as_deref().unwrap_or(""))),
            ("ConnType", json!("ssh")),
            ("SSHPublicKey", json!(pair.map_or("", |pair| &pair.public))),
            ("SSHPrivateKey", json!(pair.map_or("", |pair| &pair.private))),
            ("SSHPrivateKeyFile", json!(login.key.as_ref().map_or("", |key| key.path.as_str()))),
            ("SSHAgentAuth", json!(login.agent)),
            ("WinRMPassword", json!("")),
        ];
        data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
