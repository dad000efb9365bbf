//! What snapshots of states are called in disks, and removing them from disks that no machine uses.

use std::path::Path;

use ingot_sdk::{Result, RunContext, StateKey};

use crate::qemu_img;

/// How the names begin. One of digits alone could be the number of another snapshot.
const PREFIX: &str = "ingot-";

/// What the snapshot of a state is called in a disk.
pub(crate) fn tag(key: &StateKey) -> String {
    format!("{PREFIX}{key}")
}

/// Removes the states from a disk but for those of `kept`. Whether there were some.
///
/// # Errors
/// The disk cannot be read or written.
pub(crate) async fn remove_others(
    ctx: &RunContext,
    disk: &Path,
    kept: &[StateKey],
) -> Result<bool> {
    let kept: Vec<String> = kept.iter().map(tag).collect();
    let mut removed = false;
    for tag in qemu_img::snapshots(ctx, disk).await? {
        if tag.starts_with(PREFIX) && !kept.contains(&tag) {
            let disk = disk.display().to_string();
            let arguments = ["snapshot", "-d", &tag, &disk].map(str::to_owned);
            qemu_img::run(ctx, arguments.to_vec()).await?;
            removed = true;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn states_that_nobody_looks_for_go_and_other_snapshots_stay() {
        let ctx = ingot_sdk::testing::context(Default::default(), &Default::default());
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("disk");
        let shown = disk.display().to_string();
        let run = async |arguments: &[&str]| {
            let arguments = arguments.iter().map(|part| part.replace("DISK", &shown));
            qemu_img::run(&ctx, arguments.collect()).await
        };
        // Without QEMU there are no disks of QEMU's to test either.
        if run(&["create", "-q", "-f", "qcow2", "DISK", "1M"]).await.is_err() {
            return;
        }
        let keys = ["a", "b", "c"].map(|name| StateKey::of("test", [name]));
        let tags = keys.each_ref().map(tag);
        for name in tags.iter().map(String::as_str).chain(["mine"]) {
            run(&["snapshot", "-c", name, "DISK"]).await.unwrap();
        }
        assert!(remove_others(&ctx, &disk, &keys[1..2]).await.unwrap());
        assert!(!remove_others(&ctx, &disk, &keys[1..2]).await.unwrap());
        assert_eq!(qemu_img::snapshots(&ctx, &disk).await.unwrap(), [tags[1].as_str(), "mine"]);
        assert!(remove_others(&ctx, &disk, &[]).await.unwrap());
        assert_eq!(qemu_img::snapshots(&ctx, &disk).await.unwrap(), ["mine"]);
    }
}
