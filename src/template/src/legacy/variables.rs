//! The variables of a JSON template: strings, whose defaults and values are templates themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_hcl::ast::{Attribute, Expr, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::eval;
use ingot_hcl::functions::FunctionContext;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::{SourceMap, Span};
use ingot_hcl::types::Type;
use ingot_hcl::value::Value;
use ingot_json_template::{Template, Text, actions};
use ingot_sdk::PrepareContext;
use ingot_sdk::interpolate::{self, Interpolation};
use regex::Regex;
use serde_json::Value as Json;

use crate::dynamic::Names;
use crate::load::read_json_variables;
use crate::variables::{VariableFlag, VariableInputs, VariableValues};

/// Functions that read what stands outside of the template; only variables may.
const OUTSIDE: &[&str] = &["consul_key", "vault", "aws_secretsmanager", "aws_secretsmanager_raw"];

/// The value of every variable, by name: those that are declared, and those that are given a value
/// or asked for without being declared. What is wrong goes to `diagnostics`.
pub fn evaluate(
    template: &Template,
    inputs: &VariableInputs,
    sources: &mut SourceMap,
    functions: &FunctionContext,
    context: &PrepareContext,
    diagnostics: &mut Diagnostics,
) -> VariableValues {
    let mut reader =
        ValueReader { values: BTreeMap::new(), unreadable: false, sources, diagnostics };
    reader.read(inputs);
    let ValueReader { mut values, unreadable, .. } = reader;
    let sensitive = template.variables.iter().filter(|variable| variable.sensitive);
    let sensitive: BTreeSet<&str> = sensitive.map(|variable| variable.name.text.as_str()).collect();
    let mut unset = BTreeSet::new();
    for variable in &template.variables {
        let Text { text: name, span } = &variable.name;
        match &variable.default {
            Some(default) => {
                values.entry(name.clone()).or_insert_with(|| default.clone());
            }
            None if values.contains_key(name) => {}
            None => {
                // A file that could not be read may hold the value.
                if inputs.check && !unreadable {
                    diagnostics.push(
                        Diagnostic::error(format!("the variable `{name}` has no value"))
                            .at(*span)
                            .help(format!("give it one with -var '{name}=…' or a -var-file")),
                    );
                }
                unset.insert(name.as_str());
            }
        }
    }
    let functions = FunctionContext { env_allowed: true, ..functions.clone() };
    let mut resolver = Resolver {
        texts: &values,
        unset: &unset,
        sensitive: &sensitive,
        functions: &functions,
        context,
        resolved: BTreeMap::new(),
        open: Vec::new(),
        diagnostics,
    };
    for name in values.keys() {
        resolver.resolve(name);
    }
    let mut resolved = resolver.resolved;
    for name in unset {
        let unknown = Value::unknown(Type::String).mark(sensitive.contains(name));
        resolved.insert(name.to_owned(), unknown);
    }
    for Text { text: name, span } in template.variables_used() {
        if resolved.contains_key(&name) {
            continue;
        }
        // Once for each name.
        if !unreadable {
            diagnostics.push(
                Diagnostic::warning(format!("the variable `{name}` is not declared"))
                    .at(span)
                    .note("it is empty, as in Packer")
                    .suggest(&name, template.variables.iter().map(|one| one.name.text.as_str())),
            );
        }
        resolved.insert(name, Value::from(""));
    }
    // The environment sets none.
    VariableValues { values: resolved, ..VariableValues::default() }
}

/// The variables for options that are rendered when they are evaluated. Packer puts the value of a
/// variable in when it renders an option, so what looks like an action in the value, or in two that
/// stand side by side, stays as it is.
pub fn in_options(scope: &Scope) -> Names {
    let variables = scope.get("var");
    let entries = variables.and_then(Value::as_entries);
    let differs =
        |value: &Value| value.as_str().is_some_and(|text| interpolate::literal(text) != text);
    let (Some(variables), Some(entries)) = (variables, entries) else { return Names::new() };
    if !entries.values().any(differs) {
        return Names::new();
    }
    let literal = |value: &Value| match value.as_str() {
        Some(text) => Value::from(interpolate::literal(text)).mark(value.sensitive),
        None => value.clone(),
    };
    let entries = entries.iter().map(|(name, value)| (name.clone(), literal(value))).collect();
    Names::from([("var".to_owned(), Value::object(entries).mark(variables.sensitive))])
}

/// Reads values from the command line.
struct ValueReader<'a> {
    values: BTreeMap<String, Text>,
    /// Whether there is a file of values that could not be read.
    unreadable: bool,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
}

impl ValueReader<'_> {
    fn read(&mut self, inputs: &VariableInputs) {
        for flag in &inputs.flags {
            if let VariableFlag::File(path) = flag {
                self.file(path);
            }
        }
        // A value beats all files, wherever it is given; of two values, the last counts.
        for flag in &inputs.flags {
            let VariableFlag::Value(pair) = flag else { continue };
            match pair.split_once('=') {
                Some((name, text)) => {
                    let file = self.sources.add(format!("<value of -var {name}>"), text);
                    self.sources.conceal_all(file);
                    let span = Span { file, start: 0, end: text.len() as u32 };
                    self.values.insert(name.to_owned(), Text { text: text.to_owned(), span });
                }
                None => self.diagnostics.push(
                    Diagnostic::error("a -var gives no value: there is no `=` in it")
                        .help("write -var 'NAME=value'"),
                ),
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let Some(body) = read_json_variables(self.sources, path, self.diagnostics) else {
            self.unreadable = true;
            return;
        };
        for Attribute { name, expr, .. } in body.attributes {
            let text = match expr.kind {
                ExprKind::String(text) => text,
                ExprKind::Null => String::new(),
                _ => {
                    self.unreadable = true;
                    self.diagnostics.push(
                        Diagnostic::error(format!(
                            "the value of the variable `{name}` is not a string"
                        ))
                        .at(expr.span)
                        .help("variables of JSON templates are strings: put it in quotes")
                        .names_only(),
                    );
                    continue;
                }
            };
            self.values.insert(name, Text { text, span: expr.span });
        }
    }
}

/// Fills in what variables ask of each other.
struct Resolver<'a> {
    texts: &'a BTreeMap<String, Text>,
    unset: &'a BTreeSet<&'a str>,
    sensitive: &'a BTreeSet<&'a str>,
    functions: &'a FunctionContext,
    context: &'a PrepareContext,
    resolved: BTreeMap<String, Value>,
    /// The variables that are being filled in, each for the one before.
    open: Vec<String>,
    diagnostics: &'a mut Diagnostics,
}

impl Resolver<'_> {
    fn resolve(&mut self, name: &str) {
        if self.resolved.contains_key(name) {
            return;
        }
        let Some(Text { text, span }) = self.texts.get(name) else { return };
        if self.open.len() >= DEEPEST {
            let message = format!("more than {DEEPEST} variables refer to each other in a chain");
            self.diagnostics.push(Diagnostic::error(message).at(*span).names_only());
            self.resolved.insert(name.to_owned(), Value::unknown(Type::String));
            return;
        }
        self.open.push(name.to_owned());
        let (text, fields) = without_fields(text);
        let uses = actions::variables_in(&text);
        let cyclic = uses.iter().find(|used| self.open.contains(used));
        if let Some(used) = cyclic {
            let message = match used == name {
                true => format!("the variable `{name}` refers to itself"),
                false => format!("the variables `{name}` and `{used}` refer to each other"),
            };
            let error = Diagnostic::error(message).at(*span).names_only();
            self.diagnostics.push(error.help("write one of the values out"));
            self.fail(name);
            return;
        }
        let mut secret = self.sensitive.contains(name);
        let mut unknown = false;
        for used in &uses {
            self.resolve(used);
            secret |= self.sensitive.contains(used.as_str());
            secret |= self.resolved.get(used).is_some_and(|value| value.sensitive);
            unknown |= self.unset.contains(used.as_str());
            unknown |= self.resolved.get(used).is_some_and(Value::is_unknown);
        }
        let marks = ValueMarks::default();
        let rendered = match unknown {
            true => Ok(String::new()),
            false => self.render(&text, &marks),
        };
        // What is made of a secret is one.
        secret |= marks.secret.load(Ordering::Relaxed);
        let value = match rendered {
            _ if unknown || marks.later.load(Ordering::Relaxed) => Value::unknown(Type::String),
            Ok(text) => Value::from(with_fields(text, &fields)),
            Err(error) => {
                let message = format!("the variable `{name}` cannot be filled in");
                let error = match secret {
                    true => Diagnostic::error(message).names_only(),
                    false => Diagnostic::error(format!("{message}: {error}")),
                };
                self.diagnostics.push(error.at(*span));
                self.fail(name);
                return;
            }
        };
        self.open.pop();
        let value = value.mark(secret);
        Scope::new(BTreeMap::new(), self.functions).add_secrets(&value);
        self.resolved.insert(name.to_owned(), value);
    }

    /// What depends on it is not to be reported as well.
    fn fail(&mut self, name: &str) {
        self.open.pop();
        let unknown = Value::unknown(Type::String).mark(self.sensitive.contains(name));
        self.resolved.insert(name.to_owned(), unknown);
    }

    /// `text` with what its actions come to.
    fn render(&self, text: &str, marks: &ValueMarks) -> Result<String, String> {
        let user = |arguments: &[Json]| {
            let name = arguments.first().and_then(Json::as_str).unwrap_or_default();
            let value = self.resolved.get(name).and_then(Value::as_str);
            value.map(Json::from).ok_or_else(|| {
                format!(
                    "the variable {name:?} is not declared, and the values of variables must be"
                )
            })
        };
        let env = |arguments: &[Json]| {
            let name = arguments.first().and_then(Json::as_str).unwrap_or_default();
            let value = std::env::var_os(name).unwrap_or_default();
            Ok::<Json, String>(value.to_string_lossy().into())
        };
        let mut interpolation = Interpolation::new(self.context)
            .with_function("user", Box::new(user))
            .with_function("env", Box::new(env));
        for name in OUTSIDE {
            let call = move |arguments: &[Json]| self.call(name, arguments, marks);
            interpolation = interpolation.with_function(name, Box::new(call));
        }
        interpolation.render_once(text, &Json::Null).map_err(|error| error.to_string())
    }

    /// Calls a function of HCL2.
    fn call(&self, name: &str, arguments: &[Json], marks: &ValueMarks) -> Result<Json, String> {
        let file = ingot_hcl::FileId(0);
        let span = Span { file, start: 0, end: 0 };
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let args = arguments.iter().map(|value| Expr { kind: ExprKind::String(text(value)), span });
        let mut args: Vec<Expr> = args.collect();
        // HCL2 writes null for the only value of a secret.
        if name == "aws_secretsmanager" && args.len() == 1 {
            args.push(Expr { kind: ExprKind::Null, span });
        }
        let kind = ExprKind::Call { name: name.to_owned(), name_span: span, args, expand: false };
        let scope = Scope::new(BTreeMap::new(), self.functions);
        let value = eval(&Expr { kind, span }, &scope).map_err(|error| error.message)?;
        scope.add_secrets(&value);
        if value.sensitive {
            marks.secret.store(true, Ordering::Relaxed);
        }
        match value.as_str() {
            Some(text) => Ok(text.into()),
            None => {
                marks.later.store(true, Ordering::Relaxed);
                Ok("".into())
            }
        }
    }
}

/// How many variables may be filled in for each other, one in the other.
const DEEPEST: usize = 200;

/// What is known of a value that is rendered.
#[derive(Default)]
struct ValueMarks {
    /// Whether some of it is not known yet.
    later: AtomicBool,
    /// Whether some of it is a secret.
    secret: AtomicBool,
}

/// `{{ .Name }}`, which is for whoever renders the option that the variable ends up in.
static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{\{\s?\..*?\s?\}\}").ok());

/// A character that no template has, around the number of a field that is left out.
const MARK: char = '\u{0}';

fn without_fields(text: &str) -> (String, Vec<String>) {
    let mut fields = Vec::new();
    let Some(field) = &*FIELD else { return (text.to_owned(), fields) };
    let text = field.replace_all(text, |found: &regex::Captures| {
        fields.push(found[0].to_owned());
        format!("{MARK}{}{MARK}", fields.len() - 1)
    });
    (text.into_owned(), fields)
}

fn with_fields(mut text: String, fields: &[String]) -> String {
    for (index, field) in fields.iter().enumerate() {
        text = text.replace(&format!("{MARK}{index}{MARK}"), field);
    }
    text
}
