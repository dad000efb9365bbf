//! HCL as templates write it: text with positions, and the values that its expressions stand for.
//!
//! - [`source`] holds files and positions in them, [`decoded`] what of them is not UTF-8, [`diagnostic`]
//!   says what is wrong with a place;
//! - [`tokens`], [`parse`] and [`json`] read the native and the JSON syntax into the tree of [`ast`],
//!   as much of a broken file as can be read, and bound how deep things nest; [`mod@format`] lays
//!   tokens out;
//! - [`value`] has values, of which unknown and sensitive are kinds, [`types`], [`convert`] and
//!   `unify` their types, [`number`] their numbers, [`unknowns`] says where they must be known;
//! - [`eval()`] evaluates an expression in a [`scope`], with the [`functions`] that it may call.
//!
//! Knows no block of Packer's: which blocks and attributes there are, and what names stand for, is
//! the caller's. Knows no plugin, no network and no asynchronous runtime either.

pub mod ast;
pub mod attribute;
pub mod constant;
pub mod convert;
pub mod decoded;
pub mod diagnostic;
pub mod eval;
pub mod format;
pub mod functions;
pub mod json;
pub mod number;
mod operators;
pub mod parse;
pub mod print;
mod quote;
pub mod scope;
pub mod source;
mod surrogates;
pub mod tokens;
pub mod type_expr;
pub mod types;
mod unify;
pub mod unknowns;
pub mod value;

pub use ast::{Attribute, Block, Body, Expr, ExprKind};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use eval::eval;
pub use number::Number;
pub use quote::quote;
pub use scope::Scope;
pub use source::{FileId, SourceMap, Span};
pub use types::Type;
pub use unknowns::Unknowns;
pub use value::{Kind, Value};
