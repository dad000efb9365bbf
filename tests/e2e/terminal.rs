//! A program on a terminal: its screen as a person sees it, and keys that the person presses.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use ingot_test_support::{eventually, ingot_program, missing, null_template, require, template};

/// A terminal with `ingot` on it. `script` of util-linux makes the terminal, a parser of the VT100's
/// language the screen.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    parser: Arc<Mutex<vt100::Parser>>,
    /// Ends when all that was written was read.
    reader: Option<JoinHandle<()>>,
}

/// Whether there is what makes a terminal.
pub(crate) fn there_is_a_terminal() -> bool {
    let found = Command::new("script").arg("--version").output().is_ok();
    if !found {
        missing("script (package bsdutils) cannot be run");
    }
    found
}

impl Terminal {
    /// Runs a shell command in `directory` on a terminal of `columns` and `rows`; in it `$INGOT` is
    /// the program.
    pub(crate) fn start(directory: &Path, columns: u16, rows: u16, command: &str) -> Terminal {
        let command = format!("stty cols {columns} rows {rows}; {command}");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
            .current_dir(directory)
            .env("INGOT", ingot_program())
            .env("INGOT_STATE_DIR", directory.join("state"))
            .env("INGOT_CI", "off")
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env_remove("CI")
            .env_remove("NO_COLOR")
            .env_remove("PACKER_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 500)));
        let (mut output, screen) = (child.stdout.take().unwrap(), Arc::clone(&parser));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                screen.lock().unwrap().process(&buffer[..count]);
            }
        });
        let keys = child.stdin.take().unwrap();
        Terminal { child, keys, parser, reader: Some(reader) }
    }

    /// The rows of the screen, without blanks at their ends, and without those that are empty at its
    /// end.
    pub(crate) fn screen(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let width = parser.screen().size().1;
        let rows = parser.screen().rows(0, width).map(|row| row.trim_end().to_owned());
        let mut rows: Vec<String> = rows.collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Waits for a screen that is as it should be.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        eventually(what, || {
            let screen = self.screen();
            if wanted(&screen) { Ok(screen) } else { Err(screen.join("\n")) }
        })
    }

    /// The terminal has another size from now on. The program must get the signal of that, too.
    pub(crate) fn resized(&self, columns: u16, rows: u16) {
        self.parser.lock().unwrap().screen_mut().set_size(rows, columns);
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end: the exit code, and the screen that is left.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let status = eventually("it ends", || {
            let status = self.child.try_wait().unwrap();
            status.ok_or_else(|| self.screen().join("\n"))
        });
        // What it wrote last may still be on its way.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.code(), self.screen())
    }
}

impl Drop for Terminal {
    /// A test that fails leaves nothing that runs.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_local_script_that_asks_on_the_terminal_is_an_error() {
    require!(there_is_a_terminal());
    for asking in ["read -r answer </dev/tty", "stty -echo </dev/tty"] {
        let script =
            format!("provisioner \"shell-local\" {{ inline = [\"{asking}\", \"touch on\"] }}");
        let dir = template(&null_template(&script));
        let terminal = Terminal::start(dir.path(), 240, 30, "exec $INGOT build .");
        let (code, screen) = terminal.end();
        let left = screen.join("\n");
        assert_eq!(code, Some(1), "{asking}: {left}");
        let expected = "wanted to use the terminal, which the programs of a build do not have";
        assert!(left.contains(expected) && left.contains("sudo -v"), "{asking}: {left}");
        assert!(!dir.path().join("on").exists(), "{asking}: {left}");
    }
}
