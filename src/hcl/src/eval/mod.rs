//! Expressions to values.

mod access;
mod call;
mod expression;
mod repeat;
#[cfg(test)]
mod tests;
mod text;
mod unknown_name;

pub use expression::eval;

use expression::{Result, condition_of, key_of};
use unknown_name::{Use, unknown_name, unknown_root};
