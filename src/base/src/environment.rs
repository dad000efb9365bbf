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
