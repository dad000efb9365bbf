//! The reference of all commands as Markdown: their help, as it is shown.

use std::fmt::Write as _;

use super::command::{command, with_one_dash};

/// The page. It is the help of each command, so that it cannot say anything else.
pub fn page() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Flags may have one dash or two. This page is made from the program: \
         `cargo xtask reference` writes it anew.\n",
    );
    let mut all = command();
    all.build();
    section(&mut all, "ingot", &mut text);
    text
}

fn section(command: &mut clap::Command, path: &str, text: &mut String) {
    let help = with_one_dash(&command.render_long_help().to_string());
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", lines.join("\n"));
    for inner in command.get_subcommands_mut() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let path = format!("{path} {}", inner.get_name());
        section(inner, &path, text);
    }
}
