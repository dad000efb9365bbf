//! All that can be known of an image, and what differs between two.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::changes::{Change, Changes};
use crate::packages::{Packages, Versions};

/// What is known of an image. Parts that are not known are not compared.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// As the user called it.
    pub name: String,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// How it is set up, in a line each: `env PATH`, `label team`, `entrypoint`.
    pub config: Option<BTreeMap<String, String>>,
    /// Its packages.
    pub packages: Option<Packages>,
    /// Its files, by absolute path.
    pub files: Option<BTreeMap<String, FileEntry>>,
    /// What of its packages could not be read, or is there and not listed; a sentence each.
    pub notes: Vec<String>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum FileType {
    File,
    Directory,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Pipe,
}

/// A file in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// What it is.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Its permissions: 12 bits.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// The number of its owner.
    pub uid: u64,
    /// The number of its group.
    pub gid: u64,
    /// Its size in bytes; none but of a regular file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The SHA-256 of what is in it, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Which device a character or block device is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Its extended attributes, as [`attribute_text`](crate::attribute_text) writes them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
}

/// The numbers of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Device {
    /// That of its driver.
    pub major: u32,
    /// That of the device itself.
    pub minor: u32,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

/// A part of an image that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Its size.
    Size,
    /// How it is set up.
    Config,
    /// Its packages.
    Packages,
    /// Its files.
    Files,
}

impl Part {
    /// All of them, in the order they are shown in.
    pub const ALL: [Part; 4] = [Part::Size, Part::Config, Part::Packages, Part::Files];

    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Size => "size",
            Part::Config => "config",
            Part::Packages => "packages",
            Part::Files => "files",
        }
    }
}

/// What differs between two images. A part that is not known of both is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What the first is called.
    pub before: String,
    /// What the second is called.
    pub after: String,
    /// Whether all that was compared is the same.
    pub same: bool,
    /// The parts that were compared.
    pub compared: Vec<Part>,
    /// The sizes in bytes, also where they are the same.
    pub size: Option<Change<u64>>,
    /// How they are set up.
    pub config: Option<Changes<String>>,
    /// Their packages, by kind and name.
    pub packages: Option<Changes<Versions>>,
    /// Their files.
    pub files: Option<Changes<FileEntry>>,
    /// What is not known of one of them, as `NAME: what`.
    pub notes: Vec<String>,
}

/// What differs between two images.
pub fn compare(before: &Image, after: &Image) -> Difference {
    let size = before.size.zip(after.size).map(|(before, after)| Change { before, after });
    fn changes<T: Clone + PartialEq>(
        before: Option<&BTreeMap<String, T>>,
        after: Option<&BTreeMap<String, T>>,
    ) -> Option<Changes<T>> {
        Some(Changes::between(before?, after?))
    }
    let config = changes(before.config.as_ref(), after.config.as_ref());
    let packages = changes(before.packages.as_ref(), after.packages.as_ref());
    let files = changes(before.files.as_ref(), after.files.as_ref());
    // How much space layers take says nothing by itself where all that is in them is known.
    let sizes_differ =
        files.is_none() && size.as_ref().is_some_and(|size| size.before != size.after);
    let differs = sizes_differ
        || config.as_ref().is_some_and(|it| !it.is_empty())
        || packages.as_ref().is_some_and(|it| !it.is_empty())
        || files.as_ref().is_some_and(|it| !it.is_empty());
    let known = |part: &Part| match part {
        Part::Size => size.is_some(),
        Part::Config => config.is_some(),
        Part::Packages => packages.is_some(),
        Part::Files => files.is_some(),
    };
    let mut notes = Vec::new();
    for image in [before, after] {
        let of_image = image.notes.iter().map(|note| format!("{}: {note}", image.name));
        for note in of_image {
            // An image that is compared with itself says each once.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Difference {
        before: before.name.clone(),
        after: after.name.clone(),
        same: !differs,
        compared: Part::ALL.into_iter().filter(known).collect(),
        size,
        config,
        packages,
        files,
        notes,
    }
}
