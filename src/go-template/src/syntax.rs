//! The tree of a template, for those who translate templates instead of rendering them.

pub use crate::parser::{Base, Command, Node, Operand, Pipeline};

use crate::error::Error;
use crate::{lexer, parser};

/// Parses `text`, in which any function may be called.
///
/// # Errors
/// It is not well-formed.
pub fn parse(text: &str) -> Result<Vec<Node>, Error> {
    lexer::lex(text)
        .and_then(|pieces| parser::parse(&pieces, &|_| true))
        .map_err(|fault| fault.within(text))
}
