//! The `build` block: makes the image to start from out of a Dockerfile.

use std::path::{Path, PathBuf};

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt;
use ingot_sdk::file_work::{read_small, read_small_text};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, Result, RunContext, Step, async_trait};
use regex::Regex;
use tokio_util::io::ReaderStream;

use crate::archive::{self, Owner, hung_up};
use crate::commit::remove_unfinished;
use crate::config::Goal;
use crate::credentials;
use crate::engine::describe;
use crate::platform;
use crate::proxy;
use crate::state::State;
use crate::unfinished::UnfinishedImage;

/// The largest Dockerfile and `.dockerignore`, in bytes.
const LARGEST: u64 = 16 << 20;

/// Builds the image to start from.
pub(crate) struct BuildImage;

#[async_trait]
impl Step<State> for BuildImage {
    fn name(&self) -> &'static str {
        "build base image"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Some(config) = state.options.raw.build.clone() else { return Ok(()) };
        ctx.ui.say("Building base image...");
        let path = PathBuf::from(config.path.unwrap_or_default());
        let directory = config.build_dir.filter(|directory| !directory.is_empty());
        let directory = PathBuf::from(directory.unwrap_or_else(|| ".".to_owned()));
        let dockerfile = read_small(&path, "Dockerfile", LARGEST)?;
        let ignore = Ignore::load(&directory)?;
        // The Dockerfile goes by a name of its own: it need not be part of the context, and may
        // be ignored there.
        let name = format!(".dockerfile.{}", uuid::Uuid::new_v4().simple());

        let mut arguments: std::collections::HashMap<String, String> =
            config.arguments.into_iter().collect();
        for (name, value) in proxy::variables(&state.engine.endpoint.host, state.options.podman)? {
            arguments.entry(name).or_insert(value);
        }
        let unfinished = UnfinishedImage::begin(ctx, &state.engine, None)?;
        let temporary = unfinished.name();
        let mut options = BuildImageOptionsBuilder::new()
            .dockerfile(&name)
            .t(&temporary)
            .rm(true)
            .forcerm(true)
            .buildargs(&arguments);
        if config.pull != Some(false) {
            options = options.pull("true");
        }
        let platform = state.options.raw.platform.as_deref();
        if let Some(platform) = platform::requested(platform, state.options.podman) {
            options = options.platform(&platform);
        }
        let login = credentials::for_build(state.options.login.as_ref(), &ctx.ui).await?;
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        let body = bollard::body_try_stream(ReaderStream::with_capacity(theirs, 256 * 1024));
        let api = state.engine.api.clone();
        let unfinished = state.unfinished_base.insert(unfinished);
        let lines = api.build_image(options.build(), Some(login), Some(body));
        let mut tar = tokio_tar::Builder::new_non_terminated(ours);
        let written = async move {
            // What the image gets of the context belongs to root, as with the docker client.
            let root = Owner { uid: 0, gid: 0 };
            let keep = |path: &Path, is_directory: bool| ignore.keeps(path, is_directory);
            let size = dockerfile.len() as u64;
            let mut text = dockerfile.as_slice();
            archive::add_file(&mut tar, Path::new(&name), &mut text, size, 0o644, 0, root).await?;
            let ignored = ignore.text_with(&name);
            let (size, mut text) = (ignored.len() as u64, ignored.as_bytes());
            let ignore_name = Path::new(".dockerignore");
            archive::add_file(&mut tar, ignore_name, &mut text, size, 0o644, 0, root).await?;
            archive::add_directory(&mut tar, &directory, Path::new(""), Some(root), &keep).await?;
            tar.finish().await.context("sending the build context")
        };
        let reported = async {
            let mut image = None;
            tokio::pin!(lines);
            while let Some(line) = lines.next().await {
                let line = line.map_err(|error| Error::new(describe(&error)))?;
                if let Some(message) = line.error_detail.and_then(|detail| detail.message) {
                    return Err(Error::new(message));
                }
                if let Some(text) = line.stream.as_deref().map(str::trim_end)
                    && !text.is_empty()
                    && !text.contains(&temporary)
                {
                    ctx.ui.message(text);
                }
                image = line.aux.and_then(|aux| aux.id).or(image);
            }
            image.ok_or_else(|| Error::new("the Engine did not say what it built"))
        };
        let lost = state.engine.lost();
        tokio::pin!(written, reported, lost);
        let mut sending = true;
        let image = loop {
            tokio::select! {
                built = &mut reported => {
                    break built.context(format_args!("building {}", path.display()))?;
                }
                // When the Engine hangs up first, its answer says why.
                result = &mut written, if sending => {
                    sending = false;
                    if let Err(error) = result && !hung_up(&error) {
                        return Err(error);
                    }
                }
                error = &mut lost => {
                    return Err(error.context(format_args!("building {}", path.display())));
                }
            }
        };
        unfinished.created(ctx, &state.engine, &image, None).await?;
        ctx.ui.say(format!("Finished building base image {image:?}"));
        state.image = image;
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        // After a commit the new image needs it, and after an export it speeds up the next build.
        let needed = outcome == Outcome::Succeeded && state.options.goal != Goal::Discard;
        let Some(image) = state.unfinished_base.take() else { return };
        if needed {
            image.keep();
            return;
        }
        // One that carries a name is somebody's.
        remove_unfinished(ctx, &state.engine, image).await;
    }
}

/// The rules of a `.dockerignore`: patterns with `*`, `?`, `[…]` and `**`, of which the last
/// that matches a path or a directory above it decides; `!` takes back.
struct Ignore {
    text: String,
    rules: Vec<(bool, Regex)>,
}

impl Ignore {
    fn load(directory: &Path) -> Result<Ignore> {
        let path = directory.join(".dockerignore");
        match read_small_text(&path, ".dockerignore", LARGEST) {
            Ok(text) => Ignore::parse(text),
            Err(error) if error.is_io(std::io::ErrorKind::NotFound) => Ignore::parse(String::new()),
            Err(error) => Err(error),
        }
    }

    fn parse(text: String) -> Result<Ignore> {
        let mut rules = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (ignored, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (false, pattern.trim()),
                None => (true, line),
            };
            let pattern = pattern.trim_matches('/').trim_start_matches("./");
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            let regex = Regex::new(&pattern_to_regex(pattern)).map_err(|_| {
                Error::new(format!("the pattern {line:?} in .dockerignore cannot be read"))
            })?;
            rules.push((ignored, regex));
        }
        Ok(Ignore { text, rules })
    }

    /// The file's text with one more path to ignore.
    fn text_with(&self, name: &str) -> String {
        format!("{}\n{name}\n.dockerignore\n", self.text)
    }

    fn keeps(&self, path: &Path, is_directory: bool) -> bool {
        // It is sent with one line more.
        if path == Path::new(".dockerignore") {
            return false;
        }
        let mut ignored = false;
        for (ignores, pattern) in &self.rules {
            let hit = path
                .ancestors()
                .filter(|path| !path.as_os_str().is_empty())
                .any(|path| pattern.is_match(&path.to_string_lossy()));
            if hit {
                ignored = *ignores;
            }
        }
        // Something below an ignored directory may be taken back.
        !ignored || (is_directory && self.rules.iter().any(|(ignores, _)| !ignores))
    }
}

/// The regular expression for a pattern of `.dockerignore`.
fn pattern_to_regex(pattern: &str) -> String {
    let mut regex = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                    regex.push_str("(.*/)?");
                } else {
                    regex.push_str(".*");
                }
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' | ']' | '-' | '^' => regex.push(c),
            '\\' => regex.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push('$');
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_what_the_docker_client_ignores() {
        let text = "# no secrets\n/secret\n*.log\n**/tmp\ndocs\n!docs/keep.md\n";
        let ignore = Ignore::parse(text.into()).unwrap();
        for (path, kept) in [
            ("secret", false),
            ("secret/key", false),
            ("a/secret", true),
            ("a.log", false),
            ("a/b.log", true),
            ("tmp", false),
            ("a/b/tmp/x", false),
            ("docs/other.md", false),
            ("docs/keep.md", true),
            ("Dockerfile", true),
        ] {
            assert_eq!(ignore.keeps(Path::new(path), false), kept, "{path}");
        }
    }
}
