//! Text that nests deep or means nothing: nothing panics, and what is wrong has a place.

use std::collections::BTreeMap;

use super::{functions, run, said};
use crate::parse::{MAX_DEPTH, STACK_SIZE, parse_body, parse_template};
use crate::{Diagnostics, Scope, SourceMap, eval};

/// What opens, a core, and what closes.
const NESTINGS: &[(&str, &str, &str)] = &[
    ("(", "1", ")"),
    ("[", "", "]"),
    ("{a=", "1", "}"),
    ("-", "1", ""),
    ("!", "true", ""),
    ("- (", "1", ")"),
    ("\"${", "1", "}\""),
    ("\"x${", "1", "}y\""),
    ("%{if true}", "1", "%{endif}"),
    ("%{for x in [1]}", "1", "%{endfor}"),
    ("true ? 1 : ", "1", ""),
    ("true ? ", "1", " : 1"),
    ("1+(", "1", ")"),
    ("1==1&&(", "true", ")"),
    ("", "a", ".b"),
    ("", "a", "[0]"),
    ("", "a", "[*]"),
    ("", "a", ".*.b[0]"),
    ("a[", "0", "]"),
    ("", "1", "+1"),
    ("", "true", "||true"),
    ("1==", "1", ""),
    ("upper(", "\"a\"", ")"),
    ("[for x in ", "[]", ": x]"),
    ("{for k, x in ", "{}", ": k => x}"),
    ("<<EOT\n${", "1", "}\nEOT\n"),
    ("[{a=[", "1", "]}]"),
];

fn deep_nesting() {
    let deep = |open: &str, core: &str, close: &str, n| {
        let text = format!("{}{core}{}", open.repeat(n), close.repeat(n));
        // Directives nest within one string.
        if open.starts_with('%') { format!("\"{text}\"") } else { text }
    };
    for (open, core, close) in NESTINGS {
        for depth in [40, MAX_DEPTH / 2, MAX_DEPTH - 2, MAX_DEPTH, 2 * MAX_DEPTH] {
            let result = run(&deep(open, core, close, depth));
            let wrong = result.err().map(|error| error.message).unwrap_or_default();
            assert!(depth > 40 || !wrong.contains("levels are nested"), "{open}: {wrong}");
        }
        let error = run(&deep(open, core, close, 10_000)).unwrap_err();
        assert!(error.message.contains("levels are nested"), "{open}: {}", error.message);
        let mut half = deep(open, core, "", 10_000);
        half.truncate(half.len() - core.len());
        assert!(run(&half).is_err());
    }
    let objects = format!("x = {}\n", deep("{a=", "1", "}", 10_000));
    assert!(said(&objects)[0].contains("levels are nested"));
    let blocks = deep("a {\n", "", "}\n", 10_000);
    assert!(said(&blocks)[0].contains("levels are nested"));
    let open = said(&deep("a {\n", "", "", 10_000));
    assert!(open[0].contains("levels are nested"), "{open:?}");
    assert_eq!(said(&deep("a {\n", "", "}\n", 100)), [""; 0]);
}

#[test]
fn deep_nesting_works_up_to_the_limit_and_is_an_error_above() {
    let thread = std::thread::Builder::new().stack_size(STACK_SIZE / 4 * 3).spawn(deep_nesting);
    thread.unwrap().join().unwrap();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..Default::default()
    })]

    /// Whatever the tokens, nothing panics, and what is wrong has a place within the text.
    #[test]
    fn token_soup_never_panics(pieces in proptest::collection::vec(proptest::sample::select(SOUP), 0..40)) {
        let text = pieces.concat();
        let mut sources = SourceMap::default();
        let file = sources.add("t", text.as_str());
        let text = &sources.get(file).text;
        let mut diagnostics = Diagnostics::default();
        let body = parse_body(&sources, file, &mut diagnostics);
        for error in diagnostics.iter() {
            let span = error.span.expect("a place");
            proptest::prop_assert!(span.start <= span.end && span.end as usize <= text.len());
            proptest::prop_assert!(text.is_char_boundary(span.start as usize));
        }
        let _ = diagnostics.render(&sources, false);
        let functions = functions();
        let scope = Scope::new(BTreeMap::new(), &functions);
        for attribute in &body.attributes {
            let _ = eval(&attribute.expr, &scope);
        }
        let _ = run(text);
        let _ = parse_template(&sources, file).map(|expr| eval(&expr, &scope));
    }
}

const SOUP: &[&str] = &[
    "a",
    "b",
    " ",
    "\n",
    "\r\n",
    "\t",
    "=",
    "==",
    "=>",
    "!=",
    "<",
    "<=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "?",
    ":",
    "::",
    ".",
    ",",
    "...",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "~}",
    "\"",
    "\"x\"",
    "${",
    "${~",
    "%{",
    "%{~",
    "$${",
    "$",
    "1",
    "0.5",
    "1e3",
    "99",
    "<<E\n",
    "<<-E\n",
    "\nE\n",
    "E",
    "# c\n",
    "// c\n",
    "/*",
    "*/",
    "\\",
    "\\n",
    "\\u00e9",
    "'",
    "“",
    "é",
    "\u{a0}",
    "\u{feff}",
    "null",
    "true",
    "for ",
    " in ",
    "if ",
    "else",
    "endif",
    "endfor",
    "upper",
    "&&",
    "||",
    "&",
    ";",
    "[*]",
    ".*",
    "a = ",
    "b {\n",
    "}\n",
    "\"${",
    "}\"",
    "[for x in ",
    "length(",
];
