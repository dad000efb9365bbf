//! Expressions to values.

mod access;
mod call;
mod expression;
mod repeat;
#[cfg(test)]
mod tests;
mod text;
mod unknown_name;
mod value_of;

pub use expression::eval;
pub use value_of::value_of;

use expression::{Result, condition_of, key_of};
use unknown_name::{Use, unknown_name, unknown_root};
