//! Templates: texts with `${…}` and `%{…}` in them.

use std::collections::BTreeMap;

use super::repeat::{Iteration, iterate};
use super::{Result, Use, condition_of, eval, unknown_name, unknown_root};
use crate::ast::{Expr, TemplatePart};
use crate::convert::convert;
use crate::diagnostic::Diagnostic;
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;

/// A template's text, or what a lone `${…}` in quotes stands for.
pub(super) fn template(parts: &[TemplatePart], lone: bool, scope: &Scope) -> Result {
    if let ([TemplatePart::Interpolation(inner)], true) = (parts, lone) {
        return filled(inner, scope);
    }
    let mut text = Some(String::new());
    let mut sensitive = false;
    write_parts(parts, scope, &mut text, &mut sensitive)?;
    let value = match text {
        Some(text) => Value::from(text),
        None => Value::unknown(Type::String),
    };
    Ok(value.mark(sensitive))
}

/// What stands in `${…}`.
pub(super) fn filled(inner: &Expr, scope: &Scope) -> Result {
    match unknown_root(inner, scope) {
        Some(root) => Err(unknown_name(root, Use::Text, scope)),
        None => eval(inner, scope),
    }
}

/// Appends what the parts come to; `text` becomes none once something unknown is in it.
fn write_parts(
    parts: &[TemplatePart],
    scope: &Scope,
    text: &mut Option<String>,
    sensitive: &mut bool,
) -> Result<()> {
    for part in parts {
        match part {
            TemplatePart::Literal(literal) => {
                if let Some(text) = text {
                    text.push_str(literal);
                }
            }
            TemplatePart::Interpolation(inner) => {
                let value = filled(inner, scope)?;
                *sensitive |= value.sensitive;
                let invalid = |label: String| {
                    Diagnostic::error("this cannot be part of a string").at(inner.span).label(label)
                };
                if value.is_null() {
                    return Err(invalid("it is null".into()));
                }
                let value = convert(&value, &Type::String).map_err(|error| {
                    invalid(error.to_string())
                        .help("convert it to a string first: jsonencode(…), join(…)")
                })?;
                match (value.as_str(), &mut *text) {
                    (Some(piece), Some(text)) => text.push_str(piece),
                    _ => *text = None,
                }
            }
            TemplatePart::If(condition, yes, no) => {
                let truth = condition_of(condition, scope)?;
                *sensitive |= truth.sensitive;
                match truth.as_bool() {
                    Some(true) => write_parts(yes, scope, text, sensitive)?,
                    Some(false) => write_parts(no, scope, text, sensitive)?,
                    None => *text = None,
                }
            }
            TemplatePart::For { key, value, collection, body } => {
                match iterate(collection, scope)? {
                    Iteration::Unknown(value) => {
                        *sensitive |= value.sensitive;
                        *text = None;
                    }
                    Iteration::Items(entries, secret) => {
                        *sensitive |= secret;
                        for (item_key, item) in entries {
                            let mut names = BTreeMap::from([(value.clone(), item)]);
                            names.extend(key.iter().map(|name| (name.clone(), item_key.clone())));
                            write_parts(body, &scope.with(names), text, sensitive)?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
