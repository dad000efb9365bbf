//! Whole templates: Ingot's verdicts and values against those that Packer gave.
//!
//! Every directory in `conformance/templates` is a case: a template, perhaps a `case.json` that says
//! how to run it, and `expected.json`, which `conformance/record` writes with Packer itself.
//! `message.txt` is what Ingot says of it; with `UPDATE` in the environment it is rewritten, so
//! that a change of messages can be read as a diff. `INGOT_CASE` picks cases by a part of their
//! name.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

#[path = "conformance/inspection.rs"]
mod inspection;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingot_test_support::Run;
use inspection::Inspection;
use serde::{Deserialize, Serialize};

/// Cases for what is not built yet.
const LATER: &str = "later-";
/// Cases of legacy JSON templates.
const LEGACY: &str = "legacy-";

/// What Ingot says must not depend on the plugins of this machine: no such directory is anywhere.
const NO_PLUGINS: &str = "/nonexistent/plugins";

/// How a case differs from Packer on purpose.
enum Difference {
    /// Packer refuses the template, Ingot takes it.
    Accepts,
    /// Packer takes the template, Ingot refuses it.
    Refuses,
    /// Both take it; `inspect.txt` is what Ingot shows.
    Shows,
}
use Difference::{Accepts, Refuses, Shows};

/// What Ingot does differently on purpose, and why.
const DIFFERENCES: &[(&str, Difference, &str)] = &[
    ("build-name-null", Accepts, "null is what is left out, everywhere"),
    ("dynamic-for-each-source", Accepts, "dynamic blocks are expanded for each source"),
    (
        "dynamic-for-each-unknown",
        Accepts,
        "Packer takes what blocks for an unknown list hold for empty while it validates",
    ),
    ("file-syntax-only", Shows, "a local with a mistake is unknown; Packer leaves it out"),
    ("local-by-index", Accepts, "Packer crashes on local[\"a\"]"),
    (
        "packer-plugin-missing",
        Accepts,
        "a plugin that no block uses need not be here; `ingot init` says that it is missing",
    ),
    ("provisioner-only-null", Accepts, "null is what is left out, everywhere"),
    ("provisioner-override-map", Accepts, "a map does as well as an object"),
    (
        "scope-build-as-number",
        Accepts,
        "Packer takes build.Port for a text while it validates, and refuses it as a number",
    ),
    ("scope-source-in-local", Refuses, "Packer would write a placeholder for it"),
    ("variable-sensitive", Shows, "what holds a secret is hidden as a whole"),
    ("variable-sensitive-derived", Shows, "what is made of a secret is a secret"),
    ("variable-sensitive-number", Shows, "secret numbers are hidden too"),
];

/// Mistakes that are not at a place in a file.
const NO_PLACE: &[&str] = &[
    "block-no-build",
    "block-nothing-but-variables",
    "file-comments-only",
    "file-empty",
    "file-empty-directory",
    "file-missing",
    "file-only-variables-file",
    "file-other-extension",
    "filter-except-bad-pattern",
    "filter-only-bad-pattern",
    "variable-file-missing",
    "variable-file-other-extension",
    "variable-flag-undeclared",
    "variable-flag-without-name",
    "variable-flag-without-value",
];

/// `case.json`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Arguments of `validate` alone.
    args: Vec<String>,
    /// Arguments of `validate` and `inspect`: `-var` and `-var-file`.
    variables: Vec<String>,
    /// The environment.
    env: BTreeMap<String, String>,
    /// The template; the directory if not given.
    path: Option<String>,
    /// Whether what `inspect` shows counts although the template is not valid.
    inspect: bool,
    /// The name that the message must suggest.
    suggests: Option<String>,
}

/// `expected.json`
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    valid: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inspect: Option<Inspection>,
    /// What `inspect` shows of a legacy JSON template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inspect_json: Option<Vec<String>>,
    /// What `fix` makes of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed: Option<serde_json::Value>,
}

struct Case {
    name: String,
    dir: PathBuf,
    options: Options,
}

/// What `validate` says of a template besides that it is valid.
fn message(stdout: &str) -> &str {
    let verdicts =
        ["The configuration is valid.\n", "Syntax-only check passed. Everything looks okay.\n"];
    verdicts.iter().find_map(|verdict| stdout.strip_suffix(verdict)).unwrap_or(stdout)
}

impl Case {
    fn run(&self, program: &str, command: &str, args: &[String]) -> Run {
        let path = self.options.path.as_deref().unwrap_or(".");
        let args = [&[command.to_owned()], args, &self.options.variables, &[path.to_owned()]];
        let args = args.concat();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let env = self.options.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut env: Vec<(&str, &str)> = env.collect();
        env.push(("CHECKPOINT_DISABLE", "1"));
        if Path::new(program) == ingot_test_support::ingot_program() {
            env.push(("PACKER_PLUGIN_PATH", NO_PLUGINS));
        }
        let mut run = ingot_test_support::program(program, &self.dir, &args, &env);
        // The place of the checkout is not part of what is compared.
        let here = self.dir.to_str().expect("directories of tests have plain names");
        for text in [&mut run.stdout, &mut run.stderr] {
            *text = text.replace(here, "<here>");
        }
        run
    }

    fn validate(&self, program: &str) -> Run {
        self.run(program, "validate", &self.options.args)
    }

    fn inspect(&self, program: &str) -> Run {
        self.run(program, "inspect", &[])
    }

    /// The text of one of the case's own files, empty if there is none.
    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap_or_default()
    }

    /// Writes one of the case's own files; an empty one goes.
    fn write(&self, file: &str, text: &str) {
        let path = self.dir.join(file);
        match text.is_empty() {
            true => drop(std::fs::remove_file(path)),
            false => std::fs::write(path, text).expect("the case's directory can be written"),
        }
    }

    /// Asks Packer.
    fn record(&self, packer: &str) {
        let valid = self.validate(packer).code == Some(0);
        let shown = (valid || self.options.inspect).then(|| self.inspect(packer));
        let legacy = self.name.starts_with(LEGACY);
        let inspect_json = shown.as_ref().filter(|_| legacy).map(|shown| lines(&shown.stdout));
        let fixed = legacy.then(|| self.run(packer, "fix", &[]));
        let fixed = fixed.and_then(|run| serde_json::from_str(&run.stdout).ok()).map(without_nulls);
        let inspect = shown.filter(|_| !legacy).map(|shown| {
            let parsed = Inspection::parse(&shown.stdout)
                .unwrap_or_else(|| panic!("{}: not understood:\n{}", self.name, shown.stdout));
            assert_eq!(parsed.render(), shown.stdout, "{}", self.name);
            parsed
        });
        // What it leaves where it crashed is its own text, and names places of this machine.
        self.write("crash.log", "");
        let expected = Expected { valid, inspect, inspect_json, fixed };
        let text = serde_json::to_string_pretty(&expected).expect("plain data");
        self.write("expected.json", &(text + "\n"));
    }

    /// What is wrong with Ingot's answers.
    fn check(&self, ingot: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let expected: Expected = match serde_json::from_str(&self.read("expected.json")) {
            Ok(expected) => expected,
            Err(error) => return vec![format!("expected.json: {error}; run conformance/record")],
        };
        let difference = DIFFERENCES.iter().find(|(name, ..)| *name == self.name);
        let difference = difference.map(|(_, difference, _)| difference);
        let run = self.validate(ingot);
        let valid = run.code == Some(0);
        let wanted = match difference {
            Some(Accepts) if expected.valid => {
                wrong.push("Packer takes it too; it is no difference".to_owned());
                true
            }
            Some(Accepts) => true,
            Some(Refuses) if !expected.valid => {
                wrong.push("Packer refuses it too; it is no difference".to_owned());
                false
            }
            Some(Refuses) => false,
            _ => expected.valid,
        };
        if valid != wanted {
            let word = |valid| if valid { "valid" } else { "invalid" };
            wrong.push(format!("{} expected, {} got", word(wanted), word(valid)));
        }
        if !valid && !matches!(run.code, Some(1)) {
            wrong.push(format!("exit code {:?}", run.code));
        }
        if !valid {
            let placed = run.stdout.contains("┌─ ");
            if placed == NO_PLACE.contains(&self.name.as_str()) {
                wrong.push(format!("the message names a place: {placed}"));
            }
        }
        if let Some(name) = &self.options.suggests
            && !run.stdout.contains(&format!("did you mean `{name}`"))
        {
            wrong.push(format!("the message does not suggest `{name}`"));
        }
        wrong.extend(self.snapshot("message.txt", message(&run.stdout)));
        if self.name.starts_with(LEGACY) {
            wrong.extend(self.check_legacy(ingot, &expected, valid));
        }
        if let Some(inspect) = expected.inspect.as_ref().filter(|_| wanted || self.options.inspect)
        {
            let mut shown = self.inspect(ingot);
            // Warnings come first, and are judged above.
            let start = shown.stdout.find("Packer Inspect:").unwrap_or(0);
            shown.stdout.drain(..start);
            if shown.code != Some(0) {
                wrong.push(format!("inspect: exit code {:?}", shown.code));
            }
            let theirs = inspect.render();
            match difference {
                Some(Shows) if shown.stdout == theirs => {
                    wrong.push("both show the same; it is no difference".to_owned());
                }
                Some(Shows) => wrong.extend(self.snapshot("inspect.txt", &shown.stdout)),
                _ if shown.stdout == theirs => {}
                _ => wrong.push(format!(
                    "inspect differs (- Packer, + Ingot):\n{}",
                    differing_lines(&theirs, &shown.stdout)
                )),
            }
        }
        wrong
    }

    /// What is wrong with what the commands for legacy JSON templates say.
    fn check_legacy(&self, ingot: &str, expected: &Expected, valid: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(theirs) = &expected.inspect_json {
            // Ingot warns before it shows; Packer's `inspect` does not look at values.
            let shown = lines(&self.inspect(ingot).stdout);
            let title = |line: &String| line.starts_with("Packer Inspect");
            let shown: Vec<_> = shown.into_iter().skip_while(|line| !title(line)).collect();
            if shown != *theirs {
                wrong.push(format!("inspect: {theirs:#?} expected, {shown:#?} shown"));
            }
        }
        if let Some(theirs) = &expected.fixed {
            let run = self.run(ingot, "fix", &[]);
            match serde_json::from_str(&run.stdout).map(without_nulls) {
                Ok(fixed) if fixed == *theirs => {}
                other => wrong.push(format!("fix: {theirs:#} expected, {other:#?}")),
            }
        }
        // What is written in its place is as good as it was. (`-only` names other builds there.)
        if valid && self.options.args.is_empty() {
            let directory = tempfile::tempdir().expect("there is a temporary directory");
            let written = directory.path().join("upgraded.pkr.hcl");
            let written = written.to_str().expect("its name is plain").to_owned();
            let run = self.run(ingot, "hcl2_upgrade", &[format!("-output-file={written}")]);
            if run.code != Some(0) {
                wrong.push(format!("hcl2_upgrade: {}{}", run.stdout, run.stderr));
            }
            let text = std::fs::read_to_string(&written).unwrap_or_default();
            wrong.extend(self.snapshot("upgraded.pkr.hcl.txt", &text));
            let args: Vec<&str> = ["validate", &written].to_vec();
            let env = [("PACKER_PLUGIN_PATH", NO_PLUGINS)];
            let run = ingot_test_support::program(ingot, &self.dir, &args, &env);
            // Variables that are given values for one run are not declared in all files.
            if run.code != Some(0) && self.options.variables.is_empty() {
                wrong.push(format!("the upgraded template: {}", run.stdout));
            }
        }
        wrong
    }

    fn snapshot(&self, file: &str, text: &str) -> Option<String> {
        if std::env::var_os("UPDATE").is_some() {
            self.write(file, text);
        }
        let before = self.read(file);
        (before != text).then(|| {
            format!("{file} differs (- before, + now):\n{}", differing_lines(&before, text))
        })
    }
}

/// What is shown, line by line; ends of lines that nobody sees are not compared.
fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Without nulls and empty lists, which fixers of Packer's add.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Null, Object};
    match value {
        Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_nulls(value)));
            Object(fields.filter(|(_, value)| *value != Null && *value != Array(vec![])).collect())
        }
        Array(items) => Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn differing_lines(before: &str, now: &str) -> String {
    let lacks = |text: &str, line: &str| !text.lines().any(|other| other == line);
    let gone = before.lines().filter(|line| lacks(now, line)).map(|line| format!("  - {line}"));
    let come = now.lines().filter(|line| lacks(before, line)).map(|line| format!("  + {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/templates");
    let wanted = std::env::var("INGOT_CASE").unwrap_or_default();
    let mut cases: Vec<Case> = std::fs::read_dir(root)
        .expect("the cases are there")
        .map(|entry| {
            let dir = entry.expect("the cases can be listed").path();
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let options = match std::fs::read_to_string(dir.join("case.json")) {
                Ok(text) => serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("{name}/case.json: {error}")),
                Err(_) => Options::default(),
            };
            Case { name, dir, options }
        })
        .filter(|case| case.name.contains(&wanted))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// Calls `work` for every case, on a few threads, and returns what it says in the cases' order.
fn each<T: Send>(cases: &[Case], work: impl Fn(&Case) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    let result = work(case);
                    results
                        .lock()
                        .expect("no case panics while it holds this")
                        .push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no case panics while it holds this");
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn templates_mean_what_they_mean_to_packer() {
    let (later, now): (Vec<Case>, Vec<Case>) =
        cases().into_iter().partition(|case| case.name.starts_with(LATER));
    println!("{} cases; {} more for what is not built yet", now.len(), later.len());
    let answers =
        each(&now, |case| case.check(&ingot_test_support::ingot_program().display().to_string()));
    let wrong: Vec<String> = now
        .iter()
        .zip(answers)
        .flat_map(|(case, wrong)| wrong.into_iter().map(|text| format!("{}: {text}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

/// Writes what Packer says of every case; `conformance/record` runs it.
#[test]
#[ignore = "needs Packer"]
fn record() {
    let packer = std::env::var("INGOT_PEER").unwrap_or_else(|_| "packer".to_owned());
    each(&cases(), |case| case.record(&packer));
}
