//! The renderer of `{{ }}` in options.
//!
//! Options that are rendered before the build, when there are no values at all, get `<no value>`
//! and a warning: templates that Packer builds must build.

use std::collections::BTreeMap;

use ingot_go_template::{Call, Environment, NO_VALUE, Output, Template, has_actions};
use serde_json::Value;

use super::error::Error;
use super::functions;
use crate::{
    Config, ConfigError, ConfigErrors, ConfigWarning, OptionValue, PrepareContext, Schema,
};

/// The version of Packer whose template language and plugins Ingot is compatible with. It is
/// what `{{ packer_version }}` and `packer.version` report, so that templates which check for a
/// minimum version keep working.
pub const COMPATIBLE_PACKER_VERSION: &str = "1.16.0";

/// How often [`Interpolation::render`] renders its own output again before it gives up.
const MAX_PASSES: usize = 16;

/// A function that a plugin adds for its own options. It is handed the evaluated arguments and
/// says in its error what is wrong with them.
pub type PluginFunction<'a> = Box<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a>;

/// A template that, rendered once, is `text` as it is: what looks like an action in it is none, nor does
/// it make one with what it is put beside.
pub fn literal(text: &str) -> String {
    const BRACE: &str = "{{`{`}}";
    let mut template = text.replace("{{", "{{`{{`}}");
    // A brace at either end that is not one of two may come to stand beside another.
    if template.ends_with('{') {
        template.pop();
        template.push_str(BRACE);
    }
    match template.strip_prefix('{') {
        Some(rest) if !rest.starts_with('{') => format!("{BRACE}{rest}"),
        _ => template,
    }
}

/// Renders `{{ }}` templates for one build.
pub struct Interpolation<'a> {
    context: &'a PrepareContext,
    added: BTreeMap<&'static str, PluginFunction<'a>>,
    lenient: bool,
}

impl<'a> Interpolation<'a> {
    /// An engine whose functions know about `context`.
    pub fn new(context: &'a PrepareContext) -> Self {
        Interpolation { context, added: BTreeMap::new(), lenient: false }
    }

    /// Lets what has no value pass when it renders, as Packer's console does: `{{ user }}` of a variable
    /// that is not declared is empty, and what `.` does not have is printed as [`NO_VALUE`].
    pub fn leniently(mut self) -> Self {
        self.lenient = true;
        self
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
            if rendered == text || !has_actions(&rendered) {
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
        if !has_actions(template) {
            return Ok(template.to_owned());
        }
        let template = Template::parse(template, self)?;
        match self.lenient {
            true => Ok(template.render_leniently(self, data)?.0),
            false => Ok(template.render(self, data)?),
        }
    }

    /// Checks that `template` can be read and that its functions exist, without rendering it.
    ///
    /// # Errors
    /// The template is not well-formed.
    pub fn check(&self, template: &str) -> Result<(), Error> {
        if !has_actions(template) {
            return Ok(());
        }
        Ok(Template::parse(template, self).map(drop)?)
    }

    /// Renders every string of a plugin's options once, and every key of their maps, before the
    /// plugin reads them, as Packer does with all options of all plugins. Those that `schema` marks
    /// as rendered late are only checked. Returns warnings too. What is not known stays so.
    ///
    /// # Errors
    /// Everything that is wrong, each naming its option.
    pub fn render_config(
        mut self,
        config: &Config,
        schema: &Schema,
    ) -> Result<(Config, Vec<ConfigWarning>), ConfigErrors> {
        if schema.open || schema.renders_itself {
            self.add_secrets(config);
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

    /// Adds to what must not be shown what a plugin that renders its own options makes of secrets,
    /// as far as its functions are known here.
    fn add_secrets(&self, config: &Config) {
        let environment = Leniently(self);
        let mut visit = |text: &str, secret: bool| {
            if has_actions(text)
                && let Ok(template) = Template::parse(text, &environment)
                && let Ok((rendered, _)) =
                    template.render_leniently(&environment, &Value::Object(Default::default()))
                && secret
            {
                self.context.secrets.add(&rendered);
            }
            Ok(None)
        };
        for mut value in config.values().clone().into_values() {
            // What is wrong with it, the plugin reports.
            let _ = visit_strings(&mut value, &mut visit);
        }
    }

    /// Whether a function is called for a variable that is not declared.
    fn is_undeclared(&self, call: &Call<'_>) -> bool {
        let Ok(variable) = call.arguments.text(0) else { return false };
        call.name == "user" && !self.context.user_variables.contains_key(variable)
    }

    /// Renders where `.` has no values; also returns the expressions that needed one.
    fn render_without_data(&self, template: &str) -> Result<(String, Vec<String>), Error> {
        if !has_actions(template) {
            return Ok((template.to_owned(), Vec::new()));
        }
        let nothing = Value::Object(Default::default());
        Ok(Template::parse(template, self)?.render_leniently(self, &nothing)?)
    }
}

impl Environment for Interpolation<'_> {
    fn has_function(&self, name: &str) -> bool {
        self.added.contains_key(name) || functions::is_known(name)
    }

    fn call(&self, call: &Call<'_>) -> Result<Output, String> {
        match self.added.get(call.name) {
            Some(function) => function(call.arguments.0).map(Output::from),
            None if self.lenient && self.is_undeclared(call) => Ok("".into()),
            None => functions::call(&functions::Call {
                name: call.name,
                context: self.context,
                data: call.data,
                arguments: call.arguments,
            }),
        }
    }

    fn holds_secret(&self, literal: &str) -> bool {
        self.context.secrets.occur_in(literal)
    }

    fn secret_printed(&self, text: &str) {
        self.context.secrets.add(text);
    }
}

/// The same where a function that fails yields nothing: only what is made of secrets counts.
struct Leniently<'a>(&'a Interpolation<'a>);

impl Environment for Leniently<'_> {
    fn has_function(&self, name: &str) -> bool {
        self.0.has_function(name)
    }

    fn call(&self, call: &Call<'_>) -> Result<Output, String> {
        Ok(self.0.call(call).unwrap_or_else(|_| "".into()))
    }

    fn holds_secret(&self, literal: &str) -> bool {
        self.0.holds_secret(literal)
    }

    fn secret_printed(&self, text: &str) {
        self.0.secret_printed(text);
    }
}

/// What is done with a string of an option, and whether it is a secret: a new string in its place, or
/// none to leave it as it is.
type Visit<'a> = dyn FnMut(&str, bool) -> Result<Option<String>, Error> + 'a;

/// Calls `visit` for all strings in `value`, and for the keys of its maps.
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
            for (key, mut item) in std::mem::take(fields) {
                let new = visit(&key, false)?;
                visit_strings(&mut item, visit)?;
                fields.insert(new.unwrap_or(key), item);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
