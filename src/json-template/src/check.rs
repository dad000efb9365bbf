//! What can be wrong with a template whose form is right.

use ingot_hcl::ast::ExprKind;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::source::Span;

use crate::template::{Component, Template, Text, text};

impl Template {
    /// Reports what Packer refuses of a template before it looks at any plugin: no builders, two of
    /// one name, and names in `only`, `except` and `override` that no builder has.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        if self.builders.is_empty() {
            diagnostics.push(
                Diagnostic::error("there is no builder, so there is nothing to build")
                    .at(Span { end: self.span.start + 1, ..self.span })
                    .help("write \"builders\": [ { \"type\": \"…\" } ]"),
            );
            return;
        }
        let names: Vec<&str> = self.builders.iter().map(|one| one.label().text.as_str()).collect();
        for step in &self.provisioners {
            let overrides = step.attribute("override").map(|attribute| &attribute.expr.kind);
            let overridden = match overrides {
                Some(ExprKind::Object(items)) => {
                    items.iter().filter_map(|(key, _)| text(key)).collect()
                }
                _ => Vec::new(),
            };
            selection(step, overridden, &names, diagnostics);
        }
        // The `override` of a post-processor is its own: vagrant's names providers.
        for step in self.post_processors.iter().flatten() {
            selection(step, Vec::new(), &names, diagnostics);
        }
    }

    /// Reports builders of one name, which Packer does even if only the syntax is checked.
    pub(crate) fn distinct_builders(&self, diagnostics: &mut Diagnostics) {
        for (index, builder) in self.builders.iter().enumerate() {
            let label = builder.label();
            let first = self.builders[..index].iter().find(|one| one.label().text == label.text);
            let Some(first) = first else { continue };
            let name = &label.text;
            diagnostics.push(
                Diagnostic::error(format!("two builders are called `{name}`"))
                    .at(label.span)
                    .also(first.label().span, "first here")
                    .help("give each a name of its own: \"name\": \"…\""),
            );
        }
    }
}

/// Reports names of builders that there are not, in `only`, `except` and what `override` names.
fn selection(
    step: &Component,
    overridden: Vec<Text>,
    names: &[&str],
    diagnostics: &mut Diagnostics,
) {
    let (only, except) = (step.texts("only"), step.texts("except"));
    let both = [step.attribute("only"), step.attribute("except")];
    if let [Some(first), Some(second)] = both
        && !only.is_empty()
        && !except.is_empty()
    {
        diagnostics.push(
            Diagnostic::error("`only` and `except` exclude each other")
                .at(second.name_span)
                .also(first.name_span, "the other one")
                .help("keep one of the two"),
        );
    }
    for Text { text: name, span } in only.iter().chain(&except).chain(&overridden) {
        if names.contains(&name.as_str()) {
            continue;
        }
        diagnostics.push(
            Diagnostic::error(format!("no builder is called `{name}`")).at(*span).suggest_or_list(
                name,
                "builders here",
                names.iter().copied(),
            ),
        );
    }
}
