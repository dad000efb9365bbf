//! The blocks of a template as typed structures, before anything is evaluated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::packer_block::{self, RequiredPlugin};
use crate::syntax::ast::{Attribute, Block, Body, Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::json::{ATTRIBUTES, Shape};
use crate::syntax::source::Span;

/// A whole template.
#[derive(Debug, Default)]
pub struct Template {
    /// The folder it is in.
    pub dir: PathBuf,
    /// What `packer` blocks require.
    pub required_plugins: Vec<RequiredPlugin>,
    /// `variable "name"` blocks by name.
    pub variables: BTreeMap<String, Block>,
    /// Locals by name.
    pub locals: BTreeMap<String, Local>,
    /// `source "type" "name"` blocks.
    pub sources: BTreeMap<(String, String), Block>,
    /// `data "type" "name"` blocks.
    pub data: BTreeMap<(String, String), Block>,
    /// `build` blocks, in order.
    pub builds: Vec<BuildBlock>,
}

/// A value with a name: an attribute of `locals`, or a `local "name"` block.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its value.
    pub expr: Expr,
    /// Whether the block says `sensitive = true`.
    pub sensitive: bool,
    /// Where its name stands.
    pub span: Span,
}

/// A `build` block.
#[derive(Debug)]
pub struct BuildBlock {
    /// The block as it was written.
    pub block: Block,
    /// `name`, a literal text.
    pub name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// The sources it builds.
    pub sources: Vec<SourceUse>,
    /// `provisioner` blocks, in order.
    pub provisioners: Vec<Block>,
    /// `error-cleanup-provisioner`.
    pub error_cleanup: Option<Block>,
    /// Pipelines of post-processors: each `post-processor` is one of its own, each
    /// `post-processors` block one of several.
    pub post_processors: Vec<Vec<Block>>,
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
    pub overrides: Option<Body>,
    /// Where it is named.
    pub span: Span,
}

const TOP_LEVEL: &[&str] =
    &["packer", "variable", "variables", "locals", "local", "source", "data", "build"];
const IN_BUILD: &[&str] = &[
    "source",
    "provisioner",
    "error-cleanup-provisioner",
    "post-processor",
    "post-processors",
    "hcp_packer_registry",
];

/// What is a block in a template written in JSON. Blocks of plugins are told from attributes by
/// the plugin's schema, later.
pub(super) static JSON_SHAPE: Shape = Shape {
    blocks: &[
        ("packer", 0, &Shape { blocks: &[("required_plugins", 0, &ATTRIBUTES)], expressions: &[] }),
        (
            "variable",
            1,
            &Shape { blocks: &[("validation", 0, &ATTRIBUTES)], expressions: &["type"] },
        ),
        ("variables", 0, &ATTRIBUTES),
        ("locals", 0, &ATTRIBUTES),
        ("local", 1, &ATTRIBUTES),
        ("source", 2, &PLUGIN_BLOCK),
        ("data", 2, &PLUGIN_BLOCK),
        ("build", 0, &BUILD_SHAPE),
    ],
    expressions: &[],
};

const BUILD_SHAPE: Shape = Shape {
    blocks: &[
        ("source", 1, &PLUGIN_BLOCK),
        ("provisioner", 1, &PLUGIN_BLOCK),
        ("error-cleanup-provisioner", 1, &PLUGIN_BLOCK),
        ("post-processor", 1, &PLUGIN_BLOCK),
        (
            "post-processors",
            0,
            &Shape { blocks: &[("post-processor", 1, &PLUGIN_BLOCK)], expressions: &[] },
        ),
        ("hcp_packer_registry", 0, &ATTRIBUTES),
    ],
    expressions: &[],
};

const PLUGIN_BLOCK: Shape = Shape {
    blocks: &[(
        "dynamic",
        1,
        &Shape { blocks: &[("content", 0, &ATTRIBUTES)], expressions: &["iterator"] },
    )],
    expressions: &[],
};

impl Template {
    /// Sorts the blocks of all files.
    pub(super) fn collect(dir: PathBuf, bodies: Vec<Body>, diagnostics: &mut Diagnostics) -> Self {
        let mut template = Template { dir, ..Default::default() };
        for body in bodies {
            for attribute in &body.attributes {
                diagnostics.push(
                    Diagnostic::error(format!("`{}` cannot stand outside a block", attribute.name))
                        .at(attribute.name_span)
                        .help("values of variables belong in a *.pkrvars.hcl file; named values in a locals block"),
                );
            }
            for block in body.blocks {
                template.add(block, diagnostics);
            }
        }
        template
    }

    fn add(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        match block.kind.as_str() {
            "packer" if labels(&block, &[], diagnostics) => {
                self.required_plugins.extend(packer_block::check(&block, diagnostics));
            }
            "variable" if labels(&block, &["name"], diagnostics) => {
                let name = block.label(0).to_owned();
                unique(&mut self.variables, name, block, diagnostics);
            }
            "locals" if labels(&block, &[], diagnostics) => self.add_locals(block, diagnostics),
            "local" if labels(&block, &["name"], diagnostics) => self.add_local(block, diagnostics),
            "source" if labels(&block, &["type", "name"], diagnostics) => {
                let key = (block.label(0).to_owned(), block.label(1).to_owned());
                unique(&mut self.sources, key, block, diagnostics);
            }
            "data" if labels(&block, &["type", "name"], diagnostics) => {
                let key = (block.label(0).to_owned(), block.label(1).to_owned());
                unique(&mut self.data, key, block, diagnostics);
            }
            "build" if labels(&block, &[], diagnostics) => {
                let build = BuildBlock::collect(block, diagnostics);
                self.builds.push(build);
            }
            "variables" => diagnostics.push(
                Diagnostic::error("`variables` blocks are an old form that is not supported")
                    .at(block.header)
                    .help("declare each one with variable \"name\" { default = … }"),
            ),
            kind if TOP_LEVEL.contains(&kind) => {}
            kind => diagnostics.push(unknown_block(kind, &block, TOP_LEVEL)),
        }
    }

    fn add_locals(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        for inner in &block.body.blocks {
            diagnostics.push(
                Diagnostic::error("`locals` holds values, not blocks")
                    .at(inner.header)
                    .help(format!("write {} = {{ … }}", inner.kind)),
            );
        }
        for Attribute { name, name_span, expr } in block.body.attributes {
            self.insert_local(name, Local { expr, sensitive: false, span: name_span }, diagnostics);
        }
    }

    fn add_local(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        only(&block.body, &["expression", "sensitive"], &[], diagnostics);
        let Some(attribute) = block.body.attribute("expression") else {
            diagnostics.push(
                Diagnostic::error(format!("local {:?} has no `expression`", block.label(0)))
                    .at(block.header),
            );
            return;
        };
        let sensitive = match block.body.attribute("sensitive").map(|flag| &flag.expr) {
            None => false,
            Some(Expr { kind: ExprKind::Bool(flag), .. }) => *flag,
            Some(other) => {
                diagnostics.push(Diagnostic::error("`sensitive` is true or false").at(other.span));
                true
            }
        };
        let local = Local { expr: attribute.expr.clone(), sensitive, span: block.header };
        self.insert_local(block.label(0).to_owned(), local, diagnostics);
    }

    fn insert_local(&mut self, name: String, local: Local, diagnostics: &mut Diagnostics) {
        if let Some(first) = self.locals.get(&name) {
            diagnostics.push(
                Diagnostic::error(format!("the local `{name}` is defined twice"))
                    .at(local.span)
                    .also(first.span, "first here"),
            );
            return;
        }
        self.locals.insert(name, local);
    }
}

fn unique<K: Ord>(
    known: &mut BTreeMap<K, Block>,
    key: K,
    block: Block,
    diagnostics: &mut Diagnostics,
) {
    if let Some(first) = known.get(&key) {
        let labels: Vec<String> =
            block.labels.iter().map(|label| format!("{:?}", label.text)).collect();
        diagnostics.push(
            Diagnostic::error(format!("{} {} is declared twice", block.kind, labels.join(" ")))
                .at(block.header)
                .also(first.header, "first here"),
        );
        return;
    }
    known.insert(key, block);
}

/// Checks that a block has just the labels it should.
fn labels(block: &Block, names: &[&str], diagnostics: &mut Diagnostics) -> bool {
    if block.labels.len() == names.len() {
        return true;
    }
    let wanted: String = names.iter().map(|name| format!(" \"{name}\"")).collect();
    diagnostics.push(
        Diagnostic::error(format!(
            "`{}` takes {} label{}, this has {}",
            block.kind,
            names.len(),
            if names.len() == 1 { "" } else { "s" },
            block.labels.len()
        ))
        .at(block.header)
        .help(format!("write {}{wanted} {{ … }}", block.kind)),
    );
    false
}

fn unknown_block(kind: &str, block: &Block, known: &[&str]) -> Diagnostic {
    Diagnostic::error(format!("there is no block of type `{kind}` here"))
        .at(block.header)
        .suggest_or_list(kind, "known here", known.iter().copied())
}

/// Complains about attributes and blocks that are not among those listed.
pub(super) fn only(
    body: &Body,
    attributes: &[&str],
    blocks: &[&str],
    diagnostics: &mut Diagnostics,
) {
    for attribute in &body.attributes {
        if !attributes.contains(&attribute.name.as_str()) {
            let all = attributes.iter().chain(blocks).copied();
            diagnostics.push(
                Diagnostic::error(format!("there is no argument called `{}` here", attribute.name))
                    .at(attribute.name_span)
                    .suggest(&attribute.name, all),
            );
        }
    }
    for block in &body.blocks {
        if !blocks.contains(&block.kind.as_str()) {
            diagnostics.push(unknown_block(&block.kind, block, blocks));
        }
    }
}

impl BuildBlock {
    fn collect(block: Block, diagnostics: &mut Diagnostics) -> Self {
        only(&block.body, &["name", "description", "sources"], IN_BUILD, diagnostics);
        let mut build = BuildBlock {
            name: literal(&block.body, "name", diagnostics),
            description: literal(&block.body, "description", diagnostics),
            sources: Vec::new(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            block,
        };
        if let Some(attribute) = build.block.body.attribute("sources") {
            sources(&attribute.expr, &mut build.sources, diagnostics);
        }
        for inner in &build.block.body.blocks {
            match inner.kind.as_str() {
                "source" if labels(inner, &["type.name"], diagnostics) => {
                    let span = inner.labels[0].span;
                    let Some((ty, name)) = diagnostics.keep(split(inner.label(0), span)) else {
                        continue;
                    };
                    let local_name = literal(&inner.body, "name", diagnostics);
                    let mut overrides = inner.body.clone();
                    overrides.attributes.retain(|attribute| attribute.name != "name");
                    build.sources.push(SourceUse {
                        ty,
                        name,
                        local_name,
                        overrides: Some(overrides),
                        span,
                    });
                }
                "provisioner" if labels(inner, &["type"], diagnostics) => {
                    build.provisioners.push(inner.clone());
                }
                "error-cleanup-provisioner" if labels(inner, &["type"], diagnostics) => {
                    if let Some(first) = &build.error_cleanup {
                        diagnostics.push(
                            Diagnostic::error("a build has one error-cleanup-provisioner")
                                .at(inner.header)
                                .also(first.header, "first here"),
                        );
                    }
                    build.error_cleanup = Some(inner.clone());
                }
                "post-processor" if labels(inner, &["type"], diagnostics) => {
                    build.post_processors.push(vec![inner.clone()]);
                }
                "post-processors" if labels(inner, &[], diagnostics) => {
                    only(&inner.body, &[], &["post-processor"], diagnostics);
                    let chain: Vec<Block> = inner
                        .body
                        .blocks_of("post-processor")
                        .filter(|step| labels(step, &["type"], diagnostics))
                        .cloned()
                        .collect();
                    build.post_processors.push(chain);
                }
                "hcp_packer_registry" => diagnostics.push(
                    Diagnostic::error("`hcp_packer_registry` is not supported yet")
                        .at(inner.header)
                        .help("remove the block to build without publishing to a registry"),
                ),
                _ => {}
            }
        }
        if build.sources.is_empty() && build.block.body.attribute("sources").is_none() {
            diagnostics.push(
                Diagnostic::warning("this build has no sources, so it builds nothing")
                    .at(build.block.header)
                    .help("name them: sources = [\"source.docker.example\"]"),
            );
        }
        build
    }
}

/// The text of an attribute that must be written out.
fn literal(body: &Body, name: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let attribute = body.attribute(name)?;
    match &attribute.expr.kind {
        ExprKind::String(text) => Some(text.clone()),
        _ => {
            diagnostics.push(
                Diagnostic::error(format!("`{name}` must be a plain text in quotes"))
                    .at(attribute.expr.span)
                    .label("it is needed before anything can be evaluated"),
            );
            None
        }
    }
}

/// Reads `sources = [ … ]`: texts, or references such as `source.docker.example`.
fn sources(expr: &Expr, found: &mut Vec<SourceUse>, diagnostics: &mut Diagnostics) {
    let ExprKind::Tuple(items) = &expr.kind else {
        diagnostics.push(
            Diagnostic::error("`sources` is a list")
                .at(expr.span)
                .help("write sources = [\"source.docker.example\"]"),
        );
        return;
    };
    for item in items {
        let text = match &item.kind {
            ExprKind::String(text) => text.clone(),
            _ => match item.reference() {
                Some(path) => path.join("."),
                None => {
                    diagnostics.push(
                        Diagnostic::error("a source is named by a text in quotes")
                            .at(item.span)
                            .help("write \"source.TYPE.NAME\""),
                    );
                    continue;
                }
            },
        };
        if let Some((ty, name)) = diagnostics.keep(split(&text, item.span)) {
            found.push(SourceUse { ty, name, local_name: None, overrides: None, span: item.span });
        }
    }
}

fn split(text: &str, span: Span) -> Result<(String, String), Diagnostic> {
    let text = text.strip_prefix("source.").unwrap_or(text);
    match text.split_once('.') {
        Some((ty, name)) if !ty.is_empty() && !name.is_empty() && !name.contains('.') => {
            Ok((ty.to_owned(), name.to_owned()))
        }
        _ => Err(Diagnostic::error(format!("`{text}` does not name a source"))
            .at(span)
            .help("sources are named source.TYPE.NAME, such as source.docker.example")),
    }
}
