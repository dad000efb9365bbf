//! The other Packer, and one case built with both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::compare::{self, Image};
use ingot_test_support::{BASE, Run, docker, left_in_state};

/// The base image of the templates; `NAME.pkr.hcl` says `@BASE@`.
const MARK_BASE: &str = "@BASE@";
/// What makes the names of images differ between the two, of the same length in both.
const MARK_TOOL: &str = "@TOOL@";

/// Packer.
pub(super) struct Peer {
    pub(super) program: PathBuf,
    pub(super) version: (u32, u32, u32),
}

/// The Packer to compare with. Without one a test fails under CI and is skipped elsewhere.
pub(super) fn peer() -> Option<&'static Peer> {
    static PEER: OnceLock<Option<Peer>> = OnceLock::new();
    let found = PEER.get_or_init(|| {
        let program = std::env::var_os("INGOT_PEER").unwrap_or_else(|| "packer".into());
        let output = Command::new(&program).arg("version").env("CHECKPOINT_DISABLE", "1").output();
        let text = String::from_utf8(output.ok()?.stdout).ok()?;
        let version = text.lines().next()?.strip_prefix("Packer v")?;
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Some(Peer { program: program.into(), version: (next(), next(), next()) })
    });
    if found.is_none() {
        ingot_test_support::missing("there is no Packer to compare with (set INGOT_PEER)");
    }
    found.as_ref()
}

/// The first version of Packer that can do something, and what those before it do.
pub(super) type Since = ((u32, u32, u32), &'static str);

/// A template and what to compare.
pub(super) struct Case<'a> {
    pub(super) template: &'a str,
    /// The arguments of `build` before the template.
    pub(super) args: &'a [&'a str],
    /// Whether it needs a Docker Engine.
    pub(super) docker: bool,
    /// Makes what the template needs, in the directory it is built in.
    pub(super) setup: &'a dyn Fn(&Path),
    /// The repositories of the images that are made, with `@TOOL@`.
    pub(super) images: &'a [&'a str],
    pub(super) since: Option<Since>,
    /// The exit code of both.
    pub(super) code: i32,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Case {
            template: "",
            args: &[],
            docker: false,
            setup: &|_| {},
            images: &[],
            since: None,
            code: 0,
        }
    }
}

/// What a build left.
pub(super) struct BuildResult {
    pub(super) run: Run,
    pub(super) files: String,
    pub(super) images: Vec<Image>,
}

impl Case<'_> {
    /// Builds with both and compares; gives what Ingot left, for further checks.
    pub(super) fn check(&self) -> Option<BuildResult> {
        let peer = peer()?;
        if self.docker && !docker() {
            return None;
        }
        if let Some((since, what)) = self.since
            && peer.version < since
        {
            let (major, minor, patch) = peer.version;
            eprintln!("skipped: Packer {major}.{minor}.{patch} {what}");
            return None;
        }
        let theirs = self.build(&peer.program, "p");
        let ours = self.build(&ingot_test_support::ingot_program(), "i");
        let both = format!(
            "\n--- Packer said ---\n{}{}\n--- Ingot said ---\n{}{}",
            theirs.run.stdout, theirs.run.stderr, ours.run.stdout, ours.run.stderr
        );
        assert_eq!(theirs.run.code, Some(self.code), "Packer's exit code{both}");
        assert_eq!(ours.run.code, Some(self.code), "Ingot's exit code{both}");
        compare::same(&theirs.files, &ours.files, &format!("files{both}"));
        assert_eq!(theirs.images.len(), ours.images.len());
        for ((theirs, ours), name) in theirs.images.iter().zip(&ours.images).zip(self.images) {
            compare::same(&theirs.config, &ours.config, &format!("configuration of {name}{both}"));
            compare::same(&theirs.files, &ours.files, &format!("file system of {name}{both}"));
        }
        Some(ours)
    }

    fn build(&self, program: &Path, tool: &str) -> BuildResult {
        let dir = tempfile::tempdir().expect("a directory for the build");
        let path = dir.path();
        (self.setup)(path);
        let text = self.template.replace(MARK_BASE, BASE).replace(MARK_TOOL, tool);
        std::fs::write(path.join("t.pkr.hcl"), text).expect("the template is written");
        let args: Vec<String> = self.args.iter().map(|arg| arg.replace(MARK_TOOL, tool)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = run(program, path, &[&["build", "-color=false"], &args[..], &["."]].concat());
        let images: Vec<String> =
            self.images.iter().map(|image| image.replace(MARK_TOOL, tool)).collect();
        let images = images.iter().filter_map(|name| Image::take(name)).collect();
        // The template's text differs by what is replaced.
        std::fs::remove_file(path.join("t.pkr.hcl")).expect("the template is removed");
        BuildResult { run, files: compare::directory(path), images }
    }
}

/// Runs Packer or Ingot in a directory.
pub(super) fn run(program: &Path, dir: &Path, args: &[&str]) -> Run {
    let state = dir.with_extension("state");
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("CHECKPOINT_DISABLE", "1")
        .env("INGOT_STATE_DIR", &state)
        .output()
        .expect("the program can be run");
    // The logs of a build that failed stay, and what `-resume` needs where its artifact does.
    let left = left_in_state(&state, &["logs", "kept"]);
    assert_eq!(left, [""; 0], "the journal of a finished run is gone");
    let _ = std::fs::remove_dir_all(&state);
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Writes files, making their directories.
pub(super) fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a directory"))
            .expect("the directory is made");
        std::fs::write(path, text).expect("the file is written");
    }
}
