//! Shows the event stream of a run: coloured text, a live view and transfers for people, lines for
//! machines. Hides secrets in all of it, and hands the events on, without secrets, to others that
//! listen.
//!
//! Knows the SDK's events and the terminal; knows nothing of templates or of the engine.

pub mod ci;
mod clean;
mod live;
mod machine;
mod redact;
mod renderer;
mod screen;
pub mod standard_output;
mod terminal;
mod text;

pub use clean::plain;
pub use redact::Redactor;
pub use renderer::{Listener, LogWriter, Renderer, UiOptions, View};
pub use text::prefixed;
