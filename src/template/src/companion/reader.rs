//! Reading the arguments of a block.

use std::time::Duration;

use ingot_hcl::ast::Body;
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::value_of;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::Value;
use ingot_sdk::GoDuration;

/// Reads the arguments of a block.
pub(super) struct Reader<'a> {
    pub body: &'a Body,
    pub scope: &'a Scope<'a>,
    pub unknowns: Unknowns,
    pub diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// The value of an argument, if it is there, in order and known.
    pub(super) fn value(&mut self, name: &str, ty: &Type) -> Option<Value> {
        let expr = &self.body.attribute(name)?.expr;
        let value = value_of(expr, self.scope, self.diagnostics)?;
        if value.is_null() || !self.unknowns.check(name, &value, expr, self.diagnostics) {
            return None;
        }
        let value = self.diagnostics.keep(attribute::fitting(&value, name, ty, expr))?;
        self.scope.add_secrets(&value);
        value.is_wholly_known().then_some(value)
    }

    pub(super) fn bool(&mut self, name: &str) -> Option<bool> {
        self.value(name, &Type::Bool)?.as_bool()
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, &Type::String)?.as_str().map(str::to_owned)
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        match GoDuration::parse(&text) {
            Ok(duration) => Some(duration.0),
            Err(error) => {
                self.invalid(name, &format!("`{name}`: {error}"));
                None
            }
        }
    }

    /// Where the value of an argument stands.
    pub(super) fn place(&self, name: &str) -> Option<Span> {
        self.body.attribute(name).map(|attribute| attribute.expr.span)
    }

    pub(super) fn invalid(&mut self, name: &str, message: &str) {
        let place = self.place(name).unwrap_or(self.body.span);
        self.diagnostics.push(Diagnostic::error(message).at(place));
    }
}
