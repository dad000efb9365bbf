//! `cd_files` and its kin: a CD made for the machine. ISO 9660 with Joliet and Rock Ridge, by one
//! of the programs that Packer looks for.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{ConfigErrors, Context, Error, Prepared, Result, RunContext, file_work};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::scratch::{Scratch, ScratchFile};
use crate::tree::{self, Content, Tree};

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct CdOptions {
    /// Files and directories for the root of the CD; directories with all that is in them. Patterns (`*`,
    /// `?`, `[…]`) are allowed. Of a directory with a slash at the end only the contents are taken.
    #[serde(default)]
    #[schemars(extend("reads" = "patterns"))]
    pub cd_files: Vec<String>,
    /// Texts for the CD, by path. They win over files.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub cd_content: BTreeMap<String, String>,
    /// The CD's label: `packer`.
    pub cd_label: Option<String>,
}

/// A program that creates CDs, and its arguments.
struct Tool {
    name: &'static str,
    /// Its arguments for a label, the directory to take and the file to write.
    arguments: fn(&str, &str, &str) -> Vec<String>,
}

/// The programs, best first. What comes with Debian's genisoimage is called `mkisofs` in other
/// distributions.
const TOOLS: &[Tool] = &[
    Tool {
        name: "xorriso",
        arguments: |label, from, to| {
            let mut arguments = strings(&["-as", "genisoimage"]);
            arguments.extend(mkisofs(label, from, to));
            arguments
        },
    },
    Tool { name: "mkisofs", arguments: mkisofs },
    Tool { name: "genisoimage", arguments: mkisofs },
    Tool {
        name: "hdiutil",
        arguments: |label, from, to| {
            strings(&[
                "makehybrid",
                "-o",
                to,
                "-hfs",
                "-joliet",
                "-iso",
                "-default-volume-name",
                label,
                from,
            ])
        },
    },
    Tool {
        name: "oscdimg",
        arguments: |label, from, to| strings(&["-j1", "-o", "-m", &format!("-l{label}"), from, to]),
    },
];

fn mkisofs(label: &str, from: &str, to: &str) -> Vec<String> {
    strings(&["-rock", "-joliet", "-volid", label, "-output", to, from])
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

impl CdOptions {
    /// Whether there will be a CD.
    pub fn is_set(&self) -> bool {
        !self.cd_files.is_empty() || !self.cd_content.is_empty()
    }

    /// Judges the options.
    pub fn prepare(&self, prepared: &mut Prepared, errors: &mut ConfigErrors) {
        tree::check("cd_files", &self.cd_files, prepared, errors);
    }

    /// Makes the CD; none when the options do not ask for one. It is removed when the returned
    /// file is dropped.
    ///
    /// # Errors
    /// A file cannot be read, no program that makes CDs is installed or it failed, or the build
    /// was cancelled.
    pub async fn create(&self, ctx: &RunContext) -> Result<Option<ScratchFile>> {
        if !self.is_set() {
            return Ok(None);
        }
        ctx.ui.say("Creating CD disk...");
        let (tool, program) = find_tool()?;
        let scratch = Scratch::create(ctx)?;
        let (root, image) = (scratch.path().join("root"), scratch.path().join("cd.iso"));
        let (options, staged) = (self.clone(), root.clone());
        file_work::blocking(ctx, move |stop| stage(&options.tree()?, &staged, stop))
            .await
            .context("creating the CD")?;
        let label = self.cd_label.as_deref().filter(|label| !label.is_empty()).unwrap_or("packer");
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend((tool.arguments)(label, &root.to_string_lossy(), &image.to_string_lossy()));
        let output = CapturedOutput::default();
        let command = LocalCommand { argv, ..LocalCommand::default() };
        let status = command.run(ctx, &output).await?;
        if !status.success() {
            let said = output.stderr_text();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(Error::new(format!(
                "creating the CD: {} failed: {}",
                tool.name,
                last.join("\n")
            )));
        }
        // Only the image is needed from here on.
        tokio::fs::remove_dir_all(&root)
            .await
            .with_context(|| format!("removing {}", root.display()))?;
        Ok(Some(ScratchFile::new(image, scratch)))
    }

    fn tree(&self) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in tree::expand(&self.cd_files)? {
            let contents_only = path.as_os_str().as_encoded_bytes().ends_with(b"/");
            let at = if contents_only { String::new() } else { tree::name_of(&path)? };
            tree.add(&path, &at)?;
        }
        for (path, text) in &self.cd_content {
            tree.add_text(&tree::inside(path)?, text);
        }
        Ok(tree)
    }
}

/// Copies `tree` into the new directory `root`.
fn stage(tree: &Tree, root: &Path, stop: &CancellationToken) -> Result<()> {
    let create = |path: &Path| {
        std::fs::create_dir(path).with_context(|| format!("creating {}", path.display()))
    };
    create(root)?;
    for directory in &tree.directories {
        create(&root.join(directory))?;
    }
    for (at, content) in &tree.files {
        if stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let to = root.join(at);
        match content {
            Content::Text(text) => std::fs::write(&to, text),
            Content::File(from) => copy(from, &to),
        }
        .with_context(|| format!("putting {at} on the CD"))?;
    }
    Ok(())
}

/// Copies a file for the CD. As in Packer, it is for everybody in the machine to read, but for what the
/// umask takes away: users there are others than here. What may be executed stays so.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut from = File::open(from)?;
    let executable = from.metadata()?.permissions().mode() & 0o111;
    let mut options = OpenOptions::new();
    let mut to = options.write(true).create_new(true).mode(0o666 | executable).open(to)?;
    std::io::copy(&mut from, &mut to).map(drop)
}

/// The first of the programs that is installed.
fn find_tool() -> Result<(&'static Tool, PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for tool in TOOLS {
        let found = directories
            .iter()
            .map(|directory| directory.join(tool.name))
            .find(|file| is_program(file));
        if let Some(program) = found {
            return Ok((tool, program));
        }
    }
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    Err(Error::new(format!(
        "creating a CD needs one of the programs {}, and none is in PATH",
        names.join(", ")
    ))
    .hint("install xorriso (apt install xorriso, dnf install xorriso, brew install xorriso)"))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
