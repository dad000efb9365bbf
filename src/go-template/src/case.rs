//! Capital and small letters as Go has them: one letter for each, where Unicode may have several.

/// A text in capitals. What has no single capital, such as `ß`, stays as it is.
pub fn upper(text: &str) -> String {
    text.chars().map(to_upper).collect()
}

/// A text in small letters, whatever stands beside them.
pub fn lower(text: &str) -> String {
    text.chars().map(to_lower).collect()
}

/// The capital of a letter, if that is a single letter; else the letter itself.
pub fn to_upper(letter: char) -> char {
    let mut capitals = letter.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(capital), None) => capital,
        _ => with_capital_of_its_own(letter).unwrap_or(letter),
    }
}

/// The small letter of a letter.
pub fn to_lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

/// Greek letters with an iota below them: their capitals are two letters, or one that is for the start
/// of a word elsewhere.
fn with_capital_of_its_own(letter: char) -> Option<char> {
    let offset = match letter {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => return None,
    };
    char::from_u32(u32::from(letter) + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_becomes_one() {
        assert_eq!(upper("Straße ŉ ﬁ éǆ ᾳᾀ"), "STRAßE ŉ ﬁ ÉǄ ᾼᾈ");
        assert_eq!(lower("ΑΣ İ ÉǄ ᾼ ẞ"), "ασ i éǆ ᾳ ß");
    }
}
