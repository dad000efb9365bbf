//! The options, checked and with their defaults.

use std::time::Duration;

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning, Error, GoDuration, RunContext};
use ssh2::MethodType;

use crate::algorithms::unsupported;
use crate::config::SshConfig;
use crate::key::KeyFile;
use crate::key_pair::{KeyPair, KeyPairType};
use crate::tunnel::Tunnel;

/// Who logs in, and with what.
#[derive(Clone, Default)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, if any.
    pub password: Option<String>,
    /// The key, if any.
    pub key: Option<KeyFile>,
    /// Whether the agent's keys are tried.
    pub agent: bool,
}

/// The way to the machine.
#[derive(Clone)]
pub(crate) enum Route {
    /// Straight.
    Direct,
    /// Through another SSH server.
    Bastion(Box<Bastion>),
    /// Through a SOCKS5 proxy.
    Proxy(Box<Proxy>),
}

/// An SSH server on the way.
#[derive(Clone)]
pub(crate) struct Bastion {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How to log in there.
    pub login: Login,
}

/// A SOCKS5 proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, if it asks.
    pub login: Option<(String, String)>,
}

/// How files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// The protocol of `scp`, and `tar` for directories.
    Scp,
    /// SFTP.
    Sftp,
}

/// The checked options of [`SshConfig`].
#[derive(Clone)]
pub struct SshSettings {
    /// The machine, where the template names it.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// How to log in.
    pub login: Login,
    /// The platform's name of an existing key pair.
    pub keypair_name: Option<String>,
    /// The name of the build's own key pair.
    pub temporary_key_pair_name: String,
    /// Its kind.
    pub temporary_key_pair_type: KeyPairType,
    /// Whether its public key is removed from the machine.
    pub clear_authorized_keys: bool,
    /// How long to wait for the machine; none for no limit.
    pub timeout: Option<Duration>,
    /// How often to try to log in; none for no limit.
    pub handshake_attempts: Option<u32>,
    pub(crate) ciphers: Vec<String>,
    pub(crate) key_exchanges: Vec<String>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) silence: Option<Duration>,
    pub(crate) pty: bool,
    pub(crate) transfer: Transfer,
    pub(crate) route: Route,
    pub(crate) remote_tunnels: Vec<Tunnel>,
    pub(crate) local_tunnels: Vec<Tunnel>,
}

impl SshSettings {
    /// The key pair for a machine that the build makes: the one of `ssh_private_key_file`, or a
    /// new one. Its private key is masked from now on.
    ///
    /// # Errors
    /// The file cannot be read, or OpenSSL failed.
    pub async fn key_pair(&self, ctx: &RunContext) -> ingot_sdk::Result<KeyPair> {
        let pair = match &self.login.key {
            Some(file) => {
                ctx.ui.say("Using existing SSH private key");
                let key = file.read().map_err(Error::from)?;
                KeyPair { private: key.text, public: key.public }
            }
            None => {
                let kind = self.temporary_key_pair_type;
                ctx.ui.say(format!("Creating temporary {} SSH key for instance...", kind.name()));
                KeyPair::generate(kind, &self.temporary_key_pair_name).await?
            }
        };
        pair.mask(&ctx.ui);
        Ok(pair)
    }
}

/// A text that was given and is not empty; an empty one is the same as none, as in Packer.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl SshConfig {
    /// Checks the options, offline, and fills in defaults. What a builder requires beyond that
    /// (a host, a way to log in) it checks itself.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn prepare(&self) -> Result<SshSettings, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let user = given(&self.ssh_username).unwrap_or_default().to_owned();
        if user.is_empty() {
            errors.push(
                ConfigError::new("`ssh_username` is missing: who to log in as")
                    .related(["ssh_username"])
                    .hint("set ssh_username = \"root\" or another user of the machine"),
            );
        }
        let key = key_file(
            ("ssh_private_key_file", &self.ssh_private_key_file),
            ("ssh_certificate_file", &self.ssh_certificate_file),
            &mut errors,
        );
        let login =
            Login { user, password: text(&self.ssh_password), key, agent: self.ssh_agent_auth };
        let (timeout, handshake_attempts) = self.patience();
        let settings = SshSettings {
            host: text(&self.ssh_host),
            port: self.ssh_port.filter(|&port| port != 0).unwrap_or(22),
            keypair_name: text(&self.ssh_keypair_name),
            temporary_key_pair_name: text(&self.temporary_key_pair_name)
                .unwrap_or_else(|| format!("packer_{}", uuid::Uuid::new_v4())),
            temporary_key_pair_type: self.key_pair_type(&mut errors),
            clear_authorized_keys: self.ssh_clear_authorized_keys,
            timeout,
            handshake_attempts,
            ciphers: self.ssh_ciphers.clone(),
            key_exchanges: self.ssh_key_exchange_algorithms.clone(),
            keep_alive: self.keep_alive(&mut errors),
            silence: self.ssh_read_write_timeout.map(|limit| limit.0).filter(|d| !d.is_zero()),
            pty: self.ssh_pty,
            transfer: self.transfer(&mut errors),
            route: self.route(&login, &mut errors),
            remote_tunnels: tunnels("ssh_remote_tunnels", &self.ssh_remote_tunnels, &mut errors),
            local_tunnels: tunnels("ssh_local_tunnels", &self.ssh_local_tunnels, &mut errors),
            login,
        };
        self.unsupported(&mut errors);
        errors.into_result(settings)
    }

    /// Packer's rule: either limit alone lifts the other, and neither means both defaults.
    fn patience(&self) -> (Option<Duration>, Option<u32>) {
        let positive = |limit: Option<GoDuration>| limit.map(|l| l.0).filter(|l| !l.is_zero());
        let mut timeout = positive(self.ssh_timeout);
        let mut attempts = self.ssh_handshake_attempts.filter(|&count| count > 0);
        if timeout.is_none() && attempts.is_none() {
            (timeout, attempts) = (Some(Duration::from_secs(5 * 60)), Some(10));
        }
        (positive(self.ssh_wait_timeout).or(timeout), attempts)
    }

    fn keep_alive(&self, errors: &mut ConfigErrors) -> Option<Duration> {
        const DEFAULT: Option<Duration> = Some(Duration::from_secs(5));
        let Some(text) = given(&self.ssh_keep_alive_interval) else { return DEFAULT };
        match GoDuration::parse(text) {
            Ok(_) if text.trim_start().starts_with('-') => None,
            Ok(interval) if interval.0.is_zero() => DEFAULT,
            Ok(interval) => Some(interval.0),
            Err(error) => {
                errors.push(ConfigError::on("ssh_keep_alive_interval", error));
                None
            }
        }
    }

    fn transfer(&self, errors: &mut ConfigErrors) -> Transfer {
        match given(&self.ssh_file_transfer_method).unwrap_or("scp") {
            "sftp" => Transfer::Sftp,
            other => {
                if other != "scp" {
                    let message = format!("`{other}` is not a way to copy files");
                    errors.push(
                        ConfigError::on("ssh_file_transfer_method", message)
                            .hint("write \"scp\" or \"sftp\""),
                    );
                }
                Transfer::Scp
            }
        }
    }

    fn key_pair_type(&self, errors: &mut ConfigErrors) -> KeyPairType {
        let name = given(&self.temporary_key_pair_type).unwrap_or("rsa");
        let bits = self.temporary_key_pair_bits.filter(|&bits| bits != 0);
        KeyPairType::new(name, bits).unwrap_or_else(|error| {
            errors.push(error.related(["temporary_key_pair_type"]));
            KeyPairType::Ed25519
        })
    }

    fn route(&self, login: &Login, errors: &mut ConfigErrors) -> Route {
        let (bastion, proxy) = (given(&self.ssh_bastion_host), given(&self.ssh_proxy_host));
        if bastion.is_some() && proxy.is_some() {
            errors.push(
                ConfigError::on("ssh_proxy_host", "a bastion and a proxy exclude each other")
                    .hint("keep ssh_bastion_host or ssh_proxy_host"),
            );
        }
        // Without a bastion nothing is read that only it needs: where a template leaves its host empty,
        // there may be no such key either.
        if let Some(host) = bastion {
            let mut key = key_file(
                ("ssh_bastion_private_key_file", &self.ssh_bastion_private_key_file),
                ("ssh_bastion_certificate_file", &self.ssh_bastion_certificate_file),
                errors,
            );
            // A key file that could not be read was already reported.
            let named = given(&self.ssh_bastion_private_key_file).is_some()
                || given(&self.ssh_private_key_file).is_some();
            if given(&self.ssh_bastion_private_key_file).is_none() {
                key = login.key.clone();
            }
            let password = text(&self.ssh_bastion_password);
            if password.is_none() && !named && !self.ssh_bastion_agent_auth {
                errors.push(
                    ConfigError::on("ssh_bastion_host", "there is no way to log in")
                        .related([
                            "ssh_bastion_password",
                            "ssh_bastion_private_key_file",
                            "ssh_private_key_file",
                            "ssh_bastion_agent_auth",
                        ])
                        .hint(
                            "set ssh_bastion_password, ssh_bastion_private_key_file or \
                             ssh_bastion_agent_auth",
                        ),
                );
            }
            let user = given(&self.ssh_bastion_username).unwrap_or_default().to_owned();
            if user.is_empty() {
                errors.push(
                    ConfigError::on("ssh_bastion_host", "`ssh_bastion_username` is missing")
                        .related(["ssh_bastion_username"])
                        .hint("set it to the user to log in to the bastion as"),
                );
            }
            return Route::Bastion(Box::new(Bastion {
                host: host.to_owned(),
                port: self.ssh_bastion_port.filter(|&port| port != 0).unwrap_or(22),
                login: Login { user, password, key, agent: self.ssh_bastion_agent_auth },
            }));
        }
        match proxy {
            None => Route::Direct,
            Some(host) => Route::Proxy(Box::new(Proxy {
                host: host.to_owned(),
                port: self.ssh_proxy_port.filter(|&port| port != 0).unwrap_or(1080),
                login: text(&self.ssh_proxy_username)
                    .map(|user| (user, self.ssh_proxy_password.clone().unwrap_or_default())),
            })),
        }
    }

    /// What is accepted but has no effect, for people to see.
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        // `false` is Packer's default, and templates spell it out: most of them need no agent on
        // the machine, so that it is not there is no reason to refuse them.
        let forward = self.ssh_disable_agent_forwarding == Some(false);
        let warning = "`ssh_disable_agent_forwarding` = false has no effect: the agent is not \
                       forwarded to the machine";
        let warning = || ConfigWarning::on("ssh_disable_agent_forwarding", warning);
        forward.then(warning).into_iter().collect()
    }

    /// What libssh2 or Ingot cannot do.
    fn unsupported(&self, errors: &mut ConfigErrors) {
        for (option, kind, wanted) in [
            ("ssh_ciphers", MethodType::CryptCs, &self.ssh_ciphers),
            ("ssh_key_exchange_algorithms", MethodType::Kex, &self.ssh_key_exchange_algorithms),
        ] {
            if let Some((unknown, known)) = unsupported(kind, wanted) {
                let message = format!("not supported: {}", unknown.join(", "));
                errors.push(ConfigError::on(option, message).hint(format!("known are {known}")));
            }
        }
        if self.ssh_bastion_interactive && given(&self.ssh_bastion_host).is_some() {
            errors.push(
                ConfigError::on("ssh_bastion_interactive", "this is not supported yet")
                    .hint("use ssh_bastion_password, a key or an agent"),
            );
        }
    }
}

fn text(text: &Option<String>) -> Option<String> {
    given(text).map(str::to_owned)
}

/// Reads and checks a key and its certificate, where both are known.
fn key_file(
    (key_option, key): (&'static str, &Option<String>),
    (certificate_option, certificate): (&'static str, &Option<String>),
    errors: &mut ConfigErrors,
) -> Option<KeyFile> {
    let certificate = given(certificate);
    let Some(path) = given(key) else {
        if certificate.is_some() {
            let message = format!("a certificate needs `{key_option}`");
            errors.push(ConfigError::on(certificate_option, message).related([key_option]));
        }
        return None;
    };
    let file = KeyFile { path: path.to_owned(), certificate: certificate.map(str::to_owned) };
    match file.read() {
        Ok(_) => Some(file),
        Err(problem) => {
            let option = if problem.in_certificate { certificate_option } else { key_option };
            let error = ConfigError::on(option, problem.message);
            errors.push(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
            None
        }
    }
}

fn tunnels(option: &str, texts: &[String], errors: &mut ConfigErrors) -> Vec<Tunnel> {
    let parse = |text: &String| match Tunnel::parse(text) {
        Ok(tunnel) => Some(tunnel),
        Err(error) => {
            errors.push(ConfigError::on(option, error));
            None
        }
    };
    texts.iter().filter_map(parse).collect()
}
