//! Takes out of text what would move the cursor of a terminal: programs write progress bars, clear
//! the screen or set the window's title, and a view below their lines would be torn.

/// A line without control characters and escape sequences. With `color`, sequences that only set
/// colours stay, and are ended at the end of the line. Of what was overwritten by means of a
/// carriage return the last remains.
pub(super) fn line(text: &str, color: bool) -> String {
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let mut clean = String::with_capacity(text.len());
    let mut colored = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.peek() {
                Some('[') => {
                    rest.next();
                    let sequence = control_sequence(&mut rest);
                    if color
                        && sequence.ends_with('m')
                        && !sequence.starts_with(['<', '=', '>', '?'])
                    {
                        clean.push_str("\u{1b}[");
                        clean.push_str(&sequence);
                        colored = true;
                    }
                }
                // Operating system commands, device control strings and their like.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    rest.next();
                    skip_string(&mut rest);
                }
                // Intermediate bytes, and one that ends the sequence.
                Some(_) => {
                    while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
                    rest.next_if(|c| ('0'..='~').contains(c));
                }
                None => {}
            },
            '\u{9b}' => drop(control_sequence(&mut rest)),
            '\t' => clean.push_str("    "),
            c if c.is_control() || is_direction(c) => {}
            c => clean.push(c),
        }
    }
    if colored {
        clean.push_str("\u{1b}[0m");
    }
    clean
}

/// All lines of `text`, each cleaned with its colours.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|text| line(text, true)).collect();
    lines.join("\n")
}

/// All lines of `text` without anything that a terminal would obey, colours too.
pub fn plain(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|text| line(text, false)).collect();
    lines.join("\n")
}

/// What follows `ESC [`, to the byte that ends it. One that does not end as it should is cut short.
fn control_sequence(rest: &mut std::iter::Peekable<std::str::Chars>) -> String {
    let mut sequence = String::new();
    while let Some(c) = rest.next_if(|c| (' '..='~').contains(c)) {
        sequence.push(c);
        if ('@'..='~').contains(&c) {
            break;
        }
    }
    sequence
}

/// Skips a string that BEL or `ESC \` ends.
fn skip_string(rest: &mut std::iter::Peekable<std::str::Chars>) {
    while let Some(c) = rest.next() {
        if c == '\u{7}' || c == '\u{9c}' {
            return;
        }
        if c == '\u{1b}' {
            rest.next_if_eq(&'\\');
            return;
        }
    }
}

/// Whether a character turns around the direction of what follows it.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_taken_out_and_colours_stay() {
        for (text, shown) in [
            ("plain ünïcode 漢字", "plain ünïcode 漢字"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m\u{1b}[0m"),
            ("\u{1b}[2J\u{1b}[Ha\u{1b}[10Ab", "ab"),
            ("10%\r20%\r30%\r", "30%"),
            ("\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y", "xy"),
            ("\u{1b}(Ba\u{1b}7b\u{1b}Mc", "abc"),
            ("a\u{8}\u{7}\u{0}b\tc\u{202e}d\u{9b}2Je", "ab    cde"),
            ("\u{1b}[?25l\u{1b}[>4mx\u{1b}", "x"),
            ("\u{1b}]never ends", ""),
            ("\u{1b}[31", ""),
        ] {
            assert_eq!(line(text, true), shown, "{text:?}");
        }
        assert_eq!(line("\u{1b}[31mred", false), "red");
        assert_eq!(lines("a\u{1b}[1m\nb"), "a\u{1b}[1m\u{1b}[0m\nb");
    }
}
