//! What a plan says of its configuration: which expression an attribute has, and what that refers
//! to, through modules' variables and outputs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::plan::{ConfiguredModule, ConfiguredResource, Plan};

/// How many references are looked at for a plan. Plans of thousands of resources need a tenth of it.
const LOOKS: usize = 1_000_000;

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

/// An address without indexes, as references have it.
pub(super) fn unindexed(address: &str) -> String {
    let (modules, rest) = split(address);
    within(&modules, &rest)
}

/// The indexes in an address, the outermost first, as they are written.
pub(super) fn indexes(address: &str) -> Vec<String> {
    cut(address).1
}

/// An address cut at its dots, without indexes; a dot in an index's text does not count.
fn parts(address: &str) -> Vec<String> {
    cut(address).0
}

/// The parts of an address, and the indexes in it.
fn cut(address: &str) -> (Vec<String>, Vec<String>) {
    let (mut parts, mut indexes) = (vec![String::new()], Vec::<String>::new());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in address.chars() {
        let before = depth;
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
        match (before, depth) {
            (0, 1) => indexes.push(String::new()),
            (1.., 1..) => {
                if let Some(index) = indexes.last_mut() {
                    index.push(c);
                }
            }
            _ => {}
        }
    }
    (parts, indexes)
}

impl Plan {
    fn module(&self, modules: &[String]) -> Option<&ConfiguredModule> {
        let root = &self.configuration.root_module;
        modules.iter().try_fold(root, |module, name| Some(&*module.module_calls.get(name)?.module))
    }

    /// What is configured of a resource, and the modules it is in.
    pub(super) fn configured(&self, address: &str) -> Option<(Vec<String>, &ConfiguredResource)> {
        let (modules, rest) = split(address);
        let found = self.module(&modules)?.resources.get(&rest)?;
        Some((modules, found))
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

/// What an expression refers to in the end.
#[derive(Debug, Clone, Default)]
pub(super) struct References {
    /// Resources and data sources, with the modules they are in, without indexes.
    pub to: BTreeSet<String>,
    /// Whether there may be more, which were too many to follow.
    pub cut: bool,
}

/// Follows references through modules' variables and outputs. Each expression is looked at once for
/// each that leads to it, and all of a plan [`LOOKS`] times at most: who writes a plan must not be
/// able to keep who reads it busy.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    plan: &'a Plan,
    left: usize,
    /// By where in memory the expression is, which says what module it is of, too.
    known: HashMap<*const Value, Rc<References>>,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Follower { plan, left: LOOKS, known: HashMap::new() }
    }

    /// Whether there was too much to follow.
    pub(crate) fn is_cut(&self) -> bool {
        self.left == 0
    }

    /// What an expression of a module, or all in a block, refers to.
    pub(crate) fn references(
        &mut self,
        modules: &[String],
        expression: &'a Value,
    ) -> Rc<References> {
        let key = std::ptr::from_ref(expression);
        if let Some(known) = self.known.get(&key).map(Rc::clone) {
            // Who asks looks at each of them.
            self.look(known.to.len());
            return known;
        }
        let mut found = References::default();
        let mut seen = HashSet::from([key]);
        let mut open = vec![(modules.to_vec(), expression)];
        while let Some((modules, value)) = open.pop() {
            if !self.look(1) {
                break;
            }
            for (modules, next) in self.step(&modules, value, &mut found.to) {
                if seen.insert(std::ptr::from_ref(next)) {
                    open.push((modules, next));
                }
            }
        }
        found.cut = self.is_cut();
        let found = Rc::new(found);
        self.known.insert(key, Rc::clone(&found));
        found
    }

    /// Whether there is still as much left to look at; it is taken from that.
    pub(crate) fn look(&mut self, cost: usize) -> bool {
        self.left = self.left.saturating_sub(cost);
        self.left > 0
    }

    /// The expressions that one leads to next, with their modules.
    fn step(
        &mut self,
        modules: &[String],
        value: &'a Value,
        found: &mut BTreeSet<String>,
    ) -> Vec<(Vec<String>, &'a Value)> {
        let plan = self.plan;
        let Some(references) = value["references"].as_array() else {
            // A block; and what is written as it is refers to nothing.
            let inner: Vec<&Value> = match value {
                Value::Object(object) if object.contains_key("constant_value") => Vec::new(),
                Value::Object(object) => object.values().collect(),
                Value::Array(array) => array.iter().collect(),
                _ => Vec::new(),
            };
            return inner.into_iter().map(|value| (modules.to_vec(), value)).collect();
        };
        let mut next = Vec::new();
        for reference in references.iter().filter_map(Value::as_str) {
            if !self.look(1 + reference.len() / 64) {
                break;
            }
            let parts = parts(reference);
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            match parts.as_slice() {
                ["var", name, ..] => {
                    if let Some((call, outer)) = modules.split_last()
                        && let Some(module) = plan.module(outer)
                        && let Some(call) = module.module_calls.get(call)
                    {
                        next.push((outer.to_vec(), &call.expressions[*name]));
                    }
                }
                ["module", call, output, ..] => {
                    let inner: Vec<String> =
                        modules.iter().cloned().chain([(*call).to_owned()]).collect();
                    let output = plan.module(&inner).and_then(|it| it.outputs.get(*output));
                    if let Some(output) = output {
                        next.push((inner, &output.expression));
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
        next
    }
}

fn within(modules: &[String], rest: &str) -> String {
    let modules = modules.iter().map(|name| format!("module.{name}."));
    modules.chain([rest.to_owned()]).collect()
}

/// Where the configuration has an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Written<'a> {
    /// By this expression, or in these blocks.
    As(&'a Value),
    /// Nowhere: it is the provider's to choose.
    Nowhere,
    /// Perhaps in a `dynamic` block, which plans do not hold.
    Unseen,
}

/// Where the configuration has what is at `path`, which is an attribute of so many `names`, or a
/// block around it. `value` is of the same form as the resource: it says how many blocks there are.
pub(super) fn written<'a>(
    expressions: &'a Value,
    value: &Value,
    path: &[Step],
    names: usize,
) -> Written<'a> {
    let (mut at, mut there, mut depth) = (expressions, value, 0);
    for (index, step) in path.iter().enumerate() {
        // The expression of a whole list or object is that of all that is in it.
        if at["references"].is_array() || at.get("constant_value").is_some() {
            return Written::As(at);
        }
        at = match (step, at) {
            (Step::Name(name), Value::Object(object)) => {
                depth += 1;
                match object.get(name) {
                    Some(at) => at,
                    None if depth == names => return Written::Nowhere,
                    // Nobody wrote this block in one that is written.
                    None if depth > 1 && index + 1 == path.len() => return Written::Nowhere,
                    None => return Written::Unseen,
                }
            }
            (Step::Index(index), Value::Array(array)) => {
                // Some of more blocks than are written are of `dynamic` ones; who knows which.
                let more = there.as_array().is_some_and(|there| there.len() > array.len());
                match array.get(*index).filter(|_| !more) {
                    Some(at) => at,
                    None => return Written::Unseen,
                }
            }
            // A block that there is one of at most has no index in the configuration.
            (Step::Index(_), Value::Object(_)) => at,
            _ => return Written::Unseen,
        };
        there = match step {
            Step::Name(name) => &there[name.as_str()],
            Step::Index(index) => &there[*index],
        };
    }
    Written::As(at)
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
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_lose_their_indexes() {
        let (modules, rest) = split(r#"module.a["x.y"].module.b.aws_instance.web["p.q\"]"]"#);
        assert_eq!((modules, rest.as_str()), (vec!["a".into(), "b".into()], "aws_instance.web"));
        assert_eq!(split("data.x.y[0]"), (vec![], "data.x.y".into()));
        let of = indexes(r#"module.a["x.y"].aws_instance.web["p.q\"]"]"#);
        assert_eq!(of, [r#""x.y""#, r#""p.q\"]""#]);
        assert_eq!(unindexed(r#"module.a["x.y"].b.c[0]"#), "module.a.b.c");
    }

    #[test]
    fn expressions_that_plans_do_not_hold_differ_from_absent_ones() {
        let name = |name: &str| Step::Name(name.into());
        let image = [name("disk"), Step::Index(0), name("image")];
        let one = json!({ "disk": [{ "image": true }] });
        let two = json!({ "disk": [{ "image": true }, { "image": true }] });
        let set = json!({ "references": ["var.x"] });
        let with = json!({ "disk": [{ "image": set }] });
        assert_eq!(written(&with, &one, &image, 2), Written::As(&set));
        // One is written, and there are two.
        assert_eq!(written(&with, &two, &image, 2), Written::Unseen);
        let without = json!({ "disk": [{ "size": { "constant_value": 1 } }] });
        assert_eq!(written(&without, &one, &image, 2), Written::Nowhere);
        assert_eq!(written(&json!({}), &one, &image, 2), Written::Unseen);
        assert_eq!(
            written(&json!({}), &json!({ "ami": true }), &[name("ami")], 1),
            Written::Nowhere
        );
        // A block that is not known, in one that is written and around the attribute.
        let block = json!({ "disk": [{ "new": true }] });
        let path = [name("disk"), Step::Index(0), name("new")];
        assert_eq!(written(&without, &block, &path, 3), Written::Nowhere);
        // Blocks as a value.
        let whole = json!({ "disk": set });
        assert_eq!(written(&whole, &two, &image, 2), Written::As(&set));
    }
}
