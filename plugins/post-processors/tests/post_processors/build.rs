//! What a post-processor needs around it to run by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::interpolate::Interpolation;
pub(crate) use ingot_sdk::testing::{RecordedOutput, names};
use ingot_sdk::{
    Artifact, Config, ConfigErrors, FileArtifact, GeneratedData, PluginSet, PostProcess,
    PrepareContext, Prepared, Processed, Result, RunContext, testing,
};
pub(crate) use ingot_test_support::tool;
use serde_json::Value;

/// A build called `name` in a directory of its own.
pub(crate) struct Build {
    pub directory: tempfile::TempDir,
    pub prepare: PrepareContext,
    pub said: Arc<RecordedOutput>,
    pub data: GeneratedData,
}

impl Build {
    pub(crate) fn new(name: &str) -> Self {
        Build {
            directory: tempfile::tempdir().unwrap(),
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the artifact.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        testing::file(self.directory.path(), name, contents)
    }

    pub(crate) fn context(&self) -> RunContext {
        testing::context(self.prepare.clone(), &self.said)
    }

    /// The post-processor `kind`, prepared with `options`.
    pub(crate) fn prepared(
        &self,
        kind: &str,
        options: Value,
    ) -> Result<Prepared<Box<dyn PostProcess>>, ConfigErrors> {
        let mut set = PluginSet::default();
        ingot_post_processors::register(&mut set);
        let plugin = &set.post_processors[kind];
        let Value::Object(options) = options else { panic!("options are a map") };
        for name in options.keys() {
            assert!(plugin.schema().get(name).is_some(), "{kind} has no option {name}");
        }
        // As the engine does.
        let (config, _) = Interpolation::new(&self.prepare)
            .render_config(&Config::new(options), &plugin.schema())?;
        plugin.prepare(&config, &self.prepare)
    }

    /// What preparing the post-processor `kind` with `options` finds.
    pub(crate) fn checked(&self, kind: &str, options: Value) -> Result<Prepared, ConfigErrors> {
        Ok(self.prepared(kind, options)?.with(()))
    }

    /// Prepares and runs the post-processor `kind` on `artifact`.
    pub(crate) async fn run(
        &self,
        kind: &str,
        options: Value,
        artifact: &Arc<dyn Artifact>,
    ) -> Result<Processed> {
        let ready = self.prepared(kind, options).unwrap().ready;
        ready.process(&self.context(), Arc::clone(artifact), &self.data).await
    }
}

/// What the file builder would have made.
pub(crate) fn artifact(files: &[&Path]) -> Arc<dyn Artifact> {
    Arc::new(FileArtifact {
        builder_id: "packer.file".to_owned(),
        id: "File".to_owned(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        description: "Stored file".to_owned(),
    })
}

/// The artifact that a post-processor made.
pub(crate) fn created(processed: Processed) -> Arc<dyn Artifact> {
    processed.artifact.expect("an artifact")
}
