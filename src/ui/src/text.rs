//! Lines for people: `==> build: what happens`.

use super::UiOptions;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// What happens.
    Say,
    /// A problem.
    Error,
}

/// ANSI colours of builds: green, cyan, magenta, yellow, blue; Packer's order.
pub(super) const COLORS: [u8; 5] = [32, 36, 35, 33, 34];
const RED: u8 = 31;

/// The lines of `text`, each with the build's name before it.
pub fn prefixed(build: &str, text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| format!("==> {build}: {line}")).collect();
    lines.join("\n").trim_end().to_owned()
}

/// A text about a build, in its colour; `color` is none for one that is about no build.
pub(super) fn render(
    level: Level,
    text: &str,
    color: Option<usize>,
    options: &UiOptions,
) -> String {
    let Some(color) = color else { return format!("{text}\n") };
    let code = match level {
        Level::Error => RED,
        Level::Say => COLORS[color % COLORS.len()],
    };
    let stamp = stamp(options);
    match options.color {
        true => format!("\u{1b}[1;{code}m{stamp}{text}\u{1b}[0m\n"),
        false => format!("{stamp}{text}\n"),
    }
}

/// The time for `-timestamp-ui`, which stands before each text about a build.
pub(super) fn stamp(options: &UiOptions) -> String {
    if !options.timestamps {
        return String::new();
    }
    let now = time::OffsetDateTime::now_utc();
    now.replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&time::format_description::well_known::Rfc3339).ok())
        .map_or_else(String::new, |now| format!("{now}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_its_build() {
        assert_eq!(
            prefixed("null.a", "one\n\ntwo"),
            "==> null.a: one\n==> null.a: \n==> null.a: two"
        );
        assert_eq!(prefixed("null.a", "one\n"), "==> null.a: one\n==> null.a:");
        let plain = UiOptions::default();
        assert_eq!(render(Level::Say, "x", Some(0), &plain), "x\n");
        let color = UiOptions { color: true, ..plain };
        assert_eq!(render(Level::Say, "x", Some(1), &color), "\u{1b}[1;36mx\u{1b}[0m\n");
        assert_eq!(render(Level::Error, "x", Some(1), &color), "\u{1b}[1;31mx\u{1b}[0m\n");
        assert_eq!(render(Level::Error, "x", None, &color), "x\n");
    }
}
