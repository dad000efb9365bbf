//! Templates: texts with `${…}` and `%{…}` in them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::repeat::{Iteration, iterate};
use super::{Result, Use, condition_of, eval, unknown_name, unknown_root};
use crate::ast::{Expr, TemplatePart};
use crate::convert::convert;
use crate::diagnostic::Diagnostic;
use crate::functions::FoundSecret;
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;

/// A template's text, or what a lone `${…}` in quotes stands for.
pub(super) fn template(parts: &[TemplatePart], lone: bool, scope: &Scope) -> Result {
    if let ([TemplatePart::Interpolation(inner)], true) = (parts, lone) {
        return filled(inner, scope);
    }
    let mut composed = Composed { text: Some(String::new()), ..Composed::default() };
    write_parts(parts, scope, &mut composed)?;
    composed.add_secrets(scope);
    let value = match composed.text {
        Some(text) => Value::from(text),
        None => Value::unknown(Type::String),
    };
    Ok(value.mark(composed.sensitive))
}

/// What a template comes to.
#[derive(Default)]
struct Composed {
    /// None once something unknown is in it.
    text: Option<String>,
    sensitive: bool,
    /// The parts of the text that are made of secrets.
    secrets: Vec<Range<usize>>,
}

impl Composed {
    /// Where the next part of the text begins.
    fn end(&self) -> usize {
        self.text.as_ref().map_or(0, String::len)
    }

    fn push(&mut self, piece: &str) {
        if let Some(text) = &mut self.text {
            text.push_str(piece);
        }
    }

    /// Everything from `start` on depends on a secret, if `sensitive`.
    fn mark(&mut self, sensitive: bool, start: usize) {
        if sensitive {
            self.sensitive = true;
            self.secrets.push(start..self.end());
        }
    }

    /// Adds a text of several lines to the secrets of the run, with the lines that secrets are part
    /// of: the others are the template's own, and hiding "done" hides it in all output.
    fn add_secrets(&self, scope: &Scope) {
        let Some(text) = self.text.as_ref().filter(|text| self.sensitive && text.contains('\n'))
        else {
            return;
        };
        let mut start = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let without_newline = start + line.trim_end_matches('\n').len();
            // One that is empty counts for the line in which it stands: that it is empty is secret.
            let within = |secret: &Range<usize>| match secret.is_empty() {
                true => (start..=without_newline).contains(&secret.start),
                false => secret.start < end && start < secret.end,
            };
            if self.secrets.iter().any(within) {
                lines.push(line.trim());
            }
            start = end;
        }
        scope.functions().secrets.add(FoundSecret::Composed { text, lines: &lines });
    }
}

/// What stands in `${…}`.
pub(super) fn filled(inner: &Expr, scope: &Scope) -> Result {
    match unknown_root(inner, scope) {
        Some(root) => Err(unknown_name(root, Use::Text, scope)),
        None => eval(inner, scope),
    }
}

/// Appends what the parts come to.
fn write_parts(parts: &[TemplatePart], scope: &Scope, composed: &mut Composed) -> Result<()> {
    for part in parts {
        let start = composed.end();
        match part {
            TemplatePart::Literal(literal) => composed.push(literal),
            TemplatePart::Interpolation(inner) => {
                let value = filled(inner, scope)?;
                let invalid = |label: String| {
                    Diagnostic::error("this cannot be part of a string").at(inner.span).label(label)
                };
                if value.is_null() {
                    return Err(invalid("it is null".into()));
                }
                let sensitive = value.sensitive;
                let value = convert(&value, &Type::String).map_err(|error| {
                    invalid(error.to_string())
                        .help("convert it to a string first: jsonencode(…), join(…)")
                })?;
                match value.as_str() {
                    Some(piece) => composed.push(piece),
                    None => composed.text = None,
                }
                composed.mark(sensitive, start);
            }
            TemplatePart::If(condition, yes, no) => {
                let truth = condition_of(condition, scope)?;
                match truth.as_bool() {
                    Some(true) => write_parts(yes, scope, composed)?,
                    Some(false) => write_parts(no, scope, composed)?,
                    None => composed.text = None,
                }
                composed.mark(truth.sensitive, start);
            }
            TemplatePart::For { key, value, collection, body } => {
                match iterate(collection, scope)? {
                    Iteration::Unknown(value) => {
                        composed.text = None;
                        composed.mark(value.sensitive, start);
                    }
                    Iteration::Items(entries, secret) => {
                        for (item_key, item) in entries {
                            let mut names = BTreeMap::from([(value.clone(), item)]);
                            names.extend(key.iter().map(|name| (name.clone(), item_key.clone())));
                            write_parts(body, &scope.with(names), composed)?;
                        }
                        composed.mark(secret, start);
                    }
                }
            }
        }
    }
    Ok(())
}
