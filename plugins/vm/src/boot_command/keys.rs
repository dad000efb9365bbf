//! The keys of a US keyboard, with their names in boot commands, for QEMU and for X11 and VNC.

/// A key on the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The key that types this character. Characters that need Shift are typed with it.
    Char(char),
    /// A key that types none, by its name in [`SPECIAL_KEYS`].
    Special(SpecialKey),
}

/// A key that types no character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpecialKey {
    /// Its name in boot commands, as Packer's documents write it. Case does not matter.
    pub name: &'static str,
    /// Its name in QMP's `QKeyCode`.
    pub qcode: &'static str,
    /// Its X11 keysym, which VNC uses too.
    pub keysym: u32,
}

macro_rules! special {
    ($($name:literal $qcode:literal $keysym:literal,)*) => {
        &[$(SpecialKey { name: $name, qcode: $qcode, keysym: $keysym },)*]
    };
}

/// All keys with names. Sources: the boot command language of Packer's SDK; QEMU's
/// `qapi/ui.json`; X11's `keysymdef.h`. `<leftCommand>` is where it is on Apple's keyboards; over
/// VNC Packer sends Apple's keys with the keysyms that macOS expects.
pub const SPECIAL_KEYS: &[SpecialKey] = special![
    "bs" "backspace" 0xff08,
    "del" "delete" 0xffff,
    "enter" "ret" 0xff0d,
    "return" "ret" 0xff0d,
    "esc" "esc" 0xff1b,
    "tab" "tab" 0xff09,
    "spacebar" "spc" 0x20,
    "insert" "insert" 0xff63,
    "home" "home" 0xff50,
    "end" "end" 0xff57,
    "pageUp" "pgup" 0xff55,
    "pageDown" "pgdn" 0xff56,
    "up" "up" 0xff52,
    "down" "down" 0xff54,
    "left" "left" 0xff51,
    "right" "right" 0xff53,
    "menu" "menu" 0xff67,
    "f1" "f1" 0xffbe,
    "f2" "f2" 0xffbf,
    "f3" "f3" 0xffc0,
    "f4" "f4" 0xffc1,
    "f5" "f5" 0xffc2,
    "f6" "f6" 0xffc3,
    "f7" "f7" 0xffc4,
    "f8" "f8" 0xffc5,
    "f9" "f9" 0xffc6,
    "f10" "f10" 0xffc7,
    "f11" "f11" 0xffc8,
    "f12" "f12" 0xffc9,
    "leftAlt" "alt" 0xffe9,
    "rightAlt" "alt_r" 0xffea,
    "leftCtrl" "ctrl" 0xffe3,
    "rightCtrl" "ctrl_r" 0xffe4,
    "leftShift" "shift" 0xffe1,
    "rightShift" "shift_r" 0xffe2,
    "leftSuper" "meta_l" 0xffeb,
    "rightSuper" "meta_r" 0xffec,
    "leftCommand" "meta_l" 0xffe9,
    "rightCommand" "meta_r" 0xffea,
    "leftOption" "alt" 0xffe7,
    "rightOption" "alt_r" 0xffe8,
];

/// The keys that type characters: the character, the one with Shift, and the name in `QKeyCode`.
/// Letters and digits are named after themselves.
const CHAR_KEYS: &[(char, char, &str)] = &[
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    ('`', '~', "grave_accent"),
    ('\\', '|', "backslash"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
    ('1', '!', "1"),
    ('2', '@', "2"),
    ('3', '#', "3"),
    ('4', '$', "4"),
    ('5', '%', "5"),
    ('6', '^', "6"),
    ('7', '&', "7"),
    ('8', '*', "8"),
    ('9', '(', "9"),
    ('0', ')', "0"),
    (' ', ' ', "spc"),
    ('\t', '\t', "tab"),
];

/// The names of the keys that type letters.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

impl Key {
    /// The left Shift key, which is held for what needs it.
    pub const SHIFT: Key =
        Key::Special(SpecialKey { name: "leftShift", qcode: "shift", keysym: 0xffe1 });

    /// The key with this name in boot commands; case does not matter.
    pub fn named(name: &str) -> Option<Key> {
        SPECIAL_KEYS
            .iter()
            .find(|key| key.name.eq_ignore_ascii_case(name))
            .copied()
            .map(Key::Special)
    }

    /// Whether Shift must be held with it.
    pub fn needs_shift(self) -> bool {
        match self {
            Key::Special(_) => false,
            Key::Char(c) => {
                c.is_uppercase()
                    || CHAR_KEYS.iter().any(|&(plain, shifted, _)| shifted == c && plain != c)
            }
        }
    }

    /// Its name in QMP's `QKeyCode`; none for a character that a US keyboard does not have.
    pub fn qcode(self) -> Option<&'static str> {
        let c = match self {
            Key::Special(key) => return Some(key.qcode),
            Key::Char(c) => c,
        };
        if let Some(at) = LETTERS.find(c.to_ascii_lowercase()) {
            return Some(&LETTERS[at..=at]);
        }
        let found = CHAR_KEYS.iter().find(|&&(plain, shifted, _)| c == plain || c == shifted);
        found.map(|&(_, _, qcode)| qcode)
    }

    /// Its X11 keysym: for characters the code point, which is the keysym itself in Latin-1.
    pub fn keysym(self) -> u32 {
        match self {
            Key::Special(key) => key.keysym,
            Key::Char('\t') => 0xff09,
            Key::Char(c) if u32::from(c) < 0x100 => u32::from(c),
            Key::Char(c) => 0x0100_0000 | u32::from(c),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Char(c) => write!(f, "{c:?}"),
            Key::Special(key) => write!(f, "<{}>", key.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_a_key() {
        for c in ' '..='~' {
            let key = Key::Char(c);
            assert!(key.qcode().is_some(), "{c}");
            assert_eq!(key.keysym(), u32::from(c));
            // What a US keyboard types with Shift.
            let shifted = r#"ABCDEFGHIJKLMNOPQRSTUVWXYZ~!@#$%^&*()_+{}|:"<>?"#.contains(c);
            assert_eq!(key.needs_shift(), shifted, "{c}");
        }
        assert_eq!(Key::Char('Q').qcode(), Some("q"));
        assert_eq!(Key::Char('?').qcode(), Some("slash"));
        assert_eq!(Key::Char('ü').qcode(), None);
        assert_eq!(Key::Char('€').keysym(), 0x0100_20ac);
        assert_eq!(Key::named("PAGEdown").and_then(Key::qcode), Some("pgdn"));
    }
}
