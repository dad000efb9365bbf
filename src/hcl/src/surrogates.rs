//! Escapes of JSON that are half of a character, as of what cuts a text in the middle of an emoji.

use std::borrow::Cow;

/// How many bytes `\uXXXX` has.
pub(crate) const LENGTH: usize = 6;

/// The text with `\ufffd` in place of each surrogate that has no other half, as Go reads it. Places stay
/// the same.
pub(crate) fn replaced(text: &str) -> Cow<'_, str> {
    let Some(mut at) = first_unpaired(text, 0) else { return Cow::Borrowed(text) };
    let (mut replaced, mut from) = (String::with_capacity(text.len()), 0);
    loop {
        replaced.push_str(&text[from..at]);
        replaced.push_str("\\ufffd");
        from = at + LENGTH;
        match first_unpaired(text, from) {
            Some(next) => at = next,
            None => break,
        }
    }
    replaced.push_str(&text[from..]);
    Cow::Owned(replaced)
}

/// Where, not before `from`, which is not inside of an escape, the first surrogate is that has no other
/// half.
pub(crate) fn first_unpaired(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(next) = bytes.get(at..)?.iter().position(|byte| *byte == b'\\') {
        at += next;
        at += match (unit(bytes, at), unit(bytes, at + LENGTH)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * LENGTH,
            (Some(0xd800..=0xdfff), _) => return Some(at),
            // Also what is escaped by one backslash may be one.
            _ => 2,
        };
    }
    None
}

/// The code unit of the escape `\uXXXX` at a place, if one is there.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + LENGTH)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_the_rest_stays() {
        for (text, expected) in [
            (r"a\ud83d x", r"a\ufffd x"),
            (r"\ud83d\ude00 \u00e9", r"\ud83d\ude00 \u00e9"),
            (r"\ude00\ud83d", r"\ufffd\ufffd"),
            (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
            (r"\uD83D\n", r"\ufffd\n"),
            (r"\\ud83d \\\ud83d", r"\\ud83d \\\ufffd"),
            (r"\ud8", r"\ud8"),
            (r"é\", r"é\"),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }
}
