use super::*;
use crate::Diagnostics;
use crate::Scope;
use crate::Type;
use crate::Value;
use crate::ast::Expr;
use crate::functions::{FoundSecret, FunctionContext, SecretSink};
use crate::source::SourceMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

fn run(text: &str) -> Result {
    evaluated(text, eval)?
}

fn evaluated<T>(text: &str, evaluate: impl FnOnce(&Expr, &Scope) -> T) -> Result<T> {
    evaluated_with(SecretSink::default(), text, evaluate)
}

fn evaluated_with<T>(
    secrets: SecretSink,
    text: &str,
    evaluate: impl FnOnce(&Expr, &Scope) -> T,
) -> Result<T> {
    let mut sources = SourceMap::default();
    let file = sources.add("test", text);
    let expr = crate::parse::parse_expr(&sources, file)?;
    let functions =
        FunctionContext { secrets, ..FunctionContext::new(".", time::OffsetDateTime::UNIX_EPOCH) };
    let var = Value::object(BTreeMap::from([
        ("name".to_owned(), Value::from("web")),
        ("secret".to_owned(), Value::from("hunter2").mark(true)),
        ("pin".to_owned(), Value::from(1i64).mark(true)),
    ]));
    let names = BTreeMap::from([
        ("var".to_owned(), var),
        ("build".to_owned(), Value::unknown(Type::Dynamic)),
    ]);
    Ok(evaluate(&expr, &Scope::new(names, &functions)))
}

/// What is reported of an expression without a value.
fn reported(text: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let value = evaluated(text, |expr, scope| value_of(expr, scope, &mut diagnostics)).unwrap();
    assert_eq!(value, None, "{text}");
    diagnostics
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
    assert!(run("upper()").unwrap_err().message.contains("the argument `str` is missing"));
    assert!(run("uper(1)").unwrap_err().notes[0].contains("upper"));
    assert!(run("1 / 0").unwrap_err().message.contains("division by zero"));
    assert!(run("{a = 1, b}").is_err());
}

#[test]
fn names_that_do_not_exist_are_reported_together() {
    let names = |text: &str| -> Vec<String> {
        let messages = reported(text).into_iter().map(|error| error.message);
        messages.map(|message| message.split('`').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(
        names(r#"{ a = var.a, b = "x-${var.b}-${c}", c = [-var.d, upper(var.a)], (var.e) = 1 }"#),
        ["a", "b", "c", "d", "e"]
    );
    assert_eq!(names("[var.a[*].x, var.b[var.c], var.d ? 1 : 2]"), ["a", "b", "c", "d"]);
    assert_eq!(names("[for x in var.a : x.y if var.b]"), ["a"]);
    assert_eq!(names("convert([var.a, var.b], list(string))"), ["a", "b"]);
    assert_eq!(reported("[1 / 0, var.a]").len(), 2);
    for optional in [
        "try(var.b, 1)",
        "can(var.b)",
        "false && var.b",
        "var.b && false",
        "true || var.b",
        "true ? 1 : var.b",
        "[for x in [] : x + var.b]",
        "[for x in [{ b = 1 }] : x.b]",
        "[][*].b",
        r#""%{ if false }${var.b}%{ endif }""#,
        r#""%{ for x in [] }${var.b}%{ endfor }""#,
        "build.b",
    ] {
        assert!(run(optional).is_ok(), "{optional}");
        assert_eq!(names(&format!("[var.a, {optional}]")), ["a"], "{optional}");
    }
    let many: Vec<String> = (0..30).map(|n| format!("var.n{n}")).collect();
    assert_eq!(names(&format!("[{}]", many.join(", "))).len(), 20);
}

/// Every way to make a value of values, with `X` for one that is unknown or secret.
const EXPRESSIONS: &[&str] = &[
    "-X",
    "X + 1",
    "1 - X",
    "X * 2",
    "2 / X",
    "X % 2",
    "X < 1",
    "1 <= X",
    "X > 1",
    "1 >= X",
    "X == 1",
    "1 != X",
    "!(X == 1)",
    "true && X == 1",
    "X == 1 || false",
    "X == 1 ? 1 : 2",
    "true ? X : 1",
    r#""${X}""#,
    r#""a${X}""#,
    r#""%{ if X == 1 }a%{ endif }""#,
    r#""%{ for x in [X] }${x}%{ endfor }""#,
    "[1, 2][X]",
    "[X][0]",
    "{ a = X }.a",
    r#"{ a = X }["a"]"#,
    "{ (X) = 1 }",
    "[X][*]",
    "X[*]",
    "[for x in [X] : x]",
    "[for x in [1] : x if X == 1]",
    "{ for x in [X] : x => 1 }",
    "{ for x in [X] : \"k\" => x... }",
    "max([X]...)",
    "try(X, 1)",
    "convert(X, string)",
    "convert([X], set(number))",
];

#[test]
fn unknown_values_make_unknown_ones() {
    for expression in EXPRESSIONS {
        let result = run(&expression.replace('X', "build.n"));
        let result = result.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        assert!(!result.is_wholly_known(), "{expression}: {result:?}");
    }
    assert_eq!(run("can(build.n)").unwrap(), Value::unknown(Type::Bool));
    assert_eq!(run("build.n + 1").unwrap(), Value::unknown(Type::Number));
    assert_eq!(run("build.n == 1 ? [1] : [2, 3]").unwrap().ty(), Type::list(Type::Number));
    assert_eq!(run(r#""${build.n}-""#).unwrap(), Value::unknown(Type::String));
    // One side can be enough.
    assert_eq!(run("false && build.n").unwrap(), false.into());
    assert_eq!(run("build.n || true").unwrap(), true.into());
}

#[test]
fn secrets_make_secrets() {
    for expression in EXPRESSIONS {
        let result = run(&expression.replace('X', "var.pin"));
        let result = result.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        assert!(result.holds_secret(), "{expression}: {result:?}");
    }
}

#[test]
fn wrong_indexes_and_conditions_say_what_is_wrong() {
    let message = |source: &str| run(source).unwrap_err().message;
    assert_eq!(message("[1, 2][2]"), "the index must be a whole number from 0 to 1");
    assert_eq!(message("{ a = 1 }[\"b\"]"), "there is no key \"b\" here");
    assert_eq!(message("true ? 1 : [1]"), "the two results of this condition differ in type");
    assert_eq!(message("[for x in [] : x if nope]"), "nothing is called `nope` here");
}

/// The lines that are hidden of secret texts of several lines, sorted: all, or those of composed ones.
fn hidden_lines(text: &str) -> String {
    let found = Arc::new(Mutex::new(Found::default()));
    let shared = Arc::clone(&found);
    let sink = SecretSink::new(move |secret| {
        let mut found = shared.lock().unwrap();
        match secret {
            FoundSecret::Composed { text, lines } => {
                found.composed.insert(text.to_owned());
                found.lines.extend(lines.iter().map(|&line| line.to_owned()));
            }
            FoundSecret::Value(text) if found.composed.contains(text) => {}
            FoundSecret::Value(text) | FoundSecret::Lines(text) => {
                if text.contains('\n') {
                    found.lines.extend(text.lines().map(str::to_owned));
                }
            }
        }
    });
    evaluated_with(sink, text, eval).unwrap().unwrap();
    let lines: Vec<String> = found.lock().unwrap().lines.iter().cloned().collect();
    lines.join(",")
}

#[derive(Default)]
struct Found {
    composed: BTreeSet<String>,
    lines: BTreeSet<String>,
}

#[test]
fn lines_of_a_composed_text_are_hidden_where_secrets_are() {
    for (text, hidden) in [
        (r#""set -e\npw=${var.secret}\ndone""#, "pw=hunter2"),
        (r#""set -e\npin=${var.pin}\ndone""#, "pin=1"),
        (r#""a\n${"${var.secret}\nb"}\nc""#, "b,hunter2"),
        (r#""a\n%{if var.secret == "hunter2"}b\n%{endif}c""#, "b"),
        (r#""a\nb%{if var.secret == ""}c%{endif}\nd""#, "b"),
        (r#""a\n%{for s in [var.secret, "b"]}${s}\n%{endfor}c""#, "hunter2"),
        (r#"var.name == "web" ? "a\n${var.secret}" : "b""#, "hunter2"),
        // Which text it is, is secret here.
        (r#"var.pin == 1 ? "a\n${var.secret}" : "b""#, "a,hunter2"),
        (r#"["a\n${var.secret}"][var.pin - 1]"#, "a,hunter2"),
        (r#"replace("a\n${var.secret}", "b", "")"#, "a,hunter2"),
    ] {
        assert_eq!(hidden_lines(text), hidden, "{text}");
    }
}
