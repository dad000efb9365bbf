//! Locals and data sources: values with names, which may build on each other.

use std::collections::BTreeMap;
use std::fmt;

use super::blocks::Template;
use super::eval::eval;
use super::scope::Scope;
use super::types::Type;
use super::value::Value;
use crate::syntax::ast::{Block, Body, Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::source::Span;

/// Gives a `data` block its value. The engine does, since it knows the plugins.
pub trait FetchData {
    /// The value of a block, whose options `scope` is for. Unknown where it is not fetched, or
    /// where something is wrong, which goes to `diagnostics`.
    fn fetch(&mut self, block: &Block, scope: &Scope, diagnostics: &mut Diagnostics) -> Value;
}

/// The values of a template's locals and data sources.
#[derive(Debug, Default)]
pub struct NamedValues {
    /// Locals by name.
    pub locals: BTreeMap<String, Value>,
    /// Data sources by type and name.
    pub data: BTreeMap<String, BTreeMap<String, Value>>,
}

impl NamedValues {
    /// `local` and `data` for a scope.
    pub fn names(&self) -> BTreeMap<String, Value> {
        let data = self.data.iter().map(|(ty, all)| (ty.clone(), Value::object(all.clone())));
        BTreeMap::from([
            ("local".to_owned(), Value::object(self.locals.clone())),
            ("data".to_owned(), Value::object(data.collect())),
        ])
    }
}

/// The value of every local and data source. `scope` has everything else. What cannot be
/// evaluated is unknown, so that what builds on it is not reported as well.
pub fn evaluate(
    template: &Template,
    scope: &Scope,
    fetch: &mut dyn FetchData,
    diagnostics: &mut Diagnostics,
) -> NamedValues {
    let mut values = NamedValues::default();
    for (ty, _) in template.data.keys() {
        values.data.entry(ty.clone()).or_default();
    }
    let mut walk = Walk { template, scope, fetch, values, chain: Vec::new() };
    for name in template.locals.keys() {
        walk.visit(Key::Local(name), diagnostics);
    }
    for (ty, name) in template.data.keys() {
        walk.visit(Key::Data(ty, name), diagnostics);
    }
    walk.values
}

/// What a local or data source is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key<'a> {
    Local(&'a str),
    Data(&'a str, &'a str),
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Local(name) => write!(f, "local.{name}"),
            Key::Data(ty, name) => write!(f, "data.{ty}.{name}"),
        }
    }
}

struct Walk<'a, 'b> {
    template: &'a Template,
    scope: &'b Scope<'b>,
    fetch: &'b mut dyn FetchData,
    values: NamedValues,
    /// What is being evaluated, outermost first.
    chain: Vec<Key<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn known(&self, key: Key) -> bool {
        match key {
            Key::Local(name) => self.values.locals.contains_key(name),
            Key::Data(ty, name) => {
                self.values.data.get(ty).is_some_and(|all| all.contains_key(name))
            }
        }
    }

    fn set(&mut self, key: Key, value: Value) {
        match key {
            Key::Local(name) => self.values.locals.insert(name.to_owned(), value),
            Key::Data(ty, name) => {
                self.values.data.entry(ty.to_owned()).or_default().insert(name.to_owned(), value)
            }
        };
    }

    fn visit(&mut self, key: Key<'a>, diagnostics: &mut Diagnostics) {
        if self.known(key) {
            return;
        }
        let template = self.template;
        let mut needed = Vec::new();
        let place: Span = match key {
            Key::Local(name) => {
                let Some(local) = template.locals.get(name) else { return };
                self.references(&local.expr, &mut needed);
                local.span
            }
            Key::Data(ty, name) => {
                let Some(block) = template.data.get(&(ty.to_owned(), name.to_owned())) else {
                    return;
                };
                self.references_of_body(&block.body, &mut needed);
                block.header
            }
        };
        if let Some(start) = self.chain.iter().position(|&before| before == key) {
            let names = self.chain[start..].iter().chain([&key]).map(Key::to_string);
            let names: Vec<String> = names.collect();
            diagnostics.push(
                Diagnostic::error("these values depend on each other in a circle")
                    .at(place)
                    .label(names.join(" → ")),
            );
            self.set(key, Value::unknown(Type::Dynamic));
            return;
        }
        self.chain.push(key);
        for other in needed {
            self.visit(other, diagnostics);
        }
        self.chain.pop();
        if self.known(key) {
            return;
        }
        let scope = self.scope.with(self.values.names());
        let value = match key {
            Key::Local(name) => template.locals.get(name).map(|local| {
                let value = diagnostics.keep(eval(&local.expr, &scope));
                value.unwrap_or_else(|| Value::unknown(Type::Dynamic)).mark(local.sensitive)
            }),
            Key::Data(ty, name) => template
                .data
                .get(&(ty.to_owned(), name.to_owned()))
                .map(|block| self.fetch.fetch(block, &scope, diagnostics)),
        };
        drop(scope);
        self.set(key, value.unwrap_or_else(|| Value::unknown(Type::Dynamic)));
    }

    /// The locals and data sources that an expression mentions.
    fn references(&self, expr: &Expr, found: &mut Vec<Key<'a>>) {
        let (locals, data) = (&self.template.locals, &self.template.data);
        expr.walk(&mut |inner| {
            let Some(path) = path(inner) else { return true };
            match path.as_slice() {
                ["local", name, ..] => {
                    found.extend(locals.get_key_value(*name).map(|(name, _)| Key::Local(name)));
                }
                // Without a name, all of them are needed.
                ["data", rest @ ..] => found.extend(
                    data.keys()
                        .filter(|(ty, _)| rest.first().is_none_or(|wanted| wanted == ty))
                        .filter(|(_, name)| rest.get(1).is_none_or(|wanted| wanted == name))
                        .map(|(ty, name)| Key::Data(ty, name)),
                ),
                _ => return true,
            }
            false
        });
    }

    fn references_of_body(&self, body: &Body, found: &mut Vec<Key<'a>>) {
        body.attributes.iter().for_each(|attribute| self.references(&attribute.expr, found));
        body.blocks.iter().for_each(|block| self.references_of_body(&block.body, found));
    }
}

/// The names along a reference, whether written `a.b` or `a["b"]`, up to the first that is not
/// fixed.
fn path(expr: &Expr) -> Option<Vec<&str>> {
    match &expr.kind {
        ExprKind::Variable(name) => Some(vec![name]),
        ExprKind::Attr(base, name, _) => {
            let mut path = path(base)?;
            path.push(name);
            Some(path)
        }
        ExprKind::Index(base, key) => {
            let mut path = path(base)?;
            match &key.kind {
                ExprKind::String(name) => path.push(name),
                // What the key mentions must be looked at as well.
                _ if path.len() < 3 => return None,
                _ => {}
            }
            Some(path)
        }
        _ => None,
    }
}
