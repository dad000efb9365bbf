//! `ingot man-pages`: a manual page for each command, made of the same help as `-help` shows.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::Command;
use clap_mangen::Man;
use regex::Regex;

use super::command;

/// Writes `ingot.1`, `ingot-build.1` and the others.
pub(super) fn run(directory: &Path) -> ExitCode {
    let mut all = command::command();
    all.build();
    match std::fs::create_dir_all(directory).and_then(|()| write(&all, "ingot", directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: the manual pages cannot be written to {}: {error}",
                directory.display()
            );
            ExitCode::FAILURE
        }
    }
}

/// Writes the pages of a command and of those below it. `name` is the page's, such as
/// `ingot-registry-buckets`.
fn write(command: &Command, name: &str, directory: &Path) -> io::Result<()> {
    let inner: Vec<&Command> = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
        .collect();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let page = with_one_dash(&String::from_utf8_lossy(&page));
    std::fs::write(directory.join(format!("{name}.1")), page)?;
    inner
        .into_iter()
        .try_for_each(|inner| write(inner, &format!("{name}-{}", inner.get_name()), directory))
}

/// The two dashes of a flag in roff, before its name.
static FLAG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\\-\\-([a-z])").ok());
/// What clap shows after a switch, in roff: the value that may follow it.
static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[=\\fI<[A-Z]+>\\fR\]").ok());

/// A page as users of Packer write flags.
fn with_one_dash(page: &str) -> String {
    let (Some(flag), Some(value)) = (&*FLAG, &*VALUE) else { return page.to_owned() };
    value.replace_all(&flag.replace_all(page, r"\-$1"), "").into_owned()
}
