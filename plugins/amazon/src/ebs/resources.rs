//! The kinds of things that a build makes, as the journal records them: what the builder writes
//! down and what removing and finding leftovers read.

use std::collections::BTreeSet;

use ingot_sdk::Resource;

use super::region_access::attribute;
use super::removal::{ImageMark, Mark};

/// A key pair; the id is its name.
pub(super) const KEY_PAIR: &str = "amazon-key-pair";
/// A security group; the id is its name.
pub(super) const SECURITY_GROUP: &str = "amazon-security-group";
/// An instance profile with its role and policy; the id is the name of all three.
pub(super) const PROFILE: &str = "amazon-instance-profile";
/// A launch template; the id is its name.
pub(super) const LAUNCH_TEMPLATE: &str = "amazon-launch-template";
/// An instance; the id is what its tag `ingot-id` holds.
pub(super) const INSTANCE: &str = "amazon-instance";
/// A volume that would outlive its instance; the id is its id.
pub(super) const VOLUME: &str = "amazon-volume";
/// A snapshot that is not finished, or not part of an AMI yet; the id is that of its volume, which
/// the build has made too.
pub(super) const SNAPSHOT: &str = "amazon-snapshot";
/// The attribute of a record of a snapshot that holds the snapshot's own id, where only that one is
/// meant.
pub(super) const SNAPSHOT_ID: &str = "snapshot_id";
/// An AMI that is not finished, with its snapshots; the id is its name.
pub(crate) const IMAGE: &str = "amazon-image";

/// The journal's record of an instance says which of its volumes are the user's.
pub(super) fn instance_resource(resource: Resource, mark: &Mark) -> Resource {
    with_list(resource, "kept_devices", &mark.kept)
}

/// What tells the instance of a record.
pub(super) fn instance_mark(resource: &Resource) -> Mark {
    Mark { token: resource.id.clone(), kept: list(resource, "kept_devices") }
}

/// The attribute of a record of a key pair that holds what its tag `ingot-id` does.
pub(super) const TOKEN: &str = "token";

/// The journal's record of the key pair of the build with this token.
pub(super) fn key_pair_resource(resource: Resource, token: &str) -> Resource {
    resource.with(TOKEN, token)
}

/// A list that the journal wrote down.
pub(crate) fn list(resource: &Resource, name: &str) -> BTreeSet<String> {
    let all = attribute(resource, name).unwrap_or_default().split(',');
    all.filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

fn with_list(resource: Resource, name: &str, list: &BTreeSet<String>) -> Resource {
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    if list.is_empty() { resource } else { resource.with(name, list.join(",")) }
}

/// The journal's record of an AMI says how to tell it from others of its name.
pub(crate) fn image_resource(resource: Resource, mark: &ImageMark) -> Resource {
    let resource =
        resource.with("source", mark.source.as_str()).with("not_before", mark.not_before.as_str());
    with_list(resource, "kept_snapshots", &mark.kept)
}

/// The same once its id is known, and its snapshots as far as they are: they are left to be removed
/// when it is gone.
pub(crate) fn known_image(resource: &Resource, id: &str, snapshots: &BTreeSet<String>) -> Resource {
    with_list(resource.clone().with("image_id", id), "snapshots", snapshots)
}

/// What tells the AMI of a record.
pub(super) fn image_mark(resource: &Resource) -> ImageMark {
    let text = |name: &str| attribute(resource, name).unwrap_or_default().to_owned();
    ImageMark {
        name: resource.id.clone(),
        source: text("source"),
        not_before: text("not_before"),
        kept: list(resource, "kept_snapshots"),
    }
}

/// How the names of AMIs begin that are only there to be copied.
pub(super) const INTERMEDIARY: &str = "ingot-";

/// The run that an AMI of this name is of, if it is one that is only there to be copied.
pub(super) fn run_of_intermediary(name: &str) -> Option<&str> {
    let (run, unique) = name.strip_prefix(INTERMEDIARY)?.rsplit_once('-')?;
    let mine = unique.len() == 12 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    (mine && uuid::Uuid::parse_str(run).is_ok()).then_some(run)
}
