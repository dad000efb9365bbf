//! `build` blocks: which sources they build, and with which steps.

use super::block_form::{is_identifier, labels, only};
use super::blocks::IN_BUILD;
use super::dynamic::{Expansion, Names, Part, expand};
use super::registry_block::{self, RegistryBlock};
use super::steps::{Reader, Step};
use ingot_hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Syntax};
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::Value;

/// A `build` block.
#[derive(Debug)]
pub struct Build {
    /// Whether something about it was reported, so that parts of it are missing here.
    pub broken: bool,
    /// `name`
    pub name: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// The sources it builds.
    pub sources: Vec<SourceUse>,
    /// Its steps, where it is not said for which source: for showing them.
    pub steps: Steps,
    /// `hcp_packer_registry`
    pub registry: Option<RegistryBlock>,
    /// Where the block starts.
    pub header: Span,
}

/// A source as a build uses it.
#[derive(Debug, Clone)]
pub struct SourceUse {
    /// The type of the builder.
    pub ty: String,
    /// The name of the `source` block.
    pub name: String,
    /// The name in this build, where an inline block gives another.
    pub local_name: Option<String>,
    /// What an inline `source` block adds to the source.
    pub inline: Option<Part>,
    /// The steps of the build, evaluated for this source.
    pub steps: Steps,
    /// Where it is named.
    pub span: Span,
    /// Whether it is a builder of a legacy JSON template, whose name is unique by itself.
    pub legacy: bool,
}

/// The steps of a build. Each source has its own, as they can depend on which source it is.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// `provisioner` blocks, in order.
    pub provisioners: Vec<Step>,
    /// `error-cleanup-provisioner`
    pub error_cleanup: Option<Step>,
    /// Pipelines of post-processors: each `post-processor` is one of its own, each
    /// `post-processors` block one of several.
    pub post_processors: Vec<Vec<Step>>,
}

impl SourceUse {
    /// Its name in this build: `TYPE.NAME`, and just the type of a [`Self::legacy`] one without a
    /// name.
    pub fn id(&self) -> String {
        match self.legacy && self.local_name() == self.ty {
            true => self.ty.clone(),
            false => format!("{}.{}", self.ty, self.local_name()),
        }
    }

    /// What `-only`, `-except` and a registry call it, without the name of its build block.
    pub fn selector(&self) -> String {
        match self.legacy {
            true => self.local_name().to_owned(),
            false => self.id(),
        }
    }

    /// What `only` and `except` of steps call it.
    fn name_in_steps(&self) -> String {
        match self.legacy {
            // As it is written, before `{{ }}` in it are filled in.
            true => self.name.clone(),
            false => self.id(),
        }
    }

    /// Whether a step is run for it.
    pub fn has_step(&self, step: &Step) -> bool {
        step.applies.to(&self.name_in_steps())
    }

    /// Its name in this build, without its type.
    pub fn local_name(&self) -> &str {
        self.local_name.as_deref().unwrap_or(&self.name)
    }
}

/// `source` as the blocks of a build see it: its type, and its name in that build.
pub fn source_names(ty: Value, name: Value) -> Names {
    let source = Value::object([("name".to_owned(), name), ("type".to_owned(), ty)].into());
    [("source".to_owned(), source)].into()
}

/// Evaluates the build blocks. `scope` has what all blocks see; `unknowns` says what is not to be
/// known in what is for a build as a whole, and in its steps. What is wrong goes to `diagnostics`;
/// a step with something wrong is left out.
pub fn evaluate(
    blocks: &[Block],
    scope: &Scope,
    unknowns: [Unknowns; 2],
    diagnostics: &mut Diagnostics,
) -> Vec<Build> {
    let mut builds = Vec::with_capacity(blocks.len());
    for block in blocks {
        let before = diagnostics.errors();
        let mut build = build(block, scope, unknowns, diagnostics);
        build.broken = diagnostics.errors() > before;
        builds.push(build);
    }
    builds
}

/// Evaluates the registry block that stands outside of builds, if there is one.
pub fn registry(
    blocks: &[Block],
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Option<RegistryBlock> {
    registry_block::read_one(blocks, scope, unknowns, diagnostics)
}

fn build(
    block: &Block,
    scope: &Scope,
    [unknowns, unknowns_in_steps]: [Unknowns; 2],
    diagnostics: &mut Diagnostics,
) -> Build {
    let body = &block.body;
    let kinds: Vec<&str> = IN_BUILD.iter().map(|(kind, _)| *kind).chain(["dynamic"]).collect();
    only(body, &["name", "description", "sources"], &kinds, diagnostics);
    let mut walk = Walk { scope, unknowns, diagnostics };
    let name = attribute::text(body, "name", scope, walk.diagnostics);
    let description = attribute::text(body, "description", scope, walk.diagnostics);
    let mut build = Build {
        broken: false,
        name: name.filter(|name| !name.is_empty()),
        description,
        sources: Vec::new(),
        steps: Steps::default(),
        registry: None,
        header: block.header,
    };
    let listed = body.attribute("sources");
    let before = walk.diagnostics.errors();
    if let Some(attribute) = listed {
        walk.sources(attribute, &mut build.sources);
    }
    // In the blocks of a build, `build` is its name; the rest is known only when steps run.
    let own = Value::from(build.name.as_deref().unwrap_or_default());
    let own = Value::object([("name".to_owned(), own)].into());
    let scope = scope.with([("build".to_owned(), own)].into());
    let none = Names::new();
    let (whole, steps): (Vec<&Block>, Vec<&Block>) = body.blocks.iter().partition(|block| {
        let kind = if block.kind == "dynamic" { block.label(0) } else { &block.kind };
        matches!(kind, "source" | "hcp_packer_registry")
    });
    // Sources first: steps are checked against them.
    for (block, names) in walk.blocks(whole.iter().copied(), IN_BUILD, &none) {
        walk.add_whole(&mut build, &block, &names, &scope);
    }
    let inline = whole.iter().any(|block| block.kind == "source" || block.label(0) == "source");
    // A list that is there and wrong was reported.
    if build.sources.is_empty() && !inline && walk.diagnostics.errors() == before {
        walk.diagnostics.push(
            Diagnostic::error("this build has no sources, so it builds nothing")
                .at(listed.map_or(block.header, |attribute| attribute.expr.span))
                .help("name them: sources = [\"source.docker.example\"]"),
        );
    }
    let ids: Vec<String> = build.sources.iter().map(SourceUse::id).collect();
    for used in &mut build.sources {
        let names = source_names(used.ty.as_str().into(), used.local_name().into());
        let scope = scope.with(names);
        let diagnostics = &mut *diagnostics;
        let mut walk = Walk { scope: &scope, unknowns: unknowns_in_steps, diagnostics };
        used.steps = walk.steps(&steps, &ids);
    }
    // What is wrong was reported for each source, if there are any.
    let mut found = Diagnostics::default();
    let unknown = || Value::unknown(Type::String);
    let scope = scope.with(source_names(unknown(), unknown()));
    let mut walk = Walk { scope: &scope, unknowns: Unknowns::Allow, diagnostics: &mut found };
    build.steps = walk.steps(&steps, &ids);
    if build.sources.is_empty() {
        diagnostics.extend(found);
    }
    build
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    unknowns: Unknowns,
    diagnostics: &'a mut Diagnostics,
}

impl Walk<'_> {
    /// Reads `sources = [ … ]`.
    fn sources(&mut self, attribute: &Attribute, found: &mut Vec<SourceUse>) {
        let items: &[Expr] = match &attribute.expr.kind {
            ExprKind::Tuple(items) => items,
            _ => &[],
        };
        for item in items {
            let path = item.reference().filter(|path| path[0] == "source" && path.len() > 2);
            if let Some(path) = path {
                self.diagnostics.push(
                    Diagnostic::error("a source is named in quotes")
                        .at(item.span)
                        .help(format!("write \"{}\"", path.join("."))),
                );
                return;
            }
        }
        let body = Body {
            attributes: vec![attribute.clone()],
            blocks: Vec::new(),
            span: attribute.expr.span,
            syntax: Syntax::Native,
        };
        for (text, span) in attribute::texts(&body, "sources", self.scope, self.diagnostics) {
            if let Some((ty, name)) = self.source_name(&text, span, true) {
                let steps = Steps::default();
                found.push(SourceUse {
                    ty,
                    name,
                    local_name: None,
                    inline: None,
                    steps,
                    span,
                    legacy: false,
                });
            }
        }
    }

    /// Reads `source.TYPE.NAME` or `TYPE.NAME`.
    fn source_name(&mut self, text: &str, span: Span, strict: bool) -> Option<(String, String)> {
        let mut parts: Vec<&str> = text.split('.').collect();
        let prefix = ["source", "sources"];
        let odd = parts.len() > 3 || (parts.len() == 3 && !prefix.contains(&parts[0]));
        if parts.len() > 2 {
            parts.remove(0);
        }
        let named = match parts.as_slice() {
            [ty, name, ..] if !strict || (is_identifier(ty) && is_identifier(name)) => {
                Some(((*ty).to_owned(), (*name).to_owned()))
            }
            _ => None,
        };
        let help = "sources are named source.TYPE.NAME, such as source.docker.example";
        match &named {
            None => self.diagnostics.push(
                Diagnostic::error(format!("`{text}` does not name a source")).at(span).help(help),
            ),
            // Packer takes them.
            Some((ty, name)) if odd => self.diagnostics.push(
                Diagnostic::warning(format!("`{text}` is read as source.{ty}.{name}"))
                    .at(span)
                    .help(help),
            ),
            Some(_) => {}
        }
        named
    }

    /// The blocks of a body, with those that dynamic blocks stand for.
    fn blocks<'b>(
        &mut self,
        blocks: impl IntoIterator<Item = &'b Block>,
        kinds: &[(&str, &[&str])],
        names: &Names,
    ) -> Vec<(Block, Names)> {
        let mut found = Vec::new();
        for block in blocks {
            if block.kind != "dynamic" {
                found.push((block.clone(), names.clone()));
                continue;
            }
            let kind = block.label(0);
            let Some((_, labels)) = kinds.iter().find(|(known, _)| *known == kind) else {
                let known = kinds.iter().map(|(kind, _)| *kind);
                let place = block.labels.first().map_or(block.header, |label| label.span);
                self.diagnostics.push(match block.labels.is_empty() {
                    true => Diagnostic::error("a dynamic block names the kind of block it creates")
                        .at(place)
                        .help("write dynamic \"KIND\" { for_each = …  content { … } }"),
                    false => Diagnostic::error(format!("there is no block of type `{kind}` here"))
                        .at(place)
                        .suggest_or_list(kind, "known here", known),
                });
                continue;
            };
            let scope = self.scope.with(names.clone());
            let expansion = expand(block, labels.len(), &scope, self.unknowns, self.diagnostics);
            let Expansion { blocks, .. } = expansion;
            for (created, own) in blocks {
                found.push((created, names.clone().into_iter().chain(own).collect()));
            }
        }
        found
    }

    /// Whether a block has the labels that it should have, so that it can be read.
    fn has_labels(&mut self, block: &Block) -> bool {
        let known = IN_BUILD.iter().find(|(kind, _)| *kind == block.kind);
        known.is_some_and(|(_, wanted)| labels(block, wanted, self.diagnostics))
    }

    /// Reads a block that is for the build as a whole: a source, or the registry.
    fn add_whole(&mut self, build: &mut Build, block: &Block, names: &Names, scope: &Scope) {
        if let ("source", [ty, name]) = (block.kind.as_str(), block.labels.as_slice()) {
            self.diagnostics.push(
                Diagnostic::error("in a build, one label names a source")
                    .at(ty.span.to(name.span))
                    .help(format!("write source \"source.{}.{}\" {{ … }}", ty.text, name.text)),
            );
            return;
        }
        if !self.has_labels(block) {
            return;
        }
        if block.kind == "source" {
            build.sources.extend(self.inline_source(block, names));
            return;
        }
        if let Some(first) = build.registry.as_ref().and_then(|block| block.header) {
            self.diagnostics.push(
                Diagnostic::error("a build has one hcp_packer_registry")
                    .at(block.header)
                    .also(first, "first here"),
            );
            return;
        }
        let scope = scope.with(names.clone());
        build.registry = Some(registry_block::read(block, &scope, self.unknowns, self.diagnostics));
    }

    /// Reads the steps for the source that the scope is of; `sources` are all of the build.
    fn steps(&mut self, blocks: &[&Block], sources: &[String]) -> Steps {
        let mut steps = Steps::default();
        for (block, names) in self.blocks(blocks.iter().copied(), IN_BUILD, &Names::new()) {
            self.add_step(&mut steps, &block, &names, sources);
        }
        steps
    }

    fn add_step(&mut self, steps: &mut Steps, block: &Block, names: &Names, sources: &[String]) {
        if !self.has_labels(block) {
            return;
        }
        match block.kind.as_str() {
            "provisioner" => {
                let reader = Reader::new((block, names), self.scope, sources, self.diagnostics);
                steps.provisioners.extend(reader.provisioner());
            }
            "error-cleanup-provisioner" => {
                if let Some(first) = &steps.error_cleanup {
                    self.diagnostics.push(
                        Diagnostic::error("a build has one error-cleanup-provisioner")
                            .at(block.header)
                            .also(first.block.header, "first here"),
                    );
                    return;
                }
                let reader = Reader::new((block, names), self.scope, sources, self.diagnostics);
                steps.error_cleanup = reader.provisioner();
            }
            "post-processor" => {
                let reader = Reader::new((block, names), self.scope, sources, self.diagnostics);
                steps.post_processors.extend(reader.post_processor().map(|step| vec![step]));
            }
            _ => {
                let kinds: &[(&str, &[&str])] = &[("post-processor", &["type"])];
                only(&block.body, &[], &["post-processor", "dynamic"], self.diagnostics);
                let blocks = self.blocks(&block.body.blocks, kinds, names);
                let chain = blocks.iter().filter(|(step, _)| step.kind == "post-processor");
                let chain = chain.filter_map(|(step, names)| {
                    let fine = labels(step, kinds[0].1, self.diagnostics);
                    let reader = Reader::new((step, names), self.scope, sources, self.diagnostics);
                    fine.then(|| reader.post_processor())?
                });
                let chain = chain.collect();
                steps.post_processors.push(chain);
            }
        }
    }

    fn inline_source(&mut self, block: &Block, names: &Names) -> Option<SourceUse> {
        let span = block.labels[0].span;
        let (ty, name) = self.source_name(block.label(0), span, false)?;
        let mut body = block.body.clone();
        let local_name = match names.is_empty() {
            // Before anything else is known of a build, its sources have names.
            true => attribute::constant(
                &body,
                "name",
                &Type::String,
                self.scope.functions(),
                self.diagnostics,
            ),
            false => {
                let scope = self.scope.with(names.clone());
                attribute::value(&body, "name", &Type::String, &scope, self.diagnostics)
            }
        };
        body.attributes.retain(|attribute| attribute.name != "name");
        let local_name = local_name.as_ref().and_then(Value::as_str).map(str::to_owned);
        let local_name = local_name.filter(|name| !name.is_empty());
        let inline = Some(Part { body, names: names.clone() });
        let steps = Steps::default();
        Some(SourceUse { ty, name, local_name, inline, steps, span, legacy: false })
    }
}
