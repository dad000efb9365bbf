//! `manifest`: keeps a JSON file with what was built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ingot_sdk::file_work::blocking;
use ingot_sdk::{
    Artifact, Component, ConfigErrors, Context, Decoded, Error, GeneratedData, Journal, OutputFile,
    PostProcess, PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::lock_file::OutputLock;
use crate::work::{file_lock, read_output, template_data};

const DEFAULT_OUTPUT: &str = "packer-manifest.json";

/// The largest manifest that builds are added to, in bytes.
const LARGEST: u64 = 256 << 20;

/// The options of `manifest`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The file to write. The builds of this run are added to those it already lists; with
    /// `-force`, the builds of earlier runs are dropped.
    #[serde(default = "default_output")]
    output: String,
    /// List the files of the artifact without their directories.
    #[serde(default)]
    strip_path: bool,
    /// Leave out `build_time`.
    #[serde(default)]
    strip_time: bool,
    /// Values to list with the build. They are templates once more when the manifest is written.
    custom_data: Option<BTreeMap<String, String>>,
}

fn default_output() -> String {
    DEFAULT_OUTPUT.to_owned()
}

/// One build as the manifest lists it. Names and order are Packer's.
#[derive(Debug, Serialize)]
struct Build {
    name: String,
    builder_type: String,
    /// Seconds since 1970; left out when zero.
    #[serde(skip_serializing_if = "is_zero")]
    build_time: u64,
    /// Null when the artifact has no files.
    files: Option<Vec<ListedFile>>,
    artifact_id: String,
    packer_run_uuid: String,
    custom_data: Option<BTreeMap<String, String>>,
}

fn is_zero(seconds: &u64) -> bool {
    *seconds == 0
}

#[derive(Debug, Serialize)]
struct ListedFile {
    name: String,
    /// In bytes.
    size: u64,
}

/// `post-processor "manifest"`
pub struct Manifest;

/// Lists the build in a JSON file.
pub struct ListBuild {
    options: Options,
}

impl Component for Manifest {
    const NAME: &'static str = "manifest";
    type Options = Options;
    type Ready = ListBuild;

    fn prepare(
        &self,
        Decoded { mut options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<ListBuild>, ConfigErrors> {
        if options.output.is_empty() {
            options.output = default_output();
        }
        Ok(Prepared::new(ListBuild { options }))
    }
}

#[async_trait]
impl PostProcess for ListBuild {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        let data = template_data(ctx, data);
        let mut custom_data = self.options.custom_data.clone();
        for (name, value) in custom_data.iter_mut().flatten() {
            let rendered =
                ctx.prepare.render(value, &data).with_context(|| format!("custom_data.{name}"))?;
            *value = ctx.ui.masked(&rendered);
        }
        let build = Build {
            name: ctx.prepare.build_name.clone(),
            builder_type: ctx.prepare.build_type.clone(),
            build_time: if self.options.strip_time { 0 } else { now() },
            files: None,
            artifact_id: artifact.id(),
            packer_run_uuid: ctx.prepare.run_uuid.clone(),
            custom_data: custom_data.filter(|values| !values.is_empty()),
        };
        let files = artifact.files();
        let strip_path = self.options.strip_path;
        let force = ctx.prepare.force;
        let output = PathBuf::from(&self.options.output);
        let journal = Arc::clone(&ctx.journal);
        blocking(ctx, move |stop| {
            let listed: Vec<ListedFile> =
                files.iter().map(|file| list_file(file, strip_path)).collect();
            let build = Build { files: Some(listed).filter(|files| !files.is_empty()), ..build };
            add(&journal, stop, &output, build, force)
        })
        .await?;
        Ok(Processed {
            artifact: Some(artifact),
            keep_input: true,
            // The manifest lists the artifact; it must not be what deletes it.
            force_keep_input: true,
        })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn list_file(file: &Path, strip_path: bool) -> ListedFile {
    let name = match file.file_name() {
        Some(name) if strip_path => Path::new(name),
        _ => file,
    };
    // A file that is not there any more is listed all the same.
    let size = std::fs::metadata(file).map_or(0, |found| found.len());
    ListedFile { name: name.to_string_lossy().into_owned(), size }
}

/// Adds `build` to the manifest `output`.
fn add(
    journal: &Arc<dyn Journal>,
    stop: &CancellationToken,
    output: &Path,
    build: Build,
    force: bool,
) -> Result<()> {
    let lock = file_lock(output);
    let _builds_of_this_process = lock.lock();
    let _other_processes = OutputLock::take(journal, stop, output)?;
    let mut manifest = read(output)?;
    let run = build.packer_run_uuid.clone();
    if force && manifest.get("last_run_uuid").and_then(Value::as_str) != Some(&run) {
        manifest = Map::new();
    }
    let build = serde_json::to_value(build).context("listing the build")?;
    // Take and put back, so that `builds` stays first.
    match manifest.entry("builds").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(builds) => builds.push(build),
        other => *other = Value::Array(vec![build]),
    }
    manifest.insert("last_run_uuid".to_owned(), run.into());
    let text = serde_json::to_string_pretty(&manifest).context("writing the manifest")?;
    OutputFile::create(journal, output, 0o664)?.finish_with(text.as_bytes()).map(drop)
}

/// The manifest as it is; empty when there is none.
fn read(output: &Path) -> Result<Map<String, Value>> {
    let empty = || {
        Map::from_iter([
            ("builds".to_owned(), Value::Array(Vec::new())),
            ("last_run_uuid".to_owned(), Value::from("")),
        ])
    };
    let text = match read_output(output, "manifest", LARGEST)? {
        Some(text) if !text.is_empty() => text,
        _ => return Ok(empty()),
    };
    let parsed: Result<Map<String, Value>, _> = serde_json::from_slice(&text);
    let mut manifest = parsed.map_err(|error| {
        Error::new(format!("cannot read {} as a manifest: {error}", output.display()))
            .hint("move the file away, or name another with output")
    })?;
    match manifest.get("builds") {
        Some(Value::Array(_)) => {}
        None | Some(Value::Null) => {
            manifest.insert("builds".to_owned(), Value::Array(Vec::new()));
        }
        Some(_) => {
            return Err(Error::new(format!(
                "{} is not a manifest: its \"builds\" are not a list",
                output.display()
            ))
            .hint("move the file away, or name another with output"));
        }
    }
    Ok(manifest)
}
