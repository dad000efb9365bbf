//! Template text with positions: files, the syntax tree, and diagnostics that point into them.

pub mod ast;
pub mod diagnostic;
mod heredoc;
pub mod lower;
pub mod parse;
pub mod source;

pub use ast::{Attribute, Block, Body, Expr, ExprKind};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use source::{FileId, SourceMap, Span};
