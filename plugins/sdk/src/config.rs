//! A plugin's evaluated options.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, OptionType, Result, Schema};

/// The value of an option, as the template gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// To be known when the build runs. No plugin sees one while it runs: the engine refuses to
    /// prepare it then.
    Unknown,
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// A string that must never be shown, nor what is made of it.
    Secret(String),
    /// Values in order.
    List(Vec<OptionValue>),
    /// Values by name.
    Map(BTreeMap<String, OptionValue>),
}

impl OptionValue {
    /// Whether all of it is known.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            OptionValue::Unknown => false,
            OptionValue::List(items) => items.iter().all(OptionValue::is_wholly_known),
            OptionValue::Map(entries) => entries.values().all(OptionValue::is_wholly_known),
            _ => true,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            OptionValue::String(text) | OptionValue::Secret(text) => Some(text),
            _ => None,
        }
    }

    /// The truth of a bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            OptionValue::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// What is known of it, as JSON: items and attributes that are not known are left out. None
    /// if nothing is.
    pub fn known(&self) -> Option<Value> {
        self.json(None)
    }

    /// The value as JSON, with `unknown` in place of what is not known; without that it is left out.
    fn json(&self, unknown: Option<&str>) -> Option<Value> {
        Some(match self {
            OptionValue::Unknown => return unknown.map(Value::from),
            OptionValue::Null => Value::Null,
            OptionValue::Bool(truth) => Value::Bool(*truth),
            OptionValue::Number(number) => Value::Number(number.clone()),
            OptionValue::String(text) | OptionValue::Secret(text) => Value::String(text.clone()),
            OptionValue::List(items) => {
                Value::Array(items.iter().filter_map(|item| item.json(unknown)).collect())
            }
            OptionValue::Map(entries) => Value::Object(json_entries(entries, unknown)),
        })
    }
}

fn json_entries(
    entries: &BTreeMap<String, OptionValue>,
    unknown: Option<&str>,
) -> Map<String, Value> {
    let json = |(name, value): (&String, &OptionValue)| Some((name.clone(), value.json(unknown)?));
    entries.iter().filter_map(json).collect()
}

/// The field that serde's `error` says is missing.
fn missing_field(error: &str) -> Option<&str> {
    error.strip_prefix("missing field `")?.split('`').next()
}

/// The option that makes decoding fail with `error`: the one without which it succeeds or fails
/// differently. Alone it cannot be decoded to see that, as others may be required.
fn option_at_fault<T: DeserializeOwned>(
    options: &Map<String, Value>,
    error: &str,
) -> Option<String> {
    let without = |left_out: &dyn Fn(&String, &Value) -> bool| {
        let others = options.iter().filter(|(name, value)| !left_out(name, value));
        let others = others.map(|(name, value)| (name.clone(), value.clone())).collect();
        serde_json::from_value::<T>(Value::Object(others)).err().map(|error| error.to_string())
    };
    let at_fault = |name: &&String| match without(&|other, _| other == *name) {
        None => true,
        // That a required option is missed says nothing of its value.
        Some(other) => other != error && missing_field(&other) != Some(name.as_str()),
    };
    if let Some(name) = options.keys().find(at_fault) {
        return Some(name.clone());
    }
    if missing_field(error).is_some() {
        return None;
    }
    // Of several with the same value each fails in the same way without the others.
    let one_of_several = |(_, value): &(&String, &Value)| {
        options.values().filter(|other| other == value).count() > 1
            && match without(&|_, other| other == *value) {
                None => true,
                Some(other) => other != error && missing_field(&other).is_none(),
            }
    };
    // A required option may be at fault itself. Alone it fails the same way, if others are not missed.
    let alone = |(name, value): &(&String, &Value)| {
        let alone = Map::from_iter([((*name).clone(), (*value).clone())]);
        let lone_error = serde_json::from_value::<T>(Value::Object(alone)).err();
        lone_error.is_some_and(|lone_error| lone_error.to_string() == error)
    };
    let found = options.iter().find(one_of_several).or_else(|| options.iter().find(alone));
    found.map(|(name, _)| name.clone())
}

fn without_empty(
    values: &BTreeMap<String, OptionValue>,
    schema: &Schema,
) -> BTreeMap<String, OptionValue> {
    let set = |(name, value): (&String, &OptionValue)| {
        let inner = |value: &OptionValue, schema: &Schema| match value {
            OptionValue::Map(entries) => OptionValue::Map(without_empty(entries, schema)),
            other => other.clone(),
        };
        let option = schema.get(name);
        let value = match (option.map(|option| &option.ty), value) {
            (Some(OptionType::String), value)
                if value.as_str() == Some("") && option.is_some_and(|option| !option.required) =>
            {
                return None;
            }
            (Some(OptionType::Block(schema)), value) => inner(value, schema),
            (Some(OptionType::Blocks(schema)), OptionValue::List(items)) => {
                OptionValue::List(items.iter().map(|item| inner(item, schema)).collect())
            }
            (_, value) => value.clone(),
        };
        Some((name.clone(), value))
    };
    values.iter().filter_map(set).collect()
}

impl From<Value> for OptionValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => OptionValue::Null,
            Value::Bool(truth) => OptionValue::Bool(truth),
            Value::Number(number) => OptionValue::Number(number),
            Value::String(text) => OptionValue::String(text),
            Value::Array(items) => OptionValue::List(items.into_iter().map(Into::into).collect()),
            Value::Object(entries) => OptionValue::Map(
                entries.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ),
        }
    }
}

/// The options of one block, checked against the plugin's [`crate::Schema`]: names are known,
/// types are converted, required options are there.
///
/// While a template is only checked, options can be unknown. A plugin decodes what is known and
/// judges that. What it finds wrong is dropped where it depends on an unknown option: the engine
/// prepares the plugin again, with all values, before it runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    values: BTreeMap<String, OptionValue>,
}

impl Config {
    /// Wraps options that the engine evaluated.
    pub fn new<V: Into<OptionValue>>(values: impl IntoIterator<Item = (String, V)>) -> Self {
        Config { values: values.into_iter().map(|(name, value)| (name, value.into())).collect() }
    }

    /// The same without the options called `names`.
    pub fn without(&self, names: &[&str]) -> Config {
        let mut values = self.values.clone();
        values.retain(|name, _| !names.contains(&name.as_str()));
        Config { values }
    }

    /// The same without options that are an empty text. As in Packer, that is as if they were not
    /// set: templates pass variables on whose default is empty. Items of lists and maps stay, and so
    /// do required options: the plugin says what is wrong with an empty one.
    pub(crate) fn without_empty(&self, schema: &Schema) -> Config {
        Config { values: without_empty(&self.values, schema) }
    }

    /// Gives an option a value, in place of the one that it may have.
    pub fn set(&mut self, option: &str, value: OptionValue) {
        self.values.insert(option.to_owned(), value);
    }

    /// The options as the plugin's own struct. Those that are not known are absent; where a string
    /// is required, an empty one stands for it.
    ///
    /// # Errors
    /// A value does not have the form that the struct asks for beyond its type, such as a
    /// duration that cannot be read.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ConfigErrors> {
        let mut options = json_entries(&self.values, None);
        let mut errors = ConfigErrors::default();
        let mut filled = BTreeSet::<String>::new();
        // Options that are at fault are left out one by one, so that each error names its own.
        loop {
            let error = match serde_json::from_value(Value::Object(options.clone())) {
                Ok(decoded) => return errors.into_result(decoded),
                Err(error) => error.to_string(),
            };
            let missing = missing_field(&error).filter(|&name| {
                self.get(name) == Some(&OptionValue::Unknown) && !filled.contains(name)
            });
            let name = match missing {
                Some(name) => Some(name.to_owned()),
                None => option_at_fault::<T>(&options, &error),
            };
            match name {
                Some(name) if !self.is_known(&name) && filled.insert(name.clone()) => {
                    let value = self.get(&name).and_then(|value| value.json(Some("")));
                    options.extend(value.map(|value| (name, value)));
                }
                Some(name) => {
                    options.remove(&name);
                    errors.push(ConfigError::on(name, error));
                }
                None => {
                    if errors.is_empty() {
                        errors.push(ConfigError::new(error));
                    }
                    return Err(errors);
                }
            }
        }
    }

    /// Whether the template sets `option`, be its value known or not.
    pub fn has(&self, option: &str) -> bool {
        self.values.get(option).is_some_and(|value| *value != OptionValue::Null)
    }

    /// The value of `option`.
    pub fn get(&self, option: &str) -> Option<&OptionValue> {
        self.values.get(option)
    }

    /// All options that the template sets.
    pub fn values(&self) -> &BTreeMap<String, OptionValue> {
        &self.values
    }

    /// Whether `option` is known in all its parts; one that is not set is.
    pub fn is_known(&self, option: &str) -> bool {
        self.values.get(option).is_none_or(OptionValue::is_wholly_known)
    }

    /// The options that are not known in all their parts.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let unknown = self.values.iter().filter(|(_, value)| !value.is_wholly_known());
        unknown.map(|(name, _)| name.as_str())
    }

    /// Whether all options are known.
    pub fn is_wholly_known(&self) -> bool {
        self.unknown().next().is_none()
    }
}

/// One thing that is wrong with a plugin's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The option it is about; the engine points at its line. None when it is about the block.
    pub option: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other options that decide whether this is wrong. Where one of them is not known yet,
    /// neither is this.
    pub related: Vec<&'static str>,
}

impl ConfigError {
    /// An error about the whole block.
    pub fn new(message: impl Into<String>) -> Self {
        ConfigError { option: None, message: message.into(), hint: None, related: Vec::new() }
    }

    /// An error about one option.
    pub fn on(option: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError { option: Some(option.into()), ..ConfigError::new(message) }
    }

    /// Names the other options that decide whether this is wrong, given or not: those that
    /// exclude, need or replace the option.
    pub fn related(mut self, options: impl IntoIterator<Item = &'static str>) -> Self {
        self.related.extend(options);
        self
    }

    /// Whether this cannot be said yet, as an option that decides it is not known in `config`.
    /// An error that names no option at all may depend on every one.
    pub fn is_undecided(&self, config: &Config) -> bool {
        let own = self.option.as_deref();
        let own = own.map(|option| option.split(['.', '[']).next().unwrap_or(option));
        match own {
            None if self.related.is_empty() => !config.is_wholly_known(),
            own => own.into_iter().chain(self.related.iter().copied()).any(|o| !config.is_known(o)),
        }
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a plugin warns of in its options: it works, but perhaps not as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The option that is warned of, written as in [`ConfigError::option`]; none if it is the block
    /// as a whole.
    pub option: Option<String>,
    /// The warning.
    pub message: String,
}

impl ConfigWarning {
    /// A warning about one option.
    pub fn on(option: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigWarning { option: Some(option.into()), message: message.into() }
    }
}

/// A warning about a block as a whole.
impl<T: Into<String>> From<T> for ConfigWarning {
    fn from(message: T) -> Self {
        ConfigWarning { option: None, message: message.into() }
    }
}

/// Everything that is wrong with a plugin's options, and what it warns of besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>, Vec<ConfigWarning>);

impl ConfigErrors {
    /// The same errors, beside which `warnings` are shown.
    pub fn with_warnings(mut self, warnings: Vec<ConfigWarning>) -> Self {
        self.1.extend(warnings);
        self
    }

    /// What is warned of besides.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.1
    }

    /// Adds one.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value` if nothing is wrong, else the errors.
    ///
    /// # Errors
    /// Itself, when it holds any.
    pub fn into_result<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        ConfigErrors::from_iter([error])
    }
}

impl FromIterator<ConfigError> for ConfigErrors {
    fn from_iter<T: IntoIterator<Item = ConfigError>>(errors: T) -> Self {
        ConfigErrors(errors.into_iter().collect(), Vec::new())
    }
}

impl From<ConfigErrors> for Error {
    fn from(errors: ConfigErrors) -> Self {
        let texts: Vec<String> = errors
            .0
            .into_iter()
            .map(|error| match error.option {
                Some(option) => format!("{option}: {}", error.message),
                None => error.message,
            })
            .collect();
        Error::new(texts.join("; "))
    }
}

#[cfg(test)]
mod tests;
