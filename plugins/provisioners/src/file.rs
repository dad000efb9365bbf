//! `provisioner "file"`

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::command::{quote, quote_pattern};
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::{
    Communicator, Component, Config, ConfigError, ConfigErrors, Context, Decoded, Effect, Error,
    ExitStatus, Facts, FileMeta, GeneratedData, OptionValue, OutputFile, PrepareContext, Prepared,
    Provision, RemoteCommand, Result, RunContext, async_trait, clean_path, script,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What makes a source that is downloaded a pattern; Packer's.
const WILDCARDS: [char; 3] = ['*', '?', '['];
/// What a text is called in a directory; Packer's.
const CONTENT_NAME: &str = "pkr-file-content";
/// How long the list of what matches a pattern may be, in bytes.
const LONGEST_LIST: usize = 4 << 20;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// A text to write to `destination`, as `pkr-file-content` where that ends with a slash.
    content: Option<String>,
    /// The file or directory to copy. A directory with a trailing slash stands for what is in it. In a
    /// download `*`, `?` and `[a-z]` stand for parts of names, and `destination` is a directory then.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    source: String,
    /// Several of them.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    sources: Vec<String>,
    /// Where it goes. With a trailing slash (or backslash, on Windows), a file keeps its name in
    /// that directory.
    #[serde(default)]
    destination: String,
    /// `upload` (to the machine) or `download`.
    direction: Option<String>,
    /// Whether the source only comes to be while the build runs.
    #[serde(default)]
    generated: bool,
}

impl Options {
    fn sources(&self) -> impl Iterator<Item = &str> {
        let one = Some(self.source.as_str()).filter(|source| !source.is_empty());
        self.sources.iter().map(String::as_str).chain(one)
    }

    fn content(&self) -> Option<&str> {
        self.content.as_deref().filter(|content| !content.is_empty())
    }

    fn downloads(&self) -> bool {
        self.direction.as_deref() == Some("download")
    }
}

/// Why what options stand for has to be done by each build, if it has.
fn uncached(config: &Config) -> Option<&'static str> {
    if config.get("direction").and_then(OptionValue::as_str) == Some("download") {
        return Some("it copies files to this machine, which each build has to do");
    }
    let generated = config.get("generated").and_then(OptionValue::as_bool) == Some(true);
    generated.then_some("its source is created while the build runs")
}

/// `provisioner "file"`
pub(crate) struct FileProvisioner;

/// Copies files to or from the machine.
pub(crate) struct CopyFiles {
    options: Options,
}

impl Component for FileProvisioner {
    const NAME: &'static str = "file";
    type Options = Options;
    type Ready = CopyFiles;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Copies { uncached })
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<CopyFiles>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut prepared = Prepared::default();
        match options.direction.as_deref() {
            None | Some("upload" | "download") => {}
            Some(other) => errors.push(
                ConfigError::on("direction", format!("`{other}` is not a direction"))
                    .hint("write \"upload\" or \"download\""),
            ),
        }
        let any_source = options.sources().next().is_some();
        match (options.content(), any_source) {
            (None, false) => prepared.warnings.push(
                "there is nothing to copy: `source`, `sources` and `content` are empty".into(),
            ),
            (Some(_), true) => errors.push(
                ConfigError::on("content", "`content` and a source exclude each other")
                    .hint("keep one of them"),
            ),
            _ => {}
        }
        if options.destination.is_empty() {
            let error = ConfigError::new("`destination` is missing: where the file goes");
            errors.push(error.related(["destination"]));
        }
        if !options.downloads() && !options.generated {
            for source in options.sources() {
                if let Err(error) = std::fs::metadata(source) {
                    let option = if options.source == source { "source" } else { "sources" };
                    errors.push(
                        ConfigError::on(option, format!("cannot read {source}: {error}"))
                            .related(["direction", "generated"])
                            .hint("if the build creates this file, set generated = true"),
                    );
                }
            }
        }
        prepared.with(CopyFiles { options }).or_errors(errors)
    }
}

#[async_trait]
impl Provision for CopyFiles {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        _: &GeneratedData,
    ) -> Result<()> {
        let options = &self.options;
        if let Some(content) = options.content() {
            let destination = inside(&options.destination, CONTENT_NAME);
            ctx.ui.say(format!("Uploading content => {destination}"));
            let meta = FileMeta::new(content.len() as u64, 0o600);
            return communicator.upload(&destination, &mut content.as_bytes(), meta).await;
        }
        for source in options.sources() {
            if options.downloads() {
                download(ctx, &*communicator, source, &options.destination).await?;
            } else {
                upload(ctx, &*communicator, source, &options.destination).await?;
            }
        }
        Ok(())
    }
}

/// Where a file goes on the machine: under its name where `destination` is a directory, as a slash at
/// the end says.
fn inside(destination: &str, name: &str) -> String {
    match destination.ends_with(['/', '\\']) {
        true => format!("{destination}{name}"),
        false => destination.to_owned(),
    }
}

async fn upload(
    ctx: &RunContext,
    link: &dyn Communicator,
    source: &str,
    destination: &str,
) -> Result<()> {
    ctx.ui.say(format!("Uploading {source} => {destination}"));
    let reading = || format!("reading {source}");
    let metadata = tokio::fs::metadata(source).await.with_context(reading)?;
    if metadata.is_dir() {
        return link.upload_dir(Path::new(source), destination, source.ends_with('/')).await;
    }
    let destination = inside(destination, script::file_name(source));
    if !metadata.is_file() {
        let (file, size) = read_to_end(ctx, source).await?;
        let mut file = tokio::fs::File::from_std(file);
        return link.upload(&destination, &mut file, FileMeta::new(size, 0o644)).await;
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    let new = FileMeta::new(metadata.len(), mode);
    let meta = FileMeta { modified: metadata.modified().ok(), ..new };
    let mut file = tokio::fs::File::open(source).await.with_context(reading)?;
    link.upload(&destination, &mut file, meta).await
}

/// What comes from a pipe or a device, in a file without a name, and its length, which machines have to
/// be told first.
async fn read_to_end(ctx: &RunContext, source: &str) -> Result<(File, u64)> {
    let path = PathBuf::from(source);
    // Of no files: how much comes is not known.
    let mut reader = Reader::new(ctx, source, &[]);
    blocking(ctx, move |stop| {
        let reading = || format!("reading {}", path.display());
        let writing = |error: std::io::Error| {
            let directory = std::env::temp_dir();
            let message = format!("writing a temporary file in {}: {error}", directory.display());
            std::io::Error::new(error.kind(), message)
        };
        let mut file = tempfile::tempfile().map_err(writing)?;
        let mut from = File::open(&path).with_context(reading)?;
        reader
            .copy(stop, &mut from, |bytes| file.write_all(bytes).map_err(writing))
            .with_context(reading)?;
        file.rewind().map_err(writing)?;
        Ok((file, reader.bytes_read()))
    })
    .await
}

async fn download(
    ctx: &RunContext,
    link: &dyn Communicator,
    source: &str,
    destination: &str,
) -> Result<()> {
    let several = source.contains(WILDCARDS) || source.ends_with('/');
    let shown = match several {
        true => destination.to_owned(),
        false => local_path(source, destination),
    };
    ctx.ui.say(format!("Downloading {source} => {shown}"));
    if source.contains(WILDCARDS) {
        return download_matching(ctx, link, source, destination).await;
    }
    if several {
        create_directory(destination).await?;
        return link.download_dir(source, Path::new(destination), true).await;
    }
    download_file(ctx, link, source, false, destination).await
}

async fn create_directory(path: &str) -> Result<()> {
    tokio::fs::create_dir_all(path).await.with_context(|| format!("creating {path}"))
}

/// Where a file from the machine goes: under its name where `destination` is a directory, in the form
/// that Packer shows.
fn local_path(source: &str, destination: &str) -> String {
    match destination.ends_with('/') {
        true => clean_path(&format!("{destination}{}", remote_name(source))),
        false => destination.to_owned(),
    }
}

/// Downloads one file. `literal` is whether all of `source` stands for itself.
async fn download_file(
    ctx: &RunContext,
    link: &dyn Communicator,
    source: &str,
    literal: bool,
    destination: &str,
) -> Result<()> {
    let destination = local_path(source, destination);
    let writing = || format!("writing {destination}");
    let output = OutputFile::open(&ctx.journal, Path::new(&destination), 0o644).await?;
    let mut file = tokio::fs::File::from_std(output.writer()?);
    let downloaded = match literal {
        true => link.download_literal(source, &mut file).await,
        false => link.download(source, &mut file).await,
    };
    let written = match downloaded {
        Ok(()) => tokio::io::AsyncWriteExt::flush(&mut file).await.with_context(writing),
        Err(error) => Err(error),
    };
    written.map_err(|error| output.explain(error))?;
    output.close(ctx).await
}

/// Downloads the files and directories that match `pattern` into the directory `destination`.
async fn download_matching(
    ctx: &RunContext,
    link: &dyn Communicator,
    pattern: &str,
    destination: &str,
) -> Result<()> {
    let found = matching(link, pattern).await?;
    create_directory(destination).await?;
    let inside = format!("{}/", destination.trim_end_matches('/'));
    for (is_directory, path) in found {
        let path = path.trim_end_matches('/');
        let name = remote_name(path);
        if matches!(name, "" | "." | "..") {
            continue;
        }
        ctx.ui.say(format!("Downloading {path} => {}", local_path(path, &inside)));
        match is_directory {
            true => link.download_dir_literal(path, Path::new(destination)).await?,
            false => download_file(ctx, link, path, true, &inside).await?,
        }
    }
    Ok(())
}

/// What matches `pattern` on the machine, and whether each is a directory.
async fn matching(link: &dyn Communicator, pattern: &str) -> Result<Vec<(bool, String)>> {
    // What start-up files of the user's shell print comes before the first NUL.
    let script = format!(
        "printf '\\0'; for f in {}; do if test -d \"$f\"; then printf 'd%s\\0' \"$f\"; \
         elif test -e \"$f\"; then printf 'f%s\\0' \"$f\"; fi; done",
        quote_pattern(pattern)
    );
    let output = CapturedOutput::of_at_most(LONGEST_LIST);
    let command = RemoteCommand::new(format!("sh -c {}", quote(&script)));
    match link.exec(&command, &output).await? {
        ExitStatus::Code(0) => {}
        ExitStatus::Disconnected => {
            return Err(Error::new("the connection was lost").transient());
        }
        ExitStatus::Code(_) => {
            let said = output.stderr_text();
            return Err(Error::new(format!("cannot look for {pattern}: {}", said.trim())).hint(
                "the machine needs a Bourne shell for this; else name the files in `sources`",
            ));
        }
    }
    if output.is_full() {
        return Err(Error::new(format!("too many files match {pattern}"))
            .hint("download their directory: end `source` with a slash"));
    }
    let found = listed(&output.stdout_bytes())?;
    match found.is_empty() {
        true => Err(Error::new(format!("there is nothing on the machine that matches {pattern}"))),
        false => Ok(found),
    }
}

/// The entries of a list of what matches: whether each is a directory, and its path.
fn listed(list: &[u8]) -> Result<Vec<(bool, String)>> {
    let mut entries = Vec::new();
    for entry in list.split(|&byte| byte == 0).skip(1) {
        let Some((kind, path)) = entry.split_first() else { continue };
        let path = std::str::from_utf8(path).map_err(|_| {
            let shown = String::from_utf8_lossy(path);
            Error::new(format!("the name of {shown} on the machine is not UTF-8"))
                .hint("rename it there, or name the other files in `sources`")
        })?;
        entries.push((*kind == b'd', path.to_owned()));
    }
    Ok(entries)
}

/// The last part of a path on the machine, which may be a Windows.
fn remote_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_list_begins_after_what_the_shell_printed() {
        let found = listed(b"welcome\n\0f/a\nb\0d/c\0").unwrap();
        assert_eq!(found, [(false, "/a\nb".to_owned()), (true, "/c".to_owned())]);
        assert!(listed(b"welcome\n\0").unwrap().is_empty());
        assert!(listed(b"welcome\n").unwrap().is_empty());
        let error = listed(b"\0f/caf\xe9\0").unwrap_err().to_string();
        assert!(error.ends_with("on the machine is not UTF-8"), "{error}");
    }
}
