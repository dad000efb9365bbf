//! The blocks of a template as typed structures, before anything is evaluated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::block_form::{is_identifier, labels, only, unknown_block};
use super::packer_block::{self, RequiredPlugin};
use ingot_hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Label, Syntax};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_hcl::json::{ATTRIBUTES, Shape};
use ingot_hcl::source::Span;

/// A whole template.
#[derive(Debug, Default)]
pub struct Template {
    /// The directory it is in.
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
    /// What is wrong with blocks in a way that shows only when they are used: not to `inspect`,
    /// nor to a look at the syntax.
    pub late: Vec<Diagnostic>,
    /// `build` blocks, in order.
    pub builds: Vec<Block>,
    /// `hcp_packer_registry` blocks outside of builds; more than one is a mistake.
    pub registries: Vec<Block>,
    /// The whole, if it is a legacy JSON template: its builders are `sources`, and there is nothing
    /// else here.
    pub legacy: Option<ingot_json_template::Template>,
}

/// A value with a name: an attribute of `locals`, or a `local "name"` block.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its value; none if the block has none, which was reported.
    pub expr: Option<Expr>,
    /// Its block, if it has one of its own.
    pub block: Option<Block>,
    /// Where its name stands.
    pub span: Span,
}

pub(super) const TOP_LEVEL: &[&str] = &[
    "packer",
    "variable",
    "variables",
    "locals",
    "local",
    "source",
    "data",
    "build",
    "communicator",
    "hcp_packer_registry",
];

/// The blocks of a build, and what their labels are.
pub(super) const IN_BUILD: &[(&str, &[&str])] = &[
    ("source", &["type.name"]),
    ("provisioner", &["type"]),
    ("error-cleanup-provisioner", &["type"]),
    ("post-processor", &["type"]),
    ("post-processors", &[]),
    ("hcp_packer_registry", &[]),
];

/// What is a block in a template written in JSON. Which names are blocks of plugins is decided
/// later, by the plugin's schema.
pub(super) static JSON_SHAPE: Shape = Shape {
    blocks: &[
        ("packer", 0, &PACKER),
        ("variable", 1, &VARIABLE),
        ("variables", 0, &ATTRIBUTES),
        ("locals", 0, &ATTRIBUTES),
        ("local", 1, &ATTRIBUTES),
        ("source", 2, &PLUGIN_BLOCK),
        ("data", 2, &PLUGIN_BLOCK),
        ("build", 0, &BUILD_SHAPE),
        ("communicator", 2, &ATTRIBUTES),
        ("hcp_packer_registry", 0, &ATTRIBUTES),
    ],
    expressions: &[],
    literals: &[],
};

static PACKER: Shape = Shape {
    blocks: &[("required_plugins", 0, &ATTRIBUTES)],
    expressions: &[],
    literals: &["required_version"],
};

static VARIABLE: Shape = Shape {
    blocks: &[(
        "validation",
        0,
        &Shape { blocks: &[], expressions: &[], literals: &["error_message"] },
    )],
    expressions: &["type"],
    literals: &["description", "sensitive"],
};

/// The content of an enforced block.
pub(super) static PROVISIONERS_SHAPE: Shape =
    Shape { blocks: &[("provisioner", 1, &PLUGIN_BLOCK)], expressions: &[], literals: &[] };

static BUILD_SHAPE: Shape = Shape {
    blocks: &[
        ("source", 1, &INLINE_SOURCE),
        ("provisioner", 1, &PLUGIN_BLOCK),
        ("error-cleanup-provisioner", 1, &PLUGIN_BLOCK),
        ("post-processor", 1, &PLUGIN_BLOCK),
        ("post-processors", 0, &POST_PROCESSORS),
        ("hcp_packer_registry", 0, &ATTRIBUTES),
        ("dynamic", 1, &DYNAMIC_IN_BUILD),
    ],
    expressions: &[],
    literals: &[],
};

static POST_PROCESSORS: Shape = Shape {
    blocks: &[("post-processor", 1, &PLUGIN_BLOCK), ("dynamic", 1, &DYNAMIC_IN_BUILD)],
    expressions: &[],
    literals: &[],
};

/// What it makes may be any block of a build; only `post-processors` has blocks of its own.
static DYNAMIC_IN_BUILD: Shape = Shape {
    blocks: &[("content", 0, &POST_PROCESSORS)],
    expressions: &["iterator"],
    literals: &[],
};

static PLUGIN_BLOCK: Shape =
    Shape { blocks: &[("dynamic", 1, &DYNAMIC_IN_PLUGIN)], expressions: &[], literals: &[] };

/// A source in a build: its `name` there is read before anything can be evaluated.
static INLINE_SOURCE: Shape =
    Shape { blocks: &[("dynamic", 1, &DYNAMIC_IN_PLUGIN)], expressions: &[], literals: &["name"] };

static DYNAMIC_IN_PLUGIN: Shape =
    Shape { blocks: &[("content", 0, &ATTRIBUTES)], expressions: &["iterator"], literals: &[] };

impl Template {
    /// A legacy JSON template.
    pub fn of_legacy(dir: PathBuf, legacy: ingot_json_template::Template) -> Self {
        let mut template = Template { dir, ..Default::default() };
        super::legacy::sources(&legacy, &mut template);
        template.legacy = Some(legacy);
        template
    }

    /// Sorts the blocks of all files.
    pub fn collect(dir: PathBuf, bodies: Vec<Body>, diagnostics: &mut Diagnostics) -> Self {
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

    fn add_required(&mut self, plugin: RequiredPlugin) {
        let same = |known: &&RequiredPlugin| known.name == plugin.name;
        let Some(first) = self.required_plugins.iter().find(same) else {
            self.required_plugins.push(plugin);
            return;
        };
        self.late.push(
            Diagnostic::error(format!("the plugin `{}` is required twice", plugin.name))
                .at(plugin.span)
                .also(first.span, "first here")
                .help("leave one of both, with the versions that will do"),
        );
    }

    fn add(&mut self, mut block: Block, diagnostics: &mut Diagnostics) {
        if !TOP_LEVEL.contains(&block.kind.as_str()) {
            diagnostics.push(misplaced_block(&block));
            // What was meant is read all the same, so that what refers to it is not an error too.
            match closest(&block.kind, TOP_LEVEL.iter().copied()) {
                Some(close) => block.kind = close.to_owned(),
                None => return,
            }
        }
        match block.kind.as_str() {
            "packer" if labels(&block, &[], diagnostics) => {
                for plugin in packer_block::check(&block, diagnostics) {
                    self.add_required(plugin);
                }
            }
            "variable" if labels(&block, &["name"], diagnostics) => {
                identifier(&block, diagnostics);
                let name = block.label(0).to_owned();
                unique(&mut self.variables, name, block, diagnostics);
            }
            "variables" if labels(&block, &[], diagnostics) => {
                self.add_variables(block, diagnostics);
            }
            "locals" if labels(&block, &[], diagnostics) => self.add_locals(block, diagnostics),
            "local" if labels(&block, &["name"], diagnostics) => self.add_local(block, diagnostics),
            "source" if labels(&block, &["type", "name"], diagnostics) => {
                let key = (block.label(0).to_owned(), block.label(1).to_owned());
                let mut twice = Diagnostics::default();
                unique(&mut self.sources, key, block, &mut twice);
                self.late.extend(twice);
            }
            "data" if labels(&block, &["type", "name"], diagnostics) => {
                let key = (block.label(0).to_owned(), block.label(1).to_owned());
                unique(&mut self.data, key, block, diagnostics);
            }
            "build" if labels(&block, &[], diagnostics) => self.builds.push(block),
            "hcp_packer_registry" if labels(&block, &[], diagnostics) => {
                self.registries.push(block);
            }
            // Packer takes these and does nothing with them.
            "communicator" if labels(&block, &["type", "name"], diagnostics) => {}
            _ => {}
        }
    }

    /// `variables { name = default }`, the form that `variable` blocks have taken over from.
    fn add_variables(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        values_only(&block, diagnostics);
        warn_sensitive(&block, "variable \"NAME\" { default = …, sensitive = true }", diagnostics);
        for Attribute { name, name_span, expr } in block.body.attributes {
            let span = name_span.to(expr.span);
            let default = Attribute { name: "default".to_owned(), name_span, expr };
            let variable = Block {
                kind: "variable".to_owned(),
                labels: vec![Label { text: name.clone(), span: name_span }],
                body: Body {
                    attributes: vec![default],
                    blocks: Vec::new(),
                    span,
                    syntax: Syntax::Native,
                },
                header: name_span,
            };
            unique(&mut self.variables, name, variable, diagnostics);
        }
    }

    fn add_locals(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        values_only(&block, diagnostics);
        warn_sensitive(&block, "local \"NAME\" { expression = …, sensitive = true }", diagnostics);
        for Attribute { name, name_span, expr } in block.body.attributes {
            let local = Local { expr: Some(expr), block: None, span: name_span };
            self.insert_local(name, local, diagnostics);
        }
    }

    fn add_local(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        identifier(&block, diagnostics);
        let fine = only(&block.body, &["expression", "sensitive"], &[], diagnostics);
        let expr = block.body.attribute("expression").map(|attribute| attribute.expr.clone());
        if expr.is_none() && fine {
            diagnostics.push(
                Diagnostic::error(format!("local {:?} has no `expression`", block.label(0)))
                    .at(block.header)
                    .help("write expression = …"),
            );
        }
        let (name, span) = (block.label(0).to_owned(), block.header);
        self.insert_local(name, Local { expr, block: Some(block), span }, diagnostics);
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

/// A name that expressions can use.
fn identifier(block: &Block, diagnostics: &mut Diagnostics) {
    let name = block.label(0);
    if !is_identifier(name) {
        diagnostics.push(
            Diagnostic::error(format!("{name:?} cannot be the name of a {}", block.kind))
                .at(block.labels[0].span)
                .help("a name is a letter or `_`, then letters, digits, `_` and `-`"),
        );
    }
}

fn values_only(block: &Block, diagnostics: &mut Diagnostics) {
    for inner in &block.body.blocks {
        diagnostics.push(
            Diagnostic::error(format!("`{}` holds values, not blocks", block.kind))
                .at(inner.header)
                .help(format!("write {} = {{ … }}", inner.kind)),
        );
    }
}

/// Whether a variable is declared in a `variables` block: its default has its name there, which is
/// also its header.
pub(crate) fn is_of_variables_block(variable: &Block) -> bool {
    let default = variable.body.attributes.first();
    default.is_some_and(|default| default.name_span == variable.header)
}

/// Warns of `sensitive = true` among values, where it is one of them and hides none.
fn warn_sensitive(block: &Block, right: &str, diagnostics: &mut Diagnostics) {
    let Some(flag) = block.body.attribute("sensitive") else { return };
    if matches!(flag.expr.kind, ExprKind::Bool(true)) && block.body.attributes.len() > 1 {
        diagnostics.push(
            Diagnostic::warning(format!(
                "`sensitive` is one more value of `{}` here, and hides none of the others",
                block.kind
            ))
            .at(flag.name_span)
            .help(format!("what is to be hidden has a block of its own: {right}")),
        );
    }
}

/// A block at the top that does not belong there.
fn misplaced_block(block: &Block) -> Diagnostic {
    let kind = block.kind.as_str();
    if IN_BUILD.iter().any(|(inner, _)| *inner == kind) {
        return Diagnostic::error(format!("`{kind}` stands outside of a build"))
            .at(block.header)
            .help("move it into a build block: build { … }");
    }
    if kind == "dynamic" {
        return Diagnostic::error("dynamic blocks stand inside of other blocks").at(block.header);
    }
    unknown_block(kind, block, TOP_LEVEL)
}
