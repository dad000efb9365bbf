//! `validation` blocks of variables.

use std::collections::BTreeMap;

use super::block_form::only;
use ingot_hcl::ast::{Block, Expr};
use ingot_hcl::attribute;
use ingot_hcl::convert::convert;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::eval;
use ingot_hcl::functions::FunctionContext;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::value::Value;

/// A rule for the value of a variable.
pub(super) struct Rule<'a> {
    condition: &'a Expr,
    message: String,
}

/// Reads a variable's rules.
pub(super) fn rules<'a>(
    name: &str,
    variable: &'a Block,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> Vec<Rule<'a>> {
    let blocks = variable.body.blocks_of("validation");
    blocks.filter_map(|block| rule(name, block, functions, diagnostics)).collect()
}

fn rule<'a>(
    name: &str,
    block: &'a Block,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) -> Option<Rule<'a>> {
    if !block.labels.is_empty() {
        diagnostics
            .push(Diagnostic::error("`validation` takes no labels").at(block.labels[0].span));
    }
    let attributes = ["condition", "error_message"];
    let fine = only(&block.body, &attributes, &[], diagnostics);
    let mut complete = fine;
    for attribute in attributes {
        // One that is missing because it is misspelt was reported.
        if fine && block.body.attribute(attribute).is_none() {
            complete = false;
            diagnostics.push(
                Diagnostic::error(format!("this validation has no `{attribute}`"))
                    .at(block.header)
                    .help("a validation has a `condition` and an `error_message`"),
            );
        }
    }
    let text =
        attribute::constant(&block.body, "error_message", &Type::String, functions, diagnostics);
    let message = text.as_ref().and_then(Value::as_str).map(str::to_owned);
    if let (Some(message), Some(attribute)) = (&message, block.body.attribute("error_message"))
        && !is_sentence(message)
    {
        complete = false;
        diagnostics.push(
            Diagnostic::error("`error_message` is not a sentence")
                .at(attribute.expr.span)
                .help("start with a capital letter and end with a full stop, `?` or `!`"),
        );
    }
    let condition = &block.body.attribute("condition")?.expr;
    complete &= looks_at_own(name, condition, diagnostics);
    (complete).then_some(Rule { condition, message: message? })
}

/// Whether a condition looks at its own variable, and at nothing else.
fn looks_at_own(name: &str, condition: &Expr, diagnostics: &mut Diagnostics) -> bool {
    let own = ["var", name];
    let (mine, others): (Vec<&Expr>, Vec<&Expr>) = condition
        .references()
        .into_iter()
        .partition(|reference| reference.reference().is_some_and(|path| path.starts_with(&own)));
    for other in &others {
        let path = other.reference().unwrap_or_default().join(".");
        diagnostics.push(
            Diagnostic::error(format!("the validation of `{name}` cannot look at `{path}`"))
                .at(other.span)
                .help(format!("a condition looks at its own variable only: var.{name}")),
        );
    }
    if mine.is_empty() && others.is_empty() {
        diagnostics.push(
            Diagnostic::error(format!("this condition does not look at var.{name}"))
                .at(condition.span)
                .label("it is the same for every value"),
        );
    }
    others.is_empty() && !mine.is_empty()
}

fn is_sentence(text: &str) -> bool {
    let text = text.trim();
    let lower =
        text.chars().next().is_none_or(|first| first.is_alphabetic() && !first.is_uppercase());
    !lower && text.ends_with(['.', '?', '!'])
}

/// Checks a variable's value. `place` is where the value comes from, `header` where the variable
/// is declared.
pub(super) fn check(
    rules: &[Rule],
    name: &str,
    value: &Value,
    place: Option<Span>,
    header: Span,
    functions: &FunctionContext,
    diagnostics: &mut Diagnostics,
) {
    let own = Value::object(BTreeMap::from([(name.to_owned(), value.clone())]));
    let scope = Scope::new(BTreeMap::from([("var".to_owned(), own)]), functions);
    for Rule { condition, message } in rules {
        let truth = eval(condition, &scope).and_then(|truth| {
            let bad = |label: String| {
                Diagnostic::error("a condition is true or false").at(condition.span).label(label)
            };
            match truth.is_null() {
                true => Err(bad("this is null".into())),
                false => convert(&truth, &Type::Bool).map_err(|error| bad(error.to_string())),
            }
        });
        let Some(truth) = diagnostics.keep(truth) else { continue };
        if truth.as_bool() != Some(false) {
            continue;
        }
        // The source line would show a secret.
        let place = place.filter(|_| !value.holds_secret());
        let diagnostic = match place {
            Some(place) => Diagnostic::error(message).at(place).label("this value is refused"),
            None => {
                Diagnostic::error(message).at(header).label("the value of this variable is refused")
            }
        };
        diagnostics.push(diagnostic.also(condition.span, "this is false"));
    }
}
