//! The values of `docker run`'s flags, and what they are made of.

use std::path::Path;

use bollard::models::{ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum};
use ingot_sdk::file_work::read_small_text;

/// The largest file that a flag names, in bytes.
const LARGEST: u64 = 16 << 20;

/// A size in bytes: a number with an optional unit b, k, m, g, t or p (powers of 1024), which may
/// be followed by `b` or `ib`.
pub(super) fn bytes_of(value: &str) -> Option<i64> {
    let lower = value.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..digits].parse().ok()?;
    let unit = lower[digits..].trim_start();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    (bytes < 9e18).then_some(bytes as i64)
}

/// `KEY=VALUE`, or a key alone.
pub(super) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// The lines of a file of variables or labels that count.
pub(super) fn lines_of(flag: &str, path: &str) -> Result<Vec<String>, String> {
    let text = read_small_text(Path::new(path), "list", LARGEST)
        .map_err(|error| format!("--{flag}: {error}"))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// A variable without a value takes it from this process's environment; none where it is not set.
pub(super) fn environment(entry: &str) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    std::env::var(entry).ok().map(|value| format!("{entry}={value}"))
}

/// The fields of a value that is written as a line of a CSV file.
pub(super) fn fields(value: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = value;
    loop {
        let field;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut after = quoted;
            loop {
                let (part, more) = after
                    .split_once('"')
                    .ok_or_else(|| format!("{value:?} ends in a quotation"))?;
                text.push_str(part);
                // Two stand for one.
                match more.strip_prefix('"') {
                    Some(more) => {
                        text.push('"');
                        after = more;
                    }
                    None => {
                        after = more;
                        break;
                    }
                }
            }
            field = text;
            rest = after;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field = rest[..end].to_owned();
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(fields),
            None => return Err(format!("in {value:?}, a comma must follow the quotation")),
        }
    }
}

/// Splits `SOURCE:TARGET[:OPTIONS]`; none for an anonymous volume.
pub(super) fn split_volume(value: &str) -> Option<(&str, &str)> {
    value.split_once(':').filter(|(source, _)| !source.is_empty())
}

/// A path relative to the current directory made absolute; names of volumes stay as they are.
pub(super) fn absolute(source: &str) -> String {
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        return std::path::absolute(source)
            .map_or_else(|_| source.to_owned(), |path| path.display().to_string());
    }
    source.to_owned()
}

/// What `--security-opt` asks for.
pub(super) enum Security {
    /// An option for the Engine.
    Option(String),
    /// That nothing below /proc and /sys is hidden or read-only.
    AllSystemPaths,
}

/// `--security-opt`. The docker client reads a seccomp profile's file and sends its text.
pub(super) fn security_option(value: &str) -> Result<Security, String> {
    let (name, setting) = match (value.split_once('='), value.split_once(':')) {
        (Some(both), _) => both,
        (None, _) if value == "no-new-privileges" => return Ok(Security::Option(value.to_owned())),
        (None, Some(both)) => both,
        (None, None) => return Err(format!("--security-opt: {value:?} is not NAME=VALUE")),
    };
    match (name, setting) {
        ("systempaths", "unconfined") => Ok(Security::AllSystemPaths),
        ("seccomp", "unconfined" | "builtin") => Ok(Security::Option(format!("seccomp={setting}"))),
        ("seccomp", path) => {
            let text = read_small_text(Path::new(path), "seccomp profile", LARGEST)
                .map_err(|error| format!("--security-opt: {error}"))?;
            let json: serde_json::Value = serde_json::from_str(&text)
                .map_err(|error| format!("--security-opt: {path} is not JSON: {error}"))?;
            Ok(Security::Option(format!("seccomp={json}")))
        }
        _ => Ok(Security::Option(value.to_owned())),
    }
}

/// `--ulimit NAME=SOFT[:HARD]`.
pub(super) fn ulimit(value: &str) -> Option<ResourcesUlimits> {
    let (name, limits) = value.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    Some(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft.parse().ok()?),
        hard: Some(hard.parse().ok()?),
    })
}

/// `--restart`: `no`, `always`, `unless-stopped` or `on-failure[:TIMES]`.
pub(super) fn restart(value: &str) -> Option<RestartPolicy> {
    let (name, times) = match value.split_once(':') {
        Some((name, times)) => (name, Some(times.parse().ok()?)),
        None => (value, None),
    };
    let name = match name {
        "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        _ => return None,
    };
    Some(RestartPolicy { name: Some(name), maximum_retry_count: times })
}
