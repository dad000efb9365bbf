//! What a build knows about its connection: `build.Host`, `build.User`, …

use ingot_sdk::GeneratedData;
use serde_json::json;

use crate::connect::Target;
use crate::settings::{Communication, SshSettings};

impl Communication {
    /// The generated data about the connection to `target`, under Packer's names.
    pub fn generated_data(&self, target: Option<&Target>) -> GeneratedData {
        let empty = SshSettings::generated(None, None);
        match self {
            Communication::None => empty,
            Communication::Ssh(settings) => SshSettings::generated(Some(settings), target),
        }
    }
}

impl SshSettings {
    fn generated(settings: Option<&SshSettings>, target: Option<&Target>) -> GeneratedData {
        let pair = target.and_then(|target| target.key_pair.as_ref());
        let login = settings.map(|settings| &settings.login);
        let file = login.and_then(|login| login.key.as_ref()).map(|key| key.path.as_str());
        let port = target.and_then(|target| target.port).or(settings.map(|s| s.port));
        let data = [
            ("Host", json!(target.map_or("", |target| &target.host))),
            ("Port", json!(port.unwrap_or(0))),
            ("User", json!(login.map_or("", |login| &login.user))),
            ("Password", json!(login.and_then(|login| login.password.as_deref()).unwrap_or(""))),
            ("ConnType", json!(if settings.is_some() { "ssh" } else { "none" })),
            ("SSHPublicKey", json!(pair.map_or("", |pair| &pair.public))),
            ("SSHPrivateKey", json!(pair.map_or("", |pair| &pair.private))),
            ("SSHPrivateKeyFile", json!(file.unwrap_or(""))),
            ("SSHAgentAuth", json!(login.is_some_and(|login| login.agent))),
            ("WinRMPassword", json!("")),
        ];
        data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
