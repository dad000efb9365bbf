//! A plugin's evaluated options.

use std::collections::BTreeMap;

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
        Some(match self {
            OptionValue::Unknown => return None,
            OptionValue::Null => Value::Null,
            OptionValue::Bool(truth) => Value::Bool(*truth),
            OptionValue::Number(number) => Value::Number(number.clone()),
            OptionValue::String(text) | OptionValue::Secret(text) => Value::String(text.clone()),
            OptionValue::List(items) => {
                Value::Array(items.iter().filter_map(OptionValue::known).collect())
            }
            OptionValue::Map(entries) => Value::Object(known_entries(entries)),
        })
    }
}

fn known_entries(entries: &BTreeMap<String, OptionValue>) -> Map<String, Value> {
    entries.iter().filter_map(|(name, value)| Some((name.clone(), value.known()?))).collect()
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

    /// The options as the plugin's own struct. Those that are not known are absent.
    ///
    /// # Errors
    /// A value does not have the form that the struct asks for beyond its type, such as a
    /// duration that cannot be read.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ConfigErrors> {
        // All at once first, then option by option, so that an error can name its option.
        let known = known_entries(&self.values);
        serde_json::from_value(Value::Object(known.clone())).map_err(|error| {
            let text = error.to_string();
            let mut errors = ConfigErrors::default();
            for (name, value) in known {
                let mut lone = Map::new();
                lone.insert(name.clone(), value);
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
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default)]
        files: Vec<String>,
        name: Option<String>,
        count: Option<u8>,
    }

    fn text(text: &str) -> OptionValue {
        OptionValue::String(text.to_owned())
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let files = OptionValue::List(vec![text("a"), OptionValue::Unknown]);
        let options = [
            ("files".to_owned(), files),
            ("name".to_owned(), OptionValue::Unknown),
            ("count".to_owned(), OptionValue::Number(3.into())),
        ];
        let config = Config::new(options);
        let sample: Sample = config.decode().unwrap();
        assert_eq!(sample, Sample { files: vec!["a".to_owned()], name: None, count: Some(3) });
        assert_eq!(config.unknown().collect::<Vec<_>>(), ["files", "name"]);
        assert!(config.has("name") && !config.is_known("files") && config.is_known("count"));
        assert!(config.is_known("nope") && !config.has("nope"));
    }

    #[test]
    fn an_empty_text_is_not_set() {
        #[derive(Debug, Default, Deserialize, PartialEq, schemars::JsonSchema)]
        struct Nested {
            inner: Option<String>,
        }
        #[derive(Debug, Deserialize, PartialEq, schemars::JsonSchema)]
        struct Options {
            needed: String,
            name: Option<String>,
            #[serde(default = "Options::path")]
            path: String,
            wait: Option<crate::GoDuration>,
            #[serde(default)]
            items: Vec<String>,
            #[serde(default)]
            named: BTreeMap<String, String>,
            block: Option<Nested>,
            #[serde(default)]
            blocks: Vec<Nested>,
        }
        impl Options {
            fn path() -> String {
                "/tmp".to_owned()
            }
        }
        let all = serde_json::json!({
            "needed": "", "name": "", "path": "", "wait": "", "items": [""], "named": { "a": "" },
            "block": { "inner": "" }, "blocks": [{ "inner": "" }, { "inner": "x" }],
        });
        let config = Config::new(all.as_object().unwrap().clone());
        let config = config.without_empty(&Schema::of::<Options>());
        assert!(!config.has("name") && config.has("needed"));
        let options: Options = config.decode().unwrap();
        let expected = Options {
            needed: String::new(),
            name: None,
            path: Options::path(),
            wait: None,
            items: vec![String::new()],
            named: BTreeMap::from([("a".to_owned(), String::new())]),
            block: Some(Nested::default()),
            blocks: vec![Nested::default(), Nested { inner: Some("x".to_owned()) }],
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn errors_wait_for_the_options_that_decide_them() {
        let options = [("name", OptionValue::Unknown), ("count", text("many"))];
        let config = Config::new(options.map(|(name, value)| (name.to_owned(), value)));
        let wrong = config.decode::<Sample>().unwrap_err();
        assert_eq!(wrong.0.len(), 1);
        assert!(!wrong.0[0].is_undecided(&config), "{wrong:?}");
        for (error, undecided) in [
            (ConfigError::on("name", "is no name"), true),
            (ConfigError::on("name[0].x", "is no name"), true),
            (ConfigError::on("count", "is above files"), false),
            (ConfigError::on("count", "needs a name").related(["name"]), true),
            (ConfigError::new("something is missing"), true),
            (ConfigError::new("`files` is missing").related(["files"]), false),
        ] {
            assert_eq!(error.is_undecided(&config), undecided, "{error:?}");
        }
    }
}
