//! Runs that go on in the background, to be cut short.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ingot_test_support::{eventually, ingot_program, left_in_state, signal, template};

/// A run that goes on in the background.
pub(crate) struct Running {
    pub child: Child,
    pub dir: tempfile::TempDir,
}

impl Running {
    pub(crate) fn start(text: &str, args: &[&str]) -> Running {
        let dir = template(text);
        let child = Self::spawn(dir.path(), args);
        Running { child, dir }
    }

    pub(crate) fn spawn(dir: &Path, args: &[&str]) -> Child {
        Self::command(dir, args).spawn().unwrap()
    }

    /// What runs `ingot build` in a directory. Signals that whoever runs the tests has ignored, as a
    /// shell does for what it starts in the background, are not ignored here.
    pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
        let stdout = File::create(dir.join("stdout")).unwrap();
        let mut command = Command::new("env");
        command
            .args([
                "--default-signal=HUP,INT,QUIT,TERM",
                &ingot_program().display().to_string(),
                "build",
            ])
            .args(args)
            .arg(".")
            .current_dir(dir)
            .env("INGOT_STATE_DIR", dir.join("state"))
            .env("INGOT_CI", "off")
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stdout);
        command
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stdout")).unwrap()
    }

    /// Waits until the run says `text`.
    pub(crate) fn wait_for(&self, text: &str) {
        eventually(format_args!("{text:?} is said"), || {
            let said = self.said();
            if said.contains(text) { Ok(()) } else { Err(said) }
        });
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Waits for the end; the exit code, if it was not a signal.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let status = eventually("it ends", || {
            let status = self.child.try_wait().unwrap();
            status.ok_or_else(|| self.said())
        });
        status.code()
    }

    /// The id of the container that the run said it made.
    pub(crate) fn container(&self) -> String {
        container_in(&self.said())
    }
}

/// The id of the container that a run said it made.
pub(crate) fn container_in(said: &str) -> String {
    let id = said.lines().find_map(|line| Some(line.split_once("Container ID: ")?.1.trim()));
    id.unwrap_or_else(|| panic!("no container: {said}")).to_owned()
}

/// Whether there is such a container.
pub(crate) fn exists(container: &str) -> bool {
    let found = Command::new("docker").args(["container", "inspect", container]).output().unwrap();
    found.status.success()
}

/// What most docker builds here do with their container.
pub(crate) const DISCARD: &str = "discard = true";

/// A step that takes its time.
pub(crate) const SLEEP: &str =
    "  provisioner \"shell\" {\n    inline = [\"echo asleep; sleep 300\"]\n  }";

/// How many journals there are in the directory for them, which also holds the logs of builds.
pub(crate) fn states(dir: &Path) -> usize {
    left_in_state(&dir.join("state"), &["logs"]).len()
}

/// Whether the process runs that said its number.
pub(crate) fn runs(said: &str) -> bool {
    let pid = said.lines().find_map(|line| line.split_once(": pid ")).unwrap().1;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that has ended may wait for its parent to notice.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
