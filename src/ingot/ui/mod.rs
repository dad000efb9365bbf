//! Shows the event stream: coloured text with progress for people, lines for machines.

mod machine;
mod redact;
mod renderer;
mod text;

pub use redact::Redactor;
pub use renderer::{Renderer, UiOptions};
