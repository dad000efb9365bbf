//! Input variables and where their values come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::block_form::{is_identifier, only};
use super::blocks::{Template, is_of_variables_block};
use super::load::read_variables;
use super::validation::{self, Rule};
use ingot_hcl::ast::{Attribute, Block, Body, Expr, ExprKind};
use ingot_hcl::attribute;
use ingot_hcl::constant::{Purpose, constant};
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

/// The values of variables.
#[derive(Debug, Clone, Default)]
pub struct VariableValues {
    /// The value of every variable, by name.
    pub values: BTreeMap<String, Value>,
    /// The names of those that the environment sets, also where a file or a flag has another value.
    pub in_environment: BTreeSet<String>,
    /// What is wrong where [`VariableInputs::check`] asks for it: variables without a value, and
    /// values that they refuse.
    pub refused: Diagnostics,
}

struct Declared<'a> {
    name: &'a str,
    block: &'a Block,
    ty: Type,
    /// Whether the type is that of the default.
    inferred: bool,
    sensitive: bool,
    value: Option<Value>,
    /// Where the value stands, if outside of the template.
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
) -> VariableValues {
    let declared: BTreeMap<&str, Declared> = template
        .variables
        .iter()
        .map(|(name, block)| (name.as_str(), declare(name, block, functions, diagnostics)))
        .collect();
    let mut assigner =
        VariableAssigner { declared, inputs, sources, functions, diagnostics, unreadable: false };
    assigner.all(template);
    let VariableAssigner { declared, unreadable, .. } = assigner;

    // As in Packer, a condition looks for files where the options will: in the directory of the caller.
    let here = FunctionContext { base_dir: ".".into(), ..functions.clone() };
    let environment = inputs.environment.iter();
    let environment: BTreeSet<&str> = environment.map(|(name, _)| name.as_str()).collect();
    let mut values = VariableValues::default();
    for variable in declared.into_values() {
        let Declared { name, block, ty, sensitive, value, place, rules, broken, .. } = variable;
        if environment.contains(name) {
            values.in_environment.insert(name.to_owned());
        }
        let value = match value {
            Some(value) if !broken => {
                let value = value.mark(sensitive);
                if inputs.check {
                    let (header, refused) = (block.header, &mut values.refused);
                    validation::check(&rules, name, &value, place, header, &here, refused);
                }
                value
            }
            _ => {
                // A file that could not be read may hold the value.
                if !broken && !unreadable && inputs.check {
                    values.refused.push(unset(name, block.header));
                }
                let ty = if broken || unreadable { Type::Dynamic } else { ty };
                Value::unknown(ty).mark(sensitive)
            }
        };
        values.values.insert(name.to_owned(), value);
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
    let diagnostic = Diagnostic::error(format!("-var sets `{name}`, which is not declared"))
        .missing(format!("var.{name}"));
    match closest(name, template.variables.keys().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
        None if is_identifier(name) => {
            diagnostic.help(format!("declare it: variable \"{name}\" {{}}"))
        }
        None => diagnostic.help("write -var 'NAME=value', with the name of a variable"),
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
    attribute::constant(&block.body, "description", &Type::String, functions, &mut found);
    variable.sensitive = block.body.attribute("sensitive").is_some_and(|_| {
        let flag =
            attribute::constant(&block.body, "sensitive", &Type::Bool, functions, &mut found);
        // Better hidden without need than shown by mistake.
        flag.and_then(|flag| flag.as_bool()).unwrap_or(true)
    });
    if let Some(attribute) = block.body.attribute("default") {
        let functions = FunctionContext { env_allowed: true, ..functions.clone() };
        let value = constant(&attribute.expr, Purpose::Default("a variable"), &functions)
            .and_then(|value| variable.fit(&value, attribute.expr.span))
            .map_err(|error| variable.hidden(error, "the default of"));
        variable.value = found.keep(value);
    }
    // Without a type of its own, a variable takes what its default is. An empty default leaves it open
    // in a `variable` block only, as in Packer.
    if let (Type::Dynamic, Some(value)) = (&variable.ty, &variable.value)
        && (!is_empty(value) || is_of_variables_block(block))
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
            let diagnostic = Diagnostic::error(message).at(span);
            let diagnostic = match self.sensitive {
                // The words may quote a part of the secret.
                true => diagnostic.names_only(),
                false => diagnostic.label(error.to_string()),
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

    /// What is wrong with a value, in words that do not quote it if it is a secret. `what` says
    /// whose value it is: "the value given to".
    fn hidden(&self, error: Diagnostic, what: &str) -> Diagnostic {
        if !self.sensitive || error.quotes_names_only {
            return error;
        }
        let hidden = Diagnostic::error(format!("{what} the variable `{}` is invalid", self.name))
            .note("what is wrong with it is not shown, since it is a secret")
            .note(format!("its type is {}", self.ty));
        match error.span {
            Some(span) => hidden.at(span),
            None => hidden.at(self.block.header),
        }
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

/// Assigns variables the values that stand outside of the template.
struct VariableAssigner<'a, 'b> {
    declared: BTreeMap<&'a str, Declared<'a>>,
    inputs: &'b VariableInputs,
    sources: &'b mut SourceMap,
    functions: &'b FunctionContext,
    diagnostics: &'b mut Diagnostics,
    /// Whether there is a file of values that could not be read.
    unreadable: bool,
}

impl VariableAssigner<'_, '_> {
    fn all(&mut self, template: &Template) {
        for (name, text) in &self.inputs.environment {
            self.text(name, text, format!("<value of PKR_VAR_{name}>"));
        }
        for path in &self.inputs.files {
            self.file(path);
        }
        // A value beats all files, wherever it is given; of two values, the last counts.
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for flag in &self.inputs.flags {
            match flag {
                VariableFlag::File(path) => self.file(path),
                VariableFlag::Value(pair) => match pair.split_once('=') {
                    Some((name, _)) if name.trim().is_empty() => self.diagnostics.push(
                        Diagnostic::error(
                            "a -var names no variable: there is nothing before its `=`",
                        )
                        .help("write -var 'NAME=value'"),
                    ),
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

    /// Reports blocks in a file of values. Whether there are any.
    fn blocks(&mut self, path: &Path, body: &Body) -> bool {
        // In JSON nothing tells them from values but their name.
        let declares = |attribute: &&Attribute| {
            body.is_json()
                && attribute.name == "variable"
                && matches!(attribute.expr.kind, ExprKind::Object(_) | ExprKind::Tuple(_))
        };
        let first = body.attributes.iter().find(declares).map(|attribute| attribute.name_span);
        let first = first.or(body.blocks.first().map(|block| block.header));
        let Some(first) = first else { return false };
        if is_template(path) {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            self.diagnostics.push(
                Diagnostic::error(format!(
                    "{} is a template, not a file of variables",
                    path.display()
                ))
                .at(first)
                .help(format!(
                    "leave out this -var-file, and give the directory instead of one file, so \
                     that all templates in it are read: {}",
                    dir.display()
                )),
            );
            return true;
        }
        let error = Diagnostic::error("a variables file holds values, not blocks");
        if body.blocks.is_empty() {
            let help = "declare variables in a template, and give them values here: \"NAME\": …";
            self.diagnostics.push(error.clone().at(first).help(help));
        }
        for block in &body.blocks {
            self.diagnostics.push(error.clone().at(block.header).help(
                match declared_name(block) {
                    Some(name) => format!(
                        "declare the variable in a *.pkr.hcl file, and give it a value here: \
                         {name} = …"
                    ),
                    None => "move it to a *.pkr.hcl file".to_owned(),
                },
            ));
        }
        true
    }

    /// Takes a text from the environment or the command line: as it is for strings, numbers and
    /// variables of no type, as an expression for everything else.
    fn text(&mut self, name: &str, text: &str, origin: String) {
        let Some(variable) = self.declared.get_mut(name) else { return };
        let file = self.sources.add(origin, text);
        self.sources.conceal_all(file);
        let whole = Span { file, start: 0, end: text.len() as u32 };
        let value = match variable.ty {
            Type::String | Type::Number | Type::Dynamic => Ok((Value::from(text), whole)),
            _ => expression(self.sources, file, name, self.functions),
        };
        let value = value.and_then(|(value, span)| variable.fit(&value, span));
        let value = value.map_err(|error| {
            let error = variable.hidden(error.at(whole), "the value given to");
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
            self.unreadable = true;
            self.diagnostics.push(
                Diagnostic::error(format!("{} is not a variable file", path.display()))
                    .help("their names end in .pkrvars.hcl or .pkrvars.json"),
            );
            return;
        }
        let before = self.diagnostics.errors();
        let body = read_variables(self.sources, path, self.diagnostics);
        self.unreadable |= self.diagnostics.errors() > before;
        let Some(body) = body else { return };
        if self.blocks(path, &body) {
            self.unreadable = true;
            return;
        }
        for attribute in &body.attributes {
            let Some(variable) = self.declared.get_mut(attribute.name.as_str()) else {
                if self.inputs.warn_undeclared {
                    let names = self.declared.keys().copied();
                    self.diagnostics.push(
                        Diagnostic::warning(format!(
                            "`{}` is set here, but no variable of that name is declared",
                            attribute.name
                        ))
                        .at(attribute.name_span)
                        .suggest(&attribute.name, names),
                    );
                }
                continue;
            };
            let Expr { span, .. } = attribute.expr;
            let value = constant(
                &attribute.expr,
                Purpose::Other("the value of a variable"),
                self.functions,
            )
            .and_then(|value| variable.fit(&value, span))
            .map_err(|error| variable.hidden(error, "the value given to"));
            variable.take(value, span, self.diagnostics);
        }
    }
}

/// What a block in a file of variables is called, if it is a variable's declaration.
fn declared_name(block: &Block) -> Option<&str> {
    Some(block.label(0)).filter(|name| block.kind == "variable" && !name.is_empty())
}

/// Whether a file is a template by its name.
fn is_template(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json")
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
    constant(&expr, Purpose::Other("the value of a variable"), functions)
        .map(|value| (value, expr.span))
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
