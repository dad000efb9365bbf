//! Plugin programs that hang, when `ingot` ends before them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::builds::any_plugin_runs;
use crate::installed::{Installed, installed};
use ingot_test_support::{eventually, null_template, require, signal, template};

const HANGS: &str = r#"
source "trial" "t" {
  directory = "x"
  fail      = "hang"
  at        = "prepare"
}
build {
  sources = ["source.trial.t"]
}
"#;

/// Runs `ingot` until the plugin has been started with arguments that begin with `start`.
fn until_started(
    plugins: &Installed,
    dir: &std::path::Path,
    args: &[&str],
    env: &[(&str, &str)],
    start: &str,
) -> Child {
    let mut command = plugins.command(dir, args);
    let child = command.envs(env.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = child.spawn().unwrap();
    eventually("the plugin is started", || {
        plugins.record().iter().any(|line| line.starts_with(start))
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(any_plugin_runs(plugins.directory()));
    child
}

/// Sends interrupts: one that comes before the one before it is heard is none of its own.
fn interrupt_until_it_ends(child: &mut Child) -> Option<i32> {
    let ended = eventually("a second interrupt ends it", || {
        signal("INT", child.id());
        child.try_wait().unwrap()
    });
    ended.code()
}

#[track_caller]
fn assert_ends(plugins: &Installed) {
    eventually("the plugin ends", || !any_plugin_runs(plugins.directory()));
}

fn journals(plugins: &Installed) -> usize {
    let files = std::fs::read_dir(plugins.state()).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "journal")).count()
}

#[test]
fn a_plugin_that_hangs_ends_with_ctrl_c() {
    let plugins = require!(installed());
    let dir = template(HANGS);
    for (command, name, code) in
        [("validate", "INT", 130), ("build", "INT", 130), ("validate", "TERM", 143)]
    {
        plugins.forget_record();
        let mut child = until_started(&plugins, dir.path(), &[command, "."], &[], "start builder");
        assert_eq!(journals(&plugins), 1, "{command}");
        signal(name, child.id());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{command} {name}");
        assert_ends(&plugins);
        assert_eq!(journals(&plugins), 0, "{command} {name}");
    }
}

#[test]
fn a_plugin_that_hangs_ends_with_the_second_ctrl_c() {
    let plugins = require!(installed());
    // Cancelling does not end it.
    let dir = template(&HANGS.replace("prepare", "run"));
    let mut child = until_started(&plugins, dir.path(), &["build", "."], &[], "start builder");
    eventually("the build starts", || dir.path().join("x").exists());
    signal("INT", child.id());
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none() && any_plugin_runs(plugins.directory()));
    assert_eq!(interrupt_until_it_ends(&mut child), Some(1));
    assert_ends(&plugins);
}

/// Whether a process runs, rather than waiting for its parent to notice its end.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn cleanup_ends_what_plugins_started_as_daemons() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "hangs" {
  directory = "x"
  fail      = "hang"
  at        = "run"
}
source "trial" "t" {
  directory = "y"
}
build {
  sources = ["source.trial.hangs", "source.trial.t"]
  provisioner "trial" {
    only = ["trial.t"]
    run  = ["setsid sleep 300 >/dev/null 2>&1 & echo $! > pid; mv pid daemon; sleep 300"]
  }
}
"#;
    let dir = template(text);
    let output = std::fs::File::create(dir.path().join("output")).unwrap();
    let errors = output.try_clone().unwrap();
    let mut command = plugins.command(dir.path(), &["build", "."]);
    let mut child = command.stdout(output).stderr(errors).spawn().unwrap();
    let daemon = || {
        let found =
            ["daemon", "y/daemon"].map(|path| std::fs::read_to_string(dir.path().join(path)));
        found.into_iter().find_map(|read| Some(read.ok()?.trim().to_owned()))
    };
    eventually("the build starts", || dir.path().join("x").exists());
    // The directory of the build goes with the first signal.
    let daemon = eventually("the daemon starts", daemon);
    signal("INT", child.id());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(interrupt_until_it_ends(&mut child), Some(1));
    let said = std::fs::read_to_string(dir.path().join("output")).unwrap();
    // Nothing about the end of the run follows that.
    let (_, after) = said.split_once("`ingot cleanup` removes what is left.").unwrap();
    assert!(!after.contains("errored") && !after.contains("Wait completed"), "{said}");
    assert_ends(&plugins);
    assert!(runs(&daemon), "there is nothing to end");
    assert_eq!(journals(&plugins), 1);
    let run = plugins.ingot(dir.path(), &["cleanup"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // One that was killed just now is still there for a moment, with no environment to know it by.
    eventually("the daemon ends", || !runs(&daemon));
    let remark =
        "    What packer-plugin-trial created may be left: look for it, as no journal has it.";
    assert!(run.stdout.contains(remark), "{}", run.stdout);
    assert_eq!(journals(&plugins), 0);
}

#[test]
fn the_first_ctrl_c_is_heeded_while_a_step_checks_its_options_again() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {
    fail = "hang"
    at   = build.ConnType == "local" ? "prepare" : "never"
  }
}
"#;
    let dir = template(text);
    let child = plugins.command(dir.path(), &["build", "."]).stdout(Stdio::piped()).spawn();
    let child = child.unwrap();
    eventually("the build starts", || dir.path().join("built").exists());
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    signal("INT", child.id());
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{stdout}");
    assert!(stdout.contains("Cleanly cancelled builds after being interrupted."), "{stdout}");
    assert!(stdout.contains("removing built") && !dir.path().join("built").exists(), "{stdout}");
    assert_ends(&plugins);
}

#[test]
fn plugins_of_killed_commands_end_with_the_next_run_or_cleanup() {
    let plugins = require!(installed());
    let dir = template(HANGS);
    let hang = [("TRIAL_DESCRIBE", "hang")];
    let other = template(ingot_test_support::NULL);
    for (args, env, start) in [
        (&["validate", "."][..], &[][..], "start builder"),
        (&["plugins", "installed"][..], &hang[..], "describe"),
    ] {
        for ending in [&["build", "."][..], &["cleanup"]] {
            plugins.forget_record();
            plugins.forget_cache();
            let mut child = until_started(&plugins, dir.path(), args, env, start);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(any_plugin_runs(plugins.directory()));
            let listed = plugins.ingot(other.path(), &["cleanup", "-list", "-json"]);
            assert!(listed.stdout.contains("plugin-processes"), "{args:?}: {}", listed.stdout);
            let run = plugins.ingot(other.path(), ending);
            assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
            assert!(!any_plugin_runs(plugins.directory()), "{args:?} {ending:?}: {}", run.stdout);
            // They were to create nothing.
            assert!(!run.stdout.contains("may be left"), "{args:?} {ending:?}: {}", run.stdout);
            assert_eq!(journals(&plugins), 0, "{args:?} {ending:?}");
        }
    }
}

/// A build that runs in a directory of its own, with its output in a file there.
struct Running {
    dir: tempfile::TempDir,
    child: Child,
}

impl Running {
    fn start(plugins: &Installed, text: &str) -> Running {
        let dir = template(text);
        let output = std::fs::File::create(dir.path().join("output")).unwrap();
        let child = plugins.command(dir.path(), &["build", "."]).stdout(output).spawn().unwrap();
        Running { dir, child }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("output")).unwrap()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        eventually(format!("the build says {text:?}"), || {
            let said = self.said();
            if said.contains(text) { Ok(()) } else { Err(said) }
        });
    }

    /// Waits for the end of the interrupted build, and yields what it said.
    #[track_caller]
    fn end(&mut self, plugins: &Installed) -> String {
        assert_eq!(self.child.wait().unwrap().code(), Some(1), "{}", self.said());
        assert_ends(plugins);
        self.said()
    }
}

/// Builds `text`, interrupts it once its plugin waits for that, and yields what it said.
fn interrupted(plugins: &Installed, text: &str) -> String {
    let mut build = Running::start(plugins, text);
    build.wait_for("waiting to be cancelled");
    signal("INT", build.child.id());
    build.end(plugins)
}

/// A build of the plugin's source, with more options and steps.
fn trial_build(options: &str, steps: &str) -> String {
    format!(
        "source \"trial\" \"t\" {{\n  directory = \"built\"\n  {options}\n}}\nbuild {{\n  sources = \
         [\"source.trial.t\"]\n  {steps}\n}}\n"
    )
}

const CLEANLY: &str = "Cleanly cancelled builds after being interrupted.";

#[test]
fn a_program_that_a_provisioner_waits_for_ends_with_the_first_signal() {
    let plugins = require!(installed());
    // The quotes keep the options, which the plugin shows, from looking like the output.
    let steps = r#"
  provisioner "trial" {
    local = "echo waiting to be ''cancelled; exec sleep 60"
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["echo cleaning up > cleaned"]
  }
"#;
    for name in ["INT", "TERM"] {
        let mut build = Running::start(&plugins, &null_template(steps));
        build.wait_for("waiting to be cancelled");
        let begun = Instant::now();
        signal(name, build.child.id());
        let said = build.end(&plugins);
        assert!(begun.elapsed() < Duration::from_secs(20), "{said}");
        assert!(said.contains("the local script: signal: interrupt"), "{said}");
        assert!(said.contains(CLEANLY) && build.dir.path().join("cleaned").exists(), "{said}");
    }
}

/// Runs until there is a file `go`, and says so if it is interrupted.
const UNTIL_GO: &str = "local = \"trap 'echo interrupted' INT; echo waiting to be ''cancelled; \
                        while ! test -e go; do sleep 0.1; done; echo over\"";

/// Interrupts a build in which a plugin waits for [`UNTIL_GO`], and yields whether that got the signal.
/// The plugin is said to be waited for, for `limit` at most.
fn is_program_interrupted(plugins: &Installed, text: &str, limit: &str) -> bool {
    let mut build = Running::start(plugins, text);
    build.wait_for("waiting to be cancelled");
    signal("INT", build.child.id());
    let line = "Waiting for the plugin packer-plugin-trial to stop, for at most";
    build.wait_for(&format!("{line} {limit}..."));
    std::fs::write(build.dir.path().join("go"), "").unwrap();
    let said = build.end(plugins);
    let has_line = |end: &str| said.lines().any(|line| line.ends_with(end));
    assert!(has_line(": over") && said.contains(CLEANLY), "{said}");
    has_line(": interrupted")
}

#[test]
fn a_provisioner_that_does_not_stop_is_named() {
    let plugins = require!(installed());
    let text = trial_build("", &format!("provisioner \"trial\" {{\n    {UNTIL_GO}\n  }}"));
    assert!(is_program_interrupted(&plugins, &text, "30s"));
}

#[test]
fn a_post_processor_that_does_not_stop_is_named() {
    let plugins = require!(installed());
    let text = trial_build("", &format!("post-processor \"trial\" {{\n    {UNTIL_GO}\n  }}"));
    assert!(is_program_interrupted(&plugins, &text, "10m0s"));
}

#[test]
fn a_builder_that_does_not_stop_is_named_and_its_programs_go_on() {
    let plugins = require!(installed());
    assert!(!is_program_interrupted(&plugins, &trial_build(UNTIL_GO, ""), "10m0s"));
}

#[test]
fn a_plugin_that_dies_while_it_stops_is_reported() {
    let plugins = require!(installed());
    const LEFT: &str = "stopping; what it created may be left";
    for (how, status) in [("kill", "it ended by signal 9"), ("close", "it closed the connection")] {
        let options = format!("slowly = true\n  fail = \"{how}\"\n  at = \"stop\"");
        let said = interrupted(&plugins, &trial_build(&options, ""));
        let message =
            format!("trial.t: the plugin packer-plugin-trial failed: {status} while {LEFT}");
        assert!(said.contains(&message) && !said.contains(CLEANLY), "{said}");
        assert!(said.contains("Look for what these may have left:"), "{said}");
    }
    // The plugin's own message is shown.
    let options = "slowly = true\n  fail = \"error\"\n  at = \"stop\"";
    let said = interrupted(&plugins, &trial_build(options, ""));
    assert!(said.contains("failing on purpose") && said.contains(CLEANLY), "{said}");
    // So with post-processors.
    let step = |how: &str| {
        format!(
            "post-processor \"trial\" {{\n    slowly = true\n    fail = \"{how}\"\n    at = \
             \"stop\"\n  }}\n  post-processor \"trial\" {{\n    text = \"another\"\n  }}"
        )
    };
    let said = interrupted(&plugins, &trial_build("", &step("kill")));
    assert!(said.contains(LEFT) && !said.contains(CLEANLY), "{said}");
    assert!(!said.contains("another"), "{said}");
    let said = interrupted(&plugins, &trial_build("", &step("error")));
    assert!(said.contains("failing on purpose") && said.contains(CLEANLY), "{said}");
    // What a provisioner created goes with the machine, which is removed.
    let step =
        "provisioner \"trial\" {\n    slowly = true\n    fail = \"kill\"\n    at = \"stop\"\n  }";
    let said = interrupted(&plugins, &trial_build("", step));
    assert!(said.contains(LEFT) && said.contains("removing built"), "{said}");
    assert!(said.contains(CLEANLY), "{said}");
}
