//! Tests that need a part which is not there.

use std::fmt::Display;

/// Says that a test needs something that is not there.
///
/// # Panics
/// Under `CI`, where everything has to be there.
pub fn missing(what: impl Display) {
    assert!(std::env::var_os("CI").is_none(), "CI needs what is missing: {what}");
    eprintln!("skipped: {what}");
}

/// What tells whether a part is there: a `bool`, or the part itself in an `Option`.
pub trait Required {
    /// The part.
    type Part;
    /// The part, if it is there.
    fn required(self) -> Option<Self::Part>;
}

impl Required for bool {
    type Part = ();

    fn required(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Required for Option<T> {
    type Part = T;

    fn required(self) -> Option<T> {
        self
    }
}

/// Gives the part that a test needs, or ends the test where it is not there. What looks for the
/// part calls [`missing`].
#[macro_export]
macro_rules! require {
    ($part:expr) => {
        match $crate::Required::required($part) {
            Some(part) => part,
            None => return,
        }
    };
}
