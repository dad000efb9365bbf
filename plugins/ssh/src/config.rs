//! The options of the communicator. Names and defaults are Packer's.

use ingot_sdk::GoDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// The options that a builder flattens into its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SshConfig {
    /// The machine's name or address. Many builders know it by themselves.
    pub ssh_host: Option<String>,
    /// The port of its SSH server. Default 22.
    pub ssh_port: Option<u16>,
    /// The user to log in as.
    pub ssh_username: Option<String>,
    /// The password to log in with.
    #[schemars(extend("sensitive" = true))]
    pub ssh_password: Option<String>,
    /// The file of the private key to log in with; `~/` is the home directory. A key with a
    /// passphrase has to be in an agent instead, see `ssh_agent_auth`.
    pub ssh_private_key_file: Option<String>,
    /// The file of the certificate that goes with `ssh_private_key_file`.
    pub ssh_certificate_file: Option<String>,
    /// Log in with the keys in the agent at `SSH_AUTH_SOCK`.
    #[serde(default)]
    pub ssh_agent_auth: bool,
    /// The name of a key pair that the machine's platform already knows.
    pub ssh_keypair_name: Option<String>,
    /// The name of the key pair that is created for the build. Default `packer_UUID`.
    pub temporary_key_pair_name: Option<String>,
    /// What kind of key pair that is: `rsa` (the default), `ecdsa` or `ed25519`.
    pub temporary_key_pair_type: Option<String>,
    /// Its size in bits: 1024 and up for `rsa` (default 4096), 256, 384 or 521 (the default) for
    /// `ecdsa`.
    pub temporary_key_pair_bits: Option<u32>,
    /// Remove the public key of the build's own key pair from the machine's `authorized_keys`
    /// files at the end.
    #[serde(default)]
    pub ssh_clear_authorized_keys: bool,
    /// The ciphers to offer, best first.
    #[serde(default)]
    pub ssh_ciphers: Vec<String>,
    /// The key exchange methods to offer, best first.
    #[serde(default)]
    pub ssh_key_exchange_algorithms: Vec<String>,
    /// How long to wait for the machine to take connections. Default 5m, or no limit where
    /// `ssh_handshake_attempts` is set.
    pub ssh_timeout: Option<GoDuration>,
    /// The old name of `ssh_timeout`. It wins over the new one, as in Packer.
    pub ssh_wait_timeout: Option<GoDuration>,
    /// How often to try to log in before giving up. Default 10, or no limit where `ssh_timeout`
    /// is set.
    pub ssh_handshake_attempts: Option<u32>,
    /// How often to ask the server for a sign of life. Default 5s; `-1s` for never.
    pub ssh_keep_alive_interval: Option<String>,
    /// How long the server may be silent before the connection counts as lost. No limit by
    /// default.
    pub ssh_read_write_timeout: Option<GoDuration>,
    /// Run commands with a terminal. Their error output then comes with their output.
    #[serde(default)]
    pub ssh_pty: bool,
    /// How files are copied: `scp` (the default) or `sftp`.
    pub ssh_file_transfer_method: Option<String>,
    /// Packer forwards the local agent to the machine unless this is true; Ingot never does.
    pub ssh_disable_agent_forwarding: Option<bool>,
    /// A host to go through to reach the machine.
    pub ssh_bastion_host: Option<String>,
    /// The port of its SSH server. Default 22.
    pub ssh_bastion_port: Option<u16>,
    /// The user to log in to it as.
    pub ssh_bastion_username: Option<String>,
    /// The password to log in to it with.
    #[schemars(extend("sensitive" = true))]
    pub ssh_bastion_password: Option<String>,
    /// Answer the bastion's questions at the terminal. Not supported.
    #[serde(default)]
    pub ssh_bastion_interactive: bool,
    /// The private key to log in to it with. Default: `ssh_private_key_file`.
    pub ssh_bastion_private_key_file: Option<String>,
    /// The certificate that goes with `ssh_bastion_private_key_file`.
    pub ssh_bastion_certificate_file: Option<String>,
    /// Log in to it with the keys in the agent at `SSH_AUTH_SOCK`.
    #[serde(default)]
    pub ssh_bastion_agent_auth: bool,
    /// A SOCKS5 proxy to go through to reach the machine.
    pub ssh_proxy_host: Option<String>,
    /// Its port. Default 1080.
    pub ssh_proxy_port: Option<u16>,
    /// The user to log in to the proxy as.
    pub ssh_proxy_username: Option<String>,
    /// The password to log in to the proxy with.
    #[schemars(extend("sensitive" = true))]
    pub ssh_proxy_password: Option<String>,
    /// Ports of the machine's localhost that lead to a host here: `PORT:HOST:HOSTPORT`.
    #[serde(default)]
    pub ssh_remote_tunnels: Vec<String>,
    /// Ports of this localhost that lead to a host there: `PORT:HOST:HOSTPORT`.
    #[serde(default)]
    pub ssh_local_tunnels: Vec<String>,
}
