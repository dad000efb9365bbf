//! A plugin's evaluated options.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Result};

pub use ingot_go_template::{UNKNOWN, is_unknown};

/// The options of one block, checked against the plugin's [`crate::Schema`]: names are known,
/// types are converted, required options are there.
#[derive(Debug, Clone, Default)]
pub struct Config {
    values: Map<String, Value>,
}

impl Config {
    /// Wraps options that the engine evaluated.
    pub fn new(values: Map<String, Value>) -> Self {
        Config { values }
    }

    /// The options as the plugin's own struct.
    ///
    /// # Errors
    /// A value does not have the form that the struct asks for beyond its type, such as a
    /// duration that cannot be read.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ConfigErrors> {
        // Field by field first, so that an error can name its option.
        serde_json::from_value(Value::Object(self.values.clone())).map_err(|error| {
            let text = error.to_string();
            let mut errors = ConfigErrors::default();
            for (name, value) in &self.values {
                let mut lone = Map::new();
                lone.insert(name.clone(), value.clone());
                if let Err(lone_error) = serde_json::from_value::<T>(Value::Object(lone))
                    && !lone_error.to_string().starts_with("missing field")
                {
                    errors.push(ConfigError::on(name, lone_error.to_string()));
                }
            }
            if errors.is_empty() {
                errors.push(ConfigError::new(text));
            }
            errors
        })
    }

    /// Whether the template sets `option`.
    pub fn has(&self, option: &str) -> bool {
        self.values.get(option).is_some_and(|value| !value.is_null())
    }

    /// The raw value of `option`.
    pub fn get(&self, option: &str) -> Option<&Value> {
        self.values.get(option)
    }

    /// All options that the template sets.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
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
}

impl ConfigError {
    /// A complaint about the whole block.
    pub fn new(message: impl Into<String>) -> Self {
        ConfigError { option: None, message: message.into(), hint: None }
    }

    /// A complaint about one option.
    pub fn on(option: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError { option: Some(option.into()), message: message.into(), hint: None }
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that is wrong with a plugin's options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
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
        ConfigErrors(vec![error])
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
