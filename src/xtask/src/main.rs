//! The tasks of this repository: `cargo xtask TASK`. `.ci/run` and people run the same ones.
//!
//! Knows Cargo and nothing of Ingot's crates, so that it is built in a second. What makes a release
//! stands in [`dist`].

mod dist;
mod targets;

use std::process::{Command, ExitCode};

/// A task: its name, what it does, and what it does in turn.
struct Task {
    name: &'static str,
    about: &'static str,
    steps: &'static [Step],
}

enum Step {
    /// A command, with variables in its environment.
    Command { argv: &'static [&'static str], env: &'static [(&'static str, &'static str)] },
    /// A function of this program.
    Function(fn() -> Result<(), String>),
}

const fn step(argv: &'static [&'static str]) -> Step {
    Step::Command { argv, env: &[] }
}

impl Step {
    fn run(&self) -> Result<(), String> {
        let (argv, env) = match self {
            Step::Command { argv, env } => (argv, env),
            Step::Function(function) => return function(),
        };
        eprintln!("> {}", argv.join(" "));
        match Command::new(argv[0]).args(&argv[1..]).envs(env.iter().copied()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} failed: {status}", argv[0])),
            Err(error) => Err(format!("{} cannot be run: {error}", argv[0])),
        }
    }
}

const FMT: Step = step(&["cargo", "fmt", "--all", "--check"]);
const CLIPPY: Step =
    step(&["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
const TEST: Step = step(&["cargo", "test", "--workspace"]);
const DOC: Step = Step::Command {
    // With what is private, as the readers are those who work on it.
    argv: &["cargo", "doc", "--workspace", "--no-deps", "--document-private-items"],
    // Links to what is private are right there; URLs in help are for people to copy.
    env: &[("RUSTDOCFLAGS", include_str!("../../../.ci/rustdoc-flags"))],
};
const DENY: Step = step(&["cargo", "deny", "check", "bans", "licenses", "sources"]);
const SHEAR: Step = step(&["cargo", "shear"]);
const REFERENCE: Step =
    Step::Command { argv: &["cargo", "test", "--test", "reference"], env: &[("UPDATE", "1")] };
const MESSAGES: Step = Step::Command {
    argv: &["cargo", "test", "--test", "conformance_templates"],
    env: &[("UPDATE", "1")],
};
const RELEASE: Step = step(&["cargo", "build", "--release", "--locked", "--bin", "ingot"]);
const PACKAGES: Step = Step::Function(dist::packages);
const SBOM: Step = Step::Function(dist::sbom);
const PROVENANCE: Step = Step::Function(dist::provenance);
const CHECKSUMS: Step = Step::Function(dist::checksums);
const SITE: Step = step(&["mdbook", "build", "docs"]);

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
    Task {
        name: "ci",
        about: "layout, lints and tests; CI also does `deps`, `targets` and `doc`",
        steps: &[FMT, CLIPPY, TEST],
    },
    Task { name: "site", about: "build the documentation as a site, target/site", steps: &[SITE] },
    Task {
        name: "targets",
        about: "check the crates of the template language for other targets",
        steps: &[Step::Function(targets::check)],
    },
    Task { name: "release", about: "compile the program as it is released", steps: &[RELEASE] },
    Task {
        name: "pages",
        about: "write manual pages and completions to target/dist",
        steps: &[Step::Function(dist::pages)],
    },
    Task {
        name: "packages",
        about: "pack what `release` compiled: archive, .deb and .rpm below target/dist",
        steps: &[PACKAGES],
    },
    Task {
        name: "dist",
        about: "`packages`, then their SBOM, provenance and checksums",
        steps: &[PACKAGES, SBOM, PROVENANCE, CHECKSUMS],
    },
    Task { name: "sbom", about: "write the SBOM of what `release` compiled", steps: &[SBOM] },
    Task {
        name: "attest",
        about: "write the provenance and checksums of what was packed",
        steps: &[PROVENANCE, CHECKSUMS],
    },
    Task {
        name: "images",
        about: "build the container image of what `release` compiled",
        steps: &[Step::Function(dist::images)],
    },
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
        if let Err(error) = step.run() {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
