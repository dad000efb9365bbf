//! The `{{ }}` template engine that some options use at run time.
//!
//! Packer hands such options to Go's `text/template`. This is an engine of our own for the part
//! of that language that makes sense inside an option: actions, pipelines, variables, `if`,
//! `with`, `range`, literals, the standard functions and Packer's own. It differs in one place
//! on purpose: where Go prints `<no value>` for a name that does not exist, rendering fails and
//! says which names there are. (Options that are rendered before the build, when there are no
//! names at all, get `<no value>` and a warning: templates that Packer builds must build.) A condition (`if`, `with`, `and`, `or`, `not`) may still ask for
//! a name that does not exist; it is false, as in Go.

mod eval;
mod functions;
mod lexer;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
use ingot_go_template::time;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Config, ConfigError, ConfigErrors, ConfigWarning, OptionValue, PrepareContext, Schema,
};

pub use functions::ADDED_BY_PLUGINS;

/// The version of Packer whose template language and plugins Ingot is compatible with. It is
/// what `{{ packer_version }}` and `packer.version` report, so that templates which check for a
/// minimum version keep working.
pub const COMPATIBLE_PACKER_VERSION: &str = "1.16.0";

/// What Go prints for what has no value.
const NO_VALUE: &str = "<no value>";

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

    /// Renders `template` once and leaves actions in its output alone.
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
            Err(fault) => Err(Error::at(template, fault.at, &fault.message)),
            Ok(text) => Ok(text),
        }
    }

    /// Checks that `template` can be read and that its functions exist, without rendering it.
    ///
    /// # Errors
    /// The template is not well-formed.
    pub fn check(&self, template: &str) -> Result<(), Error> {
        if !template.contains(lexer::OPEN) {
            return Ok(());
        }
        self.parse(template)
            .map(drop)
            .map_err(|fault| Error::at(template, fault.at, &fault.message))
    }

    /// Renders every string of a plugin's options once, before the plugin reads them, as Packer
    /// does with all options of all plugins. Those that `schema` marks as rendered late are only
    /// checked. Returns warnings too. What is not known stays so.
    ///
    /// # Errors
    /// Everything that is wrong, each naming its option.
    pub fn render_config(
        mut self,
        config: &Config,
        schema: &Schema,
    ) -> Result<(Config, Vec<ConfigWarning>), ConfigErrors> {
        if schema.open || schema.renders_itself {
            return Ok((config.clone(), Vec::new()));
        }
        for function in &schema.functions {
            self = self.with_function(function.name, Box::new(function.run));
        }
        let mut errors = ConfigErrors::default();
        let mut warnings = Vec::new();
        let mut values = config.values().clone();
        for (option, value) in &mut values {
            let late = schema.get(option).is_some_and(|spec| spec.rendered_late);
            let outcome = visit_strings(value, &mut |text, secret| match late {
                true => self.check(text).map(|()| None),
                false => {
                    let (rendered, missing) = self.render_without_data(text)?;
                    warnings.extend(missing.iter().map(|what| {
                        let message = format!(
                            "{option}: `{what}` has no value before the build runs and becomes \
                             `{NO_VALUE}`, as in Packer; write ${{build.NAME}} for what the builder \
                             gives, and {{{{`{{{{{what}}}}}`}}}} to keep the braces"
                        );
                        ConfigWarning::on(option, message)
                    }));
                    if secret {
                        self.context.secrets.add(&rendered);
                    }
                    Ok(Some(rendered))
                }
            });
            if let Err(error) = outcome {
                errors.push(
                    ConfigError::on(option, error.0).hint(
                        "to keep two opening braces as they are, write {{`{{`}} instead of {{",
                    ),
                );
            }
        }
        errors.into_result((Config::new(values), warnings))
    }

    /// Renders where `.` has nothing in it, and what was asked for all the same.
    fn render_without_data(&self, template: &str) -> Result<(String, Vec<String>), Error> {
        if !template.contains(lexer::OPEN) {
            return Ok((template.to_owned(), Vec::new()));
        }
        let no_data = Value::Object(Default::default());
        let rendered = self.parse(template).and_then(|nodes| {
            eval::Evaluator::new(self, template, &no_data).run_without_data(&nodes)
        });
        match rendered {
            Err(fault) => Err(Error::at(template, fault.at, &fault.message)),
            Ok(rendered) => Ok(rendered),
        }
    }

    fn parse(&self, template: &str) -> Result<Vec<parser::Node>, Fault> {
        let pieces = lexer::lex(template)?;
        let known = |name: &str| self.added.contains_key(name) || functions::is_known(name);
        parser::parse(&pieces, &known)
    }
}

/// What is done with a string of an option, and whether it is a secret: a new text in its place, or
/// none to leave it as it is.
type Visit<'a> = dyn FnMut(&str, bool) -> Result<Option<String>, Error> + 'a;

/// Calls `visit` for all strings in `value`.
fn visit_strings(value: &mut OptionValue, visit: &mut Visit<'_>) -> Result<(), Error> {
    match value {
        OptionValue::String(text) => {
            if let Some(new) = visit(text, false)? {
                *text = new;
            }
            Ok(())
        }
        OptionValue::Secret(text) => {
            if let Some(new) = visit(text, true)? {
                *text = new;
            }
            Ok(())
        }
        OptionValue::List(items) => {
            items.iter_mut().try_for_each(|item| visit_strings(item, visit))
        }
        OptionValue::Map(fields) => {
            fields.values_mut().try_for_each(|item| visit_strings(item, visit))
        }
        _ => Ok(()),
    }
}
