//! Variables of an environment, which is this process's outside of tests.

/// The variables of an environment, by name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable of this process's environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable, unless it is empty.
pub(crate) fn set(environment: Environment, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}
