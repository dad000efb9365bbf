//! Goss files: YAML that lists what must be true of a machine. The names in them are those of goss's
//! manual (gossfile.md).
//!
//! Ingot checks them itself, without goss on the machine. What it does not know is an error, as a
//! check that is skipped in silence is worse than none.

use ingot_sdk::GoDuration;
use serde_json::{Map, Value};

use crate::check::{Check, Defaults, KINDS};

/// Kinds that goss has and Ingot does not.
const OTHER_KINDS: &[&str] =
    &["addr", "dns", "gossfile", "http", "interface", "kernel-param", "matching", "mount"];

/// Attributes that say nothing about the machine.
const COMMENTS: &[&str] = &["title", "meta", "skip"];

/// How an attribute of goss's is called in a block of a test.
fn option_of(kind: &str, attribute: &str) -> Option<&'static str> {
    Some(match (kind, attribute) {
        ("command", "exec") => "exec",
        ("command", "exit-status") => "exit_status",
        ("command", "stdout") => "stdout",
        ("command", "stderr") => "stderr",
        ("command", "timeout") => "timeout",
        ("file", "filetype") => "type",
        ("file", "mode") => "mode",
        ("file", "owner") => "owner",
        ("file", "uid") => "owner",
        ("file", "group") => "group",
        ("file", "gid") => "group",
        ("file", "size") => "size",
        ("file", "linked-to") => "linked_to",
        ("file", "contains" | "contents") => "contains",
        ("file", "md5") => "md5",
        ("file", "sha256") => "sha256",
        ("file", "sha512") => "sha512",
        ("file" | "user" | "group", "exists") => "exists",
        ("package", "installed") => "installed",
        ("package", "versions") => "version",
        ("service" | "process", "running") => "running",
        ("service", "enabled") => "enabled",
        ("port", "listening") => "listening",
        ("port", "ip") => "ip",
        ("user", "uid") => "uid",
        ("user" | "group", "gid") => "gid",
        ("user", "groups") => "groups",
        ("user", "home") => "home",
        ("user", "shell") => "shell",
        _ => return None,
    })
}

/// The name of the attribute that says of which thing an entry is, where its key does not.
fn subject_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "file" => "path",
        "package" | "service" => "name",
        "port" => "port",
        "user" => "username",
        "group" => "groupname",
        "process" => "comm",
        _ => return None,
    })
}

/// The checks of a goss file, which `document` is the content of, in its order.
///
/// # Errors
/// All that is wrong with it or not known, each with its path in the file.
pub fn checks(document: &Value, defaults: Defaults) -> Result<Vec<Check>, Vec<String>> {
    let mut errors = Vec::new();
    let mut checks = Vec::new();
    let Some(kinds) = document.as_object() else {
        return Err(vec!["a goss file is a map of kinds, such as `file:`".to_owned()]);
    };
    for (kind, entries) in kinds {
        if OTHER_KINDS.contains(&kind.as_str()) {
            errors.push(format!("`{kind}`: Ingot does not check this kind"));
            continue;
        }
        if !KINDS.contains(&kind.as_str()) {
            let close = ingot_suggest::closest(kind, KINDS.iter().copied());
            let close = close.map(|close| format!("; did you mean `{close}`?"));
            let close = close.unwrap_or_default();
            errors.push(format!("`{kind}`: goss has no such kind{close}"));
            continue;
        }
        let Some(entries) = entries.as_object() else {
            errors.push(format!("`{kind}`: this is not a map of names"));
            continue;
        };
        for (name, attributes) in entries {
            let path = format!("{kind}.{name}");
            match attributes.as_object() {
                Some(attributes) => {
                    checks.extend(entry(kind, name, attributes, defaults, &path, &mut errors));
                }
                None => errors.push(format!("`{path}`: this is not a map of attributes")),
            }
        }
    }
    if checks.is_empty() && errors.is_empty() {
        errors.push("there is no check in it".to_owned());
    }
    if errors.is_empty() { Ok(checks) } else { Err(errors) }
}

fn entry(
    kind: &str,
    key: &str,
    attributes: &Map<String, Value>,
    defaults: Defaults,
    path: &str,
    errors: &mut Vec<String>,
) -> Option<Check> {
    let before = errors.len();
    let mut options: Map<String, Value> = Map::new();
    let mut name = key.to_owned();
    let mut skipped = None;
    for (attribute, value) in attributes {
        let at = format!("{path}.{attribute}");
        if COMMENTS.contains(&attribute.as_str()) {
            if attribute == "skip" && value.as_bool() == Some(true) {
                skipped = Some("skip: true".to_owned());
            }
            continue;
        }
        if subject_of(kind) == Some(attribute) {
            match text(value) {
                Some(text) => name = text,
                None => errors.push(format!("`{at}`: this is not a string")),
            }
            continue;
        }
        let Some(option) = option_of(kind, attribute) else {
            errors.push(format!("`{at}`: Ingot does not know this attribute"));
            continue;
        };
        match converted(kind, option, value) {
            Ok(Some(value)) if options.contains_key(option) => {
                errors.push(format!("`{at}`: {value} is the second value for this"));
            }
            Ok(value) => options.extend(value.map(|value| (option.to_owned(), value))),
            Err(why) => errors.push(format!("`{at}`: {why}")),
        }
    }
    if errors.len() > before {
        return None;
    }
    match Check::of_block(kind, &name, &ingot_sdk::Config::new(options), defaults) {
        Ok(check) => {
            let name = match name == key {
                true => name,
                false => format!("{key} ({name})"),
            };
            Some(Check { name, skipped, ..check })
        }
        Err(wrong) => {
            errors.extend(wrong.0.into_iter().map(|error| match error.option {
                Some(option) => format!("`{path}`: {option}: {}", error.message),
                None => format!("`{path}`: {}", error.message),
            }));
            None
        }
    }
}

/// A value as the option of a block takes it; none for null.
///
/// # Errors
/// Why it cannot be taken.
fn converted(kind: &str, option: &str, value: &Value) -> Result<Option<Value>, String> {
    const LISTS: &[&str] = &["stdout", "stderr", "contains", "version", "ip", "groups"];
    const TEXTS: &[&str] =
        &["mode", "owner", "group", "type", "linked_to", "exec", "home", "shell"];
    if value.is_null() {
        return Ok(None);
    }
    if let Some(matcher) = value.as_object().and_then(|matchers| matchers.keys().next()) {
        return Err(format!("Ingot does not know the matcher `{matcher}`"));
    }
    if LISTS.contains(&option) {
        let Some(items) = value.as_array() else {
            return Err("Ingot takes a list of strings here".to_owned());
        };
        let texts = items.iter().map(|item| match (text(item), item.as_object()) {
            (Some(text), _) if option == "version" => Ok(exact(&text)),
            (Some(text), _) => Ok(text),
            (None, Some(matchers)) => {
                let name = matchers.keys().next().map_or("{}", String::as_str);
                Err(format!("Ingot does not know the matcher `{name}`"))
            }
            (None, None) => Err("Ingot takes a list of strings here".to_owned()),
        });
        return Ok(Some(texts.collect::<Result<Vec<String>, String>>()?.into()));
    }
    if (kind, option) == ("command", "timeout") {
        let Some(millis) = value.as_u64() else {
            return Err("this is not a number of milliseconds".to_owned());
        };
        return Ok(Some(GoDuration(std::time::Duration::from_millis(millis)).to_string().into()));
    }
    if TEXTS.contains(&option) {
        return match text(value) {
            Some(text) => Ok(Some(text.into())),
            None => Err("this is not a string".to_owned()),
        };
    }
    match value.is_array() {
        true => Err("Ingot takes no list here".to_owned()),
        false => Ok(Some(value.clone())),
    }
}

/// Goss compares versions as a whole.
fn exact(version: &str) -> String {
    match version.starts_with(['/', '!']) {
        true => version.to_owned(),
        false => format!("/^{}$/", regex::escape(version)),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_checks_by_their_names() {
        let document = json!({
            "file": { "/etc/motd": {
                "exists": true, "mode": "0644", "owner": "root", "filetype": "file",
                "contents": ["golden", "!/secret/"], "title": "the message",
            } },
            "command": { "version": {
                "exec": "nginx -v", "exit-status": 0, "stderr": ["nginx/1."], "timeout": 5000,
            } },
            "package": { "curl": { "installed": true, "versions": ["7.88.1"] } },
            "port": { "tcp:22": { "listening": true, "ip": ["0.0.0.0"] } },
            "service": { "ssh": { "enabled": true, "running": true, "skip": true } },
            "user": { "app": { "exists": true, "uid": 1000, "groups": ["app"] } },
            "process": { "web": { "comm": "nginx", "running": true } },
        });
        let checks = checks(&document, Defaults::default()).unwrap();
        let names: Vec<String> =
            checks.iter().map(|check| format!("{} {}", check.kind, check.name)).collect();
        let expected = [
            "file /etc/motd",
            "command version",
            "package curl",
            "port tcp:22",
            "service ssh",
            "user app",
            "process web (nginx)",
        ];
        assert_eq!(names, expected);
        assert_eq!(checks[1].timeout.as_secs(), 5);
        assert!(checks[4].skipped.is_some() && checks[0].skipped.is_none());
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (document, error) in [
            (json!({ "http": {} }), "`http`: Ingot does not check this kind"),
            (json!({ "fiel": {} }), "`fiel`: goss has no such kind; did you mean `file`?"),
            (
                json!({ "file": { "/a": { "exists": true, "selinux": "x" } } }),
                "`file./a.selinux`: Ingot does not know this attribute",
            ),
            (
                json!({ "file": { "/a": { "size": { "gt": 1 } } } }),
                "`file./a.size`: Ingot does not know the matcher `gt`",
            ),
            (
                json!({ "command": { "a": { "stdout": [{ "have-prefix": "x" }] } } }),
                "`command.a.stdout`: Ingot does not know the matcher `have-prefix`",
            ),
            (
                json!({ "command": { "a": { "stdout": "x" } } }),
                "`command.a.stdout`: Ingot takes a list of strings here",
            ),
            (
                json!({ "user": { "a": { "uid": "many" } } }),
                "`user.a`: uid: invalid type: string \"many\", expected u32",
            ),
            (json!({ "port": { "tcp:x": {} } }), "`port.tcp:x`: \"tcp:x\" is not a port"),
            (
                json!({ "service": { "a": { "runlevels": ["3"], "running": true } } }),
                "`service.a.runlevels`: Ingot does not know this attribute",
            ),
            (json!({}), "there is no check in it"),
            (json!([]), "a goss file is a map of kinds, such as `file:`"),
        ] {
            assert_eq!(checks(&document, Defaults::default()).unwrap_err(), [error], "{document}");
        }
    }
}
