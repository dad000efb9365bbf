//! What one block is made from.

use std::fmt;

use ingot_sdk::TemplatePlace;

use super::files::FileDigest;

/// What kind of block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// A source, with what a build adds to it.
    Source,
    /// A provisioner.
    Provisioner,
    /// A post-processor.
    PostProcessor,
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BlockKind::Source => "source",
            BlockKind::Provisioner => "provisioner",
            BlockKind::PostProcessor => "post-processor",
        })
    }
}

/// A block of a build, and what it is made from.
#[derive(Debug, Clone)]
pub struct BlockInputs {
    /// Its kind.
    pub kind: BlockKind,
    /// Its number among those of its kind: `1`, or `1.2` for the second of the first pipeline. Empty
    /// for a source.
    pub number: String,
    /// The type of its plugin; of a source, its type and name.
    pub name: String,
    /// What the template calls it, if it does.
    pub label: Option<String>,
    /// What a source starts from, where its options say so: an image, a disk, a file.
    pub base: Option<String>,
    /// Where it is.
    pub place: TemplatePlace,
    /// Its options as bytes, without those that are secret.
    pub(super) options: Vec<u8>,
    /// The local files that its options name.
    pub files: Vec<FileInput>,
    /// Options that are not known.
    pub unknown: Vec<String>,
    /// Whether secrets are among its options. They do not count.
    pub holds_secret: bool,
    /// Options that come to something else in each run: with the time or a random value in them.
    pub volatile: Vec<String>,
}

impl BlockInputs {
    /// How people call it: `provisioner 2 (shell "install")`.
    pub fn shown(&self) -> String {
        let BlockInputs { kind, number, name, .. } = self;
        match (kind, &self.label) {
            (BlockKind::Source, _) => format!("source {name}"),
            (_, Some(label)) => format!("{kind} {number} ({name} \"{label}\")"),
            (_, None) => format!("{kind} {number} ({name})"),
        }
    }

    /// The same without its number, which changes when a block is added before it.
    pub(super) fn unnumbered(&self) -> String {
        let BlockInputs { kind, name, .. } = self;
        match &self.label {
            Some(label) => format!("{kind} {name} \"{label}\""),
            None => format!("{kind} {name}"),
        }
    }
}

/// A local file or directory that a block reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInput {
    /// The option that names it.
    pub option: String,
    /// The path, as the option has it.
    pub path: String,
    /// The same for comparing: from the template's directory where it is below that.
    pub portable: String,
    /// What is there.
    pub digest: FileDigest,
    /// Whether it is a file that may be run.
    pub executable: bool,
    /// Whether the option only may name it, as a command does that runs a script. Older versions did not
    /// record those, so that a new one is no change.
    pub possible: bool,
}
