//! `build` blocks: which sources they build, and with which steps.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_sdk::GoDuration;

use super::blocks::{is_identifier, labels, only, registry};
use super::constant;
use super::constant::fitting;
use super::dynamic::{Names, expand};
use super::eval::eval;
use super::scope::Scope;
use super::types::Type;
use super::value::Value;
use crate::syntax::ast::{Attribute, Block, Body, Expr, ExprKind};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::source::Span;

/// A `build` block.
#[derive(Debug)]
pub struct Build {
    /// `name`
    pub name: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// The sources it builds.
    pub sources: Vec<SourceUse>,
    /// `provisioner` blocks, in order.
    pub provisioners: Vec<Step>,
    /// `error-cleanup-provisioner`
    pub error_cleanup: Option<Step>,
    /// Pipelines of post-processors: each `post-processor` is one of its own, each
    /// `post-processors` block one of several.
    pub post_processors: Vec<Vec<Step>>,
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
    /// Where it is named.
    pub span: Span,
}

impl SourceUse {
    /// Its name in this build: `TYPE.NAME`.
    pub fn id(&self) -> String {
        format!("{}.{}", self.ty, self.local_name.as_ref().unwrap_or(&self.name))
    }
}

/// Options as they are written, and the names that dynamic blocks around them give a meaning.
#[derive(Debug, Clone)]
pub struct Part {
    /// The options.
    pub body: Body,
    /// The names.
    pub names: Names,
}

/// A provisioner or post-processor, and the options of it that are the engine's own.
#[derive(Debug, Clone)]
pub struct Step {
    /// `provisioner "TYPE"`
    pub block: Block,
    /// Names that dynamic blocks around it give a meaning.
    pub names: Names,
    /// `name`
    pub name: Option<String>,
    /// `only`, `except`
    pub applies: Applies,
    /// `pause_before`
    pub pause_before: Duration,
    /// `timeout`
    pub timeout: Option<Duration>,
    /// `max_retries`
    pub max_retries: u32,
    /// `continue_on_error`
    pub continue_on_error: bool,
    /// `keep_input_artifact`
    pub keep_input_artifact: Option<bool>,
    /// `override`: options by the name of the source they are for.
    pub overrides: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Step {
    /// Its options as they are written.
    pub fn part(&self) -> Part {
        Part { body: self.block.body.clone(), names: self.names.clone() }
    }
}

/// To which sources a step applies.
#[derive(Debug, Clone, Default)]
pub struct Applies {
    only: Vec<String>,
    except: Vec<String>,
}

impl Applies {
    /// Whether it applies to a source, named `TYPE.NAME`.
    pub fn to(&self, source: &str) -> bool {
        match (self.only.as_slice(), self.except.as_slice()) {
            ([], except) => !except.iter().any(|name| name == source),
            (only, _) => only.iter().any(|name| name == source),
        }
    }
}

/// Options of a provisioner that are the engine's own.
pub const PROVISIONER_OPTIONS: &[&str] = &[
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
pub const POST_PROCESSOR_OPTIONS: &[&str] = &["name", "only", "except", "keep_input_artifact"];

/// The blocks of a build, and what their labels are.
pub(super) const IN_BUILD: &[(&str, &[&str])] = &[
    ("source", &["type.name"]),
    ("provisioner", &["type"]),
    ("error-cleanup-provisioner", &["type"]),
    ("post-processor", &["type"]),
    ("post-processors", &[]),
    ("hcp_packer_registry", &[]),
];

/// Evaluates the build blocks. `scope` has what all blocks see. What is wrong goes to
/// `diagnostics`; a step with something wrong is left out.
pub fn evaluate(blocks: &[Block], scope: &Scope, diagnostics: &mut Diagnostics) -> Vec<Build> {
    blocks.iter().map(|block| build(block, scope, diagnostics)).collect()
}

fn build(block: &Block, scope: &Scope, diagnostics: &mut Diagnostics) -> Build {
    let body = &block.body;
    let kinds: Vec<&str> = IN_BUILD.iter().map(|(kind, _)| *kind).chain(["dynamic"]).collect();
    only(body, &["name", "description", "sources"], &kinds, diagnostics);
    let mut walk = Walk { scope, diagnostics };
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let name = text(walk.option(body, "name", &Type::String, scope));
    let description = text(walk.option(body, "description", &Type::String, scope));
    let mut build = Build {
        name: name.filter(|name| !name.is_empty()),
        description,
        sources: Vec::new(),
        provisioners: Vec::new(),
        error_cleanup: None,
        post_processors: Vec::new(),
    };
    let listed = body.attribute("sources");
    if let Some(attribute) = listed {
        walk.sources(attribute, &mut build.sources);
    }
    // In steps, `build` is its name; the rest is known only when they run.
    let own = Value::from(build.name.as_deref().unwrap_or_default());
    let own = Value::object([("name".to_owned(), own)].into());
    let inner = scope.with([("build".to_owned(), own)].into());
    let none = Names::new();
    let blocks = walk.blocks(body, IN_BUILD, &none);
    // Sources first: steps are checked against them.
    let (sources, steps): (Vec<_>, Vec<_>) =
        blocks.into_iter().partition(|(block, _)| block.kind == "source");
    for (block, names) in sources.iter().chain(&steps) {
        walk.add(&mut build, block, names, &inner);
    }
    let inline = body.blocks.iter().any(|inner| {
        inner.kind == "source" || (inner.kind == "dynamic" && inner.label(0) == "source")
    });
    // A list that is there and wrong was reported.
    let empty = |attribute: &Attribute| match &attribute.expr.kind {
        ExprKind::Tuple(items) => items.is_empty(),
        ExprKind::Null => true,
        _ => false,
    };
    if build.sources.is_empty() && !inline && listed.is_none_or(empty) {
        diagnostics.push(
            Diagnostic::error("this build has no sources, so it builds nothing")
                .at(listed.map_or(block.header, |attribute| attribute.expr.span))
                .help("name them: sources = [\"source.docker.example\"]"),
        );
    }
    build
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    diagnostics: &'a mut Diagnostics,
}

impl Walk<'_> {
    /// The value of an attribute, if it is there and in order.
    fn option(&mut self, body: &Body, name: &str, ty: &Type, scope: &Scope) -> Option<Value> {
        let expr = &body.attribute(name)?.expr;
        let value = eval(expr, scope).and_then(|value| {
            let value = fitting(&value, name, ty, expr)?;
            // What is unknown because of another mistake is not one more.
            if value.is_unknown() && !self.diagnostics.has_errors() {
                return Err(Diagnostic::error(format!("`{name}` must be known before the build"))
                    .at(expr.span)
                    .label("this is known only later"));
            }
            Ok(value)
        });
        self.diagnostics.keep(value)
    }

    /// The texts of a list, each with where it stands.
    fn texts(&mut self, body: &Body, name: &str, scope: &Scope) -> Vec<(String, Span)> {
        let Some(Attribute { expr, .. }) = body.attribute(name) else { return Vec::new() };
        if matches!(expr.kind, ExprKind::Null) {
            return Vec::new();
        }
        let list = self.option(body, name, &Type::list(Type::String), scope);
        let items: &[Expr] = match &expr.kind {
            ExprKind::Tuple(items) => items,
            _ => &[],
        };
        let list = list.as_ref().and_then(Value::as_items).unwrap_or_default();
        let place = |index: usize| items.get(index).map_or(expr.span, |item| item.span);
        let texts = list.iter().enumerate();
        texts.filter_map(|(index, text)| Some((text.as_str()?.to_owned(), place(index)))).collect()
    }

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
        };
        for (text, span) in self.texts(&body, "sources", self.scope) {
            if let Some((ty, name)) = self.source_name(&text, span, true) {
                found.push(SourceUse { ty, name, local_name: None, inline: None, span });
            }
        }
    }

    /// Reads `source.TYPE.NAME` or `TYPE.NAME`.
    fn source_name(&mut self, text: &str, span: Span, strict: bool) -> Option<(String, String)> {
        let mut parts: Vec<&str> = text.split('.').collect();
        let odd = parts.len() > 3 || (parts.len() == 3 && parts[0] != "source");
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
    fn blocks(
        &mut self,
        body: &Body,
        kinds: &[(&str, &[&str])],
        names: &Names,
    ) -> Vec<(Block, Names)> {
        let mut found = Vec::new();
        for block in &body.blocks {
            if block.kind != "dynamic" {
                found.push((block.clone(), names.clone()));
                continue;
            }
            let kind = block.label(0);
            let Some((_, labels)) = kinds.iter().find(|(known, _)| *known == kind) else {
                let known = kinds.iter().map(|(kind, _)| *kind);
                let place = block.labels.first().map_or(block.header, |label| label.span);
                self.diagnostics.push(match block.labels.is_empty() {
                    true => Diagnostic::error("a dynamic block names the kind of block it makes")
                        .at(place)
                        .help("write dynamic \"KIND\" { for_each = …  content { … } }"),
                    false => Diagnostic::error(format!("there is no block of type `{kind}` here"))
                        .at(place)
                        .suggest_or_list(kind, "known here", known),
                });
                continue;
            };
            let scope = self.scope.with(names.clone());
            for (made, own) in expand(block, labels.len(), &scope, self.diagnostics) {
                found.push((made, names.clone().into_iter().chain(own).collect()));
            }
        }
        found
    }

    fn add(&mut self, build: &mut Build, block: &Block, names: &Names, scope: &Scope) {
        let known = IN_BUILD.iter().find(|(kind, _)| *kind == block.kind);
        let Some((kind, wanted)) = known else { return };
        if let ("source", [ty, name]) = (*kind, block.labels.as_slice()) {
            self.diagnostics.push(
                Diagnostic::error("in a build, one label names a source")
                    .at(ty.span.to(name.span))
                    .help(format!("write source \"source.{}.{}\" {{ … }}", ty.text, name.text)),
            );
            return;
        }
        if !labels(block, wanted, self.diagnostics) {
            return;
        }
        match *kind {
            "source" => build.sources.extend(self.inline_source(block, names)),
            "provisioner" => {
                let step = self.provisioner(block, names, scope, build);
                build.provisioners.extend(step);
            }
            "error-cleanup-provisioner" => {
                if let Some(first) = &build.error_cleanup {
                    self.diagnostics.push(
                        Diagnostic::error("a build has one error-cleanup-provisioner")
                            .at(block.header)
                            .also(first.block.header, "first here"),
                    );
                    return;
                }
                build.error_cleanup = self.provisioner(block, names, scope, build);
            }
            "post-processor" => {
                let step = self.post_processor(block, names, scope, build);
                build.post_processors.extend(step.map(|step| vec![step]));
            }
            "post-processors" => {
                let kinds: &[(&str, &[&str])] = &[("post-processor", &["type"])];
                only(&block.body, &[], &["post-processor", "dynamic"], self.diagnostics);
                let blocks = self.blocks(&block.body, kinds, names);
                let chain = blocks.iter().filter(|(step, _)| step.kind == "post-processor");
                let chain = chain.filter_map(|(step, names)| {
                    labels(step, kinds[0].1, self.diagnostics)
                        .then(|| self.post_processor(step, names, scope, build))?
                });
                let chain = chain.collect();
                build.post_processors.push(chain);
            }
            _ => self.diagnostics.push(registry(block)),
        }
    }

    fn inline_source(&mut self, block: &Block, names: &Names) -> Option<SourceUse> {
        let span = block.labels[0].span;
        let (ty, name) = self.source_name(block.label(0), span, false)?;
        let mut body = block.body.clone();
        let local_name = match names.is_empty() {
            // Before anything else is known of a build, its sources have names.
            true => constant::attribute(
                &body,
                "name",
                &Type::String,
                self.scope.functions(),
                self.diagnostics,
            ),
            false => {
                let scope = self.scope.with(names.clone());
                self.option(&body, "name", &Type::String, &scope)
            }
        };
        body.attributes.retain(|attribute| attribute.name != "name");
        let local_name = local_name.as_ref().and_then(Value::as_str).map(str::to_owned);
        let local_name = local_name.filter(|name| !name.is_empty());
        let inline = Some(Part { body, names: names.clone() });
        Some(SourceUse { ty, name, local_name, inline, span })
    }

    fn provisioner(
        &mut self,
        block: &Block,
        names: &Names,
        scope: &Scope,
        build: &Build,
    ) -> Option<Step> {
        let scope = scope.with(names.clone());
        let body = &block.body;
        let mut step = self.step(block, names, &scope, build)?;
        step.pause_before = self.duration(body, "pause_before", &scope).unwrap_or_default();
        step.timeout = self.duration(body, "timeout", &scope).filter(|limit| !limit.is_zero());
        step.max_retries = self.retries(body, &scope);
        let go_on = self.option(body, "continue_on_error", &Type::Bool, &scope);
        step.continue_on_error = go_on.and_then(|flag| flag.as_bool()).unwrap_or(false);
        step.overrides = self.overrides(body, &scope);
        Some(step)
    }

    fn post_processor(
        &mut self,
        block: &Block,
        names: &Names,
        scope: &Scope,
        build: &Build,
    ) -> Option<Step> {
        let scope = scope.with(names.clone());
        let mut step = self.step(block, names, &scope, build)?;
        let keep = block.body.attribute("keep_input_artifact");
        if keep.is_some_and(|attribute| !matches!(attribute.expr.kind, ExprKind::Null)) {
            let keep = self.option(&block.body, "keep_input_artifact", &Type::Bool, &scope);
            step.keep_input_artifact = keep.and_then(|flag| flag.as_bool());
        }
        Some(step)
    }

    /// What provisioners and post-processors have in common.
    fn step(&mut self, block: &Block, names: &Names, scope: &Scope, build: &Build) -> Option<Step> {
        let body = &block.body;
        let name = self.option(body, "name", &Type::String, scope);
        let mut applies = Applies::default();
        for (option, list) in [("only", &mut applies.only), ("except", &mut applies.except)] {
            for (text, span) in self.texts(body, option, scope) {
                self.check_source(&text, span, build);
                list.push(text);
            }
        }
        if let (Some(only), Some(except)) = (body.attribute("only"), body.attribute("except"))
            && !applies.only.is_empty()
            && !applies.except.is_empty()
        {
            self.diagnostics.push(
                Diagnostic::error("`only` and `except` exclude each other")
                    .at(except.name_span)
                    .also(only.name_span, "the other one")
                    .help("keep one of the two"),
            );
            return None;
        }
        Some(Step {
            block: block.clone(),
            names: names.clone(),
            name: name.as_ref().and_then(Value::as_str).map(str::to_owned),
            applies,
            pause_before: Duration::ZERO,
            timeout: None,
            max_retries: 0,
            continue_on_error: false,
            keep_input_artifact: None,
            overrides: BTreeMap::new(),
        })
    }

    /// Warns of a name in `only` or `except` that no source of the build has.
    fn check_source(&mut self, name: &str, span: Span, build: &Build) {
        let known: Vec<String> = build.sources.iter().map(SourceUse::id).collect();
        if !known.iter().any(|source| source == name) {
            self.diagnostics.push(
                Diagnostic::warning(format!("`{name}` is not a source of this build"))
                    .at(span)
                    .suggest_or_list(name, "its sources", known.iter().map(String::as_str)),
            );
        }
    }

    fn duration(&mut self, body: &Body, name: &str, scope: &Scope) -> Option<Duration> {
        let value = self.option(body, name, &Type::String, scope)?;
        let text = value.as_str().filter(|text| !text.is_empty())?;
        match GoDuration::parse(text) {
            Ok(duration) => Some(duration.0),
            Err(error) => {
                let place = body.attribute(name).map(|attribute| attribute.expr.span)?;
                self.diagnostics.push(Diagnostic::error(format!("`{name}`: {error}")).at(place));
                None
            }
        }
    }

    fn retries(&mut self, body: &Body, scope: &Scope) -> u32 {
        let Some(value) = self.option(body, "max_retries", &Type::Number, scope) else { return 0 };
        let Some(number) = value.as_number() else { return 0 };
        match number.as_i64() {
            // Packer takes negative ones for none.
            Some(count) => u32::try_from(count.max(0)).unwrap_or(u32::MAX),
            None => {
                let place = body.attribute("max_retries").map(|attribute| attribute.expr.span);
                let diagnostic = Diagnostic::error("`max_retries` is a whole number");
                self.diagnostics.push(match place {
                    Some(place) => diagnostic.at(place),
                    None => diagnostic,
                });
                0
            }
        }
    }

    /// `override = { SOURCE = { option = value } }`
    fn overrides(
        &mut self,
        body: &Body,
        scope: &Scope,
    ) -> BTreeMap<String, BTreeMap<String, Value>> {
        let mut found = BTreeMap::new();
        let Some(Attribute { expr, .. }) = body.attribute("override") else { return found };
        let Some(value) = self.diagnostics.keep(eval(expr, scope)) else { return found };
        let mut complain = |what: String| {
            self.diagnostics.push(
                Diagnostic::error("`override` gives options by the name of a source")
                    .at(expr.span)
                    .label(what)
                    .help("write override = { SOURCE_NAME = { option = value } }"),
            );
        };
        if value.is_null() || value.is_unknown() {
            return found;
        }
        let Some(sources) = value.as_entries() else {
            complain(format!("this is a {}", value.ty().friendly()));
            return found;
        };
        for (source, options) in sources {
            match options.as_entries() {
                Some(options) => {
                    let secret = value.sensitive;
                    let options = options.iter();
                    let options = options.map(|(name, v)| (name.clone(), v.clone().mark(secret)));
                    found.insert(source.clone(), options.collect());
                }
                None if options.is_unknown() => {}
                None => complain(format!("`{source}` is a {} here", options.ty().friendly())),
            }
        }
        found
    }
}
