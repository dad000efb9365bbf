//! Finds inputs of a step that differ from run to run: a state that such a step makes would never be
//! found again.
//!
//! What differs is found where it comes from, not by its value: by the functions that are called when
//! the step's options, and the locals that they build on, are evaluated; and by the names that they
//! refer to.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ingot_hcl::Scope;
use ingot_hcl::ast::{Body, Expr};
use ingot_hcl::eval::eval;
use ingot_hcl::functions::{FunctionContext, VolatileCalls};
use ingot_sdk::{Config, OptionValue, PrepareContext};
use ingot_template::steps::Step;
use regex::Regex;

use crate::project::Project;

/// Functions of `{{ }}` whose results differ from run to run.
const VOLATILE_ACTIONS: &[&str] = &["isotime", "strftime", "timestamp", "uuid"];

/// What `{{ }}` that is rendered while a step runs may use and be known before: what the plugin puts
/// in, which is the same each time but for random names of temporary files, and functions.
const KNOWN_LATE: &[&str] = &[
    ".EnvVarFile",
    ".Path",
    ".Vars",
    "and",
    "build_name",
    "build_type",
    "else",
    "end",
    "eq",
    "ge",
    "gt",
    "html",
    "if",
    "index",
    "js",
    "le",
    "len",
    "lower",
    "lt",
    "ne",
    "not",
    "or",
    "packer_version",
    "print",
    "printf",
    "println",
    "pwd",
    "replace",
    "replace_all",
    "slice",
    "split",
    "template_dir",
    "upper",
    "urlquery",
    "user",
];

/// Why a step's options are not the same each time, as far as the names in them say; for people,
/// without values.
pub(super) fn volatile_reference(project: &Project, step: &Step) -> Option<String> {
    let mut walk = Walk { project, seen: BTreeSet::new() };
    if let Some(why) = walk.body(&step.block.body) {
        return Some(why);
    }
    // What the names of dynamic blocks around a step stand for comes from their `for_each`.
    if step.names.is_empty() {
        return None;
    }
    let blocks = project.template.builds.iter().flat_map(|build| &build.body.blocks);
    let dynamic = blocks.filter(|block| block.kind == "dynamic");
    dynamic.filter_map(|block| block.body.attribute("for_each")).find_map(|each| {
        let (functions, names) = (watched(project), project.names.clone());
        let _ = eval(&each.expr, &Scope::new(names, &functions));
        called(&functions).or_else(|| walk.expr(&each.expr))
    })
}

/// A context whose functions behave as the project's do, and which notes those that are called whose
/// results differ.
pub(super) fn watched(project: &Project) -> FunctionContext {
    FunctionContext { volatile: VolatileCalls::watched(), ..project.functions.clone() }
}

/// Why what was evaluated with `functions` is not the same each time, if it is not.
pub(super) fn called(functions: &FunctionContext) -> Option<String> {
    let name = functions.volatile.names().into_iter().next()?;
    Some(match name {
        "uuidv4" | "bcrypt" => format!("{name}() gives another value each time"),
        "timestamp" | "legacy_isotime" | "legacy_strftime" => {
            format!("{name}() gives the time of the run")
        }
        store => format!("{store}() reads from a store, where it can change"),
    })
}

struct Walk<'a> {
    project: &'a Project,
    /// The locals that were looked at.
    seen: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn body(&mut self, body: &Body) -> Option<String> {
        let own = body.attributes.iter().find_map(|attribute| self.expr(&attribute.expr));
        own.or_else(|| body.blocks.iter().find_map(|block| self.body(&block.body)))
    }

    fn expr(&mut self, expr: &Expr) -> Option<String> {
        expr.references().into_iter().filter_map(Expr::reference).find_map(|path| {
            match path.as_slice() {
                ["local", name, ..] => self.local(name),
                ["local"] => {
                    let names: Vec<&'a str> =
                        self.project.template.locals.keys().map(String::as_str).collect();
                    names.into_iter().find_map(|name| self.local(name))
                }
                ["data", rest @ ..] => Some(format!(
                    "data.{} is fetched by each run",
                    rest[..rest.len().min(2)].join(".")
                )),
                ["build", "name", ..] => None,
                ["build", rest @ ..] => Some(match rest.first() {
                    Some(name) => format!("build.{name} is known only while the build runs"),
                    None => "build is known only while the build runs".to_owned(),
                }),
                ["packer", "version", ..] => None,
                ["packer", rest @ ..] => {
                    Some(format!("packer.{} is new for each version", rest.join(".")))
                }
                ["var", name, ..] => self.variable(name),
                ["var"] => {
                    let legacy = self.project.template.legacy.as_ref()?;
                    let mut all = legacy.variables.iter();
                    all.find_map(|variable| self.variable(&variable.name.text))
                }
                _ => None,
            }
        })
    }

    fn local(&mut self, name: &str) -> Option<String> {
        let project = self.project;
        let (name, local) = project.template.locals.get_key_value(name)?;
        if !self.seen.insert(name) {
            return None;
        }
        let expr = local.expr.as_ref()?;
        let functions = watched(project);
        // What it comes to is known already; this is about what it calls.
        let _ = eval(expr, &Scope::new(project.names.clone(), &functions));
        let why = called(&functions).or_else(|| self.expr(expr))?;
        Some(format!("local.{name}: {why}"))
    }

    /// A variable of a legacy JSON template, whose default is a template itself. All others
    /// are constants.
    fn variable(&self, name: &str) -> Option<String> {
        let legacy = self.project.template.legacy.as_ref()?;
        let variable = legacy.variables.iter().find(|variable| variable.name.text == name)?;
        let why = volatile_action(&variable.default.as_ref()?.text)?;
        Some(format!("the variable {name}: {why}"))
    }
}

/// Why the options are not the same each time, as far as the `{{ }}` in them say. `is_late` tells
/// which of them the plugin renders while it runs.
pub(super) fn volatile_actions(
    config: &Config,
    context: &PrepareContext,
    is_late: impl Fn(&str) -> bool,
) -> Option<String> {
    config.values().iter().find_map(|(option, value)| {
        let why = texts(value).into_iter().find_map(|text| match is_late(option) {
            true => volatile_action(text).or_else(|| late_action(text, context)),
            false => volatile_action(text),
        });
        why.map(|why| format!("{option}: {why}"))
    })
}

fn texts(value: &OptionValue) -> Vec<&str> {
    match value {
        OptionValue::String(text) | OptionValue::Secret(text) => vec![text],
        OptionValue::List(items) => items.iter().flat_map(texts).collect(),
        OptionValue::Map(entries) => {
            let entries = entries.iter();
            entries.flat_map(|(key, value)| [vec![key.as_str()], texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

fn volatile_action(text: &str) -> Option<String> {
    let (words, _) = words(text);
    words.into_iter().find_map(|word| match word {
        "build" => Some("{{ build }} is known only while the build runs".to_owned()),
        word if VOLATILE_ACTIONS.contains(&word) => {
            Some(format!("{{{{ {word} }}}} gives another value each time"))
        }
        _ => None,
    })
}

/// Why what `text` renders to while the step runs is not known before, if it is not.
fn late_action(text: &str, context: &PrepareContext) -> Option<String> {
    let (words, whole) = words(text);
    if !whole {
        return Some("its {{ }} are not understood".to_owned());
    }
    if let Some(word) = words.iter().find(|word| !KNOWN_LATE.contains(word)) {
        return Some(format!("{{{{ {word} }}}} is known only while the build runs"));
    }
    // What comes in here is rendered again.
    let again = |variable: &ingot_sdk::UserVariable| variable.value.contains("{{");
    (words.contains(&"user") && context.user_variables.values().any(again))
        .then(|| "a variable in it has {{ }} of its own".to_owned())
}

static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#""(?:[^"\\]|\\.)*"|`[^`]*`|[.$]?[A-Za-z_][A-Za-z0-9_]*|[.$]"#).ok()
});

/// The names in the `{{ }}` of a text, and whether these are all: they are not where braces are in
/// literals.
fn words(text: &str) -> (Vec<&str>, bool) {
    let (mut found, mut rest) = (Vec::new(), text);
    let Some(word) = &*WORD else { return (found, false) };
    while let Some((before, inside)) = rest.split_once("{{") {
        let Some((action, after)) = inside.split_once("}}") else { return (found, false) };
        if before.contains("}}") || action.contains(['{', '}']) {
            return (found, false);
        }
        let names = word.find_iter(action).map(|found| found.as_str());
        found.extend(names.filter(|name| !name.starts_with(['"', '`'])));
        rest = after;
    }
    (found, !rest.contains("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_seen_for_what_they_use() {
        let late = |text: &str| {
            volatile_action(text).or_else(|| late_action(text, &PrepareContext::default()))
        };
        for fine in [
            "chmod +x {{.Path}}; {{ .Vars }} sudo {{.Path}}",
            "{{ if eq build_type \"docker\" }}{{ .Path }}{{ else }}sudo {{ .Path }}{{ end }}",
            "no actions at all, timestamp and .ID neither",
        ] {
            assert_eq!(late(fine), None, "{fine}");
        }
        for (volatile, why) in [
            ("{{ .Path }} {{ timestamp }}", "timestamp"),
            ("{{isotime \"2006\"}}", "isotime"),
            ("{{ uuid }}", "uuid"),
            ("{{ .ID }}", ".ID"),
            ("{{ build `ID` }}", "build"),
            ("{{ index . \"ID\" }}", "{{ . }}"),
            ("{{ with $x := .Path }}{{ end }}", "with"),
            ("{{ \"}}\" | print .ID }}", "not understood"),
            ("{{ .Path", "not understood"),
        ] {
            let said = late(volatile).unwrap_or_default();
            assert!(said.contains(why), "{volatile}: {said}");
        }
    }
}
