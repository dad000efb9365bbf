//! What a plugin says is wrong with its options.

use ingot_sdk::{Config, ConfigError, ConfigErrors, ConfigWarning, OptionValue};
use rmpv::Value;

use crate::message::{field, list};

/// What a plugin says is wrong, one by one: several errors come as a list under a headline such as
/// "2 error(s) occurred:".
pub(super) fn config_errors(message: &str, config: &Config) -> ConfigErrors {
    let is_headline = |line: &str| {
        let line = line.trim_end_matches(':');
        line.split_once(' ').is_some_and(|(count, rest)| {
            count.parse::<u32>().is_ok()
                && matches!(rest, "error(s) occurred" | "error occurred" | "errors occurred")
        })
    };
    let mut lines = message.trim().lines();
    if !lines.next().is_some_and(|first| is_headline(first.trim())) {
        return ConfigErrors::from(config_error(message.trim(), config));
    }
    let mut errors: Vec<String> = Vec::new();
    for line in lines {
        match (line.trim_start().strip_prefix("* "), errors.last_mut()) {
            (Some(error), _) => errors.push(error.trim_end().to_owned()),
            (None, Some(last)) if !line.trim().is_empty() => {
                last.push('\n');
                last.push_str(line.trim_end());
            }
            _ => {}
        }
    }
    if errors.is_empty() {
        return ConfigErrors::from(config_error(message.trim(), config));
    }
    errors.iter().map(|error| config_error(error, config)).collect()
}

/// An error about the option that it names.
fn config_error(message: &str, config: &Config) -> ConfigError {
    match named_option(message, config) {
        Some(name) => ConfigError::on(name, message),
        None => ConfigError::new(message),
    }
}

/// What the answer of a builder warns of, at the options that it names.
pub(super) fn config_warnings(response: &Value, config: &Config) -> Vec<ConfigWarning> {
    let warning = |message: String| match named_option(&message, config) {
        Some(name) => ConfigWarning::on(name, message),
        None => message.into(),
    };
    list(field(response, "Warnings")).into_iter().map(warning).collect()
}

/// The option that a message names, as a path such as `disk[1].size`, if it names just one of those
/// that are set. One that is not in a block counts before those that are.
fn named_option(message: &str, config: &Config) -> Option<String> {
    let mut found = Vec::new();
    for (name, value) in config.values() {
        collect_named(message, name, name.clone(), value, 0, &mut found);
    }
    let outermost = found.iter().map(|(depth, _)| *depth).min()?;
    let mut found = found.into_iter().filter(|(depth, _)| *depth == outermost);
    match (found.next(), found.next()) {
        (Some((_, path)), None) => Some(path),
        _ => None,
    }
}

/// Adds the paths, and how deep they are, of those options at and below `path` that `message` names.
fn collect_named(
    message: &str,
    name: &str,
    path: String,
    value: &OptionValue,
    depth: usize,
    found: &mut Vec<(usize, String)>,
) {
    let entries = match value {
        OptionValue::Map(entries) => vec![(path.clone(), entries)],
        OptionValue::List(items) => {
            let blocks = items.iter().enumerate().filter_map(|(index, item)| match item {
                OptionValue::Map(entries) => Some((format!("{path}[{index}]"), entries)),
                _ => None,
            });
            blocks.collect()
        }
        _ => Vec::new(),
    };
    for (path, entries) in entries {
        for (inner, value) in entries {
            collect_named(message, inner, format!("{path}.{inner}"), value, depth + 1, found);
        }
    }
    if names_option(message, name) {
        found.push((depth, path));
    }
}

/// Whether a message names the option `name`. Short names are words of any sentence: those count in
/// quotes, or where the message begins with them.
fn names_option(message: &str, name: &str) -> bool {
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let quoted = |quote: char| message.contains(&format!("{quote}{name}{quote}"));
    let mut words = message.split(word);
    match name.contains('_') || ['\'', '"', '`'].into_iter().any(quoted) {
        true => words.any(|part| part == name),
        false => words.next() == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message;

    #[test]
    fn errors_are_reported_one_by_one_at_their_options() {
        let options = json!({"ssh_port": 1, "name": "x", "disk_size": "1"});
        let config = Config::new(options.as_object().unwrap().clone());
        let message =
            "2 error(s) occurred:\n\n* ssh_port must be free\n  of use\n* a name is needed";
        let errors = config_errors(message, &config).0;
        assert_eq!(errors[0], ConfigError::on("ssh_port", "ssh_port must be free\n  of use"));
        assert_eq!(errors[1], ConfigError::new("a name is needed"));
        let both = config_errors("either 'ssh_port' or 'disk_size'", &config).0;
        assert_eq!(both, [ConfigError::new("either 'ssh_port' or 'disk_size'")]);
        let first = config_errors("name: too long a name", &config).0;
        assert_eq!(first, [ConfigError::on("name", "name: too long a name")]);
    }

    #[test]
    fn options_in_blocks_are_found_by_their_names() {
        let options = json!({
            "disk_size": 1,
            "storage": [{"disk_size": 2}, {"thin_provisioned": true}],
            "customize": {"gateway": "x"},
        });
        let config = Config::new(options.as_object().unwrap().clone());
        let named = |message: &str| named_option(message, &config);
        assert_eq!(named("disk_size is too small").as_deref(), Some("disk_size"));
        let inner = named("thin_provisioned needs a datastore");
        assert_eq!(inner.as_deref(), Some("storage[1].thin_provisioned"));
        assert_eq!(named("the 'gateway' is wrong").as_deref(), Some("customize.gateway"));
        assert_eq!(named("a gateway is wrong"), None);
    }

    #[test]
    fn warnings_are_reported_at_their_options() {
        let options = json!({"ssh_port": 1});
        let config = Config::new(options.as_object().unwrap().clone());
        let said = ["ssh_port is odd", "odd"].map(Value::from).to_vec();
        let response = message::record([("Warnings", Value::Array(said))]);
        let expected = [ConfigWarning::on("ssh_port", "ssh_port is odd"), "odd".into()];
        assert_eq!(config_warnings(&response, &config), expected);
    }
}
