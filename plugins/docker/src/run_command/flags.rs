//! The flags of `docker run`, as the docker client has them: `docker run --help` and
//! <https://docs.docker.com/reference/cli/docker/container/run/>, with the older names and those
//! for Windows that the client hides.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use ingot_sdk::{ConfigError, GoDuration};

use super::values::bytes_of;

/// What follows the flags: the image, and what is run in it.
pub(super) const REST: &str = "image";

/// Flags that are true or false.
const SWITCHES: &[&str] = &[
    "detach",
    "disable-content-trust",
    "init",
    "interactive",
    "no-healthcheck",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "rm",
    "sig-proxy",
    "tty",
    "use-api-socket",
];

/// Flags with one text; the last one counts.
const TEXTS: &[&str] = &[
    "cgroup-parent",
    "cgroupns",
    "cidfile",
    "cpuset-cpus",
    "cpuset-mems",
    "detach-keys",
    "domainname",
    "entrypoint",
    "health-cmd",
    "hostname",
    "ip",
    "ip6",
    "ipc",
    "isolation",
    "log-driver",
    "mac-address",
    "name",
    "pid",
    "platform",
    "pull",
    "restart",
    "runtime",
    "stop-signal",
    "user",
    "userns",
    "uts",
    "volume-driver",
    "workdir",
];

/// Flags with a text that may be given several times.
const LISTS: &[&str] = &[
    "add-host",
    "annotation",
    "attach",
    "blkio-weight-device",
    "cap-add",
    "cap-drop",
    "device",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "dns",
    "dns-option",
    "dns-search",
    "env",
    "env-file",
    "expose",
    "gpus",
    "group-add",
    "label",
    "label-file",
    "link",
    "link-local-ip",
    "log-opt",
    "mount",
    "network",
    "network-alias",
    "publish",
    "security-opt",
    "storage-opt",
    "sysctl",
    "tmpfs",
    "ulimit",
    "volume",
    "volumes-from",
];

/// Flags with a whole number.
const NUMBERS: &[&str] = &[
    "blkio-weight",
    "cpu-count",
    "cpu-percent",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-shares",
    "health-retries",
    "io-maxiops",
    "memory-swappiness",
    "oom-score-adj",
    "pids-limit",
    "stop-timeout",
];

/// Flags with a size in bytes.
const SIZES: &[&str] = &[
    "io-maxbandwidth",
    "kernel-memory",
    "memory",
    "memory-reservation",
    "memory-swap",
    "shm-size",
];

/// Flags with a duration.
const DURATIONS: &[&str] =
    &["health-interval", "health-start-interval", "health-start-period", "health-timeout"];

/// Letters for flags.
const LETTERS: &[(&str, char)] = &[
    ("attach", 'a'),
    ("cpu-shares", 'c'),
    ("detach", 'd'),
    ("env", 'e'),
    ("hostname", 'h'),
    ("interactive", 'i'),
    ("label", 'l'),
    ("memory", 'm'),
    ("publish", 'p'),
    ("publish-all", 'P'),
    ("quiet", 'q'),
    ("tty", 't'),
    ("user", 'u'),
    ("volume", 'v'),
    ("workdir", 'w'),
];

/// Older names of flags.
const OLD_NAMES: &[(&str, &str)] =
    &[("dns-option", "dns-opt"), ("network", "net"), ("network-alias", "net-alias")];

/// The command line of `docker run`.
pub(super) fn command() -> Command {
    let arg = |name: &'static str| {
        let mut arg = Arg::new(name).long(name);
        if let Some((_, letter)) = LETTERS.iter().find(|(known, _)| *known == name) {
            arg = arg.short(*letter);
        }
        if let Some((_, old)) = OLD_NAMES.iter().find(|(known, _)| *known == name) {
            arg = arg.alias(*old);
        }
        arg
    };
    // As the client's library has it: what follows a flag that takes a value is its value,
    // whatever it looks like.
    let valued = |name| arg(name).num_args(1).allow_hyphen_values(true);
    let switches = SWITCHES.iter().map(|name| {
        let switch = arg(name).num_args(0..=1).require_equals(true);
        switch.default_missing_value("true").value_parser(switch_of)
    });
    let texts = TEXTS.iter().map(|name| valued(name));
    let lists = LISTS.iter().map(|name| valued(name).action(ArgAction::Append));
    let numbers = NUMBERS.iter().map(|name| valued(name).value_parser(number_of));
    let sizes = SIZES.iter().map(|name| valued(name).value_parser(size_of));
    let durations = DURATIONS.iter().map(|name| valued(name).value_parser(nanoseconds_of));
    let cpus = valued("cpus").value_parser(nano_cpus_of);
    // Once the image is there, nothing more is a flag of ours.
    let rest = Arg::new(REST).num_args(0..).trailing_var_arg(true);
    Command::new("docker run")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(switches)
        .args(texts)
        .args(lists)
        .args(numbers)
        .args(sizes)
        .args(durations)
        .arg(cpus)
        .arg(rest)
}

/// Go's words for true and false.
fn switch_of(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn number_of(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "a whole number".to_owned())
}

/// `-1` stands for no limit.
fn size_of(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    bytes_of(text).ok_or_else(|| "a size such as 512m or 2g".to_owned())
}

fn nanoseconds_of(text: &str) -> Result<i64, String> {
    let duration = GoDuration::parse(text).map_err(|_| "a duration such as 30s or 1m30s")?;
    i64::try_from(duration.0.as_nanos()).map_err(|_| "a duration such as 30s or 1m30s".to_owned())
}

/// Billionths of a processor.
fn nano_cpus_of(text: &str) -> Result<i64, String> {
    let cpus: f64 = text.parse().map_err(|_| "a number of processors such as 1.5")?;
    if !(0.0..1e9).contains(&cpus) {
        return Err("a number of processors such as 1.5".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    Ok((cpus * 1e9).round() as i64)
}

/// What is wrong with a command line, in one sentence that names the flag.
pub(super) fn explain(error: &clap::Error) -> ConfigError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let shown = text(ContextKind::InvalidArg).unwrap_or_default();
    let flag = shown.split([' ', '=', '[']).next().unwrap_or(shown);
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let reason = std::error::Error::source(error).map(ToString::to_string);
    let message = match (error.kind(), reason) {
        (ErrorKind::UnknownArgument, _) => format!("`docker run` has no flag {flag}"),
        (ErrorKind::ValueValidation, Some(reason)) => format!("{flag}: {value:?} is not {reason}"),
        (
            ErrorKind::InvalidValue
            | ErrorKind::TooFewValues
            | ErrorKind::WrongNumberOfValues
            | ErrorKind::NoEquals,
            _,
        ) => {
            format!("{flag} needs a value")
        }
        _ => error.to_string().lines().next().unwrap_or_default().replace("error: ", ""),
    };
    let error_on = ConfigError::on("run_command", message);
    match text(ContextKind::SuggestedArg) {
        Some(near) => error_on.hint(format!("did you mean {near}?")),
        None => error_on,
    }
}
