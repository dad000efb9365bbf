//! `artifice`: says which files are the artifact from here on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::glob;
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, Decoded, FileArtifact, GeneratedData,
    PostProcess, PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What artifacts of this post-processor say they were made by.
const BUILDER_ID: &str = "packer.post-processor.artifice";

/// The options of `artifice`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The files that make up the artifact, relative to the directory Ingot runs in. `*`, `?` and
    /// `[a-z]` stand for parts of names, as in a shell, but never for a `/`.
    files: Vec<String>,
}

/// `post-processor "artifice"`
pub struct Artifice;

/// Replaces the artifact by files that a provisioner or another tool left on this machine.
/// What the artifact was before stays where it is unless `keep_input_artifact = false`. As in Packer,
/// there may be no files.
pub struct ReplaceFiles {
    options: Options,
}

impl Component for Artifice {
    const NAME: &'static str = "artifice";
    type Options = Options;
    type Ready = ReplaceFiles;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<ReplaceFiles>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if options.files.is_empty() {
            errors.push(ConfigError::on("files", "no files are given").hint(
                "list the files that make up the artifact, for example files = [\"out/*.img\"]",
            ));
        }
        for pattern in &options.files {
            if let Err(error) = glob::compile(pattern) {
                errors.push(ConfigError::on("files", error));
            }
        }
        errors.into_result(Prepared::new(ReplaceFiles { options }))
    }
}

#[async_trait]
impl PostProcess for ReplaceFiles {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _data: &GeneratedData,
    ) -> Result<Processed> {
        let before = artifact.files();
        if !before.is_empty() {
            ctx.ui.say(format!("Discarding files from artifact: {}", list(&before)));
        }
        let patterns = self.options.files.clone();
        let ui = ctx.ui.clone();
        let files = ingot_sdk::file_work::blocking(ctx, move |_| {
            let mut files = Vec::new();
            for pattern in &patterns {
                let found = glob::find(pattern)?;
                if found.is_empty() {
                    ui.error(format!("No file matches {pattern:?}{}.", looked_up(pattern)));
                }
                files.extend(found);
            }
            Ok(files)
        })
        .await?;
        ctx.ui.say(format!("Using these artifact files: {}", list(&files)));
        let description = format!("Created artifact from files: {}", list(&files));
        Ok(Processed {
            artifact: Some(Arc::new(FileArtifact {
                builder_id: BUILDER_ID.to_owned(),
                id: String::new(),
                files,
                description,
            })),
            keep_input: true,
            force_keep_input: false,
        })
    }
}

/// Where a pattern was looked up, if it does not say so itself.
fn looked_up(pattern: &str) -> String {
    match std::env::current_dir() {
        Ok(directory) if Path::new(pattern).is_relative() => format!(" in {}", directory.display()),
        _ => String::new(),
    }
}

/// File names for people.
pub(crate) fn list(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(", ")
}
