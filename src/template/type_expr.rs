//! Type constraints: `type = list(string)`.

use std::collections::BTreeMap;

use super::eval::eval;
use super::scope::Scope;
use super::types::{AttributeType, Type};
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::diagnostic::Diagnostic;

const KEYWORDS: &[&str] =
    &["string", "number", "bool", "any", "list", "set", "map", "object", "tuple", "optional"];

/// Reads a type constraint. `scope` is for the defaults in `optional(type, default)`.
///
/// # Errors
/// It is not a type.
pub fn parse(expr: &Expr, scope: &Scope) -> Result<Type, Diagnostic> {
    match &expr.kind {
        ExprKind::Paren(inner) => parse(inner, scope),
        ExprKind::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            // Bare collections are an old form that people still write.
            "list" => Ok(Type::list(Type::Dynamic)),
            "set" => Ok(Type::set(Type::Dynamic)),
            "map" => Ok(Type::map(Type::Dynamic)),
            name => Err(Diagnostic::error(format!("`{name}` is not a type"))
                .at(expr.span)
                .suggest(name, KEYWORDS.iter().copied())
                .note("types are string, number, bool, any, list(…), set(…), map(…), object({…}) and tuple([…])")),
        },
        // The form that HCL had before types were expressions: type = "string".
        ExprKind::String(name) => {
            let bare = Expr { kind: ExprKind::Variable(name.clone()), span: expr.span };
            parse(&bare, scope)
        }
        ExprKind::Call { name, args, name_span, .. } => match (name.as_str(), args.as_slice()) {
            ("list", [item]) => parse(item, scope).map(Type::list),
            ("set", [item]) => parse(item, scope).map(Type::set),
            ("map", [item]) => parse(item, scope).map(Type::map),
            ("object", [Expr { kind: ExprKind::Object(items), .. }]) => {
                let attributes = items.iter().map(|(key, value)| attribute(key, value, scope));
                attributes.collect::<Result<BTreeMap<_, _>, _>>().map(Type::Object)
            }
            ("object", _) => Err(Diagnostic::error("`object` takes the types of its attributes")
                .at(expr.span)
                .help("write object({ name = string })")),
            ("tuple", [Expr { kind: ExprKind::Tuple(items), .. }]) => {
                items.iter().map(|item| parse(item, scope)).collect::<Result<_, _>>().map(Type::Tuple)
            }
            ("tuple", _) => Err(Diagnostic::error("`tuple` takes a list of types")
                .at(expr.span)
                .help("write tuple([string, number])")),
            ("list" | "set" | "map", _) => {
                Err(Diagnostic::error(format!("`{name}` takes one type"))
                    .at(expr.span)
                    .help(format!("write {name}(string)")))
            }
            ("optional", _) => {
                Err(Diagnostic::error("`optional` is only for attributes of an object")
                    .at(expr.span))
            }
            (name, _) => Err(Diagnostic::error(format!("`{name}` is not a type"))
                .at(*name_span)
                .suggest(name, KEYWORDS.iter().copied())),
        },
        _ => Err(Diagnostic::error("this is not a type")
            .at(expr.span)
            .help("types are written like string, list(string) or object({ name = string })")),
    }
}

fn attribute(
    key: &Expr,
    value: &Expr,
    scope: &Scope,
) -> Result<(String, AttributeType), Diagnostic> {
    let ExprKind::String(name) = &key.kind else {
        return Err(Diagnostic::error("an attribute is named by a plain word").at(key.span));
    };
    let attribute = match &value.kind {
        ExprKind::Call { name, args, .. } if name == "optional" => match args.as_slice() {
            [ty] => AttributeType { ty: parse(ty, scope)?, optional: true, default: None },
            [ty, default] => AttributeType {
                ty: parse(ty, scope)?,
                optional: true,
                default: Some(eval(default, scope)?),
            },
            _ => {
                return Err(Diagnostic::error("`optional` takes a type and perhaps a default")
                    .at(value.span));
            }
        },
        _ => AttributeType::required(parse(value, scope)?),
    };
    Ok((name.clone(), attribute))
}
