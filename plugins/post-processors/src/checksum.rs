//! `checksum`: writes the checksums of the artifact's files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::hash;
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, Context, Decoded, FileArtifact, GeneratedData,
    Journal, OutputFile, PostProcess, PrepareContext, Prepared, Processed, Result, RunContext,
    async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::artifice::list;
use crate::lock_file::OutputLock;
use crate::work::{file_lock, read_output, template_data};

/// What artifacts of this post-processor say they were made by.
const BUILDER_ID: &str = "packer.post-processor.checksum";
const DEFAULT_OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum";

/// The largest file that lines are added to, in bytes.
const LARGEST: u64 = 256 << 20;

/// The options of `checksum`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The kinds of checksums to compute: `md5`, `sha1`, `sha224`, `sha256`, `sha384`, `sha512`.
    #[serde(default = "default_types")]
    checksum_types: Vec<String>,
    /// Where to write the checksums, one line for each file: the checksum in hexadecimal, a tab,
    /// the name of the file without its directory. Lines are added to what the file already holds.
    /// `{{.BuildName}}`, `{{.BuilderType}}` and `{{.ChecksumType}}` stand for their values.
    #[serde(default = "default_output")]
    #[schemars(extend("rendered_late" = true))]
    output: String,
}

fn default_types() -> Vec<String> {
    vec!["md5".to_owned()]
}

fn default_output() -> String {
    DEFAULT_OUTPUT.to_owned()
}

/// `post-processor "checksum"`
pub struct Checksum;

/// Writes checksum files and adds them to the artifact.
pub struct WriteChecksums {
    options: Options,
}

impl Component for Checksum {
    const NAME: &'static str = "checksum";
    type Options = Options;
    type Ready = WriteChecksums;

    fn prepare(
        &self,
        Decoded { mut options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<WriteChecksums>, ConfigErrors> {
        if options.output.is_empty() {
            options.output = default_output();
        }
        let mut errors = ConfigErrors::default();
        for name in &options.checksum_types {
            if hash::hasher(name).is_none() {
                errors.push(
                    ConfigError::on(
                        "checksum_types",
                        format!("unrecognized checksum type {name:?}"),
                    )
                    .hint("use md5, sha1, sha224, sha256, sha384 or sha512"),
                );
            }
        }
        errors.into_result(Prepared::new(WriteChecksums { options }))
    }
}

#[async_trait]
impl PostProcess for WriteChecksums {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        let mut data = template_data(ctx, data);
        let mut outputs = Vec::new();
        for name in &self.options.checksum_types {
            data["ChecksumType"] = name.as_str().into();
            let path = ctx.prepare.render(&self.options.output, &data).context("output")?;
            outputs.push((name.clone(), PathBuf::from(path)));
        }
        let mut files = artifact.files();
        let inputs = files.clone();
        let job_ctx = ctx.clone();
        let written = blocking(ctx, move |stop| {
            let mut reader = Reader::new(&job_ctx, "Computing checksums", &inputs);
            let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
            // For each file, its checksums in the order of `outputs`.
            let sums = inputs
                .iter()
                .map(|input| hash::sums_of(&mut reader, stop, input, &names))
                .collect::<Result<Vec<_>>>()?;
            let mut created = Vec::new();
            for (position, (_, output)) in outputs.iter().enumerate() {
                let mut lines = Vec::new();
                for (input, sums) in inputs.iter().zip(&sums) {
                    lines.extend_from_slice(sums[position].as_bytes());
                    lines.push(b'\t');
                    let name = input.file_name().unwrap_or(input.as_os_str());
                    lines.extend_from_slice(name.as_encoded_bytes());
                    lines.push(b'\n');
                }
                if !lines.is_empty() && append(&job_ctx.journal, stop, output, &lines)? {
                    created.push(output.clone());
                }
            }
            Ok(created)
        })
        .await?;
        files.extend(written);
        let description = format!("Created artifact from files: {}", list(&files));
        Ok(Processed {
            artifact: Some(Arc::new(FileArtifact {
                builder_id: BUILDER_ID.to_owned(),
                id: String::new(),
                files,
                description,
            })),
            keep_input: true,
            // The checksums of files that are gone would be worth nothing.
            force_keep_input: true,
        })
    }
}

/// Adds `lines` to `output`; tells whether the file is new.
fn append(
    journal: &Arc<dyn Journal>,
    stop: &CancellationToken,
    output: &Path,
    lines: &[u8],
) -> Result<bool> {
    let lock = file_lock(output);
    let _builds_of_this_process = lock.lock();
    let _other_processes = OutputLock::take(journal, stop, output)?;
    let before = read_output(output, "list of checksums", LARGEST)?;
    let is_new = before.is_none();
    let mut all = before.unwrap_or_default();
    all.extend_from_slice(lines);
    OutputFile::create(journal, output, 0o644)?.finish_with(&all)?;
    Ok(is_new)
}
