//! The parts of a JSON template as source blocks and as one build.

use ingot_hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Label, Syntax};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::eval;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_json_template::actions::{self, Position};
use ingot_json_template::{Component, Template as JsonTemplate, Text, fix};
use ingot_sdk::PrepareContext;
use ingot_sdk::interpolate::{COMPATIBLE_PACKER_VERSION, Interpolation};

use crate::blocks::Template;
use crate::builds::{Build, SourceUse, Steps};
use crate::dynamic::Names;
use crate::packer_block::constraints;
use crate::steps::{LEGACY_PROVISIONER_OPTIONS, Reader, Step};

/// Its builders as source blocks, by type and name.
pub(crate) fn sources(template: &JsonTemplate, into: &mut Template) {
    for builder in &template.builders {
        let key = (builder.ty.text.clone(), builder.label().text.clone());
        let mut block = block("source", builder, Position::Builder);
        block.labels.push(label(builder.label()));
        into.sources.insert(key, block);
    }
}

/// Reports what Packer refuses before it looks at any plugin.
pub fn check(template: &JsonTemplate, diagnostics: &mut Diagnostics) {
    template.check(diagnostics);
    if let Some(Text { text, span }) = &template.min_packer_version
        && let Some(versions) = diagnostics.keep(constraints(&format!(">= {text}"), *span))
        && !versions.allow(COMPATIBLE_PACKER_VERSION)
    {
        diagnostics.push(
            Diagnostic::error(format!("this template is for Packer {text} and later"))
                .at(*span)
                .note(format!("Ingot reads templates as Packer {COMPATIBLE_PACKER_VERSION} does"))
                .help("if the template works with it all the same, lower min_packer_version"),
        );
    }
}

/// Says of options that do not exist, and that a fixer replaces, that it does.
pub fn point_to_fixes(template: &JsonTemplate, diagnostics: &mut Diagnostics) {
    for diagnostic in diagnostics.iter_mut() {
        let components = || template.builders.iter().chain(template.steps());
        let replaced = components().any(|component| {
            component.attributes.iter().any(|attribute| {
                diagnostic.span == Some(attribute.name_span)
                    && fix::replaces(&component.ty.text, &attribute.name)
            })
        });
        if replaced {
            diagnostic.notes =
                vec!["help: it is of an old version; `ingot fix` replaces it".into()];
        }
    }
}

/// Its one build: all builders, ordered by their names as in Packer, and all steps. `context` is
/// what `{{ }}` in the names of builders see.
pub fn build(
    template: &JsonTemplate,
    scope: &Scope,
    context: &PrepareContext,
    diagnostics: &mut Diagnostics,
) -> Build {
    let labels = template.builders.iter().map(|builder| builder.label().clone());
    // Names that no builder has were reported.
    let selected = template.steps().flat_map(|step| [step.texts("only"), step.texts("except")]);
    let labels = labels.chain(selected.flatten()).map(|label| label.text);
    let labels: Vec<String> = labels.collect();
    let before = diagnostics.errors();
    let steps = steps(template, scope, &labels, diagnostics);
    let mut sources = Vec::with_capacity(template.builders.len());
    for builder in &template.builders {
        let Text { text: label, span } = builder.label();
        let name = diagnostics.keep(name(builder, scope, context));
        sources.push(SourceUse {
            ty: builder.ty.text.clone(),
            name: label.clone(),
            local_name: name,
            inline: None,
            steps: steps.clone(),
            span: *span,
            legacy: true,
        });
    }
    sources.sort_by(|one, other| one.local_name().cmp(other.local_name()));
    Build {
        broken: diagnostics.errors() > before,
        name: None,
        description: template.description.as_ref().map(|text| text.text.clone()),
        sources,
        steps,
        registry: None,
        header: Span { end: template.span.start + 1, ..template.span },
    }
}

/// What a builder is called, with what `{{ }}` in its name come to.
fn name(
    builder: &Component,
    scope: &Scope,
    context: &PrepareContext,
) -> Result<String, Diagnostic> {
    let Text { text, span } = builder.label();
    let expr = Expr { kind: ExprKind::String(text.clone()), span: *span };
    let value = eval(&actions::lower(&expr, Position::Builder), scope)?;
    // In a template that is only shown, a variable may have no value.
    let Some(name) = value.as_str() else { return Ok(text.clone()) };
    Interpolation::new(context)
        .render(name, &serde_json::Value::Null)
        .map_err(|error| Diagnostic::error(error.to_string()).at(*span))
}

fn steps(
    template: &JsonTemplate,
    scope: &Scope,
    builders: &[String],
    diagnostics: &mut Diagnostics,
) -> Steps {
    let none = Names::new();
    let mut provisioner = |component: &Component| -> Option<Step> {
        let block = block("provisioner", component, Position::Step);
        let reader = Reader::new((&block, &none), scope, builders, diagnostics);
        let step = reader.provisioner()?;
        Some(Step { own_options: LEGACY_PROVISIONER_OPTIONS, ..step })
    };
    let provisioners = template.provisioners.iter().filter_map(&mut provisioner).collect();
    let error_cleanup = template.error_cleanup.as_ref().and_then(&mut provisioner).map(|step| {
        // Packer runs it for all builders, whatever it says.
        Step { applies: Default::default(), ..step }
    });
    let mut post_processors = Vec::with_capacity(template.post_processors.len());
    for pipeline in &template.post_processors {
        let mut chain = Vec::with_capacity(pipeline.len());
        for component in pipeline {
            let mut block = block("post-processor", component, Position::Step);
            if let Some(Text { text, span }) = &component.name {
                let expr = Expr { kind: ExprKind::String(text.clone()), span: *span };
                let attribute = Attribute { name: "name".to_owned(), name_span: *span, expr };
                block.body.attributes.push(attribute);
            }
            let reader = Reader::new((&block, &none), scope, builders, diagnostics);
            chain.extend(reader.post_processor());
        }
        post_processors.push(chain);
    }
    Steps { provisioners, error_cleanup, post_processors }
}

fn block(kind: &str, component: &Component, place: Position) -> Block {
    // Packer's own, which it leaves alone in any plugin.
    let attributes = component.attributes.iter();
    let attributes = attributes.filter(|attribute| !attribute.name.starts_with("packer_"));
    let lower = |attribute: &Attribute| {
        let expr = match (place, attribute.name.as_str()) {
            // These name builders as they are written.
            (Position::Step, "only" | "except") => attribute.expr.clone(),
            (Position::Step, "override") => actions::lower_values(&attribute.expr, place),
            _ => actions::lower(&attribute.expr, place),
        };
        Attribute { expr, ..attribute.clone() }
    };
    Block {
        kind: kind.to_owned(),
        labels: vec![label(&component.ty)],
        body: Body {
            attributes: attributes.map(lower).collect(),
            blocks: Vec::new(),
            span: component.span,
            syntax: Syntax::LegacyJson,
        },
        // All of it would fill the screen.
        header: component.ty.span,
    }
}

fn label(text: &Text) -> Label {
    Label { text: text.text.clone(), span: text.span }
}
