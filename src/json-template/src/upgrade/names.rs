//! What things are called in HCL2, where a name is an identifier.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ingot_go_template::syntax::{self, Base, Node};
use serde_json::Value;

use crate::template::Template;

/// What a variable became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    /// An input variable of this name.
    Input(String),
    /// A local of this name, as its value is computed.
    Local(String),
}

/// The local that `{{ timestamp }}` becomes.
pub(super) const TIMESTAMP: &str = "timestamp";

/// The new names of variables and builders.
pub(super) struct Names {
    variables: BTreeMap<String, Variable>,
    sources: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn of(template: &Template) -> Names {
        let mut taken = BTreeSet::new();
        let mut variables = BTreeMap::new();
        for variable in &template.variables {
            let name = identifier(&variable.name.text);
            let default = variable.default.as_ref().map_or("", |text| text.text.as_str());
            let new = match is_computed(default) {
                true if name == TIMESTAMP => {
                    Variable::Local(unique(format!("{name}_2"), &mut taken))
                }
                true => Variable::Local(unique(name, &mut taken)),
                false => Variable::Input(unique(name, &mut taken)),
            };
            variables.insert(variable.name.text.clone(), new);
        }
        for used in template.all_variables_used() {
            if let Entry::Vacant(free) = variables.entry(used) {
                let name = unique(identifier(free.key()), &mut taken);
                free.insert(Variable::Input(name));
            }
        }
        let mut sources = BTreeMap::new();
        let mut taken: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for builder in &template.builders {
            let label = &builder.label().text;
            let taken = taken.entry(&builder.ty.text).or_default();
            sources.insert(label.clone(), unique(identifier(&without_actions(label)), taken));
        }
        Names { variables, sources }
    }

    /// What became of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// All variables by their old names.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&String, &Variable)> {
        self.variables.iter()
    }

    /// The input variable that reads an environment variable.
    pub(super) fn environment_variable(&self, name: &str) -> String {
        let inputs = self.variables.values().filter_map(|variable| match variable {
            Variable::Input(name) => Some(name.clone()),
            Variable::Local(_) => None,
        });
        unique(identifier(&format!("env_{name}")), &mut inputs.collect())
    }

    /// The name of the source that a builder of this name became; the same if there is none.
    pub(super) fn source<'n>(&'n self, label: &'n str) -> &'n str {
        self.sources.get(label).map_or(label, String::as_str)
    }
}

/// Whether the default of a variable asks for more than defaults may: all but text, environment
/// variables, and what is left to plugins.
fn is_computed(default: &str) -> bool {
    let Ok(nodes) = syntax::parse(default) else { return false };
    nodes.iter().any(|node| match node {
        Node::Text(_) => false,
        Node::Action(pipeline) => match pipeline.commands.as_slice() {
            [command] => match &command.operands[0].base {
                Base::Function(name) => {
                    !matches!(name.as_str(), "env" | "build_name" | "build_type")
                }
                Base::Pipeline(_) => true,
                _ => false,
            },
            _ => true,
        },
        _ => true,
    })
}

/// A name with what is in its actions in their place: `web-{{ user "os" }}` as `web-os`.
fn without_actions(label: &str) -> String {
    let Ok(nodes) = syntax::parse(label) else { return label.to_owned() };
    let parts = nodes.into_iter().map(|node| match node {
        Node::Text(text) => text,
        Node::Action(pipeline) => {
            let operands = pipeline.commands.into_iter().flat_map(|command| command.operands);
            let words = operands.filter_map(|operand| match operand.base {
                Base::Literal(Value::String(text)) => Some(text),
                Base::Function(name) if name != "user" => Some(name),
                _ => None,
            });
            words.collect::<Vec<_>>().join("_")
        }
        _ => String::new(),
    });
    parts.collect()
}

/// A name that expressions can use.
fn identifier(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut result: String =
        name.trim().chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    if !result.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        result.insert(0, '_');
    }
    result
}

fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut next = 2;
    let mut candidate = name.clone();
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}_{next}");
        next += 1;
    }
    candidate
}
