//! What Go gives the options of Packer's templates: the language of `text/template`, durations and
//! layouts of time, the case of letters, short paths, and the names of platforms.
//!
//! [`Template`] is a template; an [`Environment`] adds functions to Go's own and learns which
//! output was made of secrets. The language is there as far as it makes sense inside an option:
//! actions, pipelines, variables, `if`, `with`, `range`, literals and the standard functions. It
//! differs in one place on purpose: where Go prints `<no value>` for a name that does not exist,
//! rendering fails and lists the names that exist. ([`Template::render_leniently`] does as Go.) A
//! condition (`if`, `with`, `and`, `or`, `not`) may still ask for a name that does not exist; it is
//! false, as in Go.
//!
//! Knows nothing of plugins, builds or Packer's functions; its callers do.

pub mod case;
pub mod duration;
mod environment;
mod error;
mod eval;
mod functions;
mod lexer;
mod parser;
mod path;
mod platform;
mod printf;
pub mod syntax;
mod template;
#[cfg(test)]
mod tests;
pub mod time;
mod value;

pub use duration::GoDuration;
pub use environment::{Arguments, Call, Environment, Output};
pub use error::Error;
pub use path::clean_path;
pub use platform::Platform;
pub use template::{Template, has_actions};
pub use value::{NO_VALUE, text_of};
