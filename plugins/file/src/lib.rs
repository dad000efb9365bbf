//! The `file` builder: writes one file.
//!
//! Knows the SDK only.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::output_file::{CreatedDirectories, OutputFile};
use ingot_sdk::{
    Artifact, Build, Component, ConfigError, ConfigErrors, Context, Decoded, Facts, FileArtifact,
    GeneratedData, PluginSet, PrepareContext, Prepared, RegistryImage, Result, RunContext,
    async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

mod communicator;

use communicator::Nowhere;

/// The builder's id.
const BUILDER_ID: &str = "packer.file";

/// What is published as the source of a file that has none; Packer's text.
const NO_SOURCE: &str = "<no-defined-source-file>";

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.add_builder(FileBuilder);
}

/// The options of `source "file"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// The text to write.
    #[serde(default)]
    content: String,
    /// The file to copy instead.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    source: String,
    /// The file to write.
    #[serde(default)]
    target: String,
}

/// `source "file"`
struct FileBuilder;

/// Writes one file.
struct WriteFile {
    options: Options,
}

impl Component for FileBuilder {
    const NAME: &'static str = "file";
    type Options = Options;
    type Ready = WriteFile;

    fn facts(&self) -> Facts {
        Facts { has_machine: false, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<WriteFile>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if options.target.is_empty() {
            let error = ConfigError::new("`target` is missing: the file to write");
            errors.push(error.related(["target"]));
        }
        let (content, source) = (&options.content, &options.source);
        if !content.is_empty() && !source.is_empty() {
            errors.push(
                ConfigError::on("source", "`content` and `source` exclude each other")
                    .hint("keep one of the two"),
            );
        }
        let mut prepared = Prepared::default();
        if content.is_empty() && source.is_empty() {
            prepared
                .warnings
                .push("neither `content` nor `source` is set: the file will be empty".into());
        }
        prepared.with(WriteFile { options }).or_errors(errors)
    }
}

#[async_trait]
impl Build for WriteFile {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let Options { content, source, target } = &self.options;
        let path = PathBuf::from(target);
        let created = if source.is_empty() {
            // What a template holds may be a secret: a new file is for its owner only, as in
            // Packer.
            OutputFile::write(ctx, &path, 0o600, content.clone().into_bytes()).await?
        } else {
            let copying = || format!("copying {source} to {target}");
            let mut from = tokio::fs::File::open(source).await.with_context(copying)?;
            let output = OutputFile::open(&ctx.journal, &path, 0o666).await?;
            let mut to = tokio::fs::File::from_std(output.writer()?);
            ctx.ui.say(format!("Copying {source} to {target}"));
            let copied = ctx
                .unless_cancelled(async {
                    let copied = tokio::io::copy(&mut from, &mut to).await.with_context(copying)?;
                    to.flush().await.with_context(copying)?;
                    Ok(copied)
                })
                .await
                .map_err(|error| output.explain(error))?;
            let created = output.created();
            output.close(ctx).await?;
            ctx.ui.say(format!("Copied {copied} bytes"));
            created
        };
        let data = GeneratedData::new();
        ctx.provision(Arc::new(Nowhere(ctx.ui.clone())), data).await?;
        Ok(Some(Arc::new(Written { target: path, created, source: source.clone() })))
    }
}

/// The file that was written.
struct Written {
    target: PathBuf,
    /// The directories that were created for it.
    created: CreatedDirectories,
    source: String,
}

impl Written {
    fn file(&self) -> FileArtifact {
        FileArtifact {
            builder_id: BUILDER_ID.into(),
            id: "File".into(),
            files: vec![self.target.clone()],
            description: format!("Stored file: {}", self.target.display()),
        }
    }
}

#[async_trait]
impl Artifact for Written {
    fn builder_id(&self) -> &str {
        BUILDER_ID
    }

    fn id(&self) -> String {
        self.file().id
    }

    fn files(&self) -> Vec<PathBuf> {
        self.file().files
    }

    fn description(&self) -> String {
        self.file().description
    }

    /// The file by its name, and its directory for the region: Packer's facts.
    fn images(&self) -> Vec<RegistryImage> {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let directory = self.target.parent().map(text).filter(|directory| !directory.is_empty());
        vec![RegistryImage {
            provider: BUILDER_ID.into(),
            region: directory.unwrap_or_else(|| ".".into()),
            id: self.target.file_name().map(|name| text(name.as_ref())).unwrap_or_default(),
            source_id: Some(match self.source.as_str() {
                "" => NO_SOURCE.into(),
                source => source.into(),
            }),
            labels: Default::default(),
        }]
    }

    async fn destroy(&self) -> Result<()> {
        self.file().destroy().await?;
        self.created.remove();
        Ok(())
    }
}
