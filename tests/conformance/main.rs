//! Whether expressions mean here what they mean in Packer: `expressions/*.txt` hold what its
//! console answered to each, written down by `record-expressions`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod console;

use std::path::PathBuf;

use ingot_cli::console::answer;
use ingot_engine::{Project, ProjectOptions};
use ingot_hcl::Diagnostics;

/// Where Ingot differs on purpose, and why. docs/moving-from-packer.md explains each.
const DIFFERENCES: &str = include_str!("differences.txt");

struct Case {
    expression: String,
    /// Nothing if Packer refused it.
    answer: Option<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let shown = line.strip_prefix("= ").or_else(|| (line == "=").then_some(""));
        match (shown, cases.last_mut()) {
            (Some(row), Some(case)) => match &mut case.answer {
                Some(answer) => *answer = format!("{answer}\n{row}"),
                None => case.answer = Some(row.to_owned()),
            },
            _ if line.starts_with("! ") => {}
            _ => cases.push(Case { expression: line.to_owned(), answer: None }),
        }
    }
    cases
}

#[test]
fn expressions_mean_what_they_mean_in_packer() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/expressions");
    // Some functions read from the directory that the program runs in.
    std::env::set_current_dir(root.join("fixtures")).unwrap();
    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions::default();
    let mut project = Project::load(".".as_ref(), &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&project.sources, false));

    let mut files: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut allowed: Vec<(&str, &str, bool)> = DIFFERENCES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (reason, expression) = line.split_once(": ").expect("reason: expression");
            (reason, expression, false)
        })
        .collect();
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for case in cases(&std::fs::read_to_string(&path).unwrap()) {
            count += 1;
            let ours = answer(&project, &case.expression);
            if ours.as_ref().ok() == case.answer.as_ref() {
                continue;
            }
            let ours = ours.unwrap_or_else(|(diagnostics, sources)| {
                let text = diagnostics.render(&sources, false);
                format!("refused: {}", text.lines().next().unwrap_or_default())
            });
            let theirs = case.answer.as_deref().unwrap_or("refused");
            match allowed.iter_mut().find(|(_, expression, _)| *expression == case.expression) {
                Some((reason, _, seen)) => {
                    *seen = true;
                    println!("differs on purpose ({reason}): {}", case.expression);
                }
                None => wrong.push(format!(
                    "{name}: {}\n  Packer: {theirs}\n  Ingot:  {ours}",
                    case.expression
                )),
            }
        }
    }
    println!("{count} expressions");
    assert!(count >= 1700, "only {count} expressions were found");
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n"));
    let gone: Vec<&str> =
        allowed.iter().filter(|(.., seen)| !seen).map(|(_, expression, _)| *expression).collect();
    assert!(gone.is_empty(), "these agree by now; take them off the list: {gone:?}");
}
