//! Renders a parsed template.

use serde_json::Value;

use crate::environment::{Arguments, Call, Environment};
use crate::error::Fault;
use crate::functions;
use crate::parser::{Base, Command, Node, Operand, Pipeline};
use crate::value::{NO_VALUE, kind_of, size_of, text_of, truth};

/// More output than any option has, in bytes; a value that a function returns is not longer either.
const MAX_OUTPUT: usize = 64 << 20;

/// More work than any option takes: one for each node, operand and function, and one for every
/// [`BYTES_OF_WORK`] that are copied. A second or so; without it `range` over a huge number would
/// not end.
const MAX_WORK: u64 = 2_000_000;

/// How many bytes are copied for one of [`MAX_WORK`].
const BYTES_OF_WORK: u64 = 1024;

/// One rendering.
pub(crate) struct Evaluator<'a> {
    environment: &'a dyn Environment,
    template: &'a str,
    data: &'a Value,
    /// The variables in scope, the innermost last.
    variables: Vec<Variable>,
    /// Whether what is being evaluated is made of a secret.
    secret: bool,
    output: String,
    /// How much has been done, see [`MAX_WORK`].
    work: u64,
    /// What had no value, where that is no error.
    missing: Option<Vec<String>>,
}

/// A variable, and whether its value is made of a secret.
struct Variable {
    name: String,
    value: Value,
    secret: bool,
}

/// What `.` refers to, and whether it is made of a secret.
#[derive(Clone, Copy)]
struct Dot<'v> {
    value: &'v Value,
    secret: bool,
}

/// How the rendering of a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        environment: &'a dyn Environment,
        template: &'a str,
        data: &'a Value,
    ) -> Self {
        let all = Variable { name: String::new(), value: data.clone(), secret: false };
        Evaluator {
            environment,
            template,
            data,
            variables: vec![all],
            secret: false,
            output: String::new(),
            work: 0,
            missing: None,
        }
    }

    /// Renders `nodes`.
    pub(crate) fn run(mut self, nodes: &[Node]) -> Result<String, Fault> {
        let data = Dot { value: self.data, secret: false };
        self.nodes(nodes, data)?;
        Ok(self.output)
    }

    /// Renders `nodes`, printing what has no value as Go does; also returns what had none.
    pub(crate) fn run_leniently(mut self, nodes: &[Node]) -> Result<(String, Vec<String>), Fault> {
        let data = Dot { value: self.data, secret: false };
        self.missing = Some(Vec::new());
        self.nodes(nodes, data)?;
        Ok((self.output, self.missing.unwrap_or_default()))
    }

    fn nodes(&mut self, nodes: &[Node], dot: Dot<'_>) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// Counts one step, which copies `bytes`.
    fn count(&mut self, bytes: u64, place: usize) -> Result<(), Fault> {
        self.work += 1 + bytes / BYTES_OF_WORK;
        match self.work > MAX_WORK {
            true => {
                Err(Fault::new(place, "this takes too long: more steps than a template may do"))
            }
            false => Ok(()),
        }
    }

    fn node(&mut self, node: &Node, dot: Dot<'_>) -> Result<Flow, Fault> {
        // What is chosen by a secret is as secret as what is made of it, but not what comes after.
        let outside = self.secret;
        let flow = self.node_inside(node, dot);
        self.secret = outside;
        flow
    }

    fn node_inside(&mut self, node: &Node, dot: Dot<'_>) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => self.output.push_str(text),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print(pipeline, &value)?;
                } else {
                    self.set(pipeline, &[value]);
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let branch = if truth(&value) { then } else { otherwise };
                self.set(condition, &[value]);
                let flow = self.nodes(branch, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { value, then, otherwise } => {
                let scope = self.variables.len();
                let inner = self.pipeline(value, dot)?;
                self.set(value, std::slice::from_ref(&inner));
                let flow = if truth(&inner) {
                    self.nodes(then, Dot { value: &inner, secret: self.secret })?
                } else {
                    self.nodes(otherwise, dot)?
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { items, body, otherwise } => {
                return self.range(items, body, otherwise, dot);
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// Gives `values` to the variables that `pipeline` declares or sets.
    fn set(&mut self, pipeline: &Pipeline, values: &[Value]) {
        let secret = self.secret;
        for (name, value) in pipeline.variables.iter().zip(values) {
            if pipeline.declares {
                let (name, value) = (name.clone(), value.clone());
                self.variables.push(Variable { name, value, secret });
            } else if let Some(old) =
                self.variables.iter_mut().rev().find(|known| known.name == *name)
            {
                (old.value, old.secret) = (value.clone(), secret);
            }
        }
    }

    fn range(
        &mut self,
        items: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: Dot<'_>,
    ) -> Result<Flow, Fault> {
        let value = self.pipeline(items, dot)?;
        let place = items.span.start;
        let mut entries: Box<dyn Iterator<Item = (Value, Value)>> = match value {
            Value::Array(list) => Box::new(
                list.into_iter().enumerate().map(|(index, item)| (Value::from(index), item)),
            ),
            Value::Object(map) => {
                // Go visits a map in the order of its keys.
                let mut fields: Vec<(String, Value)> = map.into_iter().collect();
                fields.sort_by(|left, right| left.0.cmp(&right.0));
                Box::new(fields.into_iter().map(|(name, item)| (Value::String(name), item)))
            }
            Value::Number(number) if number.as_i64().is_some() => {
                let count = number.as_i64().unwrap_or(0);
                Box::new((0..count).map(|index| (Value::from(index), Value::from(index))))
            }
            Value::Null => Box::new(std::iter::empty()),
            other => {
                return Err(Fault::new(place, format!("cannot range over {}", kind_of(&other))));
            }
        };
        let mut entry = entries.next();
        if entry.is_none() {
            return self.nodes(otherwise, dot);
        }
        let scope = self.variables.len();
        while let Some((key, item)) = entry {
            self.count(0, place)?;
            match items.variables.len() {
                0 => {}
                1 => self.set(items, std::slice::from_ref(&item)),
                _ => self.set(items, &[key, item.clone()]),
            }
            let flow = self.nodes(body, Dot { value: &item, secret: self.secret })?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
            if self.output.len() > MAX_OUTPUT {
                return Err(Fault::new(place, "this makes the output too long"));
            }
            entry = entries.next();
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, pipeline: &Pipeline, value: &Value) -> Result<(), Fault> {
        if value.is_null() {
            let Some(missing) = &mut self.missing else {
                return Err(self.no_value(pipeline.span.clone()));
            };
            missing.push(self.template.get(pipeline.span.clone()).unwrap_or_default().to_owned());
            self.output.push_str(NO_VALUE);
            return Ok(());
        }
        let text = text_of(value);
        if self.secret {
            self.environment.secret_printed(&text);
        }
        self.output.push_str(&text);
        if self.output.len() > MAX_OUTPUT {
            return Err(Fault::new(pipeline.span.start, "this makes the output too long"));
        }
        Ok(())
    }

    /// The error that what stands at `span` has no value.
    fn no_value(&self, span: std::ops::Range<usize>) -> Fault {
        let what = self.template.get(span.clone()).unwrap_or_default();
        let names: Vec<String> = match self.data {
            Value::Object(fields) => fields.keys().map(|name| format!(".{name}")).collect(),
            _ => Vec::new(),
        };
        let available = if names.is_empty() {
            "no values are known here".to_owned()
        } else {
            format!("the values known here are {}", names.join(", "))
        };
        Fault::new(span.start, format!("`{what}` has no value; {available}"))
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: Dot<'_>) -> Result<Value, Fault> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Null))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: Dot<'_>,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        // The parser puts at least one operand into a command.
        let Some((first, rest)) = command.operands.split_first() else {
            return Ok(Value::Null);
        };
        if let Base::Function(name) = &first.base
            && first.fields.is_empty()
        {
            return self.call(name, first, rest, dot, piped);
        }
        if !rest.is_empty() || piped.is_some() {
            let what = self.template.get(first.span.clone()).unwrap_or_default();
            let message = format!("`{what}` is not a function and takes no arguments");
            return Err(Fault::new(first.span.start, message));
        }
        self.operand(first, dot)
    }

    fn operand(&mut self, operand: &Operand, dot: Dot<'_>) -> Result<Value, Fault> {
        let value = self.operand_inside(operand, dot)?;
        self.count(size_of(&value), operand.span.start)?;
        Ok(value)
    }

    fn operand_inside(&mut self, operand: &Operand, dot: Dot<'_>) -> Result<Value, Fault> {
        let owned;
        let mut current = match &operand.base {
            Base::Dot => {
                self.secret |= dot.secret;
                dot.value
            }
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|known| known.name == *name);
                self.secret |= found.is_some_and(|variable| variable.secret);
                // The parser has checked that the variable exists.
                found.map_or(&Value::Null, |variable| &variable.value)
            }
            Base::Function(name) => {
                owned = self.call(name, operand, &[], dot, None)?;
                &owned
            }
            Base::Pipeline(inner) => {
                owned = self.pipeline(inner, dot)?;
                &owned
            }
            Base::Literal(value) => {
                let text = value.as_str();
                self.secret |= text.is_some_and(|text| self.environment.holds_secret(text));
                value
            }
            Base::Nil => &Value::Null,
        };
        for field in &operand.fields {
            match current {
                Value::Object(fields) => current = fields.get(field).unwrap_or(&Value::Null),
                // A condition may ask for a part of what is not there.
                Value::Null => break,
                other => {
                    let message = format!("{} has no .{field}", kind_of(other));
                    return Err(Fault::new(operand.span.start, message));
                }
            }
        }
        Ok(current.clone())
    }

    fn call(
        &mut self,
        name: &str,
        at: &Operand,
        operands: &[Operand],
        dot: Dot<'_>,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        if name == "and" || name == "or" {
            return self.short_circuit(name, at, operands, dot, piped);
        }
        let nothing_is_fine = matches!(name, "not" | "eq" | "ne");
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if value.is_null() && !nothing_is_fine {
                return Err(self.no_value(operand.span.clone()));
            }
            arguments.push(value);
        }
        if let Some(value) = piped {
            if value.is_null() && !nothing_is_fine {
                let message = format!("what is piped into {name} has no value");
                return Err(Fault::new(at.span.start, message));
            }
            arguments.push(value);
        }
        let arguments = Arguments(&arguments);
        let result = if self.environment.has_function(name) {
            self.environment.call(&Call { name, data: self.data, arguments })
        } else {
            functions::call(name, arguments).map(Into::into)
        };
        let output =
            result.map_err(|message| Fault::new(at.span.start, format!("{name}: {message}")))?;
        let size = size_of(&output.value);
        if size > MAX_OUTPUT as u64 {
            return Err(Fault::new(
                at.span.start,
                format!("{name}: this makes the value too long"),
            ));
        }
        self.count(size, at.span.start)?;
        self.secret |= output.secret;
        Ok(output.value)
    }

    /// `and` and `or` evaluate no more arguments than they need.
    fn short_circuit(
        &mut self,
        name: &str,
        at: &Operand,
        operands: &[Operand],
        dot: Dot<'_>,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let decides = |value: &Value| truth(value) == (name == "or");
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if decides(&value) {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| {
            Fault::new(at.span.start, format!("{name}: it needs at least one argument"))
        })
    }
}
