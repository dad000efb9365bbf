//! The live view of several builds on a terminal.

use std::path::Path;

use ingot_test_support::{BASE, docker, require, template};

use crate::running::exists;
use crate::terminal::{Terminal, there_is_a_terminal};

/// Two builds that go on until a file called `go` is there. What they put out would tear the view:
/// it moves the cursor, clears the screen and is wider than the terminal.
const WAITING: &str = r#"
source "null" "one" {
  communicator = "none"
}
source "null" "two" {
  communicator = "none"
}
source "file" "three" {
  content = "x"
  target  = "three.txt"
}
build {
  sources = ["null.one", "null.two", "file.three"]
  provisioner "shell-local" {
    only   = ["null.one"]
    inline = ["echo first"]
  }
  provisioner "shell-local" {
    only   = ["null.one"]
    inline = ["printf '\\033[2J\\033[H\\033[5A\\033]0;title\\007漢字ünïcode %s\\r\\n' $(seq -s- 1 40)", "until [ -e go ]; do sleep 0.1; done"]
  }
  provisioner "shell-local" {
    only   = ["null.two"]
    name   = "wait for it"
    inline = ["for i in 1 2 3; do printf \"$i%%\\r\"; done; echo", "until [ -e go ]; do sleep 0.1; done", "exit 3"]
  }
}
"#;

fn go(dir: &Path) {
    std::fs::write(dir.join("go"), "").unwrap();
}

/// The view: the rows from the first that begins like one of it.
fn view(screen: &[String]) -> Vec<String> {
    let marks = ['●', '○', '✓', '✗'];
    let first = screen.iter().position(|row| row.starts_with(marks)).unwrap_or(screen.len());
    screen[first..].to_vec()
}

/// A row without the time at its end.
fn without_time(row: &str) -> &str {
    row.rsplit_once(' ').map_or(row, |(row, _)| row.trim_end())
}

/// Whether the view is as it should be while [`WAITING`] waits.
fn is_whole(screen: &[String]) -> bool {
    let view = view(screen);
    view.len() == 5
        && without_time(&view[0]) == "● null.one  provisioner 2/2 shell-local"
        && view[1].starts_with("    漢字ünïcode 1-2-3-4-")
        && view[1].ends_with('…')
        && without_time(&view[2]) == "● null.two  provisioner 1/1 wait for it"
        && without_time(&view[4]) == "✓ file.three  finished"
}

#[test]
fn each_build_has_its_rows_at_60_columns_and_is_gone_when_all_have_ended() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    let terminal = Terminal::start(dir.path(), 60, 24, "exec $INGOT build .");
    let screen = terminal.wait_for("the whole view", is_whole);
    // The lines scroll above it as they do without it.
    let above = screen.join("\n");
    assert!(above.contains("==> null.one: first\n"), "{above}");
    assert!(above.contains("==> null.one: 漢字ünïcode 1-2-"), "{above}");
    go(dir.path());
    let (code, screen) = terminal.end();
    let left = screen.join("\n");
    assert_eq!(code, Some(1), "{left}");
    assert!(view(&screen).is_empty(), "{left}");
    assert!(
        left.contains("==> Builds finished. The artifacts of successful builds are:"),
        "{left}"
    );
    assert!(left.contains("error: build 'null.two' failed in"), "{left}");
}

#[test]
fn the_view_is_whole_again_when_the_terminal_gets_another_size() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    let resize = "(until [ -e resize ]; do sleep 0.05; done; stty cols 44 rows 20 </dev/tty) &";
    let command = format!("{resize} exec $INGOT build .");
    let terminal = Terminal::start(dir.path(), 90, 24, &command);
    terminal.wait_for("the whole view", is_whole);
    terminal.resized(44, 20);
    std::fs::write(dir.path().join("resize"), "").unwrap();
    let screen = terminal.wait_for("the view in 44 columns", |screen| {
        is_whole(screen) && view(screen).iter().all(|row| row.chars().count() <= 43)
    });
    let firsts = screen.iter().filter(|row| row.starts_with("● null.one")).count();
    assert_eq!(firsts, 1, "{screen:?}");
    go(dir.path());
    assert_eq!(terminal.end().0, Some(1));
}

#[test]
fn an_interrupt_leaves_the_terminal_in_order() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    let command = "trap : INT; $INGOT build .; echo \"code $?\"; stty -a | grep -o ' echo '";
    let mut terminal = Terminal::start(dir.path(), 60, 24, command);
    terminal.wait_for("the whole view", is_whole);
    terminal.press("\u{3}");
    let (_, screen) = terminal.end();
    let left = screen.join("\n");
    assert!(left.contains("Cancelling build after receiving interrupt"), "{left}");
    assert!(left.contains("Cleanly cancelled builds after being interrupted."), "{left}");
    assert!(left.ends_with("code 1\n echo"), "{left}");
    assert!(view(&screen).is_empty() && !left.contains("^C"), "{left}");
}

#[test]
fn the_view_is_away_while_the_process_is_stopped() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    // A shell with job control, as people have, goes on when Ctrl-Z stops what it runs.
    let command = "exec bash -mc '$INGOT build .; echo it is stopped; \
                   until [ -e on ]; do sleep 0.05; done; fg; echo \"code $?\"'";
    let mut terminal = Terminal::start(dir.path(), 60, 24, command);
    terminal.wait_for("the whole view", is_whole);
    terminal.press("\u{1a}");
    let stopped = |row: &String| row == "it is stopped";
    let screen = terminal.wait_for("stopped", |screen| screen.iter().any(stopped));
    assert!(view(&screen).is_empty(), "{}", screen.join("\n"));
    std::fs::write(dir.path().join("on"), "").unwrap();
    let screen = terminal.wait_for("the whole view again", is_whole);
    assert!(screen.iter().any(stopped), "{}", screen.join("\n"));
    go(dir.path());
    let (_, screen) = terminal.end();
    let left = screen.join("\n");
    assert!(left.ends_with("code 1") && view(&screen).is_empty(), "{left}");
}

#[test]
fn the_view_makes_way_for_questions() {
    require!(there_is_a_terminal());
    let dir = template(
        r#"
source "null" "one" {
  communicator = "none"
}
source "null" "two" {
  communicator = "none"
}
build {
  sources = ["null.one", "null.two"]
  provisioner "shell-local" {
    inline = ["echo here"]
  }
}
"#,
    );
    let mut terminal = Terminal::start(dir.path(), 60, 24, "exec $INGOT build -debug .");
    let pauses = ["after step \"connect\".", "before the next", "after step \"provision\"."];
    for build in ["null.one", "null.two"] {
        for pause in pauses {
            let question = format!("==> {build}: Pausing {pause}");
            let screen = terminal.wait_for("a question", |screen| {
                screen.len() > 1 && screen[screen.len() - 2].starts_with(&question)
            });
            assert!(view(&screen).is_empty(), "{screen:?}");
            terminal.press("\n");
        }
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen:?}");
    assert!(view(&screen).is_empty(), "{screen:?}");
}

#[test]
fn it_is_on_standard_error_while_standard_output_gets_plain_lines() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    let terminal = Terminal::start(dir.path(), 60, 24, "exec $INGOT build . >out.txt");
    let screen = terminal.wait_for("the whole view", is_whole);
    assert_eq!(screen.len(), 5, "{screen:?}");
    go(dir.path());
    assert_eq!(terminal.end().0, Some(1));
    let out = std::fs::read_to_string(dir.path().join("out.txt")).unwrap();
    assert!(out.contains("==> null.one: first\n"), "{out}");
    assert!(!out.contains('●') && !out.contains("\u{1b}[1;"), "{out}");
    assert!(!out.contains("error: build"), "{out}");
}

#[test]
fn it_does_not_tear_what_a_reader_of_standard_output_writes() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    go(dir.path());
    let command = "$INGOT build . | tee log.txt";
    let wrapped = format!("script -qec '{command}' typescript >/dev/null");
    drop(Terminal::start(dir.path(), 60, 24, &wrapped).end());
    let typed = std::fs::read_to_string(dir.path().join("typescript")).unwrap();
    assert!(typed.contains("==> null.one: first") && !typed.contains('●'), "{typed}");
}

#[test]
fn plain_and_dumb_terminals_have_no_view_and_live_says_when_it_cannot_be() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    go(dir.path());
    for command in
        ["$INGOT build -progress=plain .", "TERM=dumb $INGOT build .", "CI=true $INGOT build ."]
    {
        let log = format!("{command} | cat; {command} >plain.txt");
        drop(Terminal::start(dir.path(), 60, 24, &log).end());
        // On the terminal itself nothing moves the cursor.
        let wrapped = format!("script -qec '{command}' typescript >/dev/null");
        drop(Terminal::start(dir.path(), 60, 24, &wrapped).end());
        let typed = std::fs::read_to_string(dir.path().join("typescript")).unwrap();
        assert!(typed.contains("==> null.one: first"), "{command}: {typed}");
        assert!(!typed.contains('●'), "{command}: {typed}");
    }
    let run = ingot_test_support::ingot(dir.path(), &["build", "-progress=live", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("-progress=live needs a terminal"), "{}", run.stderr);
}

#[test]
fn a_single_build_has_a_view_where_it_is_asked_for_and_no_colour_where_not() {
    require!(there_is_a_terminal());
    let dir = template(WAITING);
    let command =
        "NO_COLOR=1 script -qec '$INGOT build -progress=live -only=null.two .' typescript";
    let terminal = Terminal::start(dir.path(), 60, 24, command);
    terminal.wait_for("the view of one build", |screen| {
        let view = view(screen);
        view.len() == 2 && without_time(&view[0]) == "● null.two  provisioner 1/1 wait for it"
    });
    go(dir.path());
    assert_eq!(terminal.end().0, Some(1));
    let typed = std::fs::read_to_string(dir.path().join("typescript")).unwrap();
    assert!(!typed.contains("\u{1b}[1;") && !typed.contains("\u{1b}[2m"), "{typed:?}");
}

#[test]
fn docker_builds_show_their_steps_and_are_cleaned_up_after_an_interrupt() {
    require!(docker());
    require!(there_is_a_terminal());
    let dir = template(&format!(
        r#"
source "docker" "a" {{
  image   = "{BASE}"
  pull    = false
  commit  = true
}}
source "docker" "b" {{
  image   = "{BASE}"
  pull    = false
  discard = true
}}
build {{
  sources = ["docker.a", "docker.b"]
  provisioner "shell" {{
    only   = ["docker.a"]
    inline = ["echo asleep; sleep 300"]
  }}
}}
"#
    ));
    let mut terminal = Terminal::start(dir.path(), 100, 30, "exec $INGOT build .");
    let screen = terminal.wait_for("one build at work and one that has ended", |screen| {
        let view = view(screen);
        view.len() == 3
            && without_time(&view[0]) == "● docker.a  provisioner 1/1 shell"
            && view[1] == "    asleep"
            && without_time(&view[2]) == "✓ docker.b  finished"
    });
    let containers: Vec<String> = screen
        .iter()
        .filter_map(|row| Some(row.split_once("Container ID: ")?.1.trim().to_owned()))
        .collect();
    terminal.press("\u{3}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(1), "{screen:?}");
    assert!(view(&screen).is_empty(), "{screen:?}");
    assert!(!containers.is_empty() && containers.iter().all(|id| !exists(id)), "{containers:?}");
}
