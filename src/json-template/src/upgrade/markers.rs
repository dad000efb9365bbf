//! `${` and `%{` in literal text, where they begin no expression.
//!
//! `hcl_edit` escapes these markers as it writes a literal. It looks at the characters behind the first
//! one in pairs, though, and misses some of the others, such as the second in `${f%${ext}}`. So a literal
//! with several markers is cut into pieces of one each.

use hcl_edit::Decorate as _;
use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use hcl_edit::template::{Element, StringTemplate, Template};
use hcl_edit::visit_mut::{self, VisitMut};

use super::actions::{call, interpolated};

/// Cuts the literals of a body, but for the keys of objects, which the visitor cannot change.
pub(super) fn cut_in_body(body: &mut Body) {
    Cutter { in_template: false }.visit_body_mut(body);
}

/// Cuts the literals of an expression.
pub(super) fn cut(mut expression: Expression) -> Expression {
    Cutter { in_template: false }.visit_expr_mut(&mut expression);
    expression
}

struct Cutter {
    in_template: bool,
}

impl VisitMut for Cutter {
    fn visit_expr_mut(&mut self, expression: &mut Expression) {
        let Expression::String(text) = expression else {
            return visit_mut::visit_expr_mut(self, expression);
        };
        let pieces = pieces(text.as_str());
        if pieces.len() < 2 {
            return;
        }
        let whole: Expression = match self.in_template {
            // A template within a template ends `hcl_edit`'s escaping of the outer one.
            true => call("join", vec!["".into(), Expression::from(pieces)]),
            false => StringTemplate::from_iter(pieces).into(),
        };
        let decor = std::mem::take(text.decor_mut());
        *expression = whole.decorated(decor);
    }

    fn visit_string_template_mut(&mut self, template: &mut StringTemplate) {
        cut_template(template);
        let outer = std::mem::replace(&mut self.in_template, true);
        visit_mut::visit_string_template_mut(self, template);
        self.in_template = outer;
    }

    fn visit_template_mut(&mut self, template: &mut Template) {
        cut_template(template);
        visit_mut::visit_template_mut(self, template);
    }
}

/// Cuts the literals of a template; those that follow each other are one text.
fn cut_template(template: &mut Template) {
    let mut elements: Vec<Element> = Vec::with_capacity(template.len());
    let mut text = String::new();
    for element in std::mem::take(template) {
        if let Element::Literal(literal) = &element {
            text.push_str(literal);
            continue;
        }
        // `$` right before `${` would escape it.
        let dollars = text.split_off(text.trim_end_matches('$').len());
        elements.extend(pieces(&text).into_iter().map(Element::from));
        if !dollars.is_empty() {
            elements.push(interpolated(dollars.into()));
        }
        elements.push(element);
        text.clear();
    }
    elements.extend(pieces(&text).into_iter().map(Element::from));
    *template = elements.into();
}

/// A text in pieces with one marker each at most.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut seen) = (0, false);
    for (at, pair) in text.as_bytes().windows(2).enumerate() {
        if !matches!(pair, b"${" | b"%{") {
            continue;
        }
        if seen {
            pieces.push(&text[start..at]);
            start = at;
        }
        seen = true;
    }
    pieces.push(&text[start..]);
    pieces
}
