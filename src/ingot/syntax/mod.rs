//! Template text with positions: files, the syntax tree, and diagnostics that point into them.

pub mod ast;
pub mod diagnostic;
pub mod format;
pub mod json;
pub mod parse;
pub mod source;
pub mod tokens;

pub use ast::{Attribute, Block, Body, Expr, ExprKind};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use source::{FileId, SourceMap, Span};
