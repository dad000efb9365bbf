//! The `packer` block: which versions and plugins a template asks for.

use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;

use super::block_form::only;
use super::version::VersionConstraints;
use ingot_hcl::ast::{Attribute, Block, Expr, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::source::Span;

/// A plugin that the template says it needs.
#[derive(Debug, Clone)]
pub struct RequiredPlugin {
    /// What the template calls it; its components' names start with this.
    pub name: String,
    /// Where it comes from, such as `github.com/hashicorp/docker`.
    pub source: String,
    /// Which versions will do.
    pub versions: VersionConstraints,
    /// The same as it is written.
    pub constraints: String,
    /// Where `version` stands.
    pub span: Span,
    /// Whether it was reported that it cannot be had.
    pub unavailable: bool,
}

impl RequiredPlugin {
    /// Whether a builder, provisioner, … of this name would be the plugin's: the plugin's own
    /// name, or one that starts with it and a dash.
    pub fn has(&self, component: &str) -> bool {
        component
            .strip_prefix(&self.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// Checks a `packer` block and returns the plugins it requires.
pub(super) fn check(block: &Block, diagnostics: &mut Diagnostics) -> Vec<RequiredPlugin> {
    only(&block.body, &["required_version"], &["required_plugins"], diagnostics);
    if let Some(attribute) = block.body.attribute("required_version") {
        required_version(attribute, diagnostics);
    }
    let mut plugins = Vec::new();
    for inner in block.body.blocks_of("required_plugins") {
        for nested in &inner.body.blocks {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is written as an argument here", nested.kind))
                    .at(nested.header)
                    .help(example(&nested.kind)),
            );
        }
        let found = inner.body.attributes.iter().map(|attribute| plugin(attribute, diagnostics));
        plugins.extend(found.flatten());
    }
    plugins
}

fn required_version(attribute: &Attribute, diagnostics: &mut Diagnostics) {
    let Some((text, span)) = text(&attribute.expr, "required_version", diagnostics) else { return };
    let Some(versions) = diagnostics.keep(constraints(text, span)) else { return };
    if !versions.allow(COMPATIBLE_PACKER_VERSION) {
        diagnostics.push(
            Diagnostic::error(format!(
                "this template is not for Packer {COMPATIBLE_PACKER_VERSION}"
            ))
            .at(span)
            .label("these are the versions it is for")
            .note(format!("Ingot reads templates as Packer {COMPATIBLE_PACKER_VERSION} does"))
            .help("if the template works with it all the same, widen required_version"),
        );
    }
}

fn example(name: &str) -> String {
    format!("write {name} = {{ source = \"github.com/OWNER/{name}\", version = \">= 1.0\" }}")
}

fn plugin(attribute: &Attribute, diagnostics: &mut Diagnostics) -> Option<RequiredPlugin> {
    let Attribute { name, name_span, expr } = attribute;
    if let Err(why) = check_part(name) {
        diagnostics.push(
            Diagnostic::error(format!("`{name}` cannot be the name of a plugin"))
                .at(*name_span)
                .label(why),
        );
    }
    let ExprKind::Object(items) = &expr.kind else {
        diagnostics.push(
            Diagnostic::error(format!("the plugin `{name}` needs a source and a version"))
                .at(expr.span)
                .help(example(name)),
        );
        return None;
    };
    let mut source = None;
    let mut version = None;
    for (key, value) in items {
        match &key.kind {
            ExprKind::String(key) if key == "source" => source = Some(value),
            ExprKind::String(key) if key == "version" => version = Some(value),
            ExprKind::String(other) => diagnostics.push(
                Diagnostic::error(format!("a required plugin has no `{other}`"))
                    .at(key.span)
                    .suggest_or_list(other, "known here", ["source", "version"]),
            ),
            _ => diagnostics.push(
                Diagnostic::error("a plain name is required here, `source` or `version`")
                    .at(key.span),
            ),
        }
    }
    for (option, value) in [("source", source), ("version", version)] {
        if value.is_none() {
            diagnostics.push(
                Diagnostic::error(format!("the plugin `{name}` has no `{option}`"))
                    .at(*name_span)
                    .help(example(name)),
            );
        }
    }
    let version = version.and_then(|version| text(version, "version", diagnostics));
    let source = source.and_then(|source| text(source, "source", diagnostics));
    if let Some((source, span)) = source
        && let Err(why) = check_source(source)
    {
        diagnostics.push(
            Diagnostic::error(format!("`{source}` is not the source of a plugin"))
                .at(span)
                .label(why)
                .help("a source is HOST/OWNER/NAME, such as github.com/hashicorp/docker"),
        );
    }
    let (version, span) = version?;
    let versions = diagnostics.keep(constraints(version, span))?;
    if versions.names_pre_release() {
        diagnostics.push(
            Diagnostic::error("a plugin cannot be required in a pre-release version")
                .at(span)
                .help("name the release, without what follows the dash"),
        );
    }
    Some(RequiredPlugin {
        name: name.clone(),
        source: source?.0.to_owned(),
        versions,
        constraints: version.to_owned(),
        span,
        unavailable: false,
    })
}

/// A text that must be written out.
fn text<'a>(expr: &'a Expr, name: &str, diagnostics: &mut Diagnostics) -> Option<(&'a str, Span)> {
    match &expr.kind {
        ExprKind::String(text) => Some((text, expr.span)),
        _ => {
            diagnostics.push(
                Diagnostic::error(format!("`{name}` must be a plain text in quotes"))
                    .at(expr.span)
                    .label("it is needed before anything can be evaluated"),
            );
            None
        }
    }
}

pub(super) fn constraints(text: &str, span: Span) -> Result<VersionConstraints, Diagnostic> {
    VersionConstraints::parse(text).map_err(|part| {
        Diagnostic::error("this is not a version constraint")
            .at(span)
            .label(match part.is_empty() {
                true => "a version is missing".to_owned(),
                false => format!("`{part}` is not a version constraint"),
            })
            .help("write something like \">= 1.2.0, < 2.0.0\" or \"~> 1.2\"")
    })
}

/// Parts of a source, and names, follow the rules of host names.
fn check_part(part: &str) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("there is no name");
    }
    if part.contains("--") {
        return Err("two dashes in a row are not allowed");
    }
    if part.starts_with('-') || part.ends_with('-') {
        return Err("a dash cannot stand first or last");
    }
    if part.chars().any(char::is_uppercase) {
        return Err("write it in lower case");
    }
    if !part.chars().all(|c| c.is_alphanumeric() || c == '-') {
        return Err("only letters, digits and dashes are allowed");
    }
    Ok(())
}

fn check_source(source: &str) -> Result<(), &'static str> {
    if source.contains("://") {
        return Err("leave the scheme out");
    }
    if source.starts_with('/') || source.ends_with('/') {
        return Err("it neither starts nor ends with a slash");
    }
    if source.contains(['?', '#']) {
        return Err("it has neither a query nor a fragment");
    }
    let parts: Vec<&str> = source.split('/').collect();
    if !(3..=16).contains(&parts.len()) {
        return Err("it needs a host, an owner and a name");
    }
    let name = parts[parts.len() - 1];
    if name.starts_with("packer-") {
        return Err("leave out `packer-plugin-` before the name");
    }
    check_part(name)
}
