//! What is published of a build's inputs, for later runs to compare with: digests, from which no
//! secret can be found out.
//!
//! Secrets are left out of what is hashed, and what is hashed comes with random bytes that are new for
//! each version, so that digests of different versions say nothing about each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::block::BlockInputs;
use super::build::BuildInputs;
use super::files::{FileDigest, digest};

/// The form of records that this writes. Others are not compared.
const FORMAT: u32 = 1;
/// How many hexadecimal digits of a digest are published.
const DIGITS: usize = 32;

/// What is published of a build's inputs: `packer.inputs` in the metadata of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsRecord {
    /// The form: 1.
    pub format: u32,
    /// Random bytes that all digests are made with, in hexadecimal.
    pub salt: String,
    /// The blocks in order, the source first.
    pub blocks: Vec<BlockRecord>,
    /// The local files that they read.
    pub files: Vec<FileRecord>,
    /// The versions that data sources found in the registry.
    #[serde(default)]
    pub parents: Vec<ParentRecord>,
    /// Whether the build did not run all of its blocks in one go, so that what it was made from is not
    /// known: it went on with `-start-at` or `-only-post-processors`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The digest of what its tests check. Versions before this was recorded have none; then it is not
    /// compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
    /// Whether there were tests, and the run skipped them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tests_skipped: bool,
    /// Digests of the options of `hcp_packer_registry` that are published. Those that are not here are not
    /// compared, as all of versions before they were recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registry: BTreeMap<String, String>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Its kind, type and name.
    pub name: String,
    /// The digest of its options.
    pub digest: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path, from the template's directory where it is below that.
    pub path: String,
    /// The digest of its content.
    pub digest: String,
}

/// A version that a template builds on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParentRecord {
    /// The bucket.
    pub bucket: String,
    /// The channel that it was found by; empty where it was named by its fingerprint.
    pub channel: String,
    /// The version's id.
    pub version: String,
}

/// What is different between a build and one that was published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What changed, for people: `the file <path.root>/install.sh`.
    pub changed: Vec<String>,
    /// What is not known, and may have changed: `image of source docker.web`.
    pub undecided: Vec<String>,
}

impl Comparison {
    /// Whether nothing changed.
    pub fn is_unchanged(&self) -> bool {
        self.changed.is_empty() && self.undecided.is_empty()
    }
}

impl BuildInputs {
    /// What is to be published of them.
    pub fn record(&self, salt: &str, parents: Vec<ParentRecord>) -> InputsRecord {
        let salted = |content: &[u8]| {
            let mut bytes = format!("{FORMAT} {salt} ").into_bytes();
            bytes.extend(content);
            let mut digest = digest(&bytes);
            digest.truncate(DIGITS);
            digest
        };
        let blocks = self
            .blocks
            .iter()
            .map(|block| BlockRecord { name: block.unnumbered(), digest: salted(&block.options) });
        let mut files = BTreeMap::new();
        for file in self.blocks.iter().flat_map(|block| &block.files) {
            let run = if file.executable { " x" } else { "" };
            let content = format!("{} {}{run}", file.portable, file.digest.as_str());
            files.insert(file.portable.clone(), salted(content.as_bytes()));
        }
        let files = files.into_iter().map(|(path, digest)| FileRecord { path, digest });
        let registry = self.registry.options.iter();
        let registry = registry.map(|(name, content)| (name.clone(), salted(content)));
        InputsRecord {
            format: FORMAT,
            salt: salt.to_owned(),
            blocks: blocks.collect(),
            files: files.collect(),
            parents,
            partial: false,
            tests: Some(salted(&self.tests.options)),
            tests_skipped: self.tests.skipped && !self.tests.options.is_empty(),
            registry: registry.collect(),
        }
    }

    /// What is different from the build that `record` was published with. Parents are compared by
    /// whoever knows the registry.
    pub fn compare(&self, record: &InputsRecord) -> Comparison {
        let mut found = Comparison::default();
        if record.format != FORMAT {
            found.changed.push("the form in which inputs are published".into());
            return found;
        }
        if record.partial {
            let why = "what it was made from: it went on with -start-at or -only-post-processors";
            found.changed.push(why.into());
            return found;
        }
        let now = self.record(&record.salt, Vec::new());
        self.compare_blocks(&now.blocks, &record.blocks, &mut found);
        let (old, new) = (by_path(&record.files), by_path(&now.files));
        for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            found.changed.extend(match (old.get(path), new.get(path)) {
                (Some(old), Some(new)) if old == new => {
                    // What cannot be read may have changed.
                    let mut files = self.blocks.iter().flat_map(|block| &block.files);
                    let unreadable = files.any(|file| {
                        file.portable == **path && matches!(file.digest, FileDigest::Unreadable(_))
                    });
                    let what = format!("the content of {path}, which cannot be read");
                    found.undecided.extend(unreadable.then_some(what));
                    None
                }
                (Some(_), Some(_)) => Some(format!("the content of {path}")),
                (None, _) => {
                    let mut files = self.blocks.iter().flat_map(|block| &block.files);
                    let is_read = files.any(|file| file.portable == **path && !file.possible);
                    is_read.then(|| format!("{path} is read now"))
                }
                (_, None) => Some(format!("{path} is not read any more")),
            });
        }
        self.compare_tests(&now, record, &mut found);
        for (option, new) in &now.registry {
            if record.registry.get(option).is_none_or(|old| old == new) {
                continue;
            }
            let what = format!("{option} of hcp_packer_registry");
            match self.registry.open {
                true => found.undecided.push(what),
                false => found.changed.push(what),
            }
        }
        found
    }

    fn compare_tests(&self, new: &InputsRecord, old: &InputsRecord, found: &mut Comparison) {
        // None of them runs, or nothing is known of those that ran.
        if self.tests.skipped || old.tests.is_none() {
            return;
        }
        let differ = new.tests != old.tests;
        if differ && self.tests.open {
            found.undecided.push("what its tests check".into());
        } else if differ {
            found.changed.push("its tests".into());
        } else if old.tests_skipped {
            found.changed.push("its tests, which were skipped".into());
        }
    }

    fn compare_blocks(&self, new: &[BlockRecord], old: &[BlockRecord], found: &mut Comparison) {
        let undecided = |block: &BlockInputs| !block.unknown.is_empty();
        if new.len() == old.len() && new.iter().zip(old).all(|(new, old)| new.name == old.name) {
            for (block, (new, old)) in self.blocks.iter().zip(new.iter().zip(old)) {
                match undecided(block) {
                    true => found.undecided.extend(unknown(block)),
                    false if new.digest != old.digest => {
                        found.changed.push(format!("the options of {}", block.shown()));
                    }
                    false => {}
                }
            }
            return;
        }
        let key = |block: &BlockRecord| (block.name.clone(), block.digest.clone());
        let mut gone: Vec<_> = old.iter().map(key).collect();
        let mut added = Vec::new();
        for (block, record) in self.blocks.iter().zip(new) {
            // Unknown blocks are compared by their names alone.
            let same = |one: &(String, String)| {
                one.0 == record.name && (undecided(block) || one.1 == record.digest)
            };
            match gone.iter().position(same) {
                Some(position) => drop(gone.remove(position)),
                None => added.push(block),
            }
        }
        for block in added {
            let before = gone.iter().position(|(name, _)| *name == block.unnumbered());
            found.changed.push(match before {
                Some(position) => {
                    gone.remove(position);
                    format!("the options of {}", block.shown())
                }
                None => format!("{} is new", block.shown()),
            });
        }
        found.changed.extend(gone.into_iter().map(|(name, _)| format!("{name} was removed")));
        if found.changed.is_empty() {
            found.changed.push("the order of the blocks".into());
        }
    }
}

/// What of a block is not known, for people.
fn unknown(block: &BlockInputs) -> impl Iterator<Item = String> {
    block.unknown.iter().map(|option| format!("{option} of {}", block.shown()))
}

fn by_path(files: &[FileRecord]) -> BTreeMap<&str, &str> {
    files.iter().map(|file| (file.path.as_str(), file.digest.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use ingot_sdk::TemplatePlace;

    use super::*;
    use crate::inputs::{BlockKind, FileInput};

    fn block(kind: BlockKind, name: &str, options: &str) -> BlockInputs {
        BlockInputs {
            kind,
            number: if kind == BlockKind::Source { String::new() } else { "1".into() },
            name: name.into(),
            label: None,
            base: None,
            place: TemplatePlace { file: "web.pkr.hcl".into(), line: 1, column: 1 },
            options: options.into(),
            files: Vec::new(),
            unknown: Vec::new(),
            holds_secret: false,
            volatile: Vec::new(),
        }
    }

    fn build(steps: &[(&str, &str)]) -> BuildInputs {
        let source = block(BlockKind::Source, "docker.web", "image=a");
        let steps =
            steps.iter().map(|(name, options)| block(BlockKind::Provisioner, name, options));
        let blocks = [source].into_iter().chain(steps).collect();
        BuildInputs { blocks, ..BuildInputs::default() }
    }

    #[test]
    fn what_changed_is_named() {
        let old = build(&[("shell", "a"), ("file", "b")]).record("5a17", Vec::new());
        let changed = |steps: &[(&str, &str)]| build(steps).compare(&old).changed;
        assert!(build(&[("shell", "a"), ("file", "b")]).compare(&old).is_unchanged());
        assert_eq!(
            changed(&[("shell", "x"), ("file", "b")]),
            ["the options of provisioner 1 (shell)"]
        );
        assert_eq!(
            changed(&[("shell", "a"), ("sleep", ""), ("file", "b")]),
            ["provisioner 1 (sleep) is new"]
        );
        assert_eq!(changed(&[("file", "b")]), ["provisioner shell was removed"]);
        assert_eq!(changed(&[("file", "b"), ("shell", "a")]), ["the order of the blocks"]);
    }

    #[test]
    fn files_and_what_is_not_known_are_named() {
        let mut web = build(&[]);
        let file = |content: &str| FileInput {
            option: "script".into(),
            path: "./a.sh".into(),
            portable: "<path.root>/a.sh".into(),
            digest: FileDigest::File(content.into()),
            executable: false,
            possible: false,
        };
        let before = web.record("5a17", Vec::new());
        web.blocks[0].files = vec![FileInput { possible: true, ..file("1") }];
        assert!(web.compare(&before).is_unchanged());
        web.blocks[0].files.push(file("1"));
        assert_eq!(web.compare(&before).changed, ["<path.root>/a.sh is read now"]);
        web.blocks[0].files = vec![file("1")];
        let old = web.record("5a17", Vec::new());
        web.blocks[0].files = vec![file("2")];
        assert_eq!(web.compare(&old).changed, ["the content of <path.root>/a.sh"]);
        web.blocks[0].files = vec![FileInput { executable: true, ..file("1") }];
        assert_eq!(web.compare(&old).changed, ["the content of <path.root>/a.sh"]);
        let unreadable = FileDigest::Unreadable("a link leads nowhere".into());
        web.blocks[0].files = vec![FileInput { digest: unreadable, ..file("1") }];
        let undecided = web.compare(&web.record("5a17", Vec::new())).undecided;
        assert_eq!(undecided, ["the content of <path.root>/a.sh, which cannot be read"]);
        web.blocks[0].files.clear();
        web.blocks[0].unknown = vec!["image".into()];
        let found = web.compare(&old);
        assert_eq!(found.changed, ["<path.root>/a.sh is not read any more"]);
        assert_eq!(found.undecided, ["image of source docker.web"]);
    }

    #[test]
    fn a_build_that_skipped_steps_differs_from_every_other() {
        let web = build(&[("shell", "a")]);
        let record = InputsRecord { partial: true, ..web.record("5a17", Vec::new()) };
        assert!(!web.compare(&record).is_unchanged());
    }

    #[test]
    fn tests_and_what_is_published_are_compared_where_they_were_recorded() {
        let mut web = build(&[]);
        web.tests.options = b"one".to_vec();
        web.registry.options = [("channels".to_owned(), b"prod".to_vec())].into();
        let old = web.record("5a17", Vec::new());
        assert!(web.compare(&old).is_unchanged());
        let before = InputsRecord { tests: None, registry: BTreeMap::new(), ..old.clone() };
        let skipped = InputsRecord { tests_skipped: true, ..old.clone() };
        assert_eq!(web.compare(&skipped).changed, ["its tests, which were skipped"]);
        web.tests.options = b"two".to_vec();
        web.registry.options = [("channels".to_owned(), b"test".to_vec())].into();
        let changed = ["its tests", "channels of hcp_packer_registry"];
        assert_eq!(web.compare(&old).changed, changed);
        assert!(web.compare(&before).is_unchanged());
        web.tests.skipped = true;
        assert_eq!(web.compare(&old).changed, changed[1..]);
        web.registry.open = true;
        assert_eq!(web.compare(&old).undecided, changed[1..]);
    }

    #[test]
    fn digests_of_two_versions_differ() {
        let (one, other) = (build(&[]).record("1", Vec::new()), build(&[]).record("2", Vec::new()));
        assert_ne!(one.blocks[0].digest, other.blocks[0].digest);
    }
}
