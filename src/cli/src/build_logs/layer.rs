//! What the program's own log says of a build, for the build's log.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::BuildLogs;

/// Holds the logs once there are some: the program's log begins before.
pub type Slot = Arc<OnceLock<Arc<BuildLogs>>>;

/// Takes what is logged to the log of the build in whose span it happened.
pub struct BuildLogLayer(pub Slot);

/// The name of the build that a span is of.
struct BuildName(String);

/// A message and its fields as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    name: Option<String>,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => {
                if name == "name" {
                    self.name = Some(value.to_owned());
                }
                let _ = write!(self.fields, " {name}={value:?}");
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for BuildLogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != "build" {
            return;
        }
        let mut text = Text::default();
        attributes.record(&mut text);
        if let (Some(name), Some(span)) = (text.name, context.span(id)) {
            span.extensions_mut().insert(BuildName(name));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(logs) = self.0.get() else { return };
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let line = format!(
            "{:<8} {}: {}{}",
            metadata.level(),
            metadata.target(),
            text.message.replace('\n', "\\n"),
            text.fields
        );
        let mut build = None;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(BuildName(name)) = span.extensions().get() {
                build = Some(name.clone());
            }
        }
        logs.trace(build.as_deref(), &line);
    }
}
