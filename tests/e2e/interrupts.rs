//! Runs that are interrupted, once or more often, or killed.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::running::{DISCARD, Running, SLEEP, exists, runs, states};
use ingot_test_support::{
    docker, docker_template, eventually, ingot, null_template, require, template,
};
use rustix::io::ioctl_fionread;

#[test]
fn an_interrupted_build_cleans_up() {
    require!(docker());
    let signals =
        [("INT", "interrupt"), ("TERM", "terminated"), ("HUP", "hangup"), ("QUIT", "quit")];
    for (signal, name) in signals {
        let mut run = Running::start(&docker_template(DISCARD, SLEEP), &["-color=false"]);
        run.wait_for("==> docker.d: asleep");
        let container = run.container();
        assert!(exists(&container));
        run.signal(signal);
        assert_eq!(run.end(), Some(1), "{}", run.said());
        let said = run.said();
        assert!(said.contains(&format!("Cancelling build after receiving {name}")), "{said}");
        assert!(said.contains(&format!("==> docker.d: Killing the container: {container}")));
        assert!(said.ends_with("Cleanly cancelled builds after being interrupted.\n"), "{said}");
        assert!(!exists(&container), "the container is left: {said}");
        assert_eq!(states(run.dir.path()), 0);
    }
}

#[test]
fn an_interrupted_build_ends_its_local_scripts() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"trap 'touch tidied; exit' TERM; echo \
         pid $$\", \"sleep 300 & wait\"]\n  }";
    let mut run = Running::start(&null_template(steps), &["-color=false"]);
    run.wait_for("null.n: pid ");
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    let said = run.said();
    assert!(!runs(&said), "the script still runs: {said}");
    assert!(run.dir.path().join("tidied").exists(), "the script had no time to tidy up: {said}");
}

/// Ctrl-\ reaches all processes of a terminal, as does the end of the terminal; what ends the
/// scripts is the build, in its own way.
#[test]
fn what_a_terminal_sends_reaches_the_build_only() {
    for signal in ["HUP", "QUIT"] {
        let steps = "  provisioner \"shell-local\" {\n    inline = [\"trap 'touch hit; exit' HUP \
             QUIT; trap 'touch tidied; exit' TERM; echo pid $$\", \"sleep 300 & wait\"]\n  }";
        let dir = template(&null_template(steps));
        let child = Running::command(dir.path(), &["-color=false"]).process_group(0).spawn();
        let mut run = Running { child: child.unwrap(), dir };
        run.wait_for("null.n: pid ");
        ingot_test_support::signal(signal, format!("-- -{}", run.child.id()));
        assert_eq!(run.end(), Some(1), "{signal}: {}", run.said());
        assert!(run.dir.path().join("tidied").exists(), "{signal}: {}", run.said());
        assert!(!run.dir.path().join("hit").exists(), "{signal}: {}", run.said());
    }
}

#[test]
fn a_build_under_nohup_outlives_its_terminal() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo pid $$\", \"until test -e \
         go; do sleep 0.1; done; echo done\"]\n  }";
    let dir = template(&null_template(steps));
    let mut command = Command::new("nohup");
    let ingot = Running::command(dir.path(), &["-color=false"]);
    command.args(ingot.get_args().skip(1)).current_dir(dir.path());
    let stdout = std::fs::File::create(dir.path().join("stdout")).unwrap();
    command.env("INGOT_STATE_DIR", dir.path().join("state")).stdin(Stdio::null());
    let child = command.stdout(stdout).stderr(Stdio::null()).spawn();
    let mut run = Running { child: child.unwrap(), dir };
    run.wait_for("null.n: pid ");
    run.signal("HUP");
    std::fs::write(run.dir.path().join("go"), "").unwrap();
    assert_eq!(run.end(), Some(0), "{}", run.said());
    assert!(run.said().contains("null.n: done"), "{}", run.said());
}

/// A step on this machine that does not end when it is asked to.
const STUBBORN: &str = "  provisioner \"shell-local\" {\n    inline = [\"trap '' INT TERM; echo pid $$\", \
                        \"while :; do sleep 1; done\"]\n  }";

#[test]
fn a_second_interrupt_ends_at_once_and_the_next_run_cleans_up() {
    require!(docker());
    let mut run = Running::start(&docker_template(DISCARD, STUBBORN), &["-color=false"]);
    run.wait_for("docker.d: pid ");
    let container = run.container();
    run.signal("INT");
    run.wait_for("Interrupt again to stop at once");
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    assert!(run.said().contains("Stopping at once"), "{}", run.said());
    assert!(!runs(&run.said()), "the script still runs");
    removes_leftovers(run, &container);
}

/// What cleans up after an error, and takes long.
const CLEANS_LONG: &str = "  error-cleanup-provisioner \"shell\" {\n    inline = [\"echo cleaning; \
                           sleep 300\"]\n  }";

#[test]
fn a_second_interrupt_ends_the_error_cleanup_and_the_builder_cleans_up() {
    require!(docker());
    let steps = format!("{SLEEP}\n{CLEANS_LONG}");
    let mut run = Running::start(&docker_template(DISCARD, &steps), &["-color=false"]);
    run.wait_for("==> docker.d: asleep");
    let container = run.container();
    run.signal("INT");
    run.wait_for("Interrupt again to stop the error-cleanup-provisioner");
    run.wait_for("==> docker.d: cleaning");
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    let said = run.said();
    let failed = "The error-cleanup-provisioner failed: the build was interrupted again";
    assert!(said.contains(failed), "{said}");
    assert!(said.contains(&format!("==> docker.d: Killing the container: {container}")), "{said}");
    assert!(said.ends_with("Cleanly cancelled builds after being interrupted.\n"), "{said}");
    assert!(!exists(&container), "the container is left: {said}");
    assert_eq!(states(run.dir.path()), 0);
}

#[test]
fn a_third_interrupt_ends_at_once() {
    let steps = format!(
        "  provisioner \"shell-local\" {{\n    inline = [\"echo asleep; sleep 300\"]\n  }}\n{}",
        STUBBORN.replace("provisioner", "error-cleanup-provisioner")
    );
    let mut run = Running::start(&null_template(&steps), &["-color=false"]);
    run.wait_for("null.n: asleep");
    run.signal("INT");
    run.wait_for("null.n: pid ");
    run.signal("TERM");
    run.wait_for("Stopping the error-cleanup-provisioner.");
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    assert!(run.said().contains("Stopping at once"), "{}", run.said());
    assert!(!runs(&run.said()), "the script still runs");
}

/// As with `ingot build . | less`, or Ctrl-S.
#[test]
fn interrupts_count_where_nobody_reads_the_output() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo $$ > pid\", \"yes\"]\n  }";
    let dir = template(&null_template(steps));
    let (unread, output) = std::io::pipe().unwrap();
    let mut command = Running::command(dir.path(), &["-color=false"]);
    let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    drop(command);
    let mut run = Running { child, dir };
    let pid = run.dir.path().join("pid");
    eventually("the script starts", || {
        std::fs::read_to_string(&pid).is_ok_and(|it| !it.is_empty())
    });
    let mut length = 0;
    // A pipe takes 64 KiB, or a half of that if no two writes fit into one of its pages.
    eventually("the pipe is full", || {
        let before = std::mem::replace(&mut length, ioctl_fionread(&unread).unwrap());
        length == before && length >= 32 << 10
    });
    run.signal("INT");
    // One that comes before the first is heard is none of its own.
    let ended = eventually("a second one ends it", || {
        run.signal("INT");
        run.child.try_wait().unwrap()
    });
    assert_eq!(ended.code(), Some(1));
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!runs(&format!("x: pid {}", pid.trim())), "the script still runs");
}

#[test]
fn what_a_killed_build_leaves_the_next_run_removes() {
    require!(docker());
    let mut run = Running::start(&docker_template(DISCARD, SLEEP), &["-color=false"]);
    run.wait_for("==> docker.d: asleep");
    let container = run.container();
    run.signal("KILL");
    assert_eq!(run.end(), None);
    removes_leftovers(run, &container);
}

fn removes_leftovers(run: Running, container: &str) {
    assert!(exists(container), "nothing is left to remove");
    assert_eq!(states(run.dir.path()), 1);
    let text = null_template("");
    std::fs::write(run.dir.path().join("t.pkr.hcl"), text).unwrap();
    let next = ingot(run.dir.path(), &["build", "-color=false", "."]);
    assert_eq!(next.code, Some(0), "{}", next.stdout);
    let mut lines = next.stdout.lines();
    let removed = lines.find(|line| line.starts_with("Removed docker-container ingot-"));
    let told = removed.is_some_and(|line| line.ends_with("which an interrupted run left behind."));
    assert!(told, "{}", next.stdout);
    assert!(!exists(container));
    assert_eq!(states(run.dir.path()), 0);
}
