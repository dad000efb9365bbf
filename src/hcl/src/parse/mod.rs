//! Text to syntax tree.
//!
//! A parser of our own, over the tokens that formatting needs anyway, because a template is judged
//! by what is said when it is wrong: every slip has its own words and its place, a file with
//! several slips has all of them reported, and how deep things nest is bounded.

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
