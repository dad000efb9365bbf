//! `compress`: packs the artifact's files into one.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_work::{Reader, blocking, is_same_file};
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, ConfigWarning, Context, Decoded, Error,
    FileArtifact, GeneratedData, OutputFile, PostProcess, PrepareContext, Prepared, Processed,
    Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::artifice::list;
use crate::work::{append_file, buffered, template_data};

pub(crate) mod format;
mod parallel;

use format::{Algorithm, Archive, Compressor, Format};

/// What artifacts of this post-processor say they were made by.
const BUILDER_ID: &str = "packer.post-processor.compress";
const DEFAULT_OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}";

/// The options of `compress`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The file to write. Its ending says how, unless `format` does: `.tar`, `.zip`, `.tar.gz`,
    /// `.gz`, `.bzip2`, `.lz4`, `.xz`, `.bgzf`; with any other ending it is a gzipped tar.
    /// Without `.tar` or `.zip` the artifact must be a single file.
    /// `{{.BuildName}}` and `{{.BuilderType}}` stand for their values.
    #[serde(default = "default_output")]
    #[schemars(extend("rendered_late" = true))]
    output: String,
    /// What to make, if the ending of `output` is not to say it: `zip`, `tar`, `tar.gz`, `lz4`, …
    /// The name of the file stays as `output` says.
    format: Option<String>,
    /// How hard to compress, from 1 (fast) to 9 (small). Unset, 0 and -1 mean the format's own
    /// default. For `gz`, `bzip2` and `bgzf`.
    compression_level: Option<i64>,
}

fn default_output() -> String {
    DEFAULT_OUTPUT.to_owned()
}

/// `post-processor "compress"`
pub struct Compress;

/// Packs the artifact's files. The packed file takes the artifact's place, and the files go
/// unless `keep_input_artifact = true`.
pub struct PackFiles {
    options: Options,
    format: Format,
    /// From 1 to 9; none for the format's default.
    level: Option<u32>,
}

impl Component for Compress {
    const NAME: &'static str = "compress";
    type Options = Options;
    type Ready = PackFiles;

    fn prepare(
        &self,
        Decoded { mut options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<PackFiles>, ConfigErrors> {
        if options.output.is_empty() {
            options.output = default_output();
        }
        let mut prepared = Prepared::default();
        let explicit = options.format.as_deref().filter(|format| !format.is_empty());
        let name = match explicit {
            Some(format) => format!("{}.{format}", options.output),
            None => options.output.clone(),
        };
        let target = Format::of_name(&name);
        if let Some(format) = explicit
            && !Format::is_known(format)
        {
            let message = format!(
                "compress: there is no format {format:?}; making a gzipped tar. The formats are \
                 tar, zip, tar.gz, gz, bzip2, lz4, xz and bgzf"
            );
            prepared.warnings.push(ConfigWarning::on("format", message));
        }
        // Packer takes any larger level for the largest.
        let level = match options.compression_level.unwrap_or(0) {
            -1 | 0 => None,
            level @ 1.. => Some(u32::try_from(level.min(9)).unwrap_or(9)),
            level => {
                return Err(ConfigError::on(
                    "compression_level",
                    format!("{level} is not a compression level"),
                )
                .hint("use a number from 1 (fast) to 9 (small), or -1 for the default")
                .into());
            }
        };
        let heeds_level =
            matches!(target.algorithm, Some(Algorithm::Gzip | Algorithm::Bzip2 | Algorithm::Bgzf));
        if level.is_some() && !heeds_level {
            let message = format!("compress: compression_level has no effect on {}", target.name());
            prepared.warnings.push(ConfigWarning::on("compression_level", message));
        }
        Ok(prepared.with(PackFiles { options, format: target, level }))
    }
}

#[async_trait]
impl PostProcess for PackFiles {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        let data = template_data(ctx, data);
        let target = ctx.prepare.render(&self.options.output, &data).context("output")?;
        let files = artifact.files();
        let compression = self.format.algorithm.map_or("no compression", Algorithm::name);
        if let Some(algorithm) = self.format.algorithm {
            let cores = match algorithm.threads() {
                1 => "1 core".to_owned(),
                threads => format!("{threads} cores"),
            };
            let name = algorithm.name();
            ctx.ui.say(format!("Using {name} compression with {cores} for {target}"));
        }
        match self.format.archive {
            Some(Archive::Tar) => ctx.ui.say(format!("Tarring {target} with {compression}")),
            Some(Archive::Zip) => ctx.ui.say(format!("Zipping {target}")),
            None => match files.as_slice() {
                [file] => {
                    ctx.ui.say(format!("Archiving {} with {compression}", file.display()));
                }
                _ => {
                    return Err(Error::new(format!(
                        "{} holds one file, but the artifact has {}: {}",
                        self.format.name(),
                        files.len(),
                        list(&files)
                    ))
                    .hint("make an archive: let output end in .tar.gz or .zip, or set format"));
                }
            },
        }
        if files.is_empty() {
            ctx.ui.error(format!("The artifact has no files; {target} will be empty."));
        }
        let job = Job {
            ctx: ctx.clone(),
            files,
            target: PathBuf::from(&target),
            format: self.format,
            level: self.level,
        };
        blocking(ctx, move |stop| job.run(stop)).await?;
        ctx.ui.say(format!("Archive {target} completed"));
        Ok(Processed {
            artifact: Some(Arc::new(FileArtifact {
                builder_id: BUILDER_ID.to_owned(),
                id: String::new(),
                files: vec![PathBuf::from(&target)],
                description: format!("compressed artifacts in: {target}"),
            })),
            keep_input: false,
            force_keep_input: false,
        })
    }
}

/// The packing of one artifact.
struct Job {
    ctx: RunContext,
    files: Vec<PathBuf>,
    target: PathBuf,
    format: Format,
    level: Option<u32>,
}

impl Job {
    fn run(&self, stop: &CancellationToken) -> Result<()> {
        for file in &self.files {
            // The input is deleted afterwards, and the output with it.
            if is_same_file(file, &self.target) {
                return Err(Error::new(format!(
                    "{} is a file of the artifact and cannot be the output too",
                    file.display()
                ))
                .hint("set output to another name"));
            }
        }
        let output = OutputFile::create(&self.ctx.journal, &self.target, 0o666)?;
        let mut reader =
            Reader::new(&self.ctx, &format!("Writing {}", self.target.display()), &self.files);
        output.fill(|file| {
            let written = match self.format.archive {
                Some(Archive::Zip) => self.zip(stop, &mut reader, file),
                Some(Archive::Tar) => self.tar(stop, &mut reader, file),
                None => self.single(stop, &mut reader, file),
            };
            // A library that was interrupted reports a failure of reading.
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            written.with_context(|| format!("packing {}", self.target.display()))
        })
    }

    fn compressor(&self, output: File) -> Result<Compressor> {
        Ok(Compressor::new(self.format.algorithm, self.level, buffered(output))?)
    }

    fn tar(&self, stop: &CancellationToken, reader: &mut Reader, output: File) -> Result<()> {
        let mut archive = tar::Builder::new(self.compressor(output)?);
        for path in &self.files {
            let name = Path::new(path.file_name().unwrap_or(path.as_os_str()));
            append_file(&mut archive, stop, reader, path, name)?;
        }
        archive.into_inner()?.finish()?;
        Ok(())
    }

    fn zip(&self, stop: &CancellationToken, reader: &mut Reader, output: File) -> Result<()> {
        let failed = |path: &Path, error: zip::result::ZipError| {
            Error::caused_by(error).context(format_args!("adding {}", path.display()))
        };
        let mut archive = zip::ZipWriter::new(buffered(output));
        let mut added = HashSet::new();
        for path in &self.files {
            // Overlapping patterns of artifice can list a file twice; a zip holds a name once.
            if !added.insert(path) {
                continue;
            }
            let mut file = Reader::open(path)?;
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated)
                .large_file(file.metadata()?.len() >= u64::from(u32::MAX));
            archive
                .start_file(path.to_string_lossy(), options)
                .map_err(|error| failed(path, error))?;
            reader
                .copy(stop, &mut file, |bytes| archive.write_all(bytes))
                .with_context(|| format!("adding {}", path.display()))?;
        }
        let output = archive.finish().map_err(Error::caused_by)?;
        output.into_inner().map_err(|error| Error::from(error.into_error()))?;
        Ok(())
    }

    fn single(&self, stop: &CancellationToken, reader: &mut Reader, output: File) -> Result<()> {
        let mut compressor = self.compressor(output)?;
        for path in &self.files {
            let mut file = Reader::open(path)?;
            reader
                .copy(stop, &mut file, |bytes| compressor.write_all(bytes))
                .with_context(|| format!("reading {}", path.display()))?;
        }
        compressor.finish()?;
        Ok(())
    }
}
