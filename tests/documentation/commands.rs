//! The pages' commands do what the pages show.
//!
//! A page takes part if it has `console` blocks. They are run in order, in one shell, in an empty
//! directory; blocks with `file=PATH` after their language are written there first, in their place
//! in the page. A command must succeed, unless the next one is `echo $?`, and must print what the
//! page shows. docs/contributing/documentation.md tells how to write such a page.

use std::net::TcpListener;
use std::path::Path;

use ingot_test_support::{docker, ingot_program, missing, repository, target_directory};

use crate::page::{Block, blocks, comments, pages, shown};
use crate::session::{Outcome, Step, matches, run, steps, trimmed};

/// Whether what a page says that it needs is there.
fn has(what: &str) -> bool {
    if what == "docker" {
        return docker();
    }
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(what).is_file());
    if !found {
        missing(format_args!("{what} is not on the PATH"));
    }
    found
}

/// A page with what only matters to tests put in: ports that are free.
fn with_free_ports(text: &str) -> String {
    let mut text = text.to_owned();
    for port in comments(&text.clone(), "port") {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        text = text.replace(port, &free.to_string());
    }
    text
}

/// Runs the commands of a page and gives what differs from it.
fn differences(text: &str, name: &str) -> Vec<String> {
    let text = with_free_ports(text);
    let directory = tempfile::tempdir().unwrap();
    let (mut all, mut files) = (Vec::<Step>::new(), 0);
    for block in blocks(&text) {
        if let Some(file) = &block.file {
            all.push(save(&block, file));
            files += 1;
        }
        if block.language == "console" && block.not_run.is_none() {
            all.extend(steps(&block));
        }
    }
    let done = run(&all, directory.path(), &environment(directory.path()));
    assert!(all.len() > files, "{name} has no commands");
    let mut wrong = Vec::new();
    for (index, (step, outcome)) in all.iter().zip(&done).enumerate() {
        let asked = all.get(index + 1).is_some_and(|next| next.command == "echo $?");
        if let Some(why) = difference(step, outcome, asked) {
            let (line, command) = (step.line, &step.command);
            let printed = outcome.printed.join("\n");
            wrong.push(format!("{name}:{line}: {why}\n$ {command}\n{printed}\n"));
        }
    }
    wrong
}

/// The step that saves a file of the page, as the reader does with an editor.
fn save(block: &Block, file: &str) -> Step {
    let path = format!("$HOME/{file}");
    let text = &block.text;
    let command = format!(
        "mkdir -p \"$(dirname \"{path}\")\" && cat >\"{path}\" <<'END OF FILE'\n{text}END OF FILE"
    );
    Step { line: block.line, command, shown: Vec::new() }
}

fn difference(step: &Step, outcome: &Outcome, status_is_shown: bool) -> Option<String> {
    if outcome.status != 0 && !status_is_shown {
        return Some(format!("exit code {}", outcome.status));
    }
    let shown = trimmed(step.shown.iter().cloned());
    (!shown.is_empty() && !matches(&shown, &outcome.printed))
        .then(|| format!("the page shows\n{}\n", shown.join("\n")))
}

/// A reader's environment: the program on the PATH, a home directory of their own.
fn environment(directory: &Path) -> Vec<(String, String)> {
    let program = ingot_program();
    let own = program.parent().expect("the program is in a directory").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let plain = |path: &Path| path.to_str().expect("a plain name").to_owned();
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("PATH", path.into_string().expect("a plain PATH")),
        pair("HOME", plain(directory)),
        pair("XDG_DATA_HOME", plain(&directory.join("share"))),
        pair("XDG_STATE_HOME", plain(&directory.join("state"))),
        pair("XDG_CACHE_HOME", plain(&directory.join("cache"))),
        pair("PACKER_PLUGIN_PATH", plain(&target_directory().join("no-plugins"))),
        pair("GIT_AUTHOR_NAME", "You".to_owned()),
        pair("GIT_AUTHOR_EMAIL", "you@example.com".to_owned()),
        pair("GIT_COMMITTER_NAME", "You".to_owned()),
        pair("GIT_COMMITTER_EMAIL", "you@example.com".to_owned()),
        // What a page needs of this repository; the reader has a clone.
        pair("INGOT_REPOSITORY", plain(&repository("").canonicalize().unwrap())),
        pair("CI", String::new()),
        pair("INGOT_CI", "off".to_owned()),
    ]
}

/// Runs the commands of a page, if what it needs is there.
fn page_is_true(path: &str) {
    let text = std::fs::read_to_string(repository(path)).unwrap();
    let needs: Vec<&str> =
        comments(&text, "needs").iter().flat_map(|list| list.split(", ")).collect();
    if !needs.iter().all(|what| has(what)) {
        return;
    }
    let wrong = differences(&text, path);
    // What the page built and its reader keeps.
    for image in comments(&text, "remove image") {
        let _ = std::process::Command::new("docker").args(["rmi", "-f", image]).output();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn getting_started() {
    page_is_true("docs/getting-started.md");
}

#[test]
fn the_tutorial() {
    page_is_true("docs/tutorial.md");
}

#[test]
fn how_to_build_in_ci() {
    page_is_true("docs/how-to/ci.md");
}

#[test]
fn what_a_build_shows_and_leaves() {
    page_is_true("docs/build-output.md");
}

#[test]
fn how_to_plan() {
    page_is_true("docs/how-to/plan.md");
}

#[test]
fn how_to_test_an_image() {
    page_is_true("docs/how-to/test-images.md");
}

#[test]
fn how_to_compare_images() {
    page_is_true("docs/how-to/compare-images.md");
}

#[test]
fn how_to_keep_a_family_up_to_date() {
    page_is_true("docs/how-to/families.md");
}

#[test]
fn how_to_check_before_a_commit() {
    page_is_true("docs/how-to/pre-commit.md");
}

#[test]
fn how_to_work_without_a_network() {
    page_is_true("docs/how-to/air-gapped.md");
}

#[test]
fn how_to_move_from_hcp_packer() {
    page_is_true("docs/how-to/from-hcp-packer.md");
}

#[test]
fn how_to_resume_a_failed_build() {
    page_is_true("docs/how-to/resume.md");
}

#[test]
fn how_not_to_run_unchanged_steps_again() {
    page_is_true("docs/how-to/step-cache.md");
}

/// No page with commands is left out above, and what is not run says why.
#[test]
fn every_command_is_run_or_says_why_not() {
    let own = std::fs::read_to_string(repository("tests/documentation/commands.rs")).unwrap();
    let mut run = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let console = blocks(&text).into_iter().filter(|block| block.language == "console");
        let (not, is): (Vec<_>, Vec<_>) = console.partition(|block| block.not_run.is_some());
        for block in not {
            let reason = block.not_run.unwrap_or_default();
            assert!(reason.len() > 10, "{}:{}: say why it is not run", shown(&page), block.line);
        }
        let name = shown(&page);
        let listed = own.contains(&format!("page_is_true(\"{name}\")"));
        assert_eq!(
            listed,
            !is.is_empty(),
            "{name}: its commands are run by no test, or it has none"
        );
        run += is.len();
    }
    assert!(run > 20, "only {run} blocks are run");
}

#[test]
fn what_a_page_shows_wrongly_is_found() {
    let page =
        "```console\n$ echo a\nb\n```\n```console\n$ exit_code() { return 3; }; exit_code\n```\n";
    let wrong = differences(page, "a page");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("a page:1: the page shows\nb\n"), "{}", wrong[0]);
    assert!(wrong[1].contains("a page:5: exit code 3"), "{}", wrong[1]);
}
