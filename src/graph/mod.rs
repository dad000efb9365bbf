//! The build graph: one node for every source of every build, with the provisioners and
//! post-processor pipelines that apply to it.

mod filter;

use crate::syntax::ast::{Attribute, Block, Body, Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics, closest};
use crate::syntax::source::Span;
use crate::template::Template;

pub use filter::Filter;

/// Options of a provisioner that are the engine's own.
pub const PROVISIONER_RESERVED: &[&str] = &[
    "name",
    "only",
    "except",
    "override",
    "pause_before",
    "max_retries",
    "timeout",
    "continue_on_error",
];
/// Options of a post-processor that are the engine's own.
pub const POST_PROCESSOR_RESERVED: &[&str] = &["only", "except", "name", "keep_input_artifact"];

/// One thing to build.
#[derive(Debug, Clone)]
pub struct Node {
    /// What the user calls it: `docker.example`, or `build.docker.example` in a named build.
    pub name: String,
    /// The builder's type.
    pub ty: String,
    /// The source's name in this build.
    pub source_name: String,
    /// The name of the source block. `build_name` in `{{ }}` and in scripts is this one even if
    /// the build gives the source a name of its own, as in Packer.
    pub block_name: String,
    /// The name of the build block, if it has one.
    pub build_name: Option<String>,
    /// The source block, and what the build adds to it.
    pub bodies: Vec<Body>,
    /// Where the source block starts.
    pub header: Span,
    /// The provisioners that apply.
    pub provisioners: Vec<Block>,
    /// The error-cleanup-provisioner.
    pub error_cleanup: Option<Block>,
    /// The post-processor pipelines that apply.
    pub pipelines: Vec<Vec<Block>>,
}

impl Node {
    /// The source as `only` and `except` in provisioners name it.
    pub fn source(&self) -> String {
        format!("{}.{}", self.ty, self.source_name)
    }
}

/// Makes the nodes of a template, leaving out what `filter` leaves out.
pub fn build(template: &Template, filter: &Filter, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for build in &template.builds {
        let known: Vec<String> = build
            .sources
            .iter()
            .map(|used| format!("{}.{}", used.ty, used.local_name.as_ref().unwrap_or(&used.name)))
            .collect();
        let steps = build
            .provisioners
            .iter()
            .chain(&build.error_cleanup)
            .chain(build.post_processors.iter().flatten());
        for step in steps {
            check_only(step, &known, diagnostics);
        }
        for used in &build.sources {
            let key = (used.ty.clone(), used.name.clone());
            let Some(source) = template.sources.get(&key) else {
                diagnostics.push(no_source(&used.ty, &used.name, used.span, template));
                continue;
            };
            let source_name = used.local_name.clone().unwrap_or_else(|| used.name.clone());
            let name = match &build.name {
                Some(build) => format!("{build}.{}.{source_name}", used.ty),
                None => format!("{}.{source_name}", used.ty),
            };
            if nodes.iter().any(|node| node.name == name) {
                diagnostics.push(
                    Diagnostic::error(format!("two builds are called `{name}`"))
                        .at(used.span)
                        .help("give the build block or the inline source a name of its own"),
                );
                continue;
            }
            if !filter.selects(&name) {
                continue;
            }
            let source_id = format!("{}.{source_name}", used.ty);
            let applies = |step: &&Block| applies_to(step, &source_id);
            nodes.push(Node {
                ty: used.ty.clone(),
                block_name: used.name.clone(),
                build_name: build.name.clone(),
                bodies: [&source.body].into_iter().chain(&used.overrides).cloned().collect(),
                header: source.header,
                provisioners: build
                    .provisioners
                    .iter()
                    .filter(applies)
                    .map(|step| overridden(step, &source_name, diagnostics))
                    .collect(),
                error_cleanup: build
                    .error_cleanup
                    .iter()
                    .find(applies)
                    .map(|step| overridden(step, &source_name, diagnostics)),
                pipelines: build
                    .post_processors
                    .iter()
                    .map(|chain| {
                        // As in Packer, what follows an excluded step is left out with it: it
                        // would have worked on what the step makes.
                        let chain = chain.iter().filter(applies);
                        chain.take_while(|step| !filter.excludes_step(&step_name(step))).cloned()
                    })
                    .map(Iterator::collect)
                    .filter(|chain: &Vec<Block>| !chain.is_empty())
                    .collect(),
                name,
                source_name,
            });
        }
    }
    nodes
}

/// The name of a provisioner or post-processor: its `name`, else its type.
pub fn step_name(step: &Block) -> String {
    match step.body.attribute("name").map(|attribute| &attribute.expr.kind) {
        Some(ExprKind::String(name)) => name.clone(),
        _ => step.label(0).to_owned(),
    }
}

fn no_source(ty: &str, name: &str, span: Span, template: &Template) -> Diagnostic {
    let known: Vec<String> =
        template.sources.keys().map(|(ty, name)| format!("{ty}.{name}")).collect();
    let wanted = format!("{ty}.{name}");
    let diagnostic = Diagnostic::error(format!("no source is called `{wanted}`")).at(span);
    match closest(&wanted, known.iter().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `source.{close}`?")),
        None if known.is_empty() => {
            diagnostic.help(format!("declare it: source \"{ty}\" \"{name}\" {{ … }}"))
        }
        None => diagnostic.note(format!("declared are: {}", known.join(", "))),
    }
}

/// The texts of `only` or `except`, with where they stand.
fn listed(attribute: &Attribute) -> Vec<(&str, Span)> {
    let items: &[Expr] = match &attribute.expr.kind {
        ExprKind::Tuple(items) => items,
        _ => std::slice::from_ref(&attribute.expr),
    };
    items
        .iter()
        .filter_map(|item| match &item.kind {
            ExprKind::String(text) => {
                Some((text.strip_prefix("source.").unwrap_or(text), item.span))
            }
            _ => None,
        })
        .collect()
}

fn applies_to(step: &Block, source: &str) -> bool {
    let names = |option| step.body.attribute(option).map(listed);
    match (names("only"), names("except")) {
        (Some(only), _) => only.iter().any(|(name, _)| *name == source),
        (_, Some(except)) => !except.iter().any(|(name, _)| *name == source),
        _ => true,
    }
}

fn check_only(step: &Block, known: &[String], diagnostics: &mut Diagnostics) {
    if let (Some(only), Some(except)) = (step.body.attribute("only"), step.body.attribute("except"))
    {
        diagnostics.push(
            Diagnostic::error("`only` and `except` exclude each other")
                .at(except.name_span)
                .also(only.name_span, "the other one"),
        );
    }
    for option in ["only", "except"] {
        let Some(attribute) = step.body.attribute(option) else { continue };
        let texts = listed(attribute);
        if texts.is_empty()
            && !matches!(&attribute.expr.kind, ExprKind::Tuple(items) if items.is_empty())
        {
            diagnostics.push(
                Diagnostic::error(format!("`{option}` is a list of texts in quotes"))
                    .at(attribute.expr.span)
                    .help(format!("write {option} = [\"TYPE.NAME\"]")),
            );
        }
        for (name, span) in texts {
            if !known.iter().any(|source| source == name) {
                diagnostics.push(
                    Diagnostic::warning(format!("`{name}` is not a source of this build"))
                        .at(span)
                        .suggest(name, known.iter().map(String::as_str)),
                );
            }
        }
    }
}

/// The step with what its `override` says for this source put over its own options.
fn overridden(step: &Block, source_name: &str, diagnostics: &mut Diagnostics) -> Block {
    let mut step = step.clone();
    let Some(position) = step.body.attributes.iter().position(|a| a.name == "override") else {
        return step;
    };
    let attribute = step.body.attributes.remove(position);
    let complain = |span: Span| {
        Diagnostic::error("`override` gives options by the name of a source")
            .at(span)
            .help("write override = { SOURCE_NAME = { option = value } }")
    };
    let ExprKind::Object(by_source) = attribute.expr.kind else {
        diagnostics.push(complain(attribute.expr.span));
        return step;
    };
    for (key, value) in by_source {
        if !matches!(&key.kind, ExprKind::String(name) if name == source_name) {
            continue;
        }
        let ExprKind::Object(options) = value.kind else {
            diagnostics.push(complain(value.span));
            continue;
        };
        for (name, expr) in options {
            let ExprKind::String(text) = name.kind else {
                diagnostics.push(complain(name.span));
                continue;
            };
            step.body.attributes.retain(|own| own.name != text);
            step.body.attributes.push(Attribute { name: text, name_span: name.span, expr });
        }
    }
    step
}
