//! The tasks of this repository: `cargo xtask TASK`. `.ci/run` and people run the same ones.
//!
//! Knows Cargo and nothing of Ingot's crates, so that it is built in a second.

use std::process::{Command, ExitCode};

/// A task: its name, what it does, and the commands it runs in turn.
struct Task {
    name: &'static str,
    about: &'static str,
    steps: &'static [Step],
}

/// One command, with variables in its environment.
struct Step {
    argv: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const fn step(argv: &'static [&'static str]) -> Step {
    Step { argv, env: &[] }
}

const FMT: Step = step(&["cargo", "fmt", "--all", "--check"]);
const CLIPPY: Step =
    step(&["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
const TEST: Step = step(&["cargo", "test", "--workspace"]);
const DOC: Step = Step {
    // With what is private, as the readers are those who work on it.
    argv: &["cargo", "doc", "--workspace", "--no-deps", "--document-private-items"],
    // Links to what is private are right there; URLs in help are for people to copy.
    env: &[(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private-intra-doc-links -A rustdoc::bare-urls",
    )],
};
const DENY: Step = step(&["cargo", "deny", "check", "bans", "licenses", "sources"]);
const SHEAR: Step = step(&["cargo", "shear"]);
const REFERENCE: Step =
    Step { argv: &["cargo", "test", "--test", "reference"], env: &[("UPDATE", "1")] };
const MESSAGES: Step =
    Step { argv: &["cargo", "test", "--test", "conformance_templates"], env: &[("UPDATE", "1")] };

const TASKS: &[Task] = &[
    Task { name: "fmt", about: "check the layout of the code", steps: &[FMT] },
    Task {
        name: "lint",
        about: "fmt, then clippy with every warning an error",
        steps: &[FMT, CLIPPY],
    },
    Task { name: "test", about: "run all tests", steps: &[TEST] },
    Task { name: "doc", about: "build the documentation of the crates", steps: &[DOC] },
    Task {
        name: "deps",
        about: "find unused dependencies, and licences and sources that are not allowed",
        steps: &[SHEAR, DENY],
    },
    Task { name: "reference", about: "write docs/reference anew", steps: &[REFERENCE] },
    Task {
        name: "messages",
        about: "write the messages of the conformance cases anew",
        steps: &[MESSAGES],
    },
    Task { name: "ci", about: "all that CI checks, in its order", steps: &[FMT, CLIPPY, TEST] },
];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| TASKS.iter().find(|task| task.name == name);
    let tasks: Option<Vec<&Task>> = names.iter().map(known).collect();
    let Some(tasks) = tasks.filter(|tasks| !tasks.is_empty()) else {
        eprintln!("Usage: cargo xtask TASK...\n");
        for Task { name, about, .. } in TASKS {
            eprintln!("  {name:<10} {about}");
        }
        return ExitCode::from(2);
    };
    for step in tasks.iter().flat_map(|task| task.steps) {
        eprintln!("> {}", step.argv.join(" "));
        let status = Command::new(step.argv[0])
            .args(&step.argv[1..])
            .envs(step.env.iter().copied())
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{} cannot be run: {error}", step.argv[0]);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
