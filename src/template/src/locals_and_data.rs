//! Locals and data sources: values with names, which may build on each other.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::blocks::{Local, Template};
use ingot_hcl::ast::{Block, Body, Expr};
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::value_of;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::value::{Kind, Value};

/// Gives a `data` block its value. The engine does, since it knows the plugins.
pub trait FetchData {
    /// The value of a block, whose options `scope` is for. Unknown where it is not fetched, or
    /// where something is wrong, which goes to `diagnostics`.
    fn fetch(&mut self, block: &Block, scope: &Scope, diagnostics: &mut Diagnostics) -> Value;
}

/// How many values may build on each other in a row. What evaluates them recurses as deep, on the
/// stack that the program gives itself.
const LONGEST_CHAIN: usize = 10_000;

/// The value of every local and data source, as `local` and `data` for a scope. `scope` has
/// everything else. What cannot be evaluated is unknown, so that what builds on it is not reported
/// as well.
pub fn evaluate(
    template: &Template,
    scope: &Scope,
    fetch: &mut dyn FetchData,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    let mut walk = Walk::new(template, scope, fetch);
    walk.all(diagnostics);
    walk.names()
}

/// The same once more, when `scope` knows more than before: `names` are those that the first time
/// gave. What was known then stays as it was, and no data source is fetched again. Only what
/// `bodies` use is evaluated; what nothing uses is no reason to fail.
pub fn evaluate_again<'t>(
    template: &Template,
    scope: &Scope,
    names: &BTreeMap<String, Value>,
    bodies: impl IntoIterator<Item = &'t Body>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    let mut fetch = Fetched;
    let mut walk = Walk::new(template, scope, &mut fetch);
    let locals = names.get("local").and_then(Value::as_entries);
    for name in template.locals.keys() {
        let value = locals.and_then(|locals| locals.get(name));
        if let Some(value) = value.filter(|value| value.is_wholly_known()) {
            walk.set(Key::Local(name), value.clone());
        }
    }
    let data = names.get("data").and_then(Value::as_entries);
    for (ty, name) in template.data.keys() {
        let value = data.and_then(|data| data.get(ty)?.as_entries()?.get(name));
        walk.set(Key::Data(ty, name), value.cloned().unwrap_or_else(unknown));
    }
    let mut needed = Vec::new();
    for body in bodies {
        walk.references_of_body(body, &mut needed);
    }
    needed.into_iter().for_each(|key| walk.visit(key, diagnostics));
    walk.names()
}

fn unknown() -> Value {
    Value::unknown(Type::Dynamic)
}

/// Stands for data sources that were all fetched before.
struct Fetched;

impl FetchData for Fetched {
    fn fetch(&mut self, _: &Block, _: &Scope, _: &mut Diagnostics) -> Value {
        unknown()
    }
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(template: &'a Template, scope: &'b Scope<'b>, fetch: &'b mut dyn FetchData) -> Self {
        // Those that are not evaluated yet are not mentioned, but may be what is meant by a name that
        // is misspelt.
        let locals = template.locals.keys().map(|name| (name.clone(), unknown())).collect();
        let mut data: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (ty, name) in template.data.keys() {
            data.entry(ty.clone()).or_default().insert(name.clone(), unknown());
        }
        Walk {
            template,
            scope,
            fetch,
            locals: Arc::new(locals),
            data,
            done: HashSet::new(),
            chain: Vec::new(),
            open: HashSet::new(),
        }
    }

    fn all(&mut self, diagnostics: &mut Diagnostics) {
        let template = self.template;
        for name in template.locals.keys() {
            self.visit(Key::Local(name), diagnostics);
        }
        for (ty, name) in template.data.keys() {
            self.visit(Key::Data(ty, name), diagnostics);
        }
    }
}

/// What a local or data source is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Shared with the scope of what is being evaluated, and changed in place afterwards.
    locals: Arc<BTreeMap<String, Value>>,
    data: BTreeMap<String, BTreeMap<String, Value>>,
    done: HashSet<Key<'a>>,
    /// What is being evaluated, outermost first, and the same for looking things up.
    chain: Vec<Key<'a>>,
    open: HashSet<Key<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn set(&mut self, key: Key<'a>, value: Value) {
        match key {
            Key::Local(name) => {
                Arc::make_mut(&mut self.locals).insert(name.to_owned(), value);
            }
            Key::Data(ty, name) => {
                self.data.entry(ty.to_owned()).or_default().insert(name.to_owned(), value);
            }
        }
        self.done.insert(key);
    }

    /// `local` and `data` so far.
    fn names(&self) -> BTreeMap<String, Value> {
        let data = self.data.iter().map(|(ty, all)| (ty.clone(), Value::object(all.clone())));
        BTreeMap::from([
            ("local".to_owned(), Kind::Object(Arc::clone(&self.locals)).into()),
            ("data".to_owned(), Value::object(data.collect())),
        ])
    }

    fn visit(&mut self, key: Key<'a>, diagnostics: &mut Diagnostics) {
        if self.done.contains(&key) {
            return;
        }
        let template = self.template;
        let mut needed = Vec::new();
        let place: Span = match key {
            Key::Local(name) => {
                let Some(local) = template.locals.get(name) else { return };
                local.expr.iter().for_each(|expr| self.references(expr, &mut needed));
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
        if self.open.contains(&key) {
            let start = self.chain.iter().position(|&before| before == key).unwrap_or(0);
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
        if self.chain.len() == LONGEST_CHAIN {
            diagnostics.push(
                Diagnostic::error(format!("more than {LONGEST_CHAIN} values build on each other"))
                    .at(place)
                    .label("this is one too many"),
            );
            self.set(key, Value::unknown(Type::Dynamic));
            return;
        }
        self.chain.push(key);
        self.open.insert(key);
        for other in needed {
            self.visit(other, diagnostics);
        }
        self.chain.pop();
        self.open.remove(&key);
        if self.done.contains(&key) {
            return;
        }
        let scope = self.scope.with(self.names());
        let value = match key {
            Key::Local(name) => {
                template.locals.get(name).map(|local| evaluate_local(local, &scope, diagnostics))
            }
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
        for path in expr.references().into_iter().filter_map(Expr::reference) {
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
                _ => {}
            }
        }
    }

    fn references_of_body(&self, body: &Body, found: &mut Vec<Key<'a>>) {
        body.attributes.iter().for_each(|attribute| self.references(&attribute.expr, found));
        body.blocks.iter().for_each(|block| self.references_of_body(&block.body, found));
    }
}

fn evaluate_local(local: &Local, scope: &Scope, diagnostics: &mut Diagnostics) -> Value {
    let value = local.expr.as_ref().and_then(|expr| value_of(expr, scope, diagnostics));
    let sensitive = local.block.as_ref().is_some_and(|block| {
        let functions = scope.functions();
        let flag =
            attribute::constant(&block.body, "sensitive", &Type::Bool, functions, diagnostics);
        // Better hidden without need than shown by mistake.
        flag.map_or(block.body.attribute("sensitive").is_some(), |flag| {
            flag.as_bool().unwrap_or(true)
        })
    });
    let value = value.unwrap_or_else(|| Value::unknown(Type::Dynamic)).mark(sensitive);
    if sensitive {
        scope.add_secret_lines(&value);
    }
    match scope.functions().conceals && sensitive {
        true => value.concealed("<local>"),
        false => value,
    }
}
