//! The options of the blocks of a test.

use ingot_sdk::{ConfigError, ConfigErrors, GoDuration};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long a check may take, and how long it is tried again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct Waiting {
    /// How long one attempt may take. Default: the test's `check_timeout`, else 60s.
    pub timeout: Option<GoDuration>,
    /// For how long a check that fails is tried again. Default: the test's `retry_timeout`, else
    /// 10s for services, ports and processes that must run, and not at all for the others.
    pub retry_timeout: Option<GoDuration>,
}

/// The options of a `command` block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct CommandOptions {
    /// The command line. Default: the block's label.
    pub exec: Option<String>,
    /// The status that it must exit with. Default 0.
    #[serde(default)]
    pub exit_status: i32,
    /// What its standard output must have: a text that a line holds, `/…/` for a regular expression
    /// that a line matches, with `!` before it for what no line may have.
    #[serde(default)]
    pub stdout: Vec<String>,
    /// What its standard error must have, as `stdout`.
    #[serde(default)]
    pub stderr: Vec<String>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `file` block. Of a symbolic link, the mode, the owner and the size are its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct FileOptions {
    /// Whether it must be there. Default true.
    pub exists: Option<bool>,
    /// Its type: `file`, `directory`, `symlink`, `socket`, `pipe`, `block-device` or
    /// `character-device`.
    #[serde(rename = "type")]
    pub file_type: Option<String>,
    /// Its mode in octal, such as `0644`.
    pub mode: Option<String>,
    /// The name of its owner, or the owner's number.
    pub owner: Option<String>,
    /// The name of its group, or the group's number.
    pub group: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Where a symbolic link leads.
    pub linked_to: Option<String>,
    /// What must be in it, as `stdout` of a command.
    #[serde(default)]
    pub contains: Vec<String>,
    /// The MD5 sum of what is in it.
    pub md5: Option<String>,
    /// The SHA-256 sum of what is in it.
    pub sha256: Option<String>,
    /// The SHA-512 sum of what is in it.
    pub sha512: Option<String>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `package` block: a package of dpkg, rpm, apk or pacman.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct PackageOptions {
    /// Whether it must be installed. Default true.
    pub installed: Option<bool>,
    /// What its version must be: a text that it begins with, `/…/` for a regular expression that it
    /// matches, with `!` before it for what it must not be.
    #[serde(default)]
    pub version: Vec<String>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `service` block: a service of systemd, OpenRC or SysV init.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct ServiceOptions {
    /// Whether it must run.
    pub running: Option<bool>,
    /// Whether it must start by itself when the machine boots.
    pub enabled: Option<bool>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `port` block, whose label is `PROTOCOL:NUMBER`: `tcp`, `udp`, or `tcp6` and
/// `udp6` for addresses of IPv6 alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct PortOptions {
    /// Whether something must listen on it. Default true.
    pub listening: Option<bool>,
    /// Addresses that it must listen on.
    #[serde(default)]
    pub ip: Vec<String>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `user` block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct UserOptions {
    /// Whether the user must exist. Default true.
    pub exists: Option<bool>,
    /// The user's number.
    pub uid: Option<u32>,
    /// The number of the user's first group.
    pub gid: Option<u32>,
    /// Groups that the user must be in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The home directory.
    pub home: Option<String>,
    /// The login shell.
    pub shell: Option<String>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `group` block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct GroupOptions {
    /// Whether the group must exist. Default true.
    pub exists: Option<bool>,
    /// The group's number.
    pub gid: Option<u32>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// The options of a `process` block, whose label is the name of a program.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct ProcessOptions {
    /// Whether it must run. Default true.
    pub running: Option<bool>,
    /// When to give up.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// Adds to `errors` the options that say something of what must not be there.
pub(crate) fn refuse_details(
    option: &'static str,
    given: &[(&'static str, bool)],
    errors: &mut ConfigErrors,
) {
    for (name, given) in given {
        if *given {
            errors.push(
                ConfigError::on(
                    *name,
                    format!("`{option} = false` and `{name}` exclude each other"),
                )
                .related([option]),
            );
        }
    }
}
