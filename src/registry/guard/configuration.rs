//! What a plan says of its configuration: which expression an attribute has, and what that refers
//! to, through modules' variables and outputs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plan::{ConfiguredModule, ConfiguredResource, Plan};

/// How far a reference is followed.
const DEPTH: usize = 16;

/// The names of the modules that an address is in, and the rest of it without its index:
/// `module.a["x"].module.b.aws_instance.web[0]` is in `a`, `b` and is `aws_instance.web`.
pub(super) fn split(address: &str) -> (Vec<String>, String) {
    let parts = parts(address);
    let mut modules = Vec::new();
    let mut rest = parts.as_slice();
    while let [module, name, more @ ..] = rest
        && module == "module"
        && !more.is_empty()
    {
        modules.push(name.clone());
        rest = more;
    }
    (modules, rest.join("."))
}

/// An address cut at its dots, without indexes; a dot in an index's text does not count.
fn parts(address: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            '.' if depth == 0 => parts.push(String::new()),
            c if depth == 0 => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
            _ => {}
        }
    }
    parts
}

impl Plan {
    fn module(&self, modules: &[String]) -> Option<&ConfiguredModule> {
        let root = &self.configuration.root_module;
        modules.iter().try_fold(root, |module, name| Some(&*module.module_calls.get(name)?.module))
    }

    /// What is configured of a resource, and the modules it is in.
    pub(super) fn configured(&self, address: &str) -> Option<(Vec<String>, &ConfiguredResource)> {
        let (modules, rest) = split(address);
        let resources = &self.module(&modules)?.resources;
        let found = resources.iter().find(|resource| resource.address == rest)?;
        Some((modules, found))
    }

    /// What an expression of a module refers to in the end: resources and data sources, with the
    /// modules they are in, without indexes.
    pub(super) fn references(&self, modules: &[String], expression: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.follow(modules, expression, DEPTH, &mut found);
        found
    }

    fn follow(
        &self,
        modules: &[String],
        expression: &Value,
        depth: usize,
        found: &mut BTreeSet<String>,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let references = expression["references"].as_array();
        for reference in references.into_iter().flatten().filter_map(Value::as_str) {
            let parts = parts(reference);
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            match parts.as_slice() {
                ["var", name, ..] => {
                    if let Some((call, outer)) = modules.split_last()
                        && let Some(module) = self.module(outer)
                        && let Some(call) = module.module_calls.get(call)
                    {
                        self.follow(outer, &call.expressions[*name], depth, found);
                    }
                }
                ["module", call, output, ..] => {
                    let inner: Vec<String> =
                        modules.iter().cloned().chain([(*call).to_owned()]).collect();
                    let output = self.module(&inner).and_then(|it| it.outputs.get(*output));
                    if let Some(output) = output {
                        self.follow(&inner, &output.expression, depth, found);
                    }
                }
                ["data", kind, name, ..] => {
                    found.insert(within(modules, &format!("data.{kind}.{name}")));
                }
                ["local" | "path" | "terraform" | "each" | "count" | "self" | "module", ..] => {}
                [kind, name, ..] => {
                    found.insert(within(modules, &format!("{kind}.{name}")));
                }
                _ => {}
            }
        }
    }

    /// The value of an expression that is written as it is, or is a variable of the root module.
    pub(super) fn constant(&self, modules: &[String], expression: &Value) -> Option<String> {
        if let Some(text) = expression["constant_value"].as_str() {
            return Some(text.to_owned());
        }
        let references = expression["references"].as_array()?;
        let [reference] = references.as_slice() else { return None };
        let name = reference.as_str()?.strip_prefix("var.")?;
        match modules.split_last() {
            None => Some(self.variables.get(name)?.value.as_str()?.to_owned()),
            Some((call, outer)) => {
                let call = self.module(outer)?.module_calls.get(call)?;
                self.constant(outer, &call.expressions[name])
            }
        }
    }
}

fn within(modules: &[String], rest: &str) -> String {
    let modules = modules.iter().map(|name| format!("module.{name}."));
    modules.chain([rest.to_owned()]).collect()
}

/// The expression of an attribute: of the block with the same index, or of the only one there is.
pub(super) fn expression<'a>(expressions: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut at = expressions;
    for step in path {
        at = match (step, at) {
            (Step::Name(name), Value::Object(object)) => object.get(name)?,
            (Step::Index(index), Value::Array(array)) => {
                array.get(*index).or_else(|| array.first().filter(|_| array.len() == 1))?
            }
            // A block that there is one of at most has no index in the configuration.
            (Step::Index(_), Value::Object(_)) => at,
            _ => return None,
        };
    }
    Some(at)
}

/// A step of the way to an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Of an object or a block.
    Name(String),
    /// Of a list.
    Index(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_indexes() {
        let (modules, rest) = split(r#"module.a["x.y"].module.b.aws_instance.web["p.q\"]"]"#);
        assert_eq!((modules, rest.as_str()), (vec!["a".into(), "b".into()], "aws_instance.web"));
        assert_eq!(split("data.x.y[0]"), (vec![], "data.x.y".into()));
    }
}
