//! Type constraints: `type = list(string)`.

use std::collections::BTreeMap;

use super::constant::{Purpose, constant};
use super::convert::convert;
use super::functions::FunctionContext;
use super::types::{AttributeType, Type};
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::{Diagnostic, closest};

const KEYWORDS: &[&str] =
    &["string", "number", "bool", "any", "list", "set", "map", "object", "tuple"];
const TYPES: &str =
    "types are string, number, bool, any, list(…), set(…), map(…), object({…}) and tuple([…])";

/// Reads a type constraint. `functions` is for the defaults in `optional(type, default)`.
///
/// # Errors
/// It is not a type.
pub fn parse(expr: &Expr, functions: &FunctionContext) -> Result<Type, Diagnostic> {
    match &expr.kind {
        ExprKind::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            "list" | "set" | "map" => Err(Diagnostic::error(format!("`{name}` of what?"))
                .at(expr.span)
                .help(format!("write the type of the items: {name}(string), or {name}(any)"))),
            "object" => Err(object_form(expr)),
            "tuple" => Err(tuple_form(expr)),
            name => Err(no_type(name, expr)),
        },
        ExprKind::String(name) => {
            let diagnostic = Diagnostic::error("a type is written without quotes").at(expr.span);
            Err(match closest(name, KEYWORDS.iter().copied()) {
                Some(name) => diagnostic.help(format!("write type = {name}")),
                None => diagnostic.note(TYPES),
            })
        }
        ExprKind::Call { name, args, name_span, .. } => match (name.as_str(), args.as_slice()) {
            ("list", [item]) => parse(item, functions).map(Type::list),
            ("set", [item]) => parse(item, functions).map(Type::set),
            ("map", [item]) => parse(item, functions).map(Type::map),
            ("object", [Expr { kind: ExprKind::Object(items), .. }]) => object(items, functions),
            ("object", _) => Err(object_form(expr)),
            ("tuple", [Expr { kind: ExprKind::Tuple(items), .. }]) => {
                let items = items.iter().map(|item| parse(item, functions));
                items.collect::<Result<_, _>>().map(Type::Tuple)
            }
            ("tuple", _) => Err(tuple_form(expr)),
            ("list" | "set" | "map", _) => {
                Err(Diagnostic::error(format!("`{name}` takes one type"))
                    .at(expr.span)
                    .help(format!("write {name}(string)")))
            }
            ("string" | "number" | "bool" | "any", _) => {
                Err(Diagnostic::error(format!("`{name}` takes no arguments"))
                    .at(expr.span)
                    .help(format!("write {name}")))
            }
            ("optional", _) => {
                Err(Diagnostic::error("`optional` is only for attributes of an object")
                    .at(expr.span)
                    .help("write object({ name = optional(string) })"))
            }
            (name, _) => Err(no_type(name, &Expr { span: *name_span, ..expr.clone() })),
        },
        _ => Err(Diagnostic::error("this is not a type").at(expr.span).note(TYPES)),
    }
}

fn no_type(name: &str, expr: &Expr) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("`{name}` is not a type")).at(expr.span);
    diagnostic.suggest(name, KEYWORDS.iter().copied()).note(TYPES)
}

fn object_form(expr: &Expr) -> Diagnostic {
    Diagnostic::error("`object` takes the types of its attributes")
        .at(expr.span)
        .help("write object({ name = string })")
}

fn tuple_form(expr: &Expr) -> Diagnostic {
    Diagnostic::error("`tuple` takes a list of types")
        .at(expr.span)
        .help("write tuple([string, number])")
}

fn object(items: &[(Expr, Expr)], functions: &FunctionContext) -> Result<Type, Diagnostic> {
    let mut attributes = BTreeMap::new();
    for (key, value) in items {
        let ExprKind::String(name) = &key.kind else {
            return Err(Diagnostic::error("an attribute is named by a plain word").at(key.span));
        };
        if attributes.insert(name.clone(), attribute(value, functions)?).is_some() {
            return Err(Diagnostic::error(format!("the attribute `{name}` is there twice"))
                .at(key.span)
                .help("keep one of the two"));
        }
    }
    Ok(Type::Object(attributes))
}

fn attribute(value: &Expr, functions: &FunctionContext) -> Result<AttributeType, Diagnostic> {
    let args = match &value.kind {
        ExprKind::Call { name, args, .. } if name == "optional" => args.as_slice(),
        _ => return Ok(AttributeType::required(parse(value, functions)?)),
    };
    let (ty, default) = match args {
        [ty] => (ty, None),
        [ty, default] => (ty, Some(default)),
        _ => {
            return Err(Diagnostic::error("`optional` takes a type and perhaps a default")
                .at(value.span)
                .help("write optional(string) or optional(string, \"default\")"));
        }
    };
    let ty = parse(ty, functions)?;
    let default = match default {
        None => None,
        Some(expr) => {
            let value = constant(expr, Purpose::Default("an attribute"), functions)?;
            convert(&value, &ty).map_err(|error| {
                Diagnostic::error("this default does not fit the type of its attribute")
                    .at(expr.span)
                    .label(error.to_string())
                    .note(format!("its type is {ty}"))
            })?;
            Some(value)
        }
    };
    Ok(AttributeType { ty, optional: true, default })
}
