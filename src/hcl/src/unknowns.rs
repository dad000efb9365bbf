//! What a value that is not known yet means where it is used.

use super::value::Value;
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Span;

/// Whether values that are not known yet are a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknowns {
    /// They are: what they are part of is used now.
    Refuse,
    /// They are not: what data sources fetch, and what a machine is called, is not known to those
    /// who only look.
    Allow,
}

impl Unknowns {
    /// Whether `value`, which `expr` came to and which is for `name`, can be used as far as it is
    /// known; reports it if not.
    pub fn check(
        self,
        name: &str,
        value: &Value,
        expr: &Expr,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        self.check_at(name, value, place_of_unknown(expr, value), diagnostics)
    }

    /// The same where `value` stands at `place`.
    pub fn check_at(
        self,
        name: &str,
        value: &Value,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        if self == Unknowns::Allow || value.is_wholly_known() {
            return true;
        }
        // What is unknown because of another mistake is not one more.
        if !diagnostics.has_errors() {
            diagnostics.push(unknown(name, place));
        }
        false
    }
}

/// The error that a value is not known where it is needed.
fn unknown(name: &str, place: Span) -> Diagnostic {
    let message = match name {
        "" => "this value is not known when it is needed".to_owned(),
        name => format!("the value of `{name}` is not known when it is needed"),
    };
    Diagnostic::error(message)
        .at(place)
        .label("this is known only later, or never")
        .help("use a value that is known by then: a variable, a local, or what a data source gives")
}

/// Where in `expr` the first part of its value stands that is not known.
fn place_of_unknown(expr: &Expr, value: &Value) -> Span {
    let part = match (&expr.kind, value.as_items(), value.as_entries()) {
        (ExprKind::Tuple(exprs), Some(items), _) if exprs.len() == items.len() => {
            exprs.iter().zip(items).find(|(_, item)| !item.is_wholly_known())
        }
        (ExprKind::Object(exprs), _, Some(entries)) => exprs.iter().find_map(|(key, expr)| {
            let name = match &key.kind {
                ExprKind::String(text) => text,
                ExprKind::Variable(name) => name,
                _ => return None,
            };
            let item = entries.get(name)?;
            (!item.is_wholly_known()).then_some((expr, item))
        }),
        _ => None,
    };
    part.map_or(expr.span, |(expr, item)| place_of_unknown(expr, item))
}
