//! The nodes.

use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest, list};
use ingot_hcl::source::Span;
use ingot_template::dynamic::Part;
use ingot_template::steps::Step;
use ingot_template::{Build, Template};

use super::filter::Filter;

/// One thing to build.
#[derive(Debug, Clone)]
pub struct Node {
    /// What the user calls it: `docker.example`, or `build.docker.example` in a named build.
    pub name: String,
    /// The builder's type.
    pub ty: String,
    /// The source's name in this build; as it is written in a legacy JSON template, where
    /// it may have `{{ }}`.
    pub source_name: String,
    /// The name of the source block. `build_name` in `{{ }}` and in scripts is this one even if
    /// the build gives the source a name of its own, as in Packer.
    pub block_name: String,
    /// The name of the build block, if it has one.
    pub build_name: Option<String>,
    /// The source block, and what the build adds to it.
    pub parts: Vec<Part>,
    /// What a registry calls it.
    pub component: String,
    /// Where the source block starts.
    pub header: Span,
    /// The provisioners that apply.
    pub provisioners: Vec<Step>,
    /// The error-cleanup-provisioner.
    pub error_cleanup: Option<Step>,
    /// The post-processor pipelines that apply.
    pub pipelines: Vec<Vec<Step>>,
}

/// What `-only` and `-except` call a build.
fn selector(build: Option<&str>, component: &str) -> String {
    match build {
        Some(build) => format!("{build}.{component}"),
        None => component.to_owned(),
    }
}

impl Node {
    /// What `-only` and `-except` call it.
    pub fn selector(&self) -> String {
        selector(self.build_name.as_deref(), &self.component)
    }
}

/// Makes the nodes of a template, leaving out what `filter` leaves out.
pub fn build(
    template: &Template,
    builds: &[Build],
    filter: &Filter,
    diagnostics: &mut Diagnostics,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for build in builds {
        for used in &build.sources {
            let key = (used.ty.clone(), used.name.clone());
            let Some(source) = template.sources.get(&key) else {
                diagnostics.push(no_source(&used.ty, &used.name, used.span, template));
                continue;
            };
            let source_id = used.id();
            let name = match &build.name {
                Some(build) => format!("{build}.{source_id}"),
                None => source_id.clone(),
            };
            let component = used.selector();
            let selector = selector(build.name.as_deref(), &component);
            if names.contains(&selector) {
                diagnostics.push(
                    Diagnostic::warning(format!("two builds are called `{name}`"))
                        .at(used.span)
                        .label("their output cannot be told apart")
                        .help("give the build block or an inline source a name of its own"),
                );
            }
            let selected = filter.selects(&selector);
            names.push(selector);
            if !selected {
                continue;
            }
            let applies = |step: &&Step| used.has_step(step);
            let source_part = Part { body: source.body.clone(), names: Default::default() };
            nodes.push(Node {
                name,
                ty: used.ty.clone(),
                block_name: match used.legacy {
                    true => used.local_name().to_owned(),
                    false => used.name.clone(),
                },
                source_name: match used.legacy {
                    true => used.name.clone(),
                    false => used.local_name().to_owned(),
                },
                component,
                build_name: build.name.clone(),
                parts: [source_part].into_iter().chain(used.inline.clone()).collect(),
                header: source.header,
                provisioners: used.steps.provisioners.iter().filter(applies).cloned().collect(),
                error_cleanup: used.steps.error_cleanup.iter().find(applies).cloned(),
                pipelines: used
                    .steps
                    .post_processors
                    .iter()
                    .map(|chain| {
                        // One that is left out takes what follows it in its pipeline along.
                        let chain = chain.iter().filter(applies);
                        chain.take_while(|step| !filter.excludes_step(step.shown_name())).cloned()
                    })
                    .map(Iterator::collect)
                    .filter(|chain: &Vec<Step>| !chain.is_empty())
                    .collect(),
            });
        }
    }
    let uses = builds.iter().flat_map(|build| &build.sources);
    let steps = uses.flat_map(|used| used.steps.post_processors.iter().flatten());
    let blocks: Vec<&str> = builds.iter().filter_map(|build| build.name.as_deref()).collect();
    filter.warn_unmatched(&names, steps.map(Step::shown_name), &blocks, diagnostics);
    nodes
}

fn no_source(ty: &str, name: &str, span: Span, template: &Template) -> Diagnostic {
    let known: Vec<String> =
        template.sources.keys().map(|(ty, name)| format!("{ty}.{name}")).collect();
    let wanted = format!("{ty}.{name}");
    let diagnostic = Diagnostic::error(format!("no source is called `{wanted}`"))
        .at(span)
        .missing(format!("source.{wanted}"));
    // What the names of one type have in common says nothing.
    let of_type = template.sources.keys().filter(|(other, _)| other == ty);
    let close = closest(name, of_type.map(|(_, name)| name.as_str()));
    let close = close.map(|name| format!("{ty}.{name}"));
    let other = || {
        let others = known.iter().filter(|id| !id.starts_with(&format!("{ty}.")));
        closest(&wanted, others.map(String::as_str)).map(str::to_owned)
    };
    match close.or_else(other) {
        Some(close) => diagnostic.help(format!("did you mean `source.{close}`?")),
        None if known.is_empty() => {
            diagnostic.help(format!("declare it: source \"{ty}\" \"{name}\" {{ … }}"))
        }
        None => {
            let known = known.iter().map(String::as_str);
            diagnostic.note(format!("sources here: {}", list(known)))
        }
    }
}
