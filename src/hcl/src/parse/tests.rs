mod hostile;

use crate::Diagnostics;
use crate::SourceMap;
use crate::Span;
use std::collections::BTreeMap;

use super::*;
use crate::functions::FunctionContext;
use crate::types::Type;
use crate::{Scope, Value, eval};

/// Parses a template and returns its diagnostics without the source lines: for each
/// `line:column message` and its notes.
fn said(text: &str) -> Vec<String> {
    let mut sources = SourceMap::default();
    let file = sources.add("t", text);
    let mut diagnostics = Diagnostics::default();
    parse_body(&sources, file, &mut diagnostics);
    let place = |span: Span| {
        let (line, column) = sources.position(span);
        format!("{line}:{column}")
    };
    let shown = diagnostics.iter().map(|error| {
        let notes: String = error.notes.iter().map(|note| format!(" | {note}")).collect();
        let related: String = error
            .related
            .iter()
            .map(|(span, text)| format!(" ({} {text})", place(*span)))
            .collect();
        let at = error.span.expect("every syntax error has a place");
        format!("{} {}{related}{notes}", place(at), error.message)
    });
    shown.collect()
}

fn functions() -> FunctionContext {
    FunctionContext::new(".", time::OffsetDateTime::UNIX_EPOCH)
}

/// Parses and evaluates an expression; what it yields does not matter.
fn run(text: &str) -> Result<Value> {
    let mut sources = SourceMap::default();
    let file = sources.add("t", text);
    let expr = parse_expr(&sources, file)?;
    let functions = functions();
    let names = BTreeMap::from([("a".to_owned(), Value::unknown(Type::Dynamic))]);
    let copy = expr.clone();
    assert_eq!(copy, expr);
    let value = eval(&copy, &Scope::new(names, &functions))?;
    let _ = format!("{:?} {}", value.ty(), crate::print::quoted(&value));
    Ok(value)
}

#[test]
fn several_errors_are_reported_in_one_run_each_at_its_place() {
    let text = "\
source \"null\" \"a\" {
  communicator = \"none

  ssh_host = 'x'
}
build {
  sources = [\"null.a\"
  provisioner \"shell\" {
    inline = [
      \"a\"
      \"b\",
      \"c\"
      \"d\",
    ]
  }
  name: \"x\"
}
locals {
  a == 1
  b = \"${foo\"
  c = <<EOT
${x y}
EOT
  d = 1, 
}
";
    let places: Vec<String> =
        said(text).iter().map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect();
    let wanted = ["2:18", "4:14", "7:13", "11:7", "13:7", "16:7", "19:5", "20:8", "22:5", "24:8"];
    assert_eq!(places, wanted);
}

#[test]
fn what_is_not_closed_is_shown_where_it_was_opened() {
    // A block in a block, told by the indentation of what closes it.
    let text = "build {\n  provisioner \"shell\" {\n    inline = [\"x\"]\n\n}\n\nsource \"null\" \"a\" {\n}\nvariable \"x\" {\n  default = 10GB\n}\n";
    assert_eq!(
        said(text),
        [
            "2:23 this `{` is never closed (5:1 by its place, this closes something further out) | help: put a `}` where it ends",
            "10:13 `10GB` is not a number | help: text stands in quotes: \"10GB\"",
        ]
    );
    // A heredoc: what comes after it may be its text, up to the next block of the file.
    let text = "b {\n  a = [<<EOT\necho hi\n  ]\n}\nc {\n  x y\n}\n";
    let found = said(text);
    assert!(found.len() == 2 && found[1].starts_with("7:5 "), "{found:?}");
    // A block of the file, told by the next one.
    let said_of = |text: &str| said(text).first().cloned().unwrap_or_default();
    let said = said_of("source \"null\" \"a\" {\n  x = 1\n\nbuild {\n}\n");
    assert!(said.starts_with("1:19 this `{` is never closed (4:1 it should end before"), "{said}");
    let said = said_of("build {\n");
    assert!(said.starts_with("1:7 this `{` is never closed |"), "{said}");
    let said = said_of("locals {\n  a = {\n    b = 1\n\n  c = 2\n}\n");
    assert!(said.starts_with("2:7 this `{` is never closed"), "{said}");
    let said = said_of("locals {\n  a = [\n    1,\n    2\n\n  c = 2\n}\n");
    assert!(said.starts_with("2:7 this `[` is never closed (6:3 it should end"), "{said}");
    let said = said_of("a = f(1,\n  2\nb = 1\n");
    assert!(said.starts_with("1:6 this `(` is never closed (3:1"), "{said}");
    let said = said_of("locals {\n  a = <<EOT\n  x\n  EOT,\n  b = 1\n}\n");
    assert!(said.starts_with("2:7 this heredoc is never closed: no line is `EOT` (4:3"), "{said}");
    let said = said_of("a = 1\n/* b\nc = 1\n");
    assert!(said.starts_with("2:1 this comment is never closed"), "{said}");
    let said = said_of("a = \"x ${y\"\nb = 1\n");
    assert!(said.starts_with("1:8 this `${` is never closed"), "{said}");
    let said = said_of("a = \"%{ if true }x\"\n");
    assert!(said.starts_with("1:6 this `%{ if … }` is never closed"), "{said}");
}

#[test]
fn common_mistakes_have_their_own_messages() {
    for (text, wanted) in [
        ("a = 'x'", "1:5 single quotes do not make strings | help: use double quotes: \"…\""),
        ("a = “x”", "1:5 typographic quotes do not make strings | help: replace them"),
        ("a = `x`", "1:5 backquotes do not make strings"),
        ("a: 1", "1:2 `=` and a value are expected after `a` | help: set arguments with `=`"),
        (
            "a == 1",
            "1:3 `=` and a value are expected after `a` | help: set arguments with a single `=`",
        ),
        ("a \"x\"", "1:3 `=` is missing after `a` | help: to set an argument write a = \"x\""),
        ("a 5", "1:3 `=` and a value are expected after `a` | help: write a = 5"),
        ("a [1]", "1:3 `=` and a value are expected after `a` | help: write a = [1]"),
        ("a", "1:1 `a` has no value"),
        ("a =", "1:3 the value of `a` is missing"),
        ("a =\n[1]", "1:3 the value of `a` is missing | help: the opening bracket stands"),
        (
            "\"a\" = 1",
            "1:1 the name of an argument or block is expected here | help: names of arguments and blocks are written without quotes",
        ),
        (
            "1a = 1",
            "1:1 the name of an argument or block is expected here | help: a name does not start with a digit",
        ),
        ("a.b = 1", "1:2 the name of an argument has no dots"),
        (
            "a = 1, b = 2",
            "1:6 a comma does not belong here | help: arguments of a block are separated by new lines",
        ),
        (
            "a = 1 b = 2",
            "1:7 something follows the value on its line | help: every argument and block starts on a line of its own",
        ),
        ("a = 1;", "1:6 semicolons are not allowed"),
        ("}", "1:1 this `}` closes nothing"),
        ("a = 1]", "1:6 this `]` closes nothing"),
        ("a = {\n  b = 1 c = 2\n}", "2:9 a comma is missing between two items"),
        ("a = [1 2]", "1:8 a comma is missing between two items"),
        ("a = [1,, 2]", "1:8 a value is missing before this comma"),
        ("a = [b = 1]", "1:8 an item here has no name | help: values with names are an object"),
        ("a = [1, 2)", "1:10 `[` is closed by `)` (1:5 this is what is open)"),
        ("a = {\n  b\n}", "2:3 this key has no value (1:5 in this object)"),
        ("a = { b => 1 }", "1:9 a key and its value are joined by `=`"),
        ("a = { b.c = 1 }", "1:7 this key could be a name or a reference"),
        ("a \"b\" = {\n}", "1:7 a `a` block has no `=` | help: remove the `=`"),
        ("a\n{\n}", "2:1 the `{` of this `a` block is on the next line"),
        ("a { b = 1, c = 2 }", "1:10 a block on one line holds one argument (1:3 this block"),
        ("a { b { } }", "1:5 a block on one line cannot hold another block"),
        ("a { b = 1\n}", "1:3 a block that starts on one line ends on it"),
        ("a {\n  b = 1 }\n", "2:9 this `}` stands behind an argument | help: put it on a line"),
        ("a {\n} b {\n}", "2:3 something follows the block on its last line"),
        ("a \"${b}\" {\n}", "1:4 a label is fixed text"),
        ("a = \"x", "1:5 this string does not end on its line | help: close the string"),
        (
            "a = \"x \"y\" z\"",
            "1:9 something follows the value on its line | help: a quote within a string is written \\\"",
        ),
        ("a = \"\\d\"", "1:6 `\\d` is not an escape sequence | help: write \\\\ for a backslash"),
        ("a = \"\\u12\"", "1:6 `\\u12` is not an escape sequence | help: write \\u and the four"),
        ("a = \"\\ud800\"", "1:6 `\\ud800` is not an escape sequence"),
        ("a = \"\\${b}\"", "1:6 `\\$` is not an escape sequence | help: write $${ for ${"),
        (
            "a = \"${b:-c}\"",
            "1:9 expected `}` at the end of this `${` | to pass ${ on as it is, to a shell for example, write $${",
        ),
        ("a = \"${}\"", "1:6 this `${}` is empty"),
        ("a = \"%{ iff b }\"", "1:6 `%{` starts a directive | help: did you mean `if`?"),
        ("a = \"%{ endif }\"", "1:6 this directive belongs to no open `%{`"),
        ("a = ${b}", "1:5 `${…}` is only allowed in strings"),
        (
            "a = <<~EOT\nx\nEOT\n",
            "1:5 this is not how a heredoc starts | help: write <<EOT or <<-EOT",
        ),
        (
            "a = <<'EOT'\nx\nEOT\n",
            "1:5 this is not how a heredoc starts | help: write <<EOT or <<-EOT",
        ),
        ("a = 1.2.3", "1:5 `1.2.3` is not a valid number | help: a version or an address is text"),
        ("a = 10GB", "1:5 `10GB` is not a number | help: text stands in quotes: \"10GB\""),
        ("a = 0x1F", "1:5 `0x1F` is not a number"),
        ("a = b & c", "1:7 `&` is not an operator | help: `&&` is the logical and"),
        ("a = b and c", "1:7 something follows the value on its line | help: write && for `and`"),
        ("a = * 2", "1:5 `*` has nothing on its left"),
        ("a = 1 +", "1:8 expected a value"),
        ("a = b ? 1", "1:10 expected `:` and the value for when the condition is false (1:7"),
        ("a = b.0.1", "1:7 `0.1` after a dot is not an index | help: write [0][1]"),
        ("a = b.*.c.*", "1:11 `.*` cannot follow another `.*`"),
        ("a = [for x in y x]", "1:17 expected `:` and the value for every item"),
        ("a = {for x in y : x}", "1:20 expected `=>` and a value | help: an object is written"),
        ("a = [for k, v in y : k => v]", "1:24 a list has no keys"),
        ("a =\u{a0}1", "1:4 this space is not a plain one but U+00A0 | help: replace it"),
        ("a = 1\u{200b}", "1:6 an invisible character (U+200B) stands here | help: remove it"),
        ("a = 1 \\\n", "1:7 a backslash is only allowed in strings"),
        ("a = @b", "1:5 `@` is not allowed outside of strings"),
        ("a = 1\na = 2", "2:1 `a` is set twice in this block (1:1 here it is set already)"),
        ("a = f(1 2)", "1:9 a comma is missing between two items"),
        ("a = (1, 2)", "1:7 expected `)` (1:5 for this `(`)"),
    ] {
        let lines = said(text);
        assert!(lines.first().is_some_and(|line| line.starts_with(wanted)), "{text}: {lines:#?}");
        assert_eq!(lines.len(), 1, "one slip is one error: {text}: {lines:#?}");
    }
}

/// The value of an expression as text.
fn text_of(expr: &str) -> String {
    let value = run(expr).unwrap_or_else(|error| panic!("{expr}: {}", error.message));
    value.as_str().unwrap_or_else(|| panic!("{expr} is not a string")).to_owned()
}

#[test]
fn strings_are_read_as_packer_reads_them() {
    // What Packer's inspect shows of each.
    for (expr, wanted) in [
        (r#""a$b $${x} %%{y} $$${x2} $ % $$ %% 100%""#, "a$b ${x} %{y} $${x2} $ % $$ %% 100%"),
        (r#""\u00e9\U0001F600\t\\\"\n""#, "\u{e9}\u{1F600}\t\\\"\n"),
        (r#""a  ${~ "b" ~}  c""#, "abc"),
        (r#""%{ if false }x%{ else }y%{ endif }""#, "y"),
        (r#""x ~} y""#, "x ~} y"),
        ("\"${<<X\nin\nX\n}\"", "in\n"),
        ("<<E\n  two\n one\n    four ${\"x\"}\n\nE\n", "  two\n one\n    four x\n\n"),
        (
            "<<-E\n    two\n\n      ${\"x\"} y\n   one\n\n  \n    z\n  E\n",
            " two\n\n   x y\none\n\n  \n z\n",
        ),
        ("<<-E\n  ${\"x\"}\n    a\n  E\n", "x\n  a\n"),
        // A strip marker eats what is beside it on its line.
        ("<<E\na ${~ \"b\" ~}\n   c\n  ${~ \"d\"}\nE\n", "ab   c\nd\n"),
        (
            "<<-E\n  %{ for x in [\"a\", \"b\"] ~}\n  item ${x}\n  %{ endfor ~}\n  end\n  E\n",
            "  item a\n  item b\n  end\n",
        ),
        (
            "<<-E\n    %{ if true }\n    yes\n    %{ else }\n    no\n    %{ endif }\n    E\n",
            "\nyes\n\n",
        ),
        ("<<E\nE\n", ""),
        ("<<-E\nE\n", ""),
        ("<<E\n$${a} %%{b} \\n \\u00e9 $x\n\ttab\nE\n", "${a} %{b} \\n \\u00e9 $x\n\ttab\n"),
        ("<<-E\n\t\ttabs\n\t  mixed\n\tE\n", "tabs\n mixed\n"),
        ("<<-A\n  x ${<<-B\n    y\n  B\n  } z\nA\n", "x y\n z\n"),
        ("<<E\na\r\n  b\r\nE\r\n", "a\r\n  b\r\n"),
        ("<<E\na\n E \n", "a\n"),
        // Without a new line at the end of the file, too.
        ("<<E\na\nE", "a\n"),
        ("jsonencode([{a=[{b=1},{b=2}]},{a=[{b=3},{b=4}]}].*.a.0.b)", "[1,3]"),
        ("jsonencode([{a=[{b=1},{b=2}]},{a=[{b=3},{b=4}]}][*].a[1].b)", "[2,4]"),
        (
            "jsonencode({true = 1, null = 2, (upper(\"x\")) = 3, \"q${1}\" = 4, if = 5})",
            r#"{"X":3,"if":5,"null":2,"q1":4,"true":1}"#,
        ),
        ("jsonencode({\n a = 1, b = 2\n c = 3 # x\n \"d\" : 4\n})", r#"{"a":1,"b":2,"c":3,"d":4}"#),
        (
            "jsonencode([-2 + 3 * 4 - -1, !true == false, 1 == 1 && 2 != 3 || false])",
            "[11,true,true]",
        ),
        ("jsonencode([true ? false ? 1 : 2 : 3, 1.5e3, [1,2,3].1, -(2)])", "[2,1500,2,-2]"),
        ("jsonencode([\n 1, # c\n 2, // d\n /* e */ 3\n])", "[1,2,3]"),
        ("jsonencode([for k, v in {a = 1, b = 2} : \"${k}${v}\" if v > 1])", r#"["b2"]"#),
        (
            "jsonencode({for v in [\"a\", \"b\", \"a\"] : v => v...})",
            r#"{"a":["a","a"],"b":["b"]}"#,
        ),
    ] {
        assert_eq!(text_of(expr), wanted, "{expr}");
    }
}

#[test]
fn where_lines_end_matters_only_outside_of_brackets() {
    for text in [
        "a = (\n1 +\n2\n)\n",
        "a = [\n1\n,\n2,\n]\n",
        "a = f(\n1,\n2,\n)\n",
        "a = b[\n0\n]\n",
        "a = \"${\nb\n}\"\n",
        "a = {\n\nb = 1\n\n\nc = 2,\n}\n",
        "a = { b = 1, c = 2 }\n",
        "a = [for x\nin y :\nx]\n",
        "a = { for k, v in y :\nk => v\n}\n",
        "a { b = 1 }\nc {}\nd {\n}\n",
        "a b \"c\" d {}",
        "a {  # comment\n}\n",
        "a = 1 # comment\n",
        "a = 1 /* comment */\n",
        "/* c */ a /* c */ = /* c */ 1 // c\n",
        "a = b ::f(1)\n",
        "\n\n  \n",
        "",
    ] {
        assert_eq!(said(text), [""; 0], "{text}");
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(said(&crlf), [""; 0], "{crlf:?}");
    }
    for text in [
        "a = 1 +\n2\n",
        "a = b\n.c\n",
        "a = b\n? 1 : 2\n",
        "a = {\nb\n= 1\n}\n",
        "a = { b = 1\n, c = 2 }\n",
        "a = 1 }\n",
        "a {\nb = 1 }\n",
        "a { b {} }\n",
        "a \"b\"\n{\n}\n",
    ] {
        assert!(!said(text).is_empty(), "{text}");
    }
}

#[test]
fn places_are_right_with_byte_order_marks_and_carriage_returns() {
    let text = "\u{feff}# é\r\na = <<E\r\n${b}\r\nE\r\nc \"lä\" {\r\n  d = [\"é\", e]\r\n}\r\n";
    let mut sources = SourceMap::default();
    let file = sources.add("t", text);
    let mut diagnostics = Diagnostics::default();
    let body = parse_body(&sources, file, &mut diagnostics);
    assert!(diagnostics.is_empty());
    let place = |span: Span| (sources.position(span), sources.text(span));
    assert_eq!(place(body.attributes[0].name_span), ((2, 1), "a"));
    assert_eq!(place(body.attributes[0].expr.span), ((2, 5), "<<E\r\n${b}\r\nE"));
    let block = &body.blocks[0];
    assert_eq!(place(block.header), ((5, 1), "c \"lä\""));
    assert_eq!(place(block.labels[0].span), ((5, 3), "\"lä\""));
    assert_eq!(place(block.body.span), ((5, 8), "{\r\n  d = [\"é\", e]\r\n}"));
    let crate::ExprKind::Tuple(items) = &block.body.attributes[0].expr.kind else {
        panic!("a list")
    };
    assert_eq!(place(items[1].span), ((6, 13), "e"));
    assert_eq!(said("\u{feff}a = 'x'\r\n")[0].split(' ').next(), Some("1:5"));
}
