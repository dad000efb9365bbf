//! What templates render to.

use serde_json::{Value, json};

use super::*;

/// A program with two functions.
struct TwoFunctions;

impl Environment for TwoFunctions {
    fn has_function(&self, name: &str) -> bool {
        matches!(name, "lower" | "upper")
    }

    fn call(&self, call: &Call<'_>) -> Result<Output, String> {
        call.arguments.check_count(1, Some(1))?;
        let text = call.arguments.text(0)?;
        Ok(if call.name == "upper" { text.to_uppercase() } else { text.to_lowercase() }.into())
    }
}

fn data() -> Value {
    json!({
        "Path": "/tmp/script.sh", "Vars": "A='1' ", "Empty": "", "Port": 22, "Ratio": 0.5,
        "Sudo": true, "List": ["a", "b", "c"], "None": [],
        "Map": {"z": 1, "a": {"deep": "down"}}, "Image": {"Name": "busybox"},
    })
}

fn render(template: &str) -> Result<String, String> {
    Template::parse(template, &TwoFunctions)
        .and_then(|parsed| parsed.render(&TwoFunctions, &data()))
        .map_err(|error| error.0)
}

#[track_caller]
fn gives(template: &str, expected: &str) {
    assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
}

#[track_caller]
fn fails(template: &str, part: &str) {
    let error = render(template).expect_err(template);
    assert!(error.contains(part), "{template}: {error}");
}

#[test]
fn passes_text_on() {
    gives("", "");
    gives("no actions } { $x %", "no actions } { $x %");
    gives("{ {x} }", "{ {x} }");
    gives("a }} b", "a }} b");
}

#[test]
fn prints_fields() {
    gives(
        "chmod +x {{.Path}}; {{ .Vars }} {{.Path}}",
        "chmod +x /tmp/script.sh; A='1'  /tmp/script.sh",
    );
    gives("{{ .Image.Name }}", "busybox");
    gives("{{ .Map.a.deep }}", "down");
    gives("{{ $.Path }}{{ (.Image).Name }}", "/tmp/script.shbusybox");
    gives(
        "{{.Port}} {{.Ratio}} {{.Sudo}} {{.List}} {{.Map}}",
        "22 0.5 true [a b c] map[a:map[deep:down] z:1]",
    );
    gives(
        "{{ 1e21 }} {{ 1234567.5 }} {{ 1.50 }} {{ 0x1F }} {{ 'a' }} {{ -3 }} {{ 1_000 }}",
        "1e+21 1.2345675e+06 1.5 31 97 -3 1000",
    );
}

#[test]
fn trims_and_comments() {
    gives("a  {{- .Port -}}  \n b", "a22b");
    gives("a {{- 3 }} b", "a3 b");
    gives("{{-3}}", "-3");
    gives("a{{/* a comment */}}b", "ab");
    gives("a {{- /* a comment\n }} */ -}} b", "ab");
}

#[test]
fn reads_literals() {
    gives(r#"{{ "a\tb\"\\\u00e9\x41\101" }}"#, "a\tb\"\\éAA");
    gives("{{ `raw \\n \"x\"` }}", "raw \\n \"x\"");
    gives("{{ \"}}\" }}{{ `}}` }}", "}}}}");
    gives("{{ true }} {{ false }}", "true false");
}

#[test]
fn pipes_and_calls() {
    gives("{{ .Path | upper }}", "/TMP/SCRIPT.SH");
    gives("{{ .Path | upper | lower | printf \"%s-%s\" \"x\" }}", "x-/tmp/script.sh");
    gives("{{ printf \"%s\" (upper (lower .Path)) }}", "/TMP/SCRIPT.SH");
    fails("{{ upper(.Image.Name) }}", "`(` cannot stand here");
}

#[test]
fn decides() {
    gives("{{ if .Vars }}yes{{ else }}no{{ end }}", "yes");
    gives("{{ if .Empty }}yes{{ else }}no{{ end }}", "no");
    gives("{{ if .NotThere }}yes{{ else }}no{{ end }}", "no");
    gives("{{ if eq .Port 80 }}a{{ else if eq .Port 22 }}b{{ else }}c{{ end }}d", "bd");
    gives("{{ if and .Sudo (not .Empty) }}1{{ end }}{{ if or .Empty .NotThere }}2{{ end }}", "1");
    gives("{{ if .NotThere.Sub }}yes{{ else }}no{{ end }}", "no");
    gives("{{ or .NotThere .Empty \"fallback\" }}", "fallback");
    gives("{{ if and .NotThere .NotThere.Sub }}x{{ end }}", "");
    gives("{{ with .Image }}{{ .Name }}{{ $.Port }}{{ end }}", "busybox22");
    gives("{{ with .Empty }}x{{ else with .Image }}{{ .Name }}{{ else }}y{{ end }}", "busybox");
    gives(
        "{{ eq .Port 1 2 22 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ ge 2 2 }} {{ gt \"b\" \"a\" }} {{ le 1.5 1.0 }}",
        "true true true true true false",
    );
    gives("{{ eq .NotThere nil }}", "true");
}

#[test]
fn repeats() {
    gives("{{ range .List }}[{{ . }}]{{ end }}", "[a][b][c]");
    gives("{{ range $i, $item := .List }}{{ $i }}={{ $item }},{{ end }}", "0=a,1=b,2=c,");
    gives("{{ range $key, $value := .Map }}{{ $key }} {{ end }}", "a z ");
    gives(
        "{{ range $item := .List }}{{ if eq $item \"b\" }}{{ continue }}{{ end }}{{ $item }}{{ end }}",
        "ac",
    );
    gives("{{ range .List }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}{{ end }}", "a");
    gives("{{ range .None }}x{{ else }}nothing{{ end }}", "nothing");
    gives("{{ range 3 }}{{ . }}{{ end }}", "012");
    fails("{{ range .Path }}{{ end }}", "cannot range over the text");
}

#[test]
fn keeps_variables() {
    gives("{{ $x := .Port }}{{ $x }}{{ $x = 5 }}{{ $x }}", "225");
    gives("{{ $x := 1 }}{{ range .List }}{{ $x = . }}{{ end }}{{ $x }}", "c");
    gives("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21");
    gives("{{ if $x := .Port }}{{ $x }}{{ end }}", "22");
    gives("{{ $m := .Map }}{{ $m.a.deep }}", "down");
    fails("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "$x is not set");
    fails("{{ $x = 1 }}", "$x is not set");
}

#[test]
fn offers_the_functions_of_go() {
    gives("{{ len .List }} {{ len .Path }} {{ len .Map }}", "3 14 2");
    gives("{{ index .List 1 }} {{ index .Map \"a\" \"deep\" }} {{ index .Map \"z\" }}", "b down 1");
    gives("{{ slice .Path 1 4 }} {{ slice .List 1 }}", "tmp [b c]");
    gives("{{ print 1 2 \"a\" 3 }}|{{ println 1 \"a\" }}", "1 2a3|1 a\n");
    gives(
        "{{ html \"<a href='x'>&\" }} {{ js `it's <b>` }} {{ urlquery \"a b/ä&c\" }}",
        "&lt;a href=&#39;x&#39;&gt;&amp; it\\'s \\u003Cb\\u003E a+b%2F%C3%A4%26c",
    );
    fails("{{ index .List 3 }}", "there is no item 3");
    fails("{{ index .List -1 }}", "there is no item -1");
    fails("{{ lt 1 \"a\" }}", "cannot compare");
    fails("{{ slice `é` 1 }}", "cuts a character");
}

#[test]
fn formats_with_printf() {
    gives(
        "{{ printf \"%05d|%-5s|%5s|%q|%x|%X|%t|%%|%v\" 42 \"ab\" \"cd\" `e\"` 255 \"hi\" true .List }}",
        "00042|ab   |   cd|\"e\\\"\"|ff|6869|true|%|[a b c]",
    );
    gives(
        "{{ printf \"%.2f %e %g %6.1f %+d %#x %c %U %.3s %.3g %o %b\" 3.14159 1500.0 0.00001 2.25 7 255 65 65 \"abcdef\" 1234.5 8 5 }}",
        "3.14 1.500000e+03 1e-05    2.2 +7 0xff A U+0041 abc 1.23e+03 10 101",
    );
    gives(
        "{{ printf \"% x|%# x|%#x|%.1x|% X|%#X|%#x\" `abc` `ab` `ab` `ab` `ab` `ab` `` }}",
        "61 62 63|0x61 0x62|0x6162|61|61 62|0X6162|",
    );
    gives(
        "{{ printf \"%+q|%#q|%#q|%#v|%+#v|%q|%.2q\" `é😀` `a\"b` `a` `a\"b` `é` `a'` `abc` }}",
        r#""\u00e9\U0001f600"|`a"b`|`a`|"a\"b"|"é"|"a'"|"ab""#,
    );
    gives(
        "{{ printf \"%q|%+q|%#U|%U|%q|%q|%q|%#v\" 233 233 65 233 39 10 34 5 }}",
        r#"'é'|'\u00e9'|U+0041 'A'|U+00E9|'\''|'\n'|'"'|5"#,
    );
    fails("{{ printf \"%d\" \"a\" }}", "%d does not fit the text");
    fails("{{ printf \"%s %s\" \"a\" }}", "no argument left");
    fails("{{ printf \"%s\" \"a\" \"b\" }}", "no directive");
    fails("{{ printf \"%y\" 1 }}", "not a directive");
    fails("{{ printf \"%999999d\" 1 }}", "too wide");
}

#[test]
fn says_what_is_wrong_and_where() {
    fails("{{ .Pth }}", "`.Pth` has no value; the values known here are .Path, .Vars");
    fails("{{ upper .Pth }}", "`.Pth` has no value");
    fails("{{ .Pth.Sub }}", "`.Pth.Sub` has no value");
    fails("{{ .Path.Sub }}", "has no .Sub");
    fails(
        "x {{ upper 1 }}",
        "upper: argument 1 must be text, not the number 1 (at column 6 of the template `x {{ upper 1 }}`)",
    );
    fails("one\ntwo {{ .Nope }}\nthree", "(at line 2, column 8 of the template `two {{ .Nope }}`)");
    fails("{{ nope }}", "there is no function \"nope\"; a value is written .nope");
    fails("{{ upper }}", "it takes 1 argument, not 0");
    fails("{{ .Path", "never closed");
    fails("{{ \"abc }}", "this \" is never closed");
    fails("{{ `abc }}", "this ` is never closed");
    fails("{{/* abc }}", "comment is not closed");
    fails("{{}}", "nothing between");
    fails("{{ (.Path }}", "parenthesis is not closed");
    fails("{{ .Path) }}", "closing parenthesis");
    fails("{{ if .Path }}", "has no {{ end }}");
    fails("{{ end }}", "ends nothing");
    fails("{{ else }}", "belongs to no");
    fails("{{ if }}x{{ end }}", "a value is missing");
    fails("{{ .Path | }}", "a value is missing");
    fails("{{ .Path | \"x\" }}", "only a function");
    fails("{{ .Path | .Vars }}", "not a function");
    fails("{{ .Path .Vars }}", "not a function");
    fails("{{ break }}", "inside {{ range }}");
    fails("{{ define \"x\" }}{{ end }}", "not supported");
    fails("{{ \"\\q\" }}", "not an escape");
    fails("{{ 1x }}", "not a number");
    fails("{{ 'ab' }}", "exactly one character");
    fails("{{ .Path # }}", "has no meaning");
    fails(
        &format!("{}1{}", "{{ ".to_owned() + &"(".repeat(101), ")".repeat(101) + " }}"),
        "nested too deeply",
    );
    fails(&"{{ if true }}".repeat(100), "nested too deeply");
}

#[test]
fn never_panics_on_broken_input() {
    let whole = "{{- /* c */ -}}{{ if eq .Path \"é\\n\" `r` 'x' -1.5e3 }}{{ $x := (upper .Vars).A | printf \"%-5d\" }}{{ else if range $i, $e := .L }}{{ end }}";
    for (start, _) in whole.char_indices() {
        for (end, _) in whole.char_indices().skip_while(|(end, _)| *end < start) {
            let _ = render(&whole[start..end]);
        }
    }
}

#[test]
fn what_would_not_end_is_an_error() {
    fails("{{ range 9000000000000000000 }}{{ end }}", "this takes too long");
    fails("{{ range 9000000000000000000 }}{{ continue }}{{ end }}", "this takes too long");
    let nested = "{{ range 30000 }}{{ range 30000 }}{{ if . }}{{ end }}{{ end }}{{ end }}";
    fails(nested, "this takes too long");
    fails("{{ range 9000000000000000000 }}x{{ end }}", "this");
    // What doubles with every turn takes few turns to fill all memory.
    let doubles =
        r#"{{ $x := "0123456789" }}{{ range 99 }}{{ $x = printf "%s%s" $x $x }}{{ end }}"#;
    fails(doubles, "printf: this makes the value too long (at column");
    // Few turns that each copy a lot.
    let copies = r#"{{ $x := printf "%9999s" "" }}{{ range 11 }}{{ $x = printf "%s%s" $x $x }}{{ end }}
        {{- range 1000000 }}{{ if eq $x "" }}{{ end }}{{ end }}"#;
    fails(copies, "this takes too long");
    gives("{{ range 3 }}{{ . }}{{ end }}{{ len (printf \"%9999s\" \"\") }}", "0129999");
}
