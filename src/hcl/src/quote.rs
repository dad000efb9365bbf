//! Text in quotes, as people read it.

/// A text in quotes, with Go's escapes for what cannot be seen.
pub fn quote(text: &str) -> String {
    let mut shown = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            '\x07' => shown.push_str("\\a"),
            '\x08' => shown.push_str("\\b"),
            '\x0c' => shown.push_str("\\f"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\x0b' => shown.push_str("\\v"),
            c if is_visible(c) => shown.push(c),
            c if c.is_ascii() => shown.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x10000 => shown.push_str(&format!("\\u{:04x}", c as u32)),
            c => shown.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    shown.push('"');
    shown
}

/// Letters, marks, numbers, punctuation, symbols and the plain space. The standard library keeps
/// its table of these to itself, but escapes what is not among them; a mark that follows a letter
/// is left alone.
fn is_visible(c: char) -> bool {
    c == '\'' || format!("a{c}").escape_debug().nth(1) == Some(c)
}
