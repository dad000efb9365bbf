//! `test "NAME"`: what must be true of the finished artifact.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_checks::{Check, Defaults, KINDS, goss, schema};
use ingot_hcl::ast::Block;
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::functions::yaml_value;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::{Span, text_of};
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::Value;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Config, ConfigErrors, TestRun};

use super::names::Names;
use super::reader::Reader;
use crate::block_form::{labels, only};
use crate::dynamic::{self, Part, expand};
use crate::option_place::config_errors;
use crate::options::{self, BlockOptions};
use crate::steps::Applies;

/// How long a test may take as a whole, if nothing says so.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// A `test` block.
#[derive(Debug, Clone)]
pub struct TestBlock {
    /// Its name.
    pub name: String,
    /// `only`, `except`
    pub applies: Applies,
    /// `run`: what a container runs while it is tested.
    pub run: Option<TestRun>,
    /// `sudo`: whether the checks run as root by sudo.
    pub sudo: bool,
    /// `timeout`: how long the test may take as a whole, with starting the machine.
    pub timeout: Duration,
    /// The checks, in order.
    pub checks: Vec<TestCheck>,
    /// Blocks that are no checks, as their options are not in the form that they have to be in.
    pub refused: Vec<RefusedCheck>,
    /// Where `run` is set.
    pub run_place: Option<Span>,
    /// Where the block starts.
    pub header: Span,
}

/// A check of a test, and its block.
#[derive(Debug, Clone)]
pub struct TestCheck {
    /// The check.
    pub check: Check,
    /// What it was read from.
    pub source: CheckSource,
    /// Where its block starts.
    pub header: Span,
}

/// A block of a test that is no check for what an option says. Where texts stand for secrets, these may be
/// what is not in the right form.
#[derive(Debug, Clone)]
pub struct RefusedCheck {
    /// The kind of check.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The options.
    pub options: Config,
}

/// What a check was read from.
#[derive(Debug, Clone)]
pub enum CheckSource {
    /// A block with these options.
    Block(Config),
    /// This goss file.
    Goss(PathBuf),
}

/// The blocks that stand in a test.
pub(super) fn blocks() -> Vec<&'static str> {
    KINDS.iter().copied().chain(["goss"]).collect()
}

const ARGUMENTS: &[&str] =
    &["only", "except", "run", "sudo", "timeout", "check_timeout", "retry_timeout"];

/// Reads a `test` block. What is wrong goes to the reader's diagnostics.
pub(super) fn read(block: &Block, names: &Names, mut reader: Reader) -> Option<TestBlock> {
    let known: Vec<&str> = blocks().into_iter().chain(["dynamic"]).collect();
    only(reader.body, ARGUMENTS, &known, reader.diagnostics);
    if block.label(0).trim().is_empty() {
        reader.diagnostics.push(Diagnostic::error("a test has a name").at(block.labels[0].span));
    }
    let applies = applies(names, &mut reader)?;
    let run = run_as(&mut reader);
    let sudo = reader.bool("sudo").unwrap_or(false);
    let mut limit = |name: &str| reader.duration(name).filter(|limit| !limit.is_zero());
    let timeout = limit("timeout").unwrap_or(TIMEOUT);
    let defaults = Defaults { timeout: limit("check_timeout"), retry: None };
    let defaults = Defaults { retry: reader.duration("retry_timeout"), ..defaults };
    let before = reader.diagnostics.errors();
    let (checks, refused, open) = checks(block, defaults, &mut reader);
    if checks.is_empty() && !open && reader.diagnostics.errors() == before {
        reader.diagnostics.push(
            Diagnostic::error("this test checks nothing")
                .at(block.header)
                .help("write for example: command \"nginx -v\" { exit_status = 0 }"),
        );
    }
    Some(TestBlock {
        name: block.label(0).to_owned(),
        applies,
        run,
        sudo,
        timeout,
        checks,
        refused,
        run_place: reader.place("run"),
        header: block.header,
    })
}

/// To which sources the test applies; none where it cannot be said, which was reported.
fn applies(names: &Names, reader: &mut Reader) -> Option<Applies> {
    let mut lists = [Vec::new(), Vec::new()];
    for (option, list) in ["only", "except"].into_iter().zip(&mut lists) {
        let Some(attribute) = reader.body.attribute(option) else { continue };
        let before = reader.diagnostics.errors();
        for (text, span) in attribute::texts(reader.body, option, reader.scope, reader.diagnostics)
        {
            if !names.incomplete && !names.sources.contains(&text) {
                reader.diagnostics.push(no_source(&text, span, names));
            }
            list.push(text);
        }
        if list.is_empty() && option == "only" && reader.diagnostics.errors() == before {
            reader.diagnostics.push(
                Diagnostic::error("`only` names no source, so nothing would be tested")
                    .at(attribute.expr.span)
                    .help("name sources, or leave it out to test all"),
            );
        }
    }
    if let (Some(only), Some(except)) =
        (reader.body.attribute("only"), reader.body.attribute("except"))
    {
        reader.diagnostics.push(
            Diagnostic::error("`only` and `except` exclude each other")
                .at(except.name_span)
                .also(only.name_span, "the other one")
                .help("keep one of the two"),
        );
        return None;
    }
    let [only, except] = lists;
    Some(Applies::new(only, except))
}

fn no_source(name: &str, span: Span, names: &Names) -> Diagnostic {
    let known = || names.sources.iter().map(String::as_str);
    let wrong = Diagnostic::error(format!("`{name}` is not a source of this template")).at(span);
    let bare = name.strip_prefix("source.").unwrap_or(name);
    if bare != name && known().any(|source| source == bare) {
        return wrong.help(format!("leave out `source.`: write \"{bare}\""));
    }
    match name.contains(['*', '?', '[', '{']) {
        true => wrong.help("patterns work in the flags -only and -except, not here"),
        false => wrong.suggest_or_list(name, "its sources", known()),
    }
}

fn run_as(reader: &mut Reader) -> Option<TestRun> {
    let value = reader.value("run", &Type::Dynamic)?;
    let texts = |items: &[Value]| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let run = match (value.as_str(), value.as_items().map(texts)) {
        (Some(command), _) if !command.trim().is_empty() => {
            Some(TestRun::Shell(command.to_owned()))
        }
        (_, Some(Some(arguments))) => Some(TestRun::Image(arguments)),
        _ => None,
    };
    if run.is_none() {
        let place = reader.place("run").unwrap_or(reader.body.span);
        reader.diagnostics.push(
            Diagnostic::error("`run` is a command line, or a list of arguments for the image")
                .at(place)
                .help("run = \"nginx\" runs a command; run = [] runs what the image runs"),
        );
    }
    run
}

/// The checks of a test, the blocks that are none, and whether how many there are is not known yet.
fn checks(
    block: &Block,
    defaults: Defaults,
    reader: &mut Reader,
) -> (Vec<TestCheck>, Vec<RefusedCheck>, bool) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let mut open = false;
    for inner in &block.body.blocks {
        if inner.kind != "dynamic" {
            let names = dynamic::Names::new();
            refused.extend(check_block(inner, &names, defaults, reader, &mut found));
            continue;
        }
        let kind = inner.label(0);
        let place = inner.labels.first().map_or(inner.header, |label| label.span);
        let labels = match kind {
            "goss" => 0,
            _ if KINDS.contains(&kind) => 1,
            _ => {
                let wrong = Diagnostic::error(format!("there is no block of type `{kind}` here"));
                let known = blocks();
                reader.diagnostics.push(wrong.at(place).suggest_or_list(
                    kind,
                    "known here",
                    known.iter().copied(),
                ));
                continue;
            }
        };
        let expansion = expand(inner, labels, reader.scope, reader.unknowns, reader.diagnostics);
        open |= expansion.open;
        for (inner, names) in expansion.blocks {
            refused.extend(check_block(&inner, &names, defaults, reader, &mut found));
        }
    }
    (found, refused, open)
}

/// Adds the checks of a block to `found`; one that is refused is handed back.
fn check_block(
    block: &Block,
    names: &dynamic::Names,
    defaults: Defaults,
    reader: &mut Reader,
    found: &mut Vec<TestCheck>,
) -> Option<RefusedCheck> {
    let scope = reader.scope.with(names.clone());
    if block.kind == "goss" {
        labels(block, &[], reader.diagnostics);
        found.extend(goss_block(block, defaults, &scope, reader.unknowns, reader.diagnostics));
        return None;
    }
    // What is not a check was reported.
    let schema = schema(&block.kind)?;
    if !labels(block, &["name"], reader.diagnostics) {
        return None;
    }
    let (kind, name) = (block.kind.as_str(), block.label(0));
    let same = |other: &&TestCheck| {
        other.check.kind == kind && other.check.name == name && kind != "command"
    };
    if let Some(first) = found.iter().find(same) {
        reader.diagnostics.push(
            Diagnostic::error(format!("{kind} {name:?} is checked twice in this test"))
                .at(block.header)
                .also(first.header, "first here"),
        );
        return None;
    }
    let part = Part { body: block.body.clone(), names: names.clone() };
    let (parts, header) = (&[&part][..], block.header);
    let given = BlockOptions { parts, overrides: None, header };
    let mut problems = Diagnostics::default();
    let config =
        options::evaluate(given, &schema, &[], reader.scope, reader.unknowns, &mut problems);
    let failed = problems.has_errors();
    reader.diagnostics.extend(problems);
    let refused = |options: Config| {
        Some(RefusedCheck { kind: kind.to_owned(), name: name.to_owned(), options })
    };
    if failed {
        return refused(config);
    }
    match Check::of_block(kind, name, &config, defaults) {
        Ok(check) => {
            found.push(TestCheck { check, source: CheckSource::Block(config), header });
            None
        }
        Err(errors) => {
            let decided = errors.0.into_iter();
            let decided = decided.filter(|error| !error.is_undecided(&config));
            config_errors(ConfigErrors::from_iter(decided), given, reader.diagnostics);
            refused(config)
        }
    }
}

/// The checks of the goss file that a `goss` block names.
fn goss_block(
    block: &Block,
    defaults: Defaults,
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Vec<TestCheck> {
    only(&block.body, &["file"], &[], diagnostics);
    let mut reader = Reader { body: &block.body, scope, unknowns, diagnostics };
    if reader.body.attribute("file").is_none() {
        reader.diagnostics.push(
            Diagnostic::error("this `goss` block names no file")
                .at(block.header)
                .help("write file = \"goss.yaml\""),
        );
        return Vec::new();
    }
    let Some(file) = reader.text("file") else { return Vec::new() };
    let place = reader.place("file").unwrap_or(block.header);
    let base = scope.functions().base_dir.clone();
    match goss_checks(Path::new(&file), defaults) {
        Ok(checks) => {
            let source = CheckSource::Goss(file.into());
            let (checks, header) = (checks.into_iter(), block.header);
            checks.map(|check| TestCheck { check, source: source.clone(), header }).collect()
        }
        Err(problems) => {
            let beside = base.join(&file);
            let elsewhere = !Path::new(&file).exists() && beside.exists();
            for problem in problems {
                let wrong = Diagnostic::error(problem).at(place);
                diagnostics.push(match elsewhere {
                    true => wrong.help(
                        "paths are taken from the working directory, as in templates; for one \
                         beside the template write \"${path.root}/…\"",
                    ),
                    false => wrong,
                });
            }
            Vec::new()
        }
    }
}

/// The largest goss file, in bytes.
const LARGEST_GOSS_FILE: u64 = 4 << 20;

/// The checks of a goss file.
///
/// # Errors
/// What is wrong with it, each naming the file.
pub fn goss_checks(file: &Path, defaults: Defaults) -> Result<Vec<Check>, Vec<String>> {
    let shown = file.display();
    let one = |why: String| vec![format!("{shown}: {why}")];
    let cannot = |why: String| vec![format!("cannot read the goss file {shown}: {why}")];
    let bytes = read_small(file, "goss file", LARGEST_GOSS_FILE);
    let bytes = bytes.map_err(|error| cannot(error.to_string()))?;
    let text = text_of(bytes).map_err(|error| cannot(error.to_string()))?;
    if text.contains("{{") {
        return Err(one("Ingot does not render the `{{ }}` of goss files".to_owned()));
    }
    let value = yaml_value(&text).map_err(|error| one(format!("this is not YAML: {error}")))?;
    let document =
        json_of(&value).ok_or_else(|| one("a value in it cannot be written as JSON".to_owned()))?;
    goss::checks(&document, defaults)
        .map_err(|errors| errors.into_iter().map(|error| format!("{shown}: {error}")).collect())
}

/// A value as JSON; none for what JSON cannot hold.
fn json_of(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    if value.is_null() {
        return Some(Json::Null);
    }
    if let Some(entries) = value.as_entries() {
        let entries = entries.iter().map(|(name, value)| Some((name.clone(), json_of(value)?)));
        return Some(Json::Object(entries.collect::<Option<_>>()?));
    }
    if let Some(items) = value.as_items() {
        return Some(Json::Array(items.iter().map(json_of).collect::<Option<_>>()?));
    }
    if let Some(truth) = value.as_bool() {
        return Some(Json::Bool(truth));
    }
    if let Some(number) = value.as_number() {
        return match number.as_i64() {
            Some(number) => Some(number.into()),
            None => serde_json::Number::from_f64(number.to_f64()).map(Json::Number),
        };
    }
    value.as_str().map(|text| Json::String(text.to_owned()))
}
