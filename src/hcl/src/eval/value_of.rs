//! Expressions whose errors are reported: besides the first, the names that do not exist either.

use super::text::filled;
use super::{Result, eval, unknown_root};
use crate::ast::{BinaryOp, Expr, ExprKind, TemplatePart};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scope::Scope;
use crate::value::Value;

/// As many errors of one expression are reported.
const MOST: usize = 20;

/// The value of an expression. If it has none, `diagnostics` gets the first error, and one for each
/// other name in it that does not exist, so that all can be corrected at once.
pub fn value_of(expr: &Expr, scope: &Scope, diagnostics: &mut Diagnostics) -> Option<Value> {
    let first = match eval(expr, scope) {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let mut errors = Errors { scope, found: vec![first] };
    errors.look_at(expr);
    diagnostics.extend(errors.found);
    None
}

struct Errors<'a> {
    scope: &'a Scope<'a>,
    found: Vec<Diagnostic>,
}

impl Errors<'_> {
    /// Looks for names in what has a value wherever `expr` has one. What need not have one, such as
    /// the results of a condition and the arguments of `try`, may name what does not exist.
    fn look_at(&mut self, expr: &Expr) {
        if unknown_root(expr, self.scope).is_some() || expr.reference().is_some() {
            self.add(eval(expr, self.scope));
            return;
        }
        match &expr.kind {
            ExprKind::Conditional(parts) => self.look_at(&parts[0]),
            // One side may be enough, whichever it is.
            ExprKind::Binary(BinaryOp::And | BinaryOp::Or, _) => {}
            ExprKind::Call { name, args, .. } => {
                let values = match name.as_str() {
                    "can" | "try" => 0,
                    // Its second argument is a type.
                    "convert" => 1,
                    _ => args.len(),
                };
                args.iter().take(values).for_each(|arg| self.look_at(arg));
            }
            // There may be no item, and an item has a name.
            ExprKind::For(inner) => self.look_at(&inner.collection),
            ExprKind::Splat { source, .. } => self.look_at(source),
            ExprKind::Template(parts, _) => parts.iter().for_each(|part| self.look_at_part(part)),
            _ => expr.children().into_iter().for_each(|part| self.look_at(part)),
        }
    }

    fn look_at_part(&mut self, part: &TemplatePart) {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(inner) if unknown_root(inner, self.scope).is_some() => {
                self.add(filled(inner, self.scope));
            }
            TemplatePart::Interpolation(inner) => self.look_at(inner),
            TemplatePart::If(condition, ..) => self.look_at(condition),
            TemplatePart::For { collection, .. } => self.look_at(collection),
        }
    }

    /// Adds an error that is not known yet, be it at another place.
    fn add(&mut self, result: Result) {
        let Err(error) = result else { return };
        let known = self.found.iter().any(|other| other.message == error.message);
        if !known && self.found.len() < MOST {
            self.found.push(error);
        }
    }
}
