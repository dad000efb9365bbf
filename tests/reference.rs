//! docs/reference says what the program does, with all its features; docs/moving-from-packer.md
//! what it does with each name that Packer has.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]
#![cfg(feature = "amazon")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ingot_test_support::repository;
use regex::Regex;

/// Holds a page against what it has to be; writes it where `UPDATE` is set.
fn hold(name: &str, text: &str) {
    let directory = repository("docs/reference");
    let path = directory.join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "docs/reference/{name} is out of date: run cargo xtask reference");
}

#[test]
fn the_reference_is_true() {
    for (name, text) in ingot_engine::reference::pages(&ingot::builtin::plugins()) {
        hold(name, &text);
    }
}

#[test]
fn the_reference_of_commands_is_true() {
    hold("commands.md", &ingot_cli::reference::page());
}

#[test]
fn the_schema_of_build_reports_is_true() {
    hold("build-report.schema.json", &ingot_report::schema());
}

/// The source files below a directory, without tests.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        match path.is_dir() {
            true if name == "tests" || name == "target" || name == "xtask" => {}
            true => sources(&path, found),
            false if name.ends_with(".rs") && !name.contains("tests") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn the_reference_of_environment_variables_is_true() {
    let literal =
        Regex::new(r#""((?:INGOT|PACKER|PKR|HCP|DOCKER|XDG|VAULT|CONSUL)_[A-Z_]*[A-Z]|NO_COLOR)"#)
            .unwrap();
    let mut files = Vec::new();
    sources(&repository("src"), &mut files);
    sources(&repository("plugins"), &mut files);
    let mut read = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        read.extend(literal.captures_iter(code).map(|found| found[1].to_owned()));
    }
    assert!(read.len() > 30, "{read:?}");
    let page = std::fs::read_to_string(repository("docs/reference/environment.md")).unwrap();
    let named = Regex::new(
        r"\b(?:INGOT|PACKER|PKR|HCP|DOCKER|XDG|VAULT|CONSUL)_[A-Z_]*[A-Z]\b|\bNO_COLOR\b",
    )
    .unwrap();
    let named: BTreeSet<String> = named
        .find_iter(&page)
        .map(|found| found.as_str().replace("PKR_VAR_NAME", "PKR_VAR"))
        .collect();
    let missing: Vec<_> = read.difference(&named).collect();
    let gone: Vec<_> = named.difference(&read).collect();
    assert!(missing.is_empty(), "docs/reference/environment.md does not name {missing:?}");
    assert!(gone.is_empty(), "docs/reference/environment.md names {gone:?}, which nothing reads");
    // What dependencies read, and what others than Ingot set.
    for name in [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "TMPDIR",
        "TERM",
        "CI",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_WORKSPACE",
        "GITLAB_CI",
    ] {
        assert!(page.contains(&format!("`{name}`")), "docs/reference/environment.md lacks {name}");
    }
}

/// Names of one kind, such as `command` or `flag`, that Packer has: `flag` also has its command's.
type Names = BTreeSet<(String, String)>;

/// The headings of docs/moving-from-packer.md below which names of a kind stand.
const HEADINGS: [(&str, &str); 9] = [
    ("Names of commands", "command"),
    ("Flags", "flag"),
    ("Environment", "environment"),
    ("Blocks", "block"),
    ("Builders", "builder"),
    ("Provisioners", "provisioner"),
    ("Post-processors", "post-processor"),
    ("Data sources", "data-source"),
    ("Functions", "function"),
];

/// One row of the tables of docs/moving-from-packer.md.
struct TableRow {
    kind: &'static str,
    names: Vec<String>,
    /// What Ingot does with them.
    ingot: String,
}

/// The tables of all that Packer has, in docs/moving-from-packer.md.
fn table() -> Vec<TableRow> {
    let page = std::fs::read_to_string(repository("docs/moving-from-packer.md")).unwrap();
    let (_, page) = page.split_once("\n## All of Packer 1.16\n").expect("the tables");
    let ticked = Regex::new("`([^`]+)`").unwrap();
    let names = |cell: &str| -> Vec<String> {
        ticked.captures_iter(cell).map(|found| found[1].to_owned()).collect()
    };
    let (mut kind, mut rows) = (None, Vec::new());
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            kind = HEADINGS.iter().find(|(text, _)| *text == heading).map(|(_, kind)| *kind);
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(kind) = kind.filter(|_| line.starts_with("| `")) else { continue };
        rows.push(match (kind, &cells[..]) {
            ("flag", [command, flags, ingot]) => {
                let command = names(command).remove(0);
                let flags = names(flags).into_iter().map(|flag| format!("{command} {flag}"));
                TableRow { kind, names: flags.collect(), ingot: (*ingot).to_owned() }
            }
            (_, [first, ingot]) => {
                TableRow { kind, names: names(first), ingot: (*ingot).to_owned() }
            }
            _ => panic!("a row with other columns: {line}"),
        });
    }
    rows
}

/// What is recorded of Packer.
fn recorded() -> Names {
    let text = std::fs::read_to_string(repository("tests/packer-1.16.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').expect("a kind and a name"));
    split.map(|(kind, name)| (kind.to_owned(), name.to_owned())).collect()
}

#[test]
fn the_tables_name_all_that_packer_has() {
    let rows = table();
    let named: Names = rows
        .iter()
        .flat_map(|row| row.names.iter().map(|name| (row.kind.to_owned(), name.clone())))
        .collect();
    assert_eq!(named.len(), rows.iter().map(|row| row.names.len()).sum::<usize>(), "named twice");
    let recorded = recorded();
    let missing: Vec<_> = recorded.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&recorded).collect();
    assert!(missing.is_empty(), "docs/moving-from-packer.md does not name {missing:?}");
    assert!(unknown.is_empty(), "docs/moving-from-packer.md names {unknown:?}, unlike Packer");
}

/// The names of one kind in rows that promise the same.
fn promised(kind: &str) -> Vec<String> {
    let rows = table().into_iter().filter(|row| row.kind == kind);
    rows.filter(|row| row.ingot.starts_with("the same")).flat_map(|row| row.names).collect()
}

#[test]
fn what_the_tables_call_the_same_is_there() {
    let plugins = ingot::builtin::plugins();
    let has = |kind: &str, name: &str| match kind {
        "builder" => plugins.builders.contains_key(name),
        "provisioner" => plugins.provisioners.contains_key(name),
        "post-processor" => plugins.post_processors.contains_key(name),
        _ => plugins.data_sources.contains_key(name),
    };
    for kind in ["builder", "provisioner", "post-processor", "data-source"] {
        let same = promised(kind);
        assert!(!same.is_empty());
        same.iter().for_each(|name| assert!(has(kind, name), "the {kind} {name} is missing"));
    }
    let text = ingot_cli::reference::page();
    for command in promised("command") {
        assert!(text.contains(&format!("\n## `ingot {command}`\n")), "{command} is missing");
    }
    for flag in promised("flag") {
        let (command, flag) = flag.rsplit_once(' ').unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let of_text = format!("{flag}=a");
        // One that does not exist is refused before help is shown.
        let value = match flag {
            "-var" => "-var=a=b",
            "-var-file" => "-var-file=f",
            "-on-error" => "-on-error=abort",
            "-parallel-builds" => "-parallel-builds=1",
            "-config-type" => "-config-type=hcl2",
            "-only" => "-only=a",
            "-except" => "-except=a",
            "-path" => "-path=a",
            "-output-file" => "-output-file=a",
            "-require-rekor" | "-require-timestamp" => flag,
            _ if command == "verify-attestation" => &of_text,
            flag => flag,
        };
        let run = ingot_test_support::ingot(
            &repository("tests"),
            &[&words[..], &[value, "-help"]].concat(),
        );
        assert_eq!(run.code, Some(0), "{command} {flag}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn functions_that_the_tables_name_are_known() {
    let names = recorded().into_iter().filter(|(kind, _)| kind == "function");
    let names = names.map(|(_, name)| name).chain(["no_such_function".to_owned()]);
    // One local for each, as an expression is not evaluated further than its first mistake.
    let locals: String =
        names.enumerate().map(|(index, name)| format!("  f{index} = {name}()\n")).collect();
    let template = format!("locals {{\n{locals}}}\n");
    let dir = ingot_test_support::template(&template);
    let run = ingot_test_support::ingot(dir.path(), &["validate", "."]);
    let unknown = Regex::new("no function is called `([a-z0-9_]+)`").unwrap();
    let unknown: Vec<_> = unknown.captures_iter(&run.stdout).map(|one| one[1].to_owned()).collect();
    assert_eq!(unknown, ["no_such_function"], "{}", run.stdout);
}

/// Runs Packer where it is of the version that is recorded.
fn packer(args: &[&str], directory: &Path) -> Option<String> {
    let program = std::env::var_os("INGOT_PEER").unwrap_or_else(|| "packer".into());
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(args).env("CHECKPOINT_DISABLE", "1").env("PACKER_PLUGIN_PATH", directory);
        command.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let version = run(&["version"]);
    if !version.is_some_and(|text| text.starts_with("Packer v1.16.")) {
        println!("skipped: there is no Packer 1.16 to compare with (set INGOT_PEER)");
        return None;
    }
    run(args)
}

#[test]
fn the_recorded_names_are_those_that_packer_prints() {
    let empty = tempfile::tempdir().unwrap();
    let Some(help) = packer(&["-help"], empty.path()) else { return };
    let packer = |args: &[&str]| packer(args, empty.path()).unwrap();
    let find = |pattern: &str, text: &str| -> BTreeSet<String> {
        let pattern = Regex::new(pattern).unwrap();
        pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
    };
    let recorded = recorded();
    let of_kind = |kind: &str| -> BTreeSet<String> {
        let names = recorded.iter().filter(|(of, _)| of == kind);
        names.map(|(_, name)| name.clone()).collect()
    };
    let mut commands = find("(?m)^    ([a-z0-9_-]+) {2,}", &help);
    let inner = find("(?m)^    ([a-z]+) {2,}", &packer(&["plugins", "-help"]));
    commands.extend(inner.iter().map(|name| format!("plugins {name}")));
    // Those that it does not list.
    commands.extend(["execute", "plugin", "sbom-generate"].map(str::to_owned));
    assert_eq!(of_kind("command"), commands);
    let mut flags = BTreeSet::new();
    for command in &commands {
        if ["execute", "plugin", "sbom-generate"].contains(&command.as_str()) {
            continue;
        }
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("-help");
        let own = find("(?m)^ +--?([a-z][a-z0-9-]*)", &packer(&words));
        flags.extend(own.iter().map(|flag| format!("{command} -{flag}")));
    }
    assert_eq!(of_kind("flag"), flags);
    // What it says of a template with every name.
    let validate = |text: &str| {
        std::fs::write(empty.path().join("t.pkr.hcl"), text).unwrap();
        packer(&["validate", &empty.path().display().to_string()])
    };
    let said = validate("data \"nosuch\" \"y\" {}\n");
    let known = said.split_once("known data sources: [").expect("a list").1;
    let known = known.split(']').next().unwrap().split_whitespace().map(str::to_owned);
    assert_eq!(of_kind("data-source"), known.collect());
    let calls: Vec<String> = of_kind("function").iter().map(|name| format!("{name}()")).collect();
    let sources: Vec<String> =
        of_kind("builder").iter().map(|name| format!("source \"{name}\" \"n\" {{}}\n")).collect();
    let used: Vec<String> =
        of_kind("builder").iter().map(|name| format!("\"source.{name}.n\"")).collect();
    let steps = |kind: &str| -> String {
        of_kind(kind).iter().map(|name| format!("  {kind} \"{name}\" {{}}\n")).collect()
    };
    let said = validate(&format!(
        "locals {{\n  all = [{}, no_such_function()]\n}}\n{}build {{\n  sources = [{}]\n{}{}}}\n",
        calls.join(", "),
        sources.concat(),
        used.join(", "),
        steps("provisioner"),
        steps("post-processor"),
    ));
    assert_eq!(
        find("no function named \"([a-z0-9_]+)\"", &said),
        ["no_such_function".to_owned()].into()
    );
    assert!(!said.contains("Error: Unknown"), "{said}");
}
