//! What all plugins that run shell scripts share: where the scripts come from and the
//! environment they run in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::communicator::unsigned_exit_code;
use crate::file_work::{blocking, read_small};
use crate::{ConfigError, ConfigErrors, GeneratedData, Result, RunContext};

/// The largest script, in bytes: it is held in memory. Installers that unpack themselves have
/// hundreds of megabytes.
const LARGEST_SCRIPT: u64 = 1 << 30;

/// The ways to give a script.
const WAYS: [&str; 4] = ["inline", "script", "scripts", "command"];

/// Checks that exactly one of the ways to give a script is used, and that files exist.
pub fn check_sources(
    inline: &[String],
    script: Option<&str>,
    scripts: &[String],
    command: Option<&str>,
    errors: &mut ConfigErrors,
) {
    let given = [!inline.is_empty(), script.is_some(), !scripts.is_empty(), command.is_some()];
    match given.iter().filter(|&&one| one).count() {
        1 => {}
        0 => errors.push(
            ConfigError::new("there is nothing to run")
                .related(WAYS)
                .hint("set one of `inline`, `script` and `scripts`"),
        ),
        _ => errors.push(
            ConfigError::new("a script can be given in one way only")
                .related(WAYS)
                .hint("keep one of `inline`, `script`, `scripts` and `command`"),
        ),
    }
    let files = script.map(|path| ("script", path)).into_iter();
    for (option, path) in files.chain(scripts.iter().map(|path| ("scripts", path.as_str()))) {
        if let Err(error) = std::fs::metadata(path) {
            errors.push(
                ConfigError::on(option, format!("cannot read the script {path}: {error}"))
                    .hint("paths start from the directory that the command runs in; ${path.root} is the template's"),
            );
        }
    }
}

/// The bytes of the script at `path`.
///
/// # Errors
/// It cannot be read, or is too large for one.
pub async fn read(ctx: &RunContext, path: &str) -> Result<Vec<u8>> {
    let path = PathBuf::from(path);
    blocking(ctx, move |_| read_small(&path, "script", LARGEST_SCRIPT)).await
}

/// The environment of a script: `environment_vars` (`NAME=value`) and `env`.
pub fn environment(
    environment_vars: &[String],
    env: &BTreeMap<String, String>,
    errors: &mut ConfigErrors,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for pair in environment_vars {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            // The text may hold a secret, so the message does not show it.
            _ => errors.push(
                ConfigError::on("environment_vars", "an item is not of the form NAME=value")
                    .hint("write \"NAME=value\", or use `env = { NAME = value }`"),
            ),
        }
    }
    variables.extend(env.iter().map(|(name, value)| (name.clone(), value.clone())));
    variables
}

/// Adds the variables that every script has: the build's name and type, and where the HTTP server
/// of the build is, if it has one. Variables of the template's own win.
pub fn build_variables(
    ctx: &RunContext,
    data: &GeneratedData,
    variables: &mut BTreeMap<String, String>,
) {
    let mut add = |name: &str, value: &str| {
        variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    };
    add("PACKER_BUILD_NAME", &ctx.prepare.build_name);
    add("PACKER_BUILDER_TYPE", &ctx.prepare.build_type);
    for (name, value) in [
        ("PACKER_HTTP_ADDR", "PackerHTTPAddr"),
        ("PACKER_HTTP_IP", "PackerHTTPIP"),
        ("PACKER_HTTP_PORT", "PackerHTTPPort"),
    ] {
        // Builders without such a server say so with a text like ERR_HTTP_IP_NOT_IMPLEMENTED….
        let text = data.get(value).and_then(|value| value.as_str()).unwrap_or_default();
        if !text.is_empty() && !text.starts_with("ERR_") {
            add(name, text);
        }
    }
}

/// Variables as text for a shell: `format` holds two `%s`, for the name and for the value, which
/// stands in single quotes there.
pub fn assignments(variables: &BTreeMap<String, String>, format: &str) -> String {
    assignments_with(variables, format, |value| value.replace('\'', r#"'"'"'"#))
}

/// What runs an inline script that does not say.
pub const DEFAULT_SHEBANG: &str = "/bin/sh -e";

/// The text of an inline script. A first line with a shebang of its own beats the default one.
pub fn inline_text(inline: &[String], shebang: Option<&str>) -> String {
    let own = inline.first().is_some_and(|line| line.starts_with("#!"));
    let mut text = match shebang {
        Some(shebang) => format!("#!{shebang}\n"),
        None if own => String::new(),
        None => format!("#!{DEFAULT_SHEBANG}\n"),
    };
    for line in inline {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Variables as text for any shell: `escape` makes a value fit for the quotes that `format` puts
/// around it.
pub fn assignments_with(
    variables: &BTreeMap<String, String>,
    format: &str,
    escape: impl Fn(&str) -> String,
) -> String {
    let assign = |(name, value): (&String, &String)| {
        // Not `replacen` twice: a value may hold `%s` as well as a name.
        let Some((before, rest)) = format.split_once("%s") else { return format.to_owned() };
        let rest = rest.replacen("%s", &escape(value), 1);
        format!("{before}{name}{rest}")
    };
    variables.iter().map(assign).collect()
}

/// What a script that ended with `code` means when `valid` are the codes of success. Windows' codes have
/// 32 bits, and are shown without a sign: each may be among `valid` with it or without.
///
/// # Errors
/// The code is not among them.
pub fn check_exit(code: i32, valid: &[i64]) -> crate::Result<()> {
    let valid = if valid.is_empty() { &[0] } else { valid };
    let shown = unsigned_exit_code(code);
    let unsigned = i64::from(code.cast_unsigned());
    if valid.contains(&i64::from(code)) || valid.contains(&unsigned) {
        return Ok(());
    }
    let allowed: Vec<String> = valid.iter().map(i64::to_string).collect();
    Err(crate::Error::new(format!(
        "Script exited with non-zero exit status: {shown}. Allowed exit codes are: [{}]",
        allowed.join(" ")
    )))
}

/// The last part of a path, for messages and names.
pub fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_values_survive_the_shell() {
        let variables = BTreeMap::from([("A".to_owned(), "it's $x".to_owned())]);
        let line = format!("{}sh -c 'printf %s \"$A\"'", assignments(&variables, "%s='%s' "));
        let output = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it's $x");
    }

    #[test]
    fn an_own_shebang_wins() {
        let lines = |lines: &[&str]| lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        assert_eq!(inline_text(&lines(&["a", "b"]), None), "#!/bin/sh -e\na\nb\n");
        assert_eq!(inline_text(&lines(&["#!/bin/awk", "b"]), None), "#!/bin/awk\nb\n");
    }
}
