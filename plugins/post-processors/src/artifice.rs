//! `artifice`: says which files are the artifact from here on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::config::is_unknown;
use ingot_sdk::{
    Artifact, Config, ConfigError, ConfigErrors, Error, FileArtifact, GeneratedData, PostProcessor,
    PrepareContext, Prepared, Processed, Result, RunContext, Schema, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What artifacts of this post-processor say they were made by.
const BUILDER_ID: &str = "packer.post-processor.artifice";

/// The options of `artifice`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
struct Options {
    /// The files that make up the artifact, relative to the folder Ingot runs in. `*`, `?` and
    /// `[a-z]` stand for parts of names, as in a shell, but never for a `/`.
    files: Vec<String>,
}

/// Replaces the artifact by files that a provisioner or another tool left on this machine.
/// What the artifact was before stays where it is unless `keep_input_artifact = false`.
#[derive(Default)]
pub struct Artifice {
    options: Options,
}

#[async_trait]
impl PostProcessor for Artifice {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let mut errors = ConfigErrors::default();
        if self.options.files.is_empty() {
            errors.push(ConfigError::on("files", "no files are given").hint(
                "list the files that make up the artifact, for example files = [\"out/*.img\"]",
            ));
        }
        for pattern in self.options.files.iter().filter(|pattern| !is_unknown(pattern)) {
            if let Err(error) = compile(pattern) {
                errors.push(ConfigError::on("files", error));
            }
        }
        errors.into_result(Prepared::default())
    }

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
        let files = crate::work::blocking(ctx, move |_| {
            let mut files = Vec::new();
            for pattern in &patterns {
                let found = find(pattern)?;
                if found.is_empty() {
                    ui.error(format!("No file matches {pattern:?}."));
                }
                files.extend(found);
            }
            Ok(files)
        })
        .await?;
        if files.is_empty() {
            let folder = std::env::current_dir().unwrap_or_default();
            return Err(Error::new(format!(
                "none of the files of the artifact exists: {}",
                self.options.files.join(", ")
            ))
            .hint(format!("relative names are looked up in {}", folder.display())));
        }
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

/// File names for people.
pub(crate) fn list(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(", ")
}

/// The files that match `pattern`, sorted within each folder.
fn find(pattern: &str) -> Result<Vec<PathBuf>> {
    // A name without special characters is not looked up in its folder, which may be unreadable.
    if !pattern.contains(['*', '?', '[', '\\']) {
        let path = Path::new(pattern);
        return Ok(if path.exists() { vec![path.to_owned()] } else { Vec::new() });
    }
    let options =
        glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let pattern = compile(pattern).map_err(Error::new)?;
    let paths =
        glob::glob_with(&pattern, options).map_err(|error| Error::new(error.to_string()))?;
    // Folders that cannot be read hold no matches, as in Go.
    Ok(paths.filter_map(Result::ok).collect())
}

/// Translates a pattern of Go's into one of the glob library's and checks it: Go negates sets
/// with `^`, quotes with `\`, and has no `**`.
fn compile(pattern: &str) -> Result<String, String> {
    let complaint = |what: &str| format!("the pattern {pattern:?} cannot be read: {what}");
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let quoted = chars.next().ok_or_else(|| complaint("it ends in a backslash"))?;
                out.push_str(&glob::Pattern::escape(&quoted.to_string()));
            }
            '*' => {
                if !out.ends_with('*') {
                    out.push('*');
                }
            }
            '[' => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('!');
                } else if chars.peek() == Some(&'!') {
                    return Err(complaint("write [^…] for all characters except …"));
                }
                let mut closed = false;
                while let Some(member) = chars.next() {
                    if member == ']' {
                        closed = true;
                        break;
                    }
                    let member = match member {
                        '\\' => chars.next().ok_or_else(|| complaint("it ends in a backslash"))?,
                        member => member,
                    };
                    out.push(member);
                }
                if !closed || out.ends_with('[') || out.ends_with("[!") {
                    return Err(complaint("a [ is not closed"));
                }
                out.push(']');
            }
            c => out.push(c),
        }
    }
    glob::Pattern::new(&out).map_err(|error| complaint(error.msg))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_go_would_find() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["a.txt", "b.txt", ".hidden.txt", "c*d", "sub/e.txt", "sub/deep/f.txt"] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        let matches = |pattern: &str| -> Vec<String> {
            let found = find(&format!("{}/{pattern}", root.display())).unwrap();
            let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
            found.iter().map(relative).collect()
        };
        assert_eq!(matches("*.txt"), [".hidden.txt", "a.txt", "b.txt"]);
        assert_eq!(matches("[^b].txt"), ["a.txt"]);
        assert_eq!(matches("?.txt"), ["a.txt", "b.txt"]);
        assert_eq!(matches("**/*.txt"), ["sub/e.txt"]);
        assert_eq!(matches("sub/*/f.txt"), ["sub/deep/f.txt"]);
        assert_eq!(matches(r"c\*d"), ["c*d"]);
        assert_eq!(matches("sub"), ["sub"]);
        assert_eq!(matches("nothing"), [""; 0]);
        assert_eq!(matches("nothing/*"), [""; 0]);
        assert!(find("[a").is_err());
        assert!(find("a\\").is_err());
    }
}
