//! Text to syntax tree.
//!
//! A parser of our own, over the tokens that formatting needs anyway, because users see
//! its errors: every mistake has its own message and place, a file with several mistakes has all of
//! them reported, and nesting is bounded.

mod body;
mod body_errors;
mod expr;
mod expression_errors;
mod input;
mod parser;
mod recover;
#[cfg(test)]
mod tests;
mod text;

pub use input::{parse_body, parse_expr, parse_template};
pub use parser::{MAX_DEPTH, STACK_SIZE};

pub(super) use input::{expr_text, template_text};

use parser::{MAX_ERRORS, Parser, Result};
