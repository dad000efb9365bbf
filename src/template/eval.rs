//! Expressions to values.

use std::collections::BTreeMap;

use super::convert::{convert, unify};
use super::functions::{self, Failure};
use super::number::Number;
use super::operators;
use super::scope::Scope;
use super::types::Type;
use super::value::{Kind, Value};
use crate::syntax::ast::{Expr, ExprKind, ForExpr, TemplatePart};
use crate::syntax::diagnostic::Diagnostic;

type Result<T = Value, E = Diagnostic> = std::result::Result<T, E>;

/// Evaluates an expression.
///
/// # Errors
/// The first thing that is wrong in it, with its place.
pub fn eval(expr: &Expr, scope: &Scope) -> Result {
    match &expr.kind {
        ExprKind::Null => Ok(Value::null(Type::Dynamic)),
        ExprKind::Bool(truth) => Ok((*truth).into()),
        ExprKind::Number(number) => Ok(number.clone().into()),
        ExprKind::String(text) => Ok(text.as_str().into()),
        ExprKind::Template(parts, lone) => template(parts, *lone, scope),
        ExprKind::Tuple(items) => {
            Ok(Value::tuple(items.iter().map(|item| eval(item, scope)).collect::<Result<_>>()?))
        }
        ExprKind::Object(items) => object(items, scope),
        ExprKind::Paren(inner) => eval(inner, scope),
        ExprKind::Variable(name) => variable(expr, name, scope),
        ExprKind::Conditional(parts) => conditional(parts, scope),
        ExprKind::Call { .. } => call(expr, scope),
        ExprKind::Attr(base, name, name_span) => {
            let value = eval(base, scope)?;
            attribute(&value, name, base).map_err(|error| error.at(*name_span))
        }
        ExprKind::Index(base, key) => {
            let value = eval(base, scope)?;
            let key_value = eval(key, scope)?;
            index(&value, &key_value).map_err(|error| error.at(key.span))
        }
        ExprKind::Splat { source, each } => splat(source, each, scope),
        ExprKind::SplatItem => {
            Ok(scope.splat_item().cloned().unwrap_or_else(|| Value::unknown(Type::Dynamic)))
        }
        ExprKind::Unary(operator, inner) => {
            operators::unary(*operator, &eval(inner, scope)?, inner)
        }
        ExprKind::Binary(operator, operands) => operators::binary(
            *operator,
            &eval(&operands[0], scope)?,
            &eval(&operands[1], scope)?,
            operands,
        ),
        ExprKind::For(inner) => for_expr(inner, scope),
    }
}

fn variable(expr: &Expr, name: &str, scope: &Scope) -> Result {
    scope.get(name).cloned().ok_or_else(|| {
        Diagnostic::error(format!("nothing is called `{name}` here"))
            .at(expr.span)
            .suggest_or_list(name, "known here", scope.names())
            .help(format!("text is written in quotes: \"{name}\""))
    })
}

fn object(items: &[(Expr, Expr)], scope: &Scope) -> Result {
    let mut attributes = BTreeMap::new();
    let mut unknown_key = false;
    let mut sensitive = false;
    for (key_expr, value_expr) in items {
        let key = eval(key_expr, scope)?;
        let value = eval(value_expr, scope)?;
        let bad = |label: String| {
            Diagnostic::error("this cannot be a key").at(key_expr.span).label(label)
        };
        if key.is_null() {
            return Err(bad("it is null".into()));
        }
        sensitive |= key.sensitive;
        let key = convert(&key, &Type::String).map_err(|error| bad(error.to_string()))?;
        match key.as_str() {
            Some(name) => drop(attributes.insert(name.to_owned(), value)),
            None => unknown_key = true,
        }
    }
    let object = match unknown_key {
        true => Value::unknown(Type::Dynamic),
        false => Value::object(attributes),
    };
    Ok(object.mark(sensitive))
}

fn conditional(parts: &[Expr; 3], scope: &Scope) -> Result {
    let [condition, yes, no] = parts;
    let truth = condition_of(condition, scope)?;
    let pick = match truth.as_bool() {
        Some(true) => yes,
        Some(false) => no,
        None => {
            let types = [eval(yes, scope)?.ty(), eval(no, scope)?.ty()];
            let ty = unify(types.into_iter()).unwrap_or(Type::Dynamic);
            return Ok(Value::unknown(ty).mark(truth.sensitive));
        }
    };
    let value = eval(pick, scope)?;
    // Both sides have one type in HCL; the side not taken may be wrong only in what it yields.
    let other = eval(if std::ptr::eq(pick, yes) { no } else { yes }, scope)?;
    let value = match unify([value.ty(), other.ty()].into_iter()) {
        Some(ty) if ty != Type::Dynamic => convert(&value, &ty).unwrap_or(value),
        Some(_) => value,
        None => {
            return Err(Diagnostic::error("the two results of this condition differ in type")
                .at(yes.span)
                .label(format!("this is {}", eval(yes, scope)?.ty().friendly()))
                .also(no.span, format!("this is {}", eval(no, scope)?.ty().friendly()))
                .help("convert one of them, for example with tostring(…)"));
        }
    };
    Ok(value.mark(truth.sensitive))
}

fn condition_of(expr: &Expr, scope: &Scope) -> Result {
    let value = eval(expr, scope)?;
    let complain =
        |label: String| Diagnostic::error("a condition is a bool").at(expr.span).label(label);
    if value.is_null() {
        return Err(complain("this is null".into()));
    }
    convert(&value, &Type::Bool).map_err(|error| complain(error.to_string()))
}

/// The attribute `name` of `value`; `base` is the expression that `value` came from.
fn attribute(value: &Value, name: &str, base: &Expr) -> Result {
    let found = match &value.kind {
        Kind::Unknown(Type::Object(attributes)) => match attributes.get(name) {
            Some(attribute) => Value::unknown(attribute.ty.clone()),
            None => return Err(missing(name, attributes.keys().map(String::as_str), base)),
        },
        Kind::Unknown(Type::Map(item)) => Value::unknown((**item).clone()),
        Kind::Unknown(Type::Dynamic) => Value::unknown(Type::Dynamic),
        Kind::Map(_, entries) | Kind::Object(entries) => match entries.get(name) {
            Some(value) => value.clone(),
            None => return Err(missing(name, entries.keys().map(String::as_str), base)),
        },
        Kind::Null(_) => {
            return Err(Diagnostic::error(format!("null has no attribute `{name}`")));
        }
        Kind::List(..) | Kind::Tuple(_) | Kind::Set(..) => {
            return Err(Diagnostic::error(format!(
                "a {} has no attribute `{name}`",
                value.ty().friendly()
            ))
            .help(format!(
                "to take `{name}` of every item, write [*].{name}; of one, [0].{name}"
            )));
        }
        _ => {
            return Err(Diagnostic::error(format!(
                "a {} has no attributes, so none called `{name}`",
                value.ty().friendly()
            )));
        }
    };
    Ok(found.mark(value.sensitive))
}

fn missing<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    base: &Expr,
) -> Diagnostic {
    let path = base.reference().map(|path| path.join("."));
    let message = match path.as_deref() {
        Some("var") => format!("no variable is called `{name}`"),
        Some("local") => format!("no local is called `{name}`"),
        Some("path") => format!("there is no path.{name}"),
        Some("build") => format!("build.{name} is not known here"),
        Some("data") => format!("no data source of type `{name}` is declared"),
        Some(path) => format!("`{path}` has no attribute `{name}`"),
        None => format!("there is no attribute `{name}` here"),
    };
    let diagnostic = Diagnostic::error(message).suggest(name, names.clone());
    let known: Vec<&str> = names.take(12).collect();
    match path.as_deref() {
        Some("build") if known.is_empty() => {
            diagnostic.help("it is known in provisioners and post-processors, when the build runs")
        }
        Some("var") if known.is_empty() => {
            diagnostic.help(format!("declare it: variable \"{name}\" {{}}"))
        }
        _ if known.is_empty() => diagnostic,
        _ => diagnostic.note(format!("known here: {}", known.join(", "))),
    }
}

fn index(value: &Value, key: &Value) -> Result {
    let sensitive = value.sensitive || key.sensitive;
    if value.is_null() {
        return Err(Diagnostic::error("null has no items"));
    }
    if key.is_null() {
        return Err(Diagnostic::error("null is no index"));
    }
    if value.is_unknown() || key.is_unknown() {
        let ty = match value.ty() {
            Type::List(item) | Type::Map(item) => *item,
            _ => Type::Dynamic,
        };
        return Ok(Value::unknown(ty).mark(sensitive));
    }
    let found = match &value.kind {
        Kind::List(_, items) | Kind::Tuple(items) => {
            let number = convert(key, &Type::Number)
                .map_err(|error| Diagnostic::error(format!("this is no index: {error}")))?;
            let position = number.as_number().and_then(Number::as_usize);
            position.and_then(|position| items.get(position)).cloned().ok_or_else(|| {
                Diagnostic::error(match items.len() {
                    0 => "the list is empty".to_owned(),
                    length => format!("the index must be a whole number from 0 to {}", length - 1),
                })
            })?
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            let name = convert(key, &Type::String)
                .map_err(|error| Diagnostic::error(format!("this is no key: {error}")))?;
            let name = name.as_str().unwrap_or_default();
            entries.get(name).cloned().ok_or_else(|| {
                Diagnostic::error(format!("there is no key {name:?} here"))
                    .suggest(name, entries.keys().map(String::as_str))
            })?
        }
        Kind::Set(..) => {
            return Err(Diagnostic::error("a set has no order, so its items have no index")
                .help("make it a list first: tolist(…)[0]"));
        }
        _ => {
            return Err(Diagnostic::error(format!("a {} has no items", value.ty().friendly())));
        }
    };
    Ok(found.mark(sensitive))
}

fn splat(source: &Expr, each: &Expr, scope: &Scope) -> Result {
    let value = eval(source, scope)?;
    if value.is_unknown() {
        return Ok(Value::unknown(Type::Dynamic).mark(value.sensitive));
    }
    let items = match value.as_items() {
        Some(items) => items.to_vec(),
        // Something that is not a list is treated as a list of itself, null as an empty one.
        None if value.is_null() => Vec::new(),
        None => vec![value.clone()],
    };
    let results = items
        .into_iter()
        .map(|item| eval(each, &scope.with_splat_item(item)))
        .collect::<Result<Vec<_>>>()?;
    let result = match &value.kind {
        Kind::List(..) | Kind::Set(..) => match unify(results.iter().map(Value::ty)) {
            Some(ty) => Value::list(ty, results),
            None => Value::tuple(results),
        },
        _ => Value::tuple(results),
    };
    Ok(result.mark(value.sensitive))
}

fn for_expr(expr: &ForExpr, scope: &Scope) -> Result {
    let (entries, sensitive) = match iterate(&expr.collection, scope)? {
        Iteration::Items(entries, sensitive) => (entries, sensitive),
        Iteration::Unknown(value) => return Ok(value),
    };
    let mut list = Vec::new();
    let mut object: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut unknown = false;
    for (key, value) in entries {
        let mut names = BTreeMap::from([(expr.value_var.clone(), value)]);
        names.extend(expr.key_var.iter().map(|name| (name.clone(), key.clone())));
        let inner = scope.with(names);
        if let Some(cond) = &expr.cond {
            match condition_of(cond, &inner)?.as_bool() {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    unknown = true;
                    continue;
                }
            }
        }
        let value = eval(&expr.value, &inner)?;
        let Some(key_expr) = &expr.key else {
            list.push(value);
            continue;
        };
        let key = eval(key_expr, &inner)?;
        let bad = |label: String| {
            Diagnostic::error("this cannot be a key").at(key_expr.span).label(label)
        };
        if key.is_null() {
            return Err(bad("it is null".into()));
        }
        let key = convert(&key, &Type::String).map_err(|error| bad(error.to_string()))?;
        let Some(name) = key.as_str() else {
            unknown = true;
            continue;
        };
        let values = object.entry(name.to_owned()).or_default();
        if !values.is_empty() && !expr.group {
            return Err(Diagnostic::error(format!("two items have the key {name:?}"))
                .at(key_expr.span)
                .help("to gather the values of equal keys in lists, write ... after the value"));
        }
        values.push(value);
    }
    let result = match (&expr.key, unknown) {
        (_, true) => Value::unknown(Type::Dynamic),
        (None, _) => Value::tuple(list),
        (Some(_), _) => Value::object(
            object
                .into_iter()
                .map(|(name, mut values)| match values.pop() {
                    Some(value) if !expr.group => (name, value),
                    last => {
                        values.extend(last);
                        (name, Value::tuple(values))
                    }
                })
                .collect(),
        ),
    };
    Ok(result.mark(sensitive))
}

enum Iteration {
    Items(Vec<(Value, Value)>, bool),
    Unknown(Value),
}

fn iterate(collection: &Expr, scope: &Scope) -> Result<Iteration> {
    let value = eval(collection, scope)?;
    if value.is_unknown() {
        return Ok(Iteration::Unknown(Value::unknown(Type::Dynamic).mark(value.sensitive)));
    }
    let complain = |what: String| {
        Diagnostic::error("`for` needs a list, set, map or object").at(collection.span).label(what)
    };
    if value.is_null() {
        return Err(complain("this is null".into()));
    }
    match value.iterate() {
        Some(entries) => Ok(Iteration::Items(entries, value.sensitive)),
        None => Err(complain(format!("this is a {}", value.ty().friendly()))),
    }
}

fn template(parts: &[TemplatePart], lone: bool, scope: &Scope) -> Result {
    if let ([TemplatePart::Interpolation(inner)], true) = (parts, lone) {
        return eval(inner, scope);
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
                let value = eval(inner, scope)?;
                *sensitive |= value.sensitive;
                let complain = |label: String| {
                    Diagnostic::error("this cannot be part of a text").at(inner.span).label(label)
                };
                if value.is_null() {
                    return Err(complain("it is null".into()));
                }
                let value = convert(&value, &Type::String).map_err(|error| {
                    complain(error.to_string())
                        .help("turn it into text first: jsonencode(…), join(…)")
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

fn call(expr: &Expr, scope: &Scope) -> Result {
    let ExprKind::Call { name, name_span, args, expand } = &expr.kind else {
        return Ok(Value::null(Type::Dynamic));
    };
    // These two are about whether an expression can be evaluated at all.
    match name.as_str() {
        "try" => {
            let mut last = Diagnostic::error("`try` needs at least one expression").at(*name_span);
            for arg in args {
                match eval(arg, scope) {
                    Ok(value) => return Ok(value),
                    Err(error) => last = error,
                }
            }
            return Err(last);
        }
        "can" => {
            let [arg] = args.as_slice() else {
                return Err(Diagnostic::error("`can` takes one expression").at(*name_span));
            };
            return Ok(match eval(arg, scope) {
                Ok(value) if !value.is_wholly_known() => Value::unknown(Type::Bool),
                result => result.is_ok().into(),
            });
        }
        _ => {}
    }
    let Some(function) = functions::get(name) else {
        return Err(Diagnostic::error(format!("no function is called `{name}`"))
            .at(*name_span)
            .suggest(name, functions::names().chain(["try", "can"])));
    };
    let mut values = Vec::with_capacity(args.len());
    for (position, arg) in args.iter().enumerate() {
        let value = eval(arg, scope)?;
        if !(*expand && position + 1 == args.len()) {
            values.push(value);
            continue;
        }
        if value.is_unknown() {
            return Ok(Value::unknown((function.returns)()).mark(value.sensitive));
        }
        match value.as_items() {
            Some(items) => {
                values.extend(items.iter().map(|item| item.clone().mark(value.sensitive)));
            }
            None => {
                return Err(Diagnostic::error("only a list, set or tuple can be spread with ...")
                    .at(arg.span)
                    .label(format!("this is a {}", value.ty().friendly())));
            }
        }
    }
    functions::call(function, &values, scope.functions()).map_err(
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
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::SourceMap;
    use crate::template::functions::FunctionContext;

    fn run(text: &str) -> Result {
        let mut sources = SourceMap::default();
        let file = sources.add("test", text);
        let expr = crate::syntax::parse::parse_expr(&sources, file)?;
        let functions = FunctionContext {
            base_dir: ".".into(),
            start: time::OffsetDateTime::UNIX_EPOCH,
            env_allowed: false,
        };
        let var = Value::object(BTreeMap::from([
            ("name".to_owned(), Value::from("web")),
            ("secret".to_owned(), Value::from("hunter2").mark(true)),
        ]));
        let names = BTreeMap::from([
            ("var".to_owned(), var),
            ("build".to_owned(), Value::unknown(Type::Dynamic)),
        ]);
        eval(&expr, &Scope::new(names, &functions))
    }

    fn text(source: &str) -> String {
        run(source).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn templates_and_references() {
        assert_eq!(text(r#""x-${var.name}-${1 + 2 * 3}""#), "x-web-7");
        assert_eq!(text(r#""${[for s in ["a", "b"] : upper(s)][1]}""#), "B");
        assert_eq!(text(r#"join(",", [for k, v in {b = 1, a = 2} : "${k}=${v}"])"#), "a=2,b=1");
        assert_eq!(text(r#""%{ if 1 < 2 }yes%{ else }no%{ endif }""#), "yes");
        assert_eq!(text(r#""$${not} %%{this}""#), "${not} %{this}");
        assert_eq!(text(r#"join("-", [{n = "a"}, {n = "b"}][*].n)"#), "a-b");
        assert_eq!(text(r#"true ? "a" : 1"#), "a");
        assert_eq!(text(r#"try(var.nope, "fallback")"#), "fallback");
    }

    #[test]
    fn unknown_and_secret_spread() {
        assert!(run(r#""id ${build.ID}""#).unwrap().is_unknown());
        assert!(run(r#""pw ${var.secret}""#).unwrap().sensitive);
        assert!(run(r#"upper(var.secret)"#).unwrap().sensitive);
        assert!(run(r#"var.secret == "x" ? 1 : 2"#).unwrap().sensitive);
    }

    #[test]
    fn errors_name_the_place_and_the_cure() {
        let error = run("var.nmae").unwrap_err();
        assert_eq!(error.message, "no variable is called `nmae`");
        assert_eq!(error.notes[0], "help: did you mean `name`?");
        assert_eq!(error.span.map(|span| (span.start, span.end)), Some((4, 8)));
        assert!(run("upper()").unwrap_err().message.contains("needs the argument `str`"));
        assert!(run("uper(1)").unwrap_err().notes[0].contains("upper"));
        assert!(run("1 / 0").unwrap_err().message.contains("division by zero"));
        assert!(run("{a = 1, b}").is_err());
    }
}
