//! What a post-processor needs around it to run by itself.
#![allow(dead_code)] // Not every test file uses everything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::journal::NoJournal;
use ingot_sdk::{
    Artifact, Communicator, Config, ConfigErrors, Event, EventSink, FileArtifact, GeneratedData,
    Hook, PluginSet, PostProcessor, PrepareContext, Prepared, Processed, Result, RunContext, Ui,
    async_trait,
};
use serde_json::Value;

/// Keeps what was said.
#[derive(Default)]
pub struct Said(Mutex<Vec<Event>>);

impl Said {
    /// The texts of steps, details and errors.
    pub fn lines(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let text = |event: &Event| match event {
            Event::Say { text, .. } | Event::Message { text, .. } | Event::Error { text, .. } => {
                Some(text.clone())
            }
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }

    /// Everything.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl EventSink for Said {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("nobody to ask"))
    }

    fn mask(&self, _: &str) {}
}

struct NoProvisioners;

#[async_trait]
impl Hook for NoProvisioners {
    async fn provision(
        &self,
        _: &RunContext,
        _: Arc<dyn Communicator>,
        _: GeneratedData,
    ) -> Result<()> {
        Ok(())
    }

    async fn cleanup_provision(
        &self,
        _: &RunContext,
        _: Arc<dyn Communicator>,
        _: GeneratedData,
    ) -> Result<()> {
        Ok(())
    }
}

/// A build called `name` in a folder of its own.
pub struct Build {
    pub folder: tempfile::TempDir,
    pub prepare: PrepareContext,
    pub said: Arc<Said>,
    pub data: GeneratedData,
}

impl Build {
    pub fn new(name: &str) -> Self {
        Build {
            folder: tempfile::tempdir().unwrap(),
            prepare: PrepareContext {
                build_name: name.to_owned(),
                build_type: "file".to_owned(),
                run_uuid: "run-1".to_owned(),
                ..PrepareContext::default()
            },
            said: Arc::default(),
            data: GeneratedData::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the artifact.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    pub fn context(&self) -> RunContext {
        RunContext {
            prepare: Arc::new(self.prepare.clone()),
            ui: Ui::new(Arc::clone(&self.said) as Arc<dyn EventSink>),
            cancel: Default::default(),
            journal: Arc::new(NoJournal),
            hook: Arc::new(NoProvisioners),
        }
    }

    /// The post-processor `kind`, prepared with `options`.
    pub fn prepared(
        &self,
        kind: &str,
        options: Value,
    ) -> (Box<dyn PostProcessor>, Result<Prepared, ConfigErrors>) {
        let mut set = PluginSet::default();
        ingot_post_processors::register(&mut set);
        let mut plugin = set.post_processors[kind]();
        let Value::Object(options) = options else { panic!("options are a map") };
        for name in options.keys() {
            assert!(plugin.schema().get(name).is_some(), "{kind} has no option {name}");
        }
        // As the engine does.
        let rendered = Interpolation::new(&self.prepare)
            .render_config(&Config::new(options), &plugin.schema());
        let prepared = rendered.and_then(|(config, _)| plugin.prepare(&config, &self.prepare));
        (plugin, prepared)
    }

    /// Prepares and runs the post-processor `kind` on `artifact`.
    pub async fn run(
        &self,
        kind: &str,
        options: Value,
        artifact: &Arc<dyn Artifact>,
    ) -> Result<Processed> {
        let (plugin, prepared) = self.prepared(kind, options);
        prepared.unwrap();
        plugin.process(&self.context(), Arc::clone(artifact), &self.data).await
    }
}

/// What the file builder would have made.
pub fn artifact(files: &[&Path]) -> Arc<dyn Artifact> {
    Arc::new(FileArtifact {
        builder_id: "packer.file".to_owned(),
        id: "File".to_owned(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        description: "Stored file".to_owned(),
    })
}

/// The artifact that a post-processor made.
pub fn made(processed: Processed) -> Arc<dyn Artifact> {
    processed.artifact.expect("an artifact")
}

/// Runs a tool in `folder` and gives what it printed; none when the tool is not installed, which
/// under CI is a failure.
pub fn tool(folder: &Path, argv: &[&str]) -> Option<String> {
    let output = match Command::new(argv[0]).args(&argv[1..]).current_dir(folder).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{} is missing: {error}", argv[0]);
            eprintln!("skipping a check: {} is missing: {error}", argv[0]);
            return None;
        }
    };
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names of all files below `folder`, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), names);
            } else {
                names.push(name);
            }
        }
    }
    let mut names = Vec::new();
    walk(folder, "", &mut names);
    names.sort();
    names
}
