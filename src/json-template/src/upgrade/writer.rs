//! Writes blocks of a template: what all kinds of them need.

use hcl_edit::Ident;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, BlockBuilder, Structure};
use ingot_hcl::ast::{self, ExprKind};

use super::actions::Translator;
use super::components::{Kind, Plugins};
use super::names::Names;
use super::{layout, values};
use crate::template::{Component, Template};

/// Writes the blocks of one template.
pub(super) struct Writer<'a> {
    pub(super) template: &'a Template,
    pub(super) plugins: &'a dyn Plugins,
    pub(super) names: &'a Names,
    pub(super) annotate: bool,
    pub(super) left: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn translator(&self, kind: Option<Kind>) -> Translator<'a> {
        Translator::new(self.names, kind)
    }

    /// Adds the options of a component; `own` are those that are the engine's own.
    pub(super) fn options(
        &mut self,
        mut block: BlockBuilder,
        kind: Kind,
        component: &Component,
        own: &[&str],
        timestamp: &mut bool,
    ) -> BlockBuilder {
        let mut blocks = Vec::new();
        for attribute in &component.attributes {
            let name = attribute.name.as_str();
            if matches!(attribute.expr.kind, ExprKind::Null) {
                continue;
            }
            let mut translator = self.translator(Some(kind));
            translator.names_amis = component.ty.text.starts_with("amazon-");
            let structures = match name {
                "only" | "except" if own.contains(&name) => {
                    vec![self.selection(name, component).into()]
                }
                "override" if own.contains(&name) => {
                    let renamed = self.renamed_override(&attribute.expr);
                    let options =
                        values::Options { plugins: self.plugins, kind, ty: &component.ty.text };
                    let value = options.overrides(&renamed, &mut translator);
                    vec![Attribute::new(Ident::new(name), value).into()]
                }
                _ if own.contains(&name) => {
                    let value = translator.value(&attribute.expr);
                    vec![Attribute::new(Ident::new(name), value).into()]
                }
                _ => {
                    let options =
                        values::Options { plugins: self.plugins, kind, ty: &component.ty.text };
                    options.written(attribute, &mut Vec::new(), &mut translator)
                }
            };
            *timestamp |= translator.uses_timestamp;
            let notes = std::mem::take(&mut translator.notes);
            self.left += notes.len();
            let mut structures = structures.into_iter().peekable();
            if let Some(first) = structures.peek_mut() {
                layout::put_notes(first, &notes);
            }
            for structure in structures {
                match structure {
                    Structure::Attribute(attribute) => block = block.attribute(attribute),
                    block => blocks.push(block),
                }
            }
        }
        // Blocks come last, as people write them.
        for mut inner in blocks {
            layout::put_before(&mut inner, "\n");
            block = block.structure(inner);
        }
        block
    }

    /// `only` and `except`, with the names that sources have now.
    fn selection(&self, name: &str, component: &Component) -> Attribute {
        let renamed = component.texts(name).into_iter().map(|text| {
            let builder = self.template.builders.iter().find(|one| one.label().text == text.text);
            Expression::from(match builder {
                Some(builder) => {
                    format!("{}.{}", builder.ty.text, self.names.source(&text.text))
                }
                None => text.text,
            })
        });
        Attribute::new(Ident::new(name), layout::list(renamed.collect()))
    }

    /// `override`, with the names that sources have now.
    fn renamed_override(&self, expr: &ast::Expr) -> ast::Expr {
        let ExprKind::Object(items) = &expr.kind else { return expr.clone() };
        let items = items.iter().map(|(key, value)| {
            let kind = match &key.kind {
                ExprKind::String(name) => ExprKind::String(self.names.source(name).to_owned()),
                other => other.clone(),
            };
            (ast::Expr { kind, span: key.span }, value.clone())
        });
        ast::Expr { kind: ExprKind::Object(items.collect()), span: expr.span }
    }
}
