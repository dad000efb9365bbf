//! Variables of the environment. One that is empty is taken for one that is not set, as in a shell's
//! `${NAME:-}`.

use std::ffi::OsString;

/// The value of a variable, unless it is empty.
pub fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The value of a variable as text, unless it is empty or not UTF-8.
pub fn set_text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable says on or off; none where it is not set.
///
/// # Errors
/// It says something else: what that is.
pub fn switch(name: &str) -> Result<Option<bool>, String> {
    set(name).map(|value| read_switch(&value.to_string_lossy())).transpose()
}

fn read_switch(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" | "yes" => Ok(true),
        "off" | "0" | "false" | "no" => Ok(false),
        _ => Err(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::read_switch;

    #[test]
    fn switches_are_on_or_off() {
        for value in ["on", "1", "True", "yes"] {
            assert_eq!(read_switch(value), Ok(true));
        }
        for value in ["off", "OFF", "0", "false", "no"] {
            assert_eq!(read_switch(value), Ok(false));
        }
        assert_eq!(read_switch("Maybe"), Err("Maybe".to_owned()));
    }
}
