//! Input variables and where their values come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blocks::{Template, only};
use super::load::read_variables;
use super::validation::{self, Rule};
use ingot_hcl::ast::{Block, Expr, ExprKind};
use ingot_hcl::constant::{self, constant};
use ingot_hcl::convert::convert;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_hcl::functions::FunctionContext;
use ingot_hcl::parse::parse_expr;
use ingot_hcl::source::{FileId, SourceMap, Span};
use ingot_hcl::type_expr;
use ingot_hcl::types::{AttributeType, Type};
use ingot_hcl::value::{Kind, Value};

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableFlag {
    /// `-var name=value`
    Value(String),
    /// `-var-file path`
    File(PathBuf),
}

/// Where values of variables come from, besides the template. Later beats earlier: environment,
/// automatic files, `-var-file` in their order, `-var` in their order.
#[derive(Debug, Clone, Default)]
pub struct VariableInputs {
    /// `PKR_VAR_name`, without the prefix.
    pub environment: Vec<(String, String)>,
    /// `*.auto.pkrvars.hcl`
    pub files: Vec<PathBuf>,
    /// `-var` and `-var-file`, in order.
    pub flags: Vec<VariableFlag>,
    /// Whether a file that sets a variable nobody declared earns a warning.
    pub warn_undeclared: bool,
    /// Whether a variable without a value, or with one that it refuses, is an error.
    pub check: bool,
}

struct Declared<'a> {
    name: &'a str,
    block: &'a Block,
    ty: Type,
    /// Whether the type is that of the default.
    inferred: bool,
    sensitive: bool,
    value: Option<Value>,
    /// Where the value stands, if in a file or on the command line.
    place: Option<Span>,
    rules: Vec<Rule<'a>>,
    /// Whether something about it was reported; its value is unknown then, so that what depends
    /// on it is not reported as well.
    broken: bool,
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
    let declared: BTreeMap<&str, Declared> = template
        .variables
        .iter()
        .map(|(name, block)| (name.as_str(), declare(name, block, functions, diagnostics)))
        .collect();
    let mut given = Given { declared, inputs, sources, functions, diagnostics };
    given.all(template);
    let Given { declared, diagnostics, .. } = given;

    let mut values = BTreeMap::new();
    for variable in declared.into_values() {
        let Declared { name, block, ty, sensitive, value, place, rules, broken, .. } = variable;
        let value = match value {
            Some(value) if !broken => {
                let value = value.mark(sensitive);
                if inputs.check {
                    let header = block.header;
                    validation::check(&rules, name, &value, place, header, functions, diagnostics);
                }
                value
            }
            _ => {
                if !broken && inputs.check {
                    diagnostics.push(unset(name, block.header));
                }
                Value::unknown(if broken { Type::Dynamic } else { ty }).mark(sensitive)
            }
        };
        values.insert(name.to_owned(), value);
    }
    values
}

fn unset(name: &str, header: Span) -> Diagnostic {
    Diagnostic::error(format!("the variable `{name}` has no value")).at(header).help(format!(
        "give it one with -var '{name}=…', a -var-file, the environment variable PKR_VAR_{name}, \
         or a default"
    ))
}

fn undeclared(name: &str, template: &Template) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("-var sets `{name}`, which is not declared"));
    match closest(name, template.variables.keys().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
        None => diagnostic.help(format!("declare it: variable \"{name}\" {{}}")),
    }
}

fn declare<'a>(
    name: &'a str,
    block: &'a Block,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> Declared<'a> {
    let mut found = Diagnostics::default();
    let attributes = ["type", "default", "description", "sensitive"];
    only(&block.body, &attributes, &["validation"], &mut found);
    let mut variable = Declared {
        name,
        block,
        ty: Type::Dynamic,
        inferred: false,
        sensitive: false,
        value: None,
        place: None,
        rules: Vec::new(),
        broken: false,
    };
    if let Some(attribute) = block.body.attribute("type")
        && let Some(ty) = found.keep(type_expr::parse(&attribute.expr, functions))
    {
        variable.ty = ty;
    }
    constant::attribute(&block.body, "description", &Type::String, functions, &mut found);
    variable.sensitive = block.body.attribute("sensitive").is_some_and(|_| {
        let flag =
            constant::attribute(&block.body, "sensitive", &Type::Bool, functions, &mut found);
        // Better hidden without need than shown by mistake.
        flag.and_then(|flag| flag.as_bool()).unwrap_or(true)
    });
    if let Some(attribute) = block.body.attribute("default") {
        let functions = FunctionContext { env_allowed: true, ..functions.clone() };
        let value = constant(&attribute.expr, "the default of a variable", &functions)
            .and_then(|value| variable.fit(&value, attribute.expr.span));
        variable.value = found.keep(value);
    }
    // Without a type of its own, a variable takes what its default is.
    if let (Type::Dynamic, Some(value)) = (&variable.ty, &variable.value)
        && !is_empty(value)
    {
        variable.ty = value.ty();
        variable.inferred = true;
    }
    variable.rules = validation::rules(name, block, functions, &mut found);
    variable.broken = found.has_errors();
    diagnostics.extend(found);
    variable
}

/// `[]` and `{}`, which say nothing of what else could be there.
fn is_empty(value: &Value) -> bool {
    match &value.kind {
        Kind::Tuple(items) => items.is_empty(),
        Kind::Object(attributes) => attributes.is_empty(),
        _ => false,
    }
}

impl Declared<'_> {
    /// `value`, which stands at `span`, as the variable takes it.
    fn fit(&self, value: &Value, span: Span) -> Result<Value, Diagnostic> {
        let Declared { name, ty, .. } = self;
        convert(value, ty).map_err(|error| {
            let message = format!("this value does not fit the variable `{name}`");
            let diagnostic = match self.sensitive {
                // The line of the value would show the secret.
                true => Diagnostic::error(message).at(self.block.header),
                false => Diagnostic::error(message).at(span).label(error.to_string()),
            };
            match self.inferred {
                false => diagnostic.note(format!("its type is {ty}")),
                true => diagnostic
                    .note(format!("it has no `type`, so it takes what its default is: {ty}"))
                    .help(match ty {
                        Type::Tuple(_) => "to take others, declare one: type = list(any)",
                        Type::Object(_) => "to take others, declare one: type = map(any)",
                        _ => "to take others, declare one: type = any",
                    }),
            }
        })
    }

    /// What is wrong with a value given from outside, without the value if it is a secret: the
    /// words may quote it, and its line would show it.
    fn hidden(&self, error: Diagnostic) -> Diagnostic {
        // What points at the declaration was made to be shown.
        if !self.sensitive || error.span == Some(self.block.header) {
            return error;
        }
        Diagnostic::error(format!("the value given to the variable `{}` is wrong", self.name))
            .at(self.block.header)
            .label("it is a secret, so what is wrong with it is not shown")
            .note(format!("its type is {}", self.ty))
    }

    fn take(
        &mut self,
        value: Result<Value, Diagnostic>,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) {
        match value {
            Ok(value) => {
                self.value = Some(value);
                self.place = Some(place);
            }
            Err(error) => {
                // The value before a broken one must not take its place.
                self.broken = true;
                diagnostics.push(error);
            }
        }
    }
}

/// Gives variables the values that stand outside of the template.
struct Given<'a, 'b> {
    declared: BTreeMap<&'a str, Declared<'a>>,
    inputs: &'b VariableInputs,
    sources: &'b mut SourceMap,
    functions: &'b FunctionContext,
    diagnostics: &'b mut Diagnostics,
}

impl Given<'_, '_> {
    fn all(&mut self, template: &Template) {
        for (name, text) in &self.inputs.environment {
            self.text(name, text, format!("<value of PKR_VAR_{name}>"));
        }
        for path in &self.inputs.files {
            self.file(path);
        }
        // A value beats all files, wherever it stands; of two values, the last counts.
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for flag in &self.inputs.flags {
            match flag {
                VariableFlag::File(path) => self.file(path),
                VariableFlag::Value(pair) => match pair.split_once('=') {
                    Some((name, text)) => drop(values.insert(name.trim(), text)),
                    None => self.diagnostics.push(
                        Diagnostic::error("a -var gives no value: there is no `=` in it")
                            .help("write -var 'NAME=value'"),
                    ),
                },
            }
        }
        for (name, text) in values {
            match self.declared.contains_key(name) {
                true => self.text(name, text, format!("<value of -var {name}>")),
                false => self.diagnostics.push(undeclared(name, template)),
            }
        }
    }

    /// Takes a text from the environment or the command line: as it is for strings, numbers and
    /// variables of no type, as an expression for everything else.
    fn text(&mut self, name: &str, text: &str, origin: String) {
        let Some(variable) = self.declared.get_mut(name) else { return };
        let file = self.sources.add(origin.clone(), text);
        let whole = Span { file, start: 0, end: text.len() as u32 };
        let value = match variable.ty {
            Type::String | Type::Number | Type::Dynamic => Ok((Value::from(text), whole)),
            _ => expression(self.sources, file, name, self.functions),
        };
        let value = value.and_then(|(value, span)| variable.fit(&value, span));
        let value = value.map_err(|error| {
            let error = match variable.sensitive {
                true => variable.hidden(error).note(origin),
                false => error.at(whole),
            };
            match &variable.ty {
                Type::Bool => error.help("write true or false"),
                ty if ty.is_primitive() || variable.inferred => error,
                ty => error.help(format!(
                    "values of type {ty} are written as in a template, texts in quotes: {}",
                    example(ty)
                )),
            }
        });
        variable.take(value, whole, self.diagnostics);
    }

    fn file(&mut self, path: &Path) {
        let extension = path.extension().unwrap_or_default();
        if extension != "hcl" && extension != "json" {
            self.diagnostics.push(
                Diagnostic::error(format!("{} is no file of variables", path.display()))
                    .help("their names end in .pkrvars.hcl or .pkrvars.json"),
            );
            return;
        }
        let Some(body) = read_variables(self.sources, path, self.diagnostics) else { return };
        for block in &body.blocks {
            self.diagnostics.push(
                Diagnostic::error("a variables file holds values, not blocks")
                    .at(block.header)
                    .help(match (block.kind.as_str(), block.label(0)) {
                        ("variable", name) if !name.is_empty() => format!(
                            "declare the variable in a *.pkr.hcl file, and give it a value here: \
                             {name} = …"
                        ),
                        _ => "move it to a *.pkr.hcl file".to_owned(),
                    }),
            );
        }
        for attribute in &body.attributes {
            let Some(variable) = self.declared.get_mut(attribute.name.as_str()) else {
                if self.inputs.warn_undeclared {
                    let names = self.declared.keys().copied();
                    self.diagnostics.push(
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
            let value = constant(&attribute.expr, "the value of a variable", self.functions)
                .and_then(|value| variable.fit(&value, span))
                .map_err(|error| variable.hidden(error));
            variable.take(value, span, self.diagnostics);
        }
    }
}

/// Evaluates what the command line or the environment gives `name`.
fn expression(
    sources: &SourceMap,
    file: FileId,
    name: &str,
    functions: &FunctionContext,
) -> Result<(Value, Span), Diagnostic> {
    // What the parser says is about templates.
    let wrong = || Diagnostic::error(format!("this is not a value for the variable `{name}`"));
    let expr = parse_expr(sources, file).map_err(|error| match error.span {
        Some(span) => wrong().at(span),
        None => wrong(),
    })?;
    if let ExprKind::Variable(_) = expr.kind {
        return Err(wrong().at(expr.span));
    }
    constant(&expr, "the value of a variable", functions).map(|value| (value, expr.span))
}

/// A value of a type as it is written.
fn example(ty: &Type) -> String {
    match ty {
        Type::Dynamic | Type::String => "\"a\"".into(),
        Type::Bool => "true".into(),
        Type::Number => "1".into(),
        Type::List(item) | Type::Set(item) => format!("[{0}, {0}]", example(item)),
        Type::Map(item) => format!("{{ name = {} }}", example(item)),
        Type::Tuple(items) => {
            format!("[{}]", items.iter().map(example).collect::<Vec<_>>().join(", "))
        }
        Type::Object(attributes) => {
            let of = |(name, attribute): (&String, &AttributeType)| {
                format!("{name} = {}", example(&attribute.ty))
            };
            format!("{{ {} }}", attributes.iter().map(of).collect::<Vec<_>>().join(", "))
        }
    }
}
