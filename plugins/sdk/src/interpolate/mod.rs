//! The `{{ }}` template engine that some options use at run time.
//!
//! Packer hands such options to Go's `text/template`. This is an engine of our own for the part
//! of that language that makes sense inside an option: actions, pipelines, variables, `if`,
//! `with`, `range`, literals, the standard functions and Packer's own. It differs in one place
//! on purpose: where Go prints `<no value>` for a name that does not exist, rendering fails and
//! says which names there are. A condition (`if`, `with`, `and`, `or`, `not`) may still ask for
//! a name that does not exist; it is false, as in Go.

mod eval;
mod functions;
mod lexer;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
pub mod time;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{UNKNOWN, is_unknown};
use crate::{Config, ConfigError, ConfigErrors, PrepareContext};

pub use functions::ADDED_BY_PLUGINS;

/// The version of Packer whose template language and plugins Ingot is compatible with. It is
/// what `{{ packer_version }}` and `packer.version` report, so that templates which check for a
/// minimum version keep working.
pub const COMPATIBLE_PACKER_VERSION: &str = "1.16.0";

/// How often [`Interpolation::render`] renders its own output again before it gives up.
const MAX_PASSES: usize = 16;

/// Why a `{{ }}` template could not be rendered: what is wrong, where, and in which text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl crate::error::NotSdkError for Error {}

impl Error {
    /// An error about the byte `at` of `template`.
    fn at(template: &str, at: usize, message: &str) -> Self {
        let at = at.min(template.len());
        let before = template.get(..at).unwrap_or(template);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_number = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let line = template[line_start..].lines().next().unwrap_or_default();
        // A long line is shown around the place that matters.
        let shown: String = if line.chars().count() <= 100 {
            line.to_owned()
        } else {
            let from = column.saturating_sub(40);
            let middle: String = line.chars().skip(from).take(100).collect();
            let (start, end) = (if from > 0 { "…" } else { "" }, "…");
            format!("{start}{middle}{end}")
        };
        let place = if template.contains('\n') {
            format!("line {line_number}, column {column}")
        } else {
            format!("column {column}")
        };
        Error(format!("{message} (at {place} of the template `{shown}`)"))
    }
}

/// What went wrong at a byte of the template; becomes an [`Error`] once the text is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Fault { at, message: message.into() }
    }
}

/// A function that a plugin adds for its own options. It is handed the evaluated arguments and
/// says in its error what is wrong with them.
pub type PluginFunction<'a> = Box<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a>;

/// Renders `{{ }}` templates for one build.
pub struct Interpolation<'a> {
    context: &'a PrepareContext,
    added: BTreeMap<&'static str, PluginFunction<'a>>,
}

impl<'a> Interpolation<'a> {
    /// An engine whose functions know about `context`.
    pub fn new(context: &'a PrepareContext) -> Self {
        Interpolation { context, added: BTreeMap::new() }
    }

    /// Adds a function that only some plugins offer, such as `clean_resource_name`.
    pub fn with_function(mut self, name: &'static str, function: PluginFunction<'a>) -> Self {
        self.added.insert(name, function);
        self
    }

    /// Renders `template` until nothing is left to render, as Packer does with options that are
    /// rendered at run time: a value may itself contain actions. `data` is what `.` refers to.
    ///
    /// # Errors
    /// The template is not well-formed, or names something that does not exist.
    pub fn render(&self, template: &str, data: &Value) -> Result<String, Error> {
        let mut text = template.to_owned();
        for _ in 0..MAX_PASSES {
            let rendered = self.render_once(&text, data)?;
            if rendered == text || !rendered.contains(lexer::OPEN) {
                return Ok(rendered);
            }
            text = rendered;
        }
        Err(Error(format!("the template `{template}` renders to new {{{{ }}}} actions for ever")))
    }

    /// Renders `template` once and leaves actions in its output alone, as Packer does with
    /// options when it reads the configuration.
    ///
    /// # Errors
    /// See [`Interpolation::render`].
    pub fn render_once(&self, template: &str, data: &Value) -> Result<String, Error> {
        if !template.contains(lexer::OPEN) {
            return Ok(template.to_owned());
        }
        let rendered = self
            .parse(template)
            .and_then(|nodes| eval::Evaluator::new(self, template, data).run(&nodes));
        match rendered {
            // The unknown value may have been meant to be part of an action.
            Err(_) if is_unknown(template) => Ok(UNKNOWN.to_owned()),
            Err(fault) => Err(Error::at(template, fault.at, &fault.message)),
            Ok(text) => Ok(text),
        }
    }

    /// Checks that `template` can be read and that its functions exist, without rendering it.
    ///
    /// # Errors
    /// The template is not well-formed.
    pub fn check(&self, template: &str) -> Result<(), Error> {
        if !template.contains(lexer::OPEN) || is_unknown(template) {
            return Ok(());
        }
        self.parse(template)
            .map(drop)
            .map_err(|fault| Error::at(template, fault.at, &fault.message))
    }

    /// Renders every string of a plugin's options once, before the plugin reads them. Packer
    /// does so with all options of all plugins. `later` names the options that the plugin
    /// renders itself when it runs, because their `.Name`s are not known before; they are only
    /// checked.
    ///
    /// # Errors
    /// Everything that is wrong, each naming its option.
    pub fn render_config(&self, config: &Config, later: &[&str]) -> Result<Config, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut values = config.values().clone();
        let no_data = Value::Object(Default::default());
        for (option, value) in &mut values {
            let outcome = if later.contains(&option.as_str()) {
                visit_strings(value, &mut |text| self.check(text).map(|()| None))
            } else {
                visit_strings(value, &mut |text| self.render_once(text, &no_data).map(Some))
            };
            if let Err(error) = outcome {
                errors.push(ConfigError::on(option, error.0).hint(
                    "to keep two opening braces as they are, write {{ \"{{\" }} instead of {{",
                ));
            }
        }
        errors.into_result(Config::new(values))
    }

    fn parse(&self, template: &str) -> Result<Vec<parser::Node>, Fault> {
        let pieces = lexer::lex(template)?;
        let known = |name: &str| self.added.contains_key(name) || functions::is_known(name);
        parser::parse(&pieces, &known)
    }
}

/// Calls `visit` for all strings in `value`, replacing those for which it returns a new text.
fn visit_strings(
    value: &mut Value,
    visit: &mut dyn FnMut(&str) -> Result<Option<String>, Error>,
) -> Result<(), Error> {
    match value {
        Value::String(text) => {
            if let Some(new) = visit(text)? {
                *text = new;
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| visit_strings(item, visit)),
        Value::Object(fields) => {
            fields.values_mut().try_for_each(|item| visit_strings(item, visit))
        }
        _ => Ok(()),
    }
}
