//! What a program adds to the language of templates.

use serde_json::Value;

use crate::value::kind_of;

/// The program around a template: its functions, and its secrets.
pub trait Environment {
    /// Whether it has a function called `name`. It stands before Go's own function of that name.
    fn has_function(&self, name: &str) -> bool;

    /// Runs a function that it has.
    ///
    /// # Errors
    /// What is wrong with the arguments, or why there is no result.
    fn call(&self, call: &Call<'_>) -> Result<Output, String>;

    /// Whether `literal`, a string of the template, holds a secret.
    fn holds_secret(&self, literal: &str) -> bool {
        let _ = literal;
        false
    }

    /// Called with text that was printed and is secret, as it was made of a secret.
    fn secret_printed(&self, text: &str) {
        let _ = text;
    }
}

/// A function that is about to run.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The function's name.
    pub name: &'a str,
    /// What `.` refers to outside of blocks.
    pub data: &'a Value,
    /// The evaluated arguments.
    pub arguments: Arguments<'a>,
}

/// What a function returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The value.
    pub value: Value,
    /// Whether it is a secret, and what is made of it too.
    pub secret: bool,
}

impl<T: Into<Value>> From<T> for Output {
    fn from(value: T) -> Self {
        Output { value: value.into(), secret: false }
    }
}

/// The arguments of a function.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a>(pub &'a [Value]);

impl<'a> Arguments<'a> {
    /// Checks that there are as many as `least` to `most`; without `most` there may be any number
    /// more.
    ///
    /// # Errors
    /// How many there must be.
    pub fn check_count(self, least: usize, most: Option<usize>) -> Result<(), String> {
        let count = self.0.len();
        if count >= least && most.is_none_or(|most| count <= most) {
            return Ok(());
        }
        let takes = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("{least} to {most}"),
            None => format!("{least} or more"),
        };
        let plural = if takes == "1" { "argument" } else { "arguments" };
        Err(format!("it takes {takes} {plural}, not {count}"))
    }

    /// The argument at `index`, which must be a string.
    ///
    /// # Errors
    /// It is of another type, or missing.
    pub fn text(self, index: usize) -> Result<&'a str, String> {
        match self.at(index)? {
            Value::String(text) => Ok(text),
            other => Err(format!("argument {} must be text, not {}", index + 1, kind_of(other))),
        }
    }

    /// The argument at `index`, which must be a whole number.
    ///
    /// # Errors
    /// It is of another type, or missing.
    pub fn whole(self, index: usize) -> Result<i64, String> {
        let value = self.at(index)?;
        value.as_i64().ok_or_else(|| {
            format!("argument {} must be a whole number, not {}", index + 1, kind_of(value))
        })
    }

    fn at(self, index: usize) -> Result<&'a Value, String> {
        self.0.get(index).ok_or_else(|| format!("argument {} is missing", index + 1))
    }
}
