//! Strings with `{{ }}` to HCL2's expressions and templates.

use hcl_edit::Decorate as _;
use hcl_edit::Decorated;
use hcl_edit::Ident;
use hcl_edit::expr::{Expression, FuncArgs, FuncCall, Traversal, TraversalOperator};
use hcl_edit::template::{Element, Interpolation, StringTemplate};
use ingot_go_template::has_actions;
use ingot_go_template::syntax::{self, Base, Command, Node, Operand, Pipeline};
use serde_json::Value;

use super::components::Kind;
use super::names::{Names, TIMESTAMP, Variable};

/// Functions that only HCL2's locals may call, as they read what stands outside of the template.
const SECRETS: &[&str] = &["consul_key", "vault", "aws_secretsmanager", "aws_secretsmanager_raw"];

/// The function of some plugins that makes a name fit. Packer knows it in legacy JSON templates only.
const CLEAN: &str = "clean_resource_name";
/// What cannot be in the names of AMIs, which amazon's replaces with `-`.
const NOT_IN_AMI_NAMES: &str = r"[^-0-9A-Za-z()\[\] ./'@_]";

/// Translates the strings of one option.
pub(super) struct Translator<'n> {
    names: &'n Names,
    /// What the option is of; none for variables.
    kind: Option<Kind>,
    /// What could not be translated, in words.
    pub notes: Vec<String>,
    /// Whether `local.timestamp` is used.
    pub uses_timestamp: bool,
    /// Whether `env` may be called.
    pub env_allowed: bool,
    /// Whether the option is of a plugin whose names are those of AMIs.
    pub names_amis: bool,
    /// Environment variables that input variables have to read, as `env` may not be called.
    pub environment: Vec<String>,
}

impl<'n> Translator<'n> {
    pub(super) fn new(names: &'n Names, kind: Option<Kind>) -> Self {
        Translator {
            names,
            kind,
            notes: Vec::new(),
            uses_timestamp: false,
            env_allowed: false,
            names_amis: false,
            environment: Vec::new(),
        }
    }

    /// A string as an expression.
    pub(super) fn text(&mut self, text: &str) -> Expression {
        if !has_actions(text) {
            return text.into();
        }
        let nodes = match syntax::parse(text) {
            Ok(nodes) => nodes,
            Err(error) => {
                self.notes.push(format!("is not a template that can be read: {error}"));
                return text.into();
            }
        };
        let simple = nodes.iter().all(|node| match node {
            Node::Text(_) => true,
            Node::Action(pipeline) => pipeline.variables.is_empty(),
            _ => false,
        });
        if !simple {
            // What `if` and the like ask of a plugin is the plugin's.
            if !crate::actions::variables_in(text).is_empty() {
                let what = "asks for variables in {{ if }}, {{ with }}, {{ range }} or {{ $name }}";
                self.notes.push(what.to_owned());
            }
            return text.into();
        }
        let mut elements: Vec<Element> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            match node {
                Node::Action(pipeline) => match self.pipeline(pipeline) {
                    // Braces that a plugin is not to take for an action.
                    Some(Expression::String(inner)) if has_actions(&inner) => {
                        self.kept(pipeline, text, &mut elements);
                    }
                    // A string in a string.
                    Some(Expression::String(inner)) => elements.push(inner.as_str().into()),
                    Some(expression) => elements.push(interpolated(expression)),
                    None => self.kept(pipeline, text, &mut elements),
                },
                Node::Text(text) => elements.push(text.as_str().into()),
                _ => {}
            }
        }
        joined(elements)
    }

    /// An action that a plugin renders, or nobody: as it is, with what can be filled in.
    fn kept(&mut self, pipeline: &Pipeline, text: &str, elements: &mut Vec<Element>) {
        if calls(pipeline, &|name| name == CLEAN) {
            self.notes.push(format!("calls {CLEAN}, which Packer knows in JSON templates only"));
        }
        if let Some(mut filled) = self.of_plugin(pipeline) {
            elements.append(&mut filled);
            return;
        }
        let inner = text.get(pipeline.span.clone()).unwrap_or_default();
        if calls(pipeline, &is_engines) {
            self.notes.push(format!("has no counterpart for {{{{ {inner} }}}}"));
        }
        elements.push(format!("{{{{ {inner} }}}}").into());
    }

    /// `{{ clean_resource_name … }}` and other functions of plugins, with one argument that is
    /// filled in before.
    fn of_plugin(&mut self, pipeline: &Pipeline) -> Option<Vec<Element>> {
        let (last, before) = pipeline.commands.split_last()?;
        let [Operand { base: Base::Function(name), fields, .. }, arguments @ ..] =
            last.operands.as_slice()
        else {
            return None;
        };
        if name != CLEAN || !fields.is_empty() {
            return None;
        }
        let argument = match (before, arguments) {
            ([], [argument]) => self.operand(argument),
            (before, []) => self.commands(before),
            _ => None,
        }?;
        let argument = match argument {
            Expression::String(text) => text.as_str().into(),
            other => interpolated(other),
        };
        Some(vec![format!("{{{{ {name} `").into(), argument, "` }}".into()])
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Option<Expression> {
        self.commands(&pipeline.commands)
    }

    fn commands(&mut self, commands: &[Command]) -> Option<Expression> {
        let mut piped = None;
        for command in commands {
            let (first, arguments) = command.operands.split_first()?;
            let Base::Function(name) = &first.base else {
                let alone = arguments.is_empty() && piped.is_none();
                piped = Some(alone.then(|| self.operand(first)).flatten()?);
                continue;
            };
            if !first.fields.is_empty() {
                return None;
            }
            let mut values = Vec::with_capacity(arguments.len() + 1);
            for argument in arguments {
                values.push(self.operand(argument)?);
            }
            values.extend(piped.take());
            piped = Some(self.call(name, values)?);
        }
        piped
    }

    fn operand(&mut self, operand: &Operand) -> Option<Expression> {
        match &operand.base {
            _ if !operand.fields.is_empty() => None,
            Base::Literal(Value::String(text)) => Some(text.as_str().into()),
            Base::Literal(Value::Number(number)) => Some(match number.as_i64() {
                Some(number) => number.into(),
                None => number.as_f64()?.into(),
            }),
            Base::Function(name) => self.call(name, Vec::new()),
            Base::Pipeline(inner) => self.pipeline(inner),
            _ => None,
        }
    }

    /// A call of one of Packer's functions, in HCL2's.
    fn call(&mut self, name: &str, arguments: Vec<Expression>) -> Option<Expression> {
        let step = matches!(self.kind, Some(Kind::Provisioner | Kind::PostProcessor));
        let texts: Vec<&str> = arguments.iter().filter_map(Expression::as_str).collect();
        Some(match (name, arguments.as_slice(), texts.as_slice()) {
            ("user", [_], [variable]) => match self.names.variable(variable)? {
                Variable::Input(name) => path(&["var", name]),
                Variable::Local(name) => path(&["local", name]),
            },
            ("build", [_], [value]) if step => path(&["build", value]),
            ("env", [_], [_]) if self.env_allowed => call("env", arguments),
            ("env", [_], [variable]) if self.kind.is_none() => {
                self.environment.push((*variable).to_owned());
                path(&["var", &self.names.environment_variable(variable)])
            }
            ("timestamp", [], _) => {
                self.uses_timestamp = true;
                path(&["local", TIMESTAMP])
            }
            ("isotime", [], _) => call("timestamp", arguments),
            ("isotime", [_], _) => call("legacy_isotime", arguments),
            ("strftime", [_], _) => call("legacy_strftime", arguments),
            ("uuid", [], _) => call("uuidv4", arguments),
            ("template_dir", [], _) => path(&["path", "root"]),
            ("pwd", [], _) => path(&["path", "cwd"]),
            ("packer_version", [], _) => path(&["packer", "version"]),
            ("build_name", [], _) if self.kind.is_some() => path(&["source", "name"]),
            ("build_type", [], _) if self.kind.is_some() => path(&["source", "type"]),
            ("lower" | "upper", [_], _) => call(name, arguments),
            (CLEAN, [name], _) if self.names_amis => {
                call("regex_replace", vec![name.clone(), NOT_IN_AMI_NAMES.into(), "-".into()])
            }
            ("replace_all", [old, new, text], _) => {
                call("replace", vec![text.clone(), old.clone(), new.clone()])
            }
            // A number below zero is all of them.
            ("replace", [old, new, count, text], _)
                if count.as_number().and_then(|count| count.as_i64()).is_some_and(|n| n < 0) =>
            {
                call("replace", vec![text.clone(), old.clone(), new.clone()])
            }
            ("split", [text, separator, index], _) => {
                let parts = call("split", vec![separator.clone(), text.clone()]);
                let index = TraversalOperator::Index(index.clone());
                Traversal::new(parts, vec![Decorated::new(index)]).into()
            }
            ("consul_key" | "aws_secretsmanager_raw", [_], _) if self.kind.is_none() => {
                call(name, arguments)
            }
            ("vault" | "aws_secretsmanager", [_, _], _) if self.kind.is_none() => {
                call(name, arguments)
            }
            ("aws_secretsmanager", [secret], _) if self.kind.is_none() => {
                call(name, vec![secret.clone(), Expression::null()])
            }
            _ => return None,
        })
    }
}

/// Whether a function asks something of the engine, which does not answer in HCL2.
fn is_engines(name: &str) -> bool {
    let of_variables = ["user", "env", "split", "replace", "replace_all", "lower", "upper"];
    of_variables.contains(&name) || SECRETS.contains(&name)
}

/// Whether a pipeline calls such a function.
fn calls(pipeline: &Pipeline, is_such: &dyn Fn(&str) -> bool) -> bool {
    let mut operands = pipeline.commands.iter().flat_map(|command| &command.operands);
    operands.any(|operand| match &operand.base {
        Base::Function(name) => is_such(name),
        Base::Pipeline(inner) => calls(inner, is_such),
        _ => false,
    })
}

/// `a.b.c`
fn path(names: &[&str]) -> Expression {
    let mut names = names.iter();
    let root = Ident::new_sanitized(names.next().copied().unwrap_or_default());
    let operators = names.map(|name| {
        Decorated::new(TraversalOperator::GetAttr(Decorated::new(Ident::new_sanitized(*name))))
    });
    Traversal::new(root, operators.collect::<Vec<_>>()).into()
}

/// `name(a, b)`
pub(super) fn call(name: &str, arguments: Vec<Expression>) -> Expression {
    let mut list = FuncArgs::new();
    arguments.into_iter().for_each(|argument| list.push(argument));
    FuncCall::new(Ident::new_sanitized(name), list).into()
}

/// `${…}`
pub(super) fn interpolated(mut expression: Expression) -> Element {
    expression.decor_mut().set_prefix("");
    expression.decor_mut().set_suffix("");
    Interpolation::new(expression).into()
}

/// A string, or an expression if it is all there is.
fn joined(elements: Vec<Element>) -> Expression {
    if let [Element::Interpolation(only)] = elements.as_slice() {
        let mut expression = only.expr.clone();
        expression.decor_mut().clear();
        return expression;
    }
    if elements.iter().all(Element::is_literal) {
        let texts = elements.iter().filter_map(Element::as_literal);
        return texts.map(|text| text.as_str()).collect::<String>().into();
    }
    let mut template = StringTemplate::new();
    elements.into_iter().for_each(|element| template.push(element));
    template.into()
}
