//! What a plugin's tests need around it to run by itself.

mod machine;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::component::prepare_typed;
use crate::interpolate::Interpolation;
use crate::{
    Component, Config, ConfigError, ConfigErrors, Event, EventSink, OptionType, Prepare,
    PrepareContext, Prepared, RunContext, Ui,
};

pub use machine::ThisMachine;
use parking_lot::Mutex;

/// Prepares `component` with `options`, a JSON object, the way the engine does: names are checked
/// and `{{ }}` is rendered.
///
/// # Errors
/// Everything that is wrong with the options.
pub fn prepare<C: Component>(
    component: &C,
    options: serde_json::Value,
    ctx: &PrepareContext,
) -> Result<Prepared<C::Ready>, ConfigErrors> {
    let serde_json::Value::Object(options) = options else {
        return Err(ConfigError::new("options are an object").into());
    };
    let schema = Component::schema(component);
    let unknown = options.keys().filter(|name| schema.get(name).is_none() && !schema.open);
    let unknown =
        unknown.map(|name| ConfigError::on(name, format!("{} has no such option", C::NAME)));
    ConfigErrors::from_iter(unknown).into_result(())?;
    let rendered = Interpolation::new(ctx).render_config(&Config::new(options), &schema);
    let (config, mut warnings) = rendered?;
    let mut prepared = prepare_typed(component, &config, ctx)?;
    warnings.append(&mut prepared.warnings);
    Ok(Prepared { warnings, ..prepared })
}

/// The text options of `plugin` that do not count as not set when they are empty, of a block with
/// `options`. There should be none.
pub fn options_that_cannot_be_empty<R: ?Sized>(
    plugin: &dyn Prepare<R>,
    options: &serde_json::Value,
    ctx: &PrepareContext,
) -> Vec<String> {
    let output = |options: serde_json::Map<String, serde_json::Value>| {
        plugin.check(&Config::new(options), ctx).map(|prepared| prepared.warnings)
    };
    let given = options.as_object().cloned().unwrap_or_default();
    let expected = output(given.clone());
    let texts = plugin.schema().options.into_iter().filter(|option| {
        option.ty == OptionType::String && !option.required && !given.contains_key(&option.name)
    });
    let minds = texts.filter(|option| {
        let mut options = given.clone();
        options.insert(option.name.clone(), "".into());
        output(options) != expected
    });
    minds.map(|option| option.name).collect()
}

/// A context for one build that has nobody to ask, no provisioners, and a journal that forgets.
pub fn context(prepare: PrepareContext, output: &Arc<RecordedOutput>) -> RunContext {
    let ui = Ui::new(Arc::clone(output) as Arc<dyn EventSink>);
    RunContext { prepare: Arc::new(prepare), ..RunContext::detached(ui) }
}

/// A user interface that keeps the events and the secrets that it is given.
#[derive(Default)]
pub struct RecordedOutput {
    events: Mutex<Vec<Event>>,
    secrets: Mutex<Vec<String>>,
}

impl RecordedOutput {
    /// The texts of steps, details and errors.
    pub fn lines(&self) -> Vec<String> {
        let events = self.events.lock();
        let text = |event: &Event| match event {
            Event::Say { text, .. } | Event::Message { text, .. } | Event::Error { text, .. } => {
                Some(text.clone())
            }
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }

    /// These texts, one below the other.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// All events.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }

    /// The secrets that were to be hidden.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.lock().clone()
    }
}

#[async_trait]
impl EventSink for RecordedOutput {
    fn emit(&self, event: Event) {
        self.events.lock().push(event);
    }

    async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("nobody to ask"))
    }

    fn mask(&self, secret: &str) {
        self.secrets.lock().push(secret.to_owned());
    }
}

/// The names of all files below `directory`, sorted.
///
/// # Panics
/// It cannot be read.
pub fn names(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory that can be read") {
            let entry = entry.expect("a directory that can be read");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("a directory that can be read").is_dir() {
                walk(&entry.path(), &format!("{name}/"), names);
            } else {
                names.push(name);
            }
        }
    }
    let mut names = Vec::new();
    walk(directory, "", &mut names);
    names.sort();
    names
}

/// Writes a file below `directory`, whose directories are made.
///
/// # Panics
/// It cannot be written.
pub fn file(directory: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    let created = std::fs::create_dir_all(path.parent().unwrap_or(directory));
    created.and_then(|()| std::fs::write(&path, contents)).expect("a file that can be written");
    path
}
