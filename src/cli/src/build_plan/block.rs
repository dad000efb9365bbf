//! Blocks of a plan.

use super::model::{PlannedBlock, PlannedFile};
use ingot_engine::inputs::{BlockInputs, BlockKind, FileDigest};

/// A block, as a plan shows it.
pub(super) fn planned(block: &BlockInputs, ty: &str) -> PlannedBlock {
    let name = match block.kind {
        // Its name is behind its type.
        BlockKind::Source => block.name.strip_prefix(ty).map(|name| name.trim_start_matches('.')),
        _ => block.label.as_deref(),
    };
    PlannedBlock {
        ty: ty.to_owned(),
        name: name.filter(|name| !name.is_empty()).map(str::to_owned),
        file: block.place.file.clone(),
        line: block.place.line,
        base: block.base.clone(),
        files: block
            .files
            .iter()
            .map(|file| {
                let (sha256, error) = match &file.digest {
                    FileDigest::File(digest) | FileDigest::Directory(digest) => {
                        (Some(digest.clone()), None)
                    }
                    FileDigest::Missing => (None, Some("there is no such file".to_owned())),
                    FileDigest::Unreadable(why) => (None, Some(why.clone())),
                };
                let (option, path) = (file.option.clone(), file.path.clone());
                PlannedFile { option, path, sha256, error }
            })
            .collect(),
        unknown: block.unknown.clone(),
        volatile: block.volatile.clone(),
        cache: None,
        holds_secret: block.holds_secret,
    }
}
