//! Lines for people: `==> build: what happens`, `    build: detail`.

use super::UiOptions;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A step.
    Say,
    /// Detail.
    Message,
    /// A problem.
    Error,
}

/// ANSI colours of builds: green, cyan, magenta, yellow, blue; Packer's order.
const COLORS: [u8; 5] = [32, 36, 35, 33, 34];
const RED: u8 = 31;

/// The lines of `text`, each with the build's name before it.
pub(super) fn prefixed(build: &str, level: Level, text: &str) -> String {
    let arrow = if level == Level::Message { "   " } else { "==>" };
    let lines: Vec<String> =
        text.split('\n').map(|line| format!("{arrow} {build}: {line}")).collect();
    lines.join("\n")
}

pub(super) fn render(
    build: Option<&str>,
    level: Level,
    text: &str,
    color: usize,
    options: &UiOptions,
) -> String {
    let text = match build {
        Some(build) => prefixed(build, level, text),
        None => text.to_owned(),
    };
    let code = match (level, build) {
        (Level::Error, _) => Some((1, RED)),
        (Level::Say, Some(_)) => Some((1, COLORS[color % COLORS.len()])),
        (Level::Message, Some(_)) => Some((0, COLORS[color % COLORS.len()])),
        (_, None) => None,
    };
    let format = time::format_description::well_known::Rfc3339;
    let stamp = match options.timestamps {
        true => time::OffsetDateTime::now_utc()
            .replace_nanosecond(0)
            .ok()
            .and_then(|now| now.format(&format).ok())
            .map_or_else(String::new, |now| format!("{now}: ")),
        false => String::new(),
    };
    let mut shown = String::with_capacity(text.len() + 16);
    for line in text.split('\n') {
        shown.push_str(&stamp);
        match code.filter(|_| options.color) {
            Some((weight, code)) => {
                shown.push_str(&format!("\u{1b}[{weight};{code}m{line}\u{1b}[0m"));
            }
            None => shown.push_str(line),
        }
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_its_build() {
        let plain = UiOptions::default();
        assert_eq!(
            render(Some("null.a"), Level::Say, "one\ntwo", 0, &plain),
            "==> null.a: one\n==> null.a: two\n"
        );
        assert_eq!(render(Some("null.a"), Level::Message, "x", 0, &plain), "    null.a: x\n");
        let color = UiOptions { color: true, ..plain };
        assert_eq!(
            render(Some("a"), Level::Say, "x", 1, &color),
            "\u{1b}[1;36m==> a: x\u{1b}[0m\n"
        );
    }
}
