//! What names stand for while an expression is evaluated.

use std::collections::BTreeMap;

use super::functions::{FoundSecret, FunctionContext};
use super::value::Value;

/// The outermost names of templates, of which each place knows some.
pub(crate) const ROOTS: &[&str] = &["var", "local", "data", "path", "packer", "source", "build"];

/// Names and what they stand for. Inner scopes (for expressions) look outwards.
pub struct Scope<'a> {
    parent: Option<&'a Scope<'a>>,
    names: BTreeMap<String, Value>,
    /// The item of the innermost splat.
    splat_item: Option<Value>,
    functions: &'a FunctionContext,
}

impl<'a> Scope<'a> {
    /// The outermost scope: `var`, `local`, `source`, …
    pub fn new(names: BTreeMap<String, Value>, functions: &'a FunctionContext) -> Self {
        Scope { parent: None, names, splat_item: None, functions }
    }

    /// A scope inside this one, with more names.
    pub fn with(&'a self, names: BTreeMap<String, Value>) -> Scope<'a> {
        Scope { parent: Some(self), names, splat_item: None, functions: self.functions }
    }

    /// A scope inside this one, for an item of a splat.
    pub(crate) fn with_splat_item(&'a self, item: Value) -> Scope<'a> {
        Scope { splat_item: Some(item), ..self.with(BTreeMap::new()) }
    }

    /// Sets a name in this scope.
    pub fn set(&mut self, name: &str, value: Value) {
        self.names.insert(name.to_owned(), value);
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }

    pub(crate) fn splat_item(&self) -> Option<&Value> {
        self.splat_item.as_ref().or_else(|| self.parent.and_then(Scope::splat_item))
    }

    /// All names, for suggestions.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        names.extend(self.parent.map(Scope::names).unwrap_or_default());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Adds the secrets in `value` to those of the run.
    pub fn add_secrets(&self, value: &Value) {
        let secrets = secrets_of(value);
        secrets.iter().for_each(|secret| self.functions.secrets.add(FoundSecret::Value(secret)));
    }

    /// The same, and each line of a secret is one too, also of a text that a template composed.
    pub fn add_secret_lines(&self, value: &Value) {
        let secrets = secrets_of(value);
        secrets.iter().for_each(|secret| self.functions.secrets.add(FoundSecret::Lines(secret)));
    }

    /// What functions know about the run.
    pub fn functions(&self) -> &FunctionContext {
        self.functions
    }
}

fn secrets_of(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if value.holds_secret() {
        value.secrets(&mut found);
    }
    found
}
