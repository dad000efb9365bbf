//! Input variables and where their values come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blocks::{Template, only};
use super::convert::convert;
use super::eval::eval;
use super::functions::FunctionContext;
use super::load::read_variables;
use super::scope::Scope;
use super::type_expr;
use super::types::Type;
use super::value::Value;
use crate::syntax::ast::{Block, Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics, closest};
use crate::syntax::parse::parse_expr;
use crate::syntax::source::{SourceMap, Span};

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableFlag {
    /// `-var name=value`
    Value(String),
    /// `-var-file path`
    File(PathBuf),
}

/// Where values of variables come from, besides the template. Later beats earlier: environment,
/// automatic files, flags in their order.
#[derive(Debug, Clone, Default)]
pub struct VariableInputs {
    /// `PKR_VAR_name`, without the prefix.
    pub environment: Vec<(String, String)>,
    /// `*.auto.pkrvars.hcl` and `*.auto.pkrvars.json`
    pub files: Vec<PathBuf>,
    /// `-var` and `-var-file`, in order.
    pub flags: Vec<VariableFlag>,
    /// Whether a file that sets a variable nobody declared earns a warning.
    pub warn_undeclared: bool,
}

struct Declared<'a> {
    name: &'a str,
    block: &'a Block,
    ty: Type,
    sensitive: bool,
    value: Option<Value>,
}

/// The value of every variable, by name. Problems go to `diagnostics`; a variable with a problem
/// is unknown, so that what depends on it is not reported as well.
pub fn evaluate(
    template: &Template,
    inputs: &VariableInputs,
    sources: &mut SourceMap,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    let in_default = FunctionContext { env_allowed: true, ..functions.clone() };
    let scope = Scope::new(BTreeMap::new(), &in_default);
    let mut declared: BTreeMap<&str, Declared> = template
        .variables
        .iter()
        .map(|(name, block)| (name.as_str(), declare(name, block, &scope, diagnostics)))
        .collect();
    let before = diagnostics.has_errors();

    for (name, text) in &inputs.environment {
        if let Some(variable) = declared.get_mut(name.as_str()) {
            let origin = format!("<value of PKR_VAR_{name}>");
            assign_text(variable, text, origin, sources, &scope, diagnostics);
        }
    }
    for path in &inputs.files {
        assign_file(&mut declared, path, inputs, sources, &scope, diagnostics);
    }
    for flag in &inputs.flags {
        match flag {
            VariableFlag::File(path) => {
                assign_file(&mut declared, path, inputs, sources, &scope, diagnostics);
            }
            VariableFlag::Value(pair) => {
                let Some((name, text)) = pair.split_once('=') else {
                    diagnostics.push(
                        Diagnostic::error("-var takes a name and a value")
                            .help("write -var 'name=value'"),
                    );
                    continue;
                };
                let name = name.trim();
                match declared.get_mut(name) {
                    Some(variable) => {
                        let origin = format!("<value of -var {name}>");
                        assign_text(variable, text, origin, sources, &scope, diagnostics);
                    }
                    None => diagnostics.push(undeclared(
                        Diagnostic::error(format!("-var sets `{name}`, which is not declared")),
                        name,
                        template,
                    )),
                }
            }
        }
    }
    let broken_input = !before && diagnostics.has_errors();

    let mut values = BTreeMap::new();
    for variable in declared.values() {
        let value = match &variable.value {
            Some(value) => value.clone().mark(variable.sensitive),
            None => {
                // After a broken input, "has no value" would be one complaint too many.
                if !broken_input && !broken(variable.block, diagnostics) {
                    diagnostics.push(unset(variable));
                }
                Value::unknown(variable.ty.clone()).mark(variable.sensitive)
            }
        };
        values.insert(variable.name.to_owned(), value);
    }
    for variable in declared.values() {
        validate(variable, &values, functions, diagnostics);
    }
    values
}

fn broken(block: &Block, diagnostics: &Diagnostics) -> bool {
    diagnostics.iter().any(|diagnostic| {
        diagnostic.span.is_some_and(|span| {
            span.file == block.header.file
                && span.start >= block.header.start
                && span.end <= block.body.span.end.max(block.header.end)
        })
    })
}

fn unset(variable: &Declared) -> Diagnostic {
    let name = variable.name;
    Diagnostic::error(format!("the variable `{name}` has no value")).at(variable.block.header).help(
        format!(
            "give it one with -var '{name}=…', a -var-file, the environment variable \
             PKR_VAR_{name}, or a default"
        ),
    )
}

fn undeclared(diagnostic: Diagnostic, name: &str, template: &Template) -> Diagnostic {
    match closest(name, template.variables.keys().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
        None => diagnostic.help(format!("declare it: variable \"{name}\" {{}}")),
    }
}

fn declare<'a>(
    name: &'a str,
    block: &'a Block,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Declared<'a> {
    only(
        &block.body,
        &["type", "default", "description", "sensitive"],
        &["validation"],
        diagnostics,
    );
    let mut variable = Declared { name, block, ty: Type::Dynamic, sensitive: false, value: None };
    let mut typed = false;
    if let Some(attribute) = block.body.attribute("type")
        && let Some(ty) = diagnostics.keep(type_expr::parse(&attribute.expr, scope))
    {
        variable.ty = ty;
        typed = true;
    }
    if let Some(attribute) = block.body.attribute("sensitive") {
        match attribute.expr.kind {
            ExprKind::Bool(flag) => variable.sensitive = flag,
            _ => {
                // Better hidden without need than shown by mistake.
                variable.sensitive = true;
                diagnostics.push(
                    Diagnostic::error("`sensitive` is true or false").at(attribute.expr.span),
                );
            }
        }
    }
    if let Some(attribute) = block.body.attribute("default") {
        let value = eval(&attribute.expr, scope).and_then(|value| {
            fit(&value, &variable.ty, name, attribute.expr.span, variable.sensitive)
        });
        variable.value = diagnostics.keep(value);
    }
    if !typed {
        variable.ty = match variable.value.as_ref().filter(|value| !value.is_null()) {
            Some(value) if value.ty().is_primitive() => value.ty(),
            Some(_) => Type::Dynamic,
            // A variable of which nothing is said takes texts.
            None => Type::String,
        };
    }
    variable
}

fn fit(
    value: &Value,
    ty: &Type,
    name: &str,
    span: Span,
    sensitive: bool,
) -> Result<Value, Diagnostic> {
    convert(value, ty).map_err(|error| {
        let message = format!("this value does not fit the variable `{name}`");
        match sensitive {
            // The source line would show the secret.
            true => Diagnostic::error(message),
            false => Diagnostic::error(message).at(span).label(error.to_string()),
        }
        .note(format!("its type is {ty}"))
    })
}

/// Takes a text from the environment or the command line: as it is for strings, as an expression
/// for everything else.
fn assign_text(
    variable: &mut Declared,
    text: &str,
    origin: String,
    sources: &mut SourceMap,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    if variable.ty == Type::String {
        variable.value = Some(text.into());
        return;
    }
    let file = sources.add(origin.clone(), text);
    let value = parse_expr(sources, file).and_then(|expr| {
        let value = match (&expr.kind, &variable.ty) {
            // `-var x=abc` for a variable of any type is the text abc.
            (ExprKind::Variable(word), Type::Dynamic) => Value::from(word.as_str()),
            _ => eval(&expr, scope)?,
        };
        fit(&value, &variable.ty, variable.name, expr.span, variable.sensitive)
    });
    let value = value.map_err(|error| {
        let error = match variable.sensitive {
            true => Diagnostic { span: None, label: String::new(), ..error }.note(origin),
            false => error,
        };
        match variable.ty.is_primitive() {
            true => error,
            false => error.help(format!(
                "values of type {} are written as in a template; texts in quotes",
                variable.ty
            )),
        }
    });
    // The value before a broken one must not take its place.
    variable.value = diagnostics.keep(value);
}

fn assign_file(
    declared: &mut BTreeMap<&str, Declared>,
    path: &Path,
    inputs: &VariableInputs,
    sources: &mut SourceMap,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    let Some(body) = read_variables(sources, path, diagnostics) else { return };
    for block in &body.blocks {
        diagnostics.push(
            Diagnostic::error("a variables file holds values, not blocks")
                .at(block.header)
                .help("declare variables in a *.pkr.hcl file"),
        );
    }
    for attribute in &body.attributes {
        let Some(variable) = declared.get_mut(attribute.name.as_str()) else {
            if inputs.warn_undeclared {
                let names = declared.keys().copied();
                diagnostics.push(
                    Diagnostic::warning(format!(
                        "`{}` is set here, and no variable is declared by that name",
                        attribute.name
                    ))
                    .at(attribute.name_span)
                    .suggest(&attribute.name, names),
                );
            }
            continue;
        };
        let Expr { span, .. } = attribute.expr;
        let value = eval(&attribute.expr, scope)
            .and_then(|value| fit(&value, &variable.ty, variable.name, span, variable.sensitive));
        variable.value = diagnostics.keep(value);
    }
}

fn validate(
    variable: &Declared,
    values: &BTreeMap<String, Value>,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) {
    for block in variable.block.body.blocks_of("validation") {
        only(&block.body, &["condition", "error_message"], &[], diagnostics);
        let (Some(condition), Some(message)) =
            (block.body.attribute("condition"), block.body.attribute("error_message"))
        else {
            diagnostics.push(
                Diagnostic::error("a validation needs `condition` and `error_message`")
                    .at(block.header),
            );
            continue;
        };
        // A condition may look at its own variable only.
        let own = values.get(variable.name).cloned().into_iter();
        let own = own.map(|value| (variable.name.to_owned(), value)).collect();
        let names = BTreeMap::from([("var".to_owned(), Value::object(own))]);
        let scope = Scope::new(names, functions);
        let truth = eval(&condition.expr, &scope).and_then(|value| {
            convert(&value, &Type::Bool).map_err(|error| {
                Diagnostic::error("a condition is a bool")
                    .at(condition.expr.span)
                    .label(error.to_string())
            })
        });
        let Some(truth) = diagnostics.keep(truth) else { continue };
        if truth.as_bool() != Some(false) {
            continue;
        }
        let Some(text) = diagnostics.keep(eval(&message.expr, &scope)) else { continue };
        let text = match text.holds_secret() {
            true => format!("the value of `{}` is not valid", variable.name),
            false => text.as_str().unwrap_or("the value is not valid").to_owned(),
        };
        diagnostics.push(
            Diagnostic::error(text)
                .at(variable.block.header)
                .label("the value of this variable fails its validation")
                .also(condition.expr.span, "this is false"),
        );
    }
}
