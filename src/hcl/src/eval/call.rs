//! Calls of functions.

use super::{Result, eval};
use crate::ast::{Expr, ExprKind};
use crate::convert::convert as convert_to;
use crate::diagnostic::Diagnostic;
use crate::functions::{self, Failure};
use crate::scope::Scope;
use crate::source::Span;
use crate::type_expr;
use crate::types::Type;
use crate::value::Value;

/// Functions whose arguments are expressions, not values.
const SPECIAL: [&str; 3] = ["can", "convert", "try"];

/// `name(args…)`
pub(super) fn call(expr: &Expr, scope: &Scope) -> Result {
    let ExprKind::Call { name, name_span, args, expand } = &expr.kind else {
        return Ok(Value::null(Type::Dynamic));
    };
    match name.as_str() {
        "try" => return attempt(args, *expand, *name_span, scope),
        "can" => return can(args, *expand, *name_span, scope),
        "convert" => return convert(args, *name_span, scope),
        _ => {}
    }
    let Some(function) = functions::get(name) else {
        return Err(Diagnostic::error(format!("no function is called `{name}`"))
            .at(*name_span)
            .suggest(name, functions::names().chain(SPECIAL)));
    };
    let mut values = Vec::with_capacity(args.len());
    for (position, arg) in args.iter().enumerate() {
        let value = eval(arg, scope)?;
        if !(*expand && position + 1 == args.len()) {
            values.push(value);
            continue;
        }
        match spread(&value, arg)? {
            Some(items) => values.extend(items),
            None => return Ok(Value::unknown(Type::Dynamic).mark(value.sensitive)),
        }
    }
    let result = functions::call(function, &values, scope.functions()).map_err(
        |Failure { argument, message }| {
            let place = argument.and_then(|position| args.get(position)).or(args.last());
            let span = match argument {
                Some(_) => place.map_or(*name_span, |arg| arg.span),
                None => expr.span,
            };
            Diagnostic::error(format!("`{name}` failed: {message}"))
                .at(span)
                .note(format!("usage: {}", functions::signature(function)))
        },
    )?;
    // `templatefile` tells its lines apart by the secrets among its variables, not by one that they
    // are as a whole.
    if values.iter().any(|value| value.sensitive) {
        scope.add_secret_lines(&result);
    }
    Ok(result)
}

/// The items of `value`, which `arg` gives with `...` after it; none while they are not known.
fn spread(value: &Value, arg: &Expr) -> Result<Option<Vec<Value>>> {
    if value.is_unknown() && !value.ty().is_primitive() {
        return Ok(None);
    }
    match value.as_items() {
        Some(items) => {
            Ok(Some(items.iter().map(|item| item.clone().mark(value.sensitive)).collect()))
        }
        None => Err(Diagnostic::error("only a list, set or tuple can be spread with ...")
            .at(arg.span)
            .label(format!("this is {}", value.ty().with_article()))),
    }
}

/// `try(…)`: the first expression that can be evaluated. Of a list that is spread that is the first
/// item.
fn attempt(args: &[Expr], expand: bool, name: Span, scope: &Scope) -> Result {
    let mut last = Diagnostic::error("`try` needs at least one expression").at(name);
    for (position, arg) in args.iter().enumerate() {
        let mut result = eval(arg, scope);
        if let Ok(value) = &result
            && expand
            && position + 1 == args.len()
        {
            match spread(value, arg)? {
                None => return Ok(Value::unknown(Type::Dynamic).mark(value.sensitive)),
                Some(items) => match items.into_iter().next() {
                    Some(item) => result = Ok(item),
                    None => break,
                },
            }
        }
        match result {
            // What is unknown may yet turn out to fail.
            Ok(value) if !value.is_wholly_known() => {
                return Ok(Value::unknown(Type::Dynamic).mark(value.holds_secret()));
            }
            Ok(value) => return Ok(value),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// `can(…)`: whether an expression can be evaluated.
fn can(args: &[Expr], expand: bool, name: Span, scope: &Scope) -> Result {
    let ([arg], false) = (args, expand) else {
        return Err(Diagnostic::error("`can` takes one expression").at(name));
    };
    Ok(match eval(arg, scope) {
        Ok(value) if !value.is_wholly_known() => Value::unknown(Type::Bool),
        result => result.is_ok().into(),
    })
}

/// `convert(value, type)`
fn convert(args: &[Expr], name: Span, scope: &Scope) -> Result {
    let [value, ty] = args else {
        return Err(Diagnostic::error("`convert` takes a value and a type")
            .at(name)
            .help("write convert(value, list(string))"));
    };
    let value = eval(value, scope)?;
    refuse_old_forms(ty)?;
    let wanted = type_expr::parse(ty, scope.functions())?;
    convert_to(&value, &wanted).map_err(|error| {
        Diagnostic::error(format!("this cannot be converted to {wanted}"))
            .at(args[0].span)
            .label(error.to_string())
    })
}

/// Types in quotes and collections of nothing in particular are only for old declarations.
fn refuse_old_forms(ty: &Expr) -> Result<()> {
    let mut old = match &ty.kind {
        ExprKind::String(_) => Some(ty),
        _ => None,
    };
    ty.walk(&mut |part| match &part.kind {
        ExprKind::Variable(name) if matches!(&**name, "list" | "set" | "map") => old = Some(part),
        _ => {}
    });
    match old {
        None => Ok(()),
        Some(part) => Err(Diagnostic::error("this is not a complete type")
            .at(part.span)
            .help("types are written like string, list(string) or object({ name = string })")),
    }
}
