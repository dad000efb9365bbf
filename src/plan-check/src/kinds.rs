//! Which attributes of which resources hold images, and what images' ids look like.

use std::borrow::Cow;

/// Attributes that hold the id of an image, by the resource's type. A path has the names of blocks
/// without their indexes.
const KNOWN: &[(&str, &[&str])] = &[
    ("alicloud_ess_scaling_configuration", &["image_id"]),
    ("alicloud_instance", &["image_id"]),
    ("alicloud_launch_template", &["image_id"]),
    ("aws_ami_copy", &["source_ami_id"]),
    ("aws_batch_compute_environment", &["compute_resources.image_id"]),
    ("aws_cloud9_environment_ec2", &["image_id"]),
    ("aws_emr_cluster", &["custom_ami_id"]),
    ("aws_instance", &["ami"]),
    ("aws_launch_configuration", &["image_id"]),
    ("aws_launch_template", &["image_id"]),
    ("aws_opsworks_instance", &["ami_id"]),
    ("aws_spot_fleet_request", &["launch_specification.ami"]),
    ("aws_spot_instance_request", &["ami"]),
    ("azurerm_batch_pool", &["storage_image_reference.id"]),
    ("azurerm_linux_virtual_machine", &["source_image_id"]),
    ("azurerm_linux_virtual_machine_scale_set", &["source_image_id"]),
    ("azurerm_managed_disk", &["image_reference_id", "gallery_image_reference_id"]),
    ("azurerm_orchestrated_virtual_machine_scale_set", &["source_image_id"]),
    ("azurerm_virtual_machine", &["storage_image_reference.id"]),
    ("azurerm_virtual_machine_scale_set", &["storage_profile_image_reference.id"]),
    ("azurerm_windows_virtual_machine", &["source_image_id"]),
    ("azurerm_windows_virtual_machine_scale_set", &["source_image_id"]),
    ("digitalocean_droplet", &["image"]),
    ("docker_container", &["image"]),
    ("docker_service", &["task_spec.container_spec.image"]),
    ("google_compute_disk", &["image"]),
    ("google_compute_instance", &["boot_disk.initialize_params.image"]),
    ("google_compute_instance_from_template", &["boot_disk.initialize_params.image"]),
    ("google_compute_instance_template", &["disk.source_image"]),
    ("google_compute_region_disk", &["image"]),
    ("google_compute_region_instance_template", &["disk.source_image"]),
    ("hcloud_server", &["image"]),
    ("linode_instance", &["image"]),
    ("linode_instance_disk", &["image"]),
    ("oci_core_instance", &["source_details.source_id"]),
    ("openstack_compute_instance_v2", &["image_id"]),
    ("proxmox_vm_qemu", &["clone"]),
    ("scaleway_instance_server", &["image"]),
    ("vsphere_virtual_machine", &["clone.template_uuid"]),
];

/// Whether an attribute is known to hold an image.
pub(super) fn is_known(kind: &str, path: &str) -> bool {
    known(kind).contains(&path)
}

/// The attributes of a type that hold images.
pub(super) fn known(kind: &str) -> &'static [&'static str] {
    KNOWN.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, paths)| *paths)
}

/// Whether a text can be nothing but an image's id on some platform.
pub(super) fn looks_like_image(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if let Some(id) = text.strip_prefix("ami-") {
        return matches!(id.len(), 8 | 17) && hex(id);
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("/subscriptions/") && lower.contains("/providers/microsoft.compute/") {
        let parts: Vec<&str> = lower.trim_matches('/').split('/').collect();
        let part = |back: usize| parts.len().checked_sub(back).map(|index| parts[index]);
        // A managed image, or a version of a gallery's.
        return part(2) == Some("images") && part(4) == Some("providers")
            || part(2) == Some("versions") && part(4) == Some("images");
    }
    let path = text
        .strip_prefix("https://www.googleapis.com/compute/v1/")
        .or_else(|| text.strip_prefix("https://compute.googleapis.com/compute/v1/"))
        .unwrap_or(text);
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["projects", _, "global", "images", _])
}

/// Whether a text can be an image's id at all, so that the registry may be asked for it.
pub(super) fn can_be_image(text: &str) -> bool {
    (4..=1024).contains(&text.len())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "{}<>\"".contains(c))
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null" | "none")
        && (text.starts_with("ami-") || !text.starts_with("arn:"))
        && !text.contains("-----BEGIN")
}

/// Whether what an attribute holds is none of the registry's business: texts for people, and what
/// may be secret even where the provider does not say so.
pub(super) fn is_private(path: &str) -> bool {
    path.split('.').any(|name| {
        let name = name.to_ascii_lowercase();
        matches!(name.as_str(), "tags" | "tags_all" | "labels" | "description" | "policy")
            || ["password", "secret", "token", "key", "user_data", "credential", "custom_data"]
                .iter()
                .any(|part| name.contains(part))
    })
}

/// Whether a text is an id of Azure's, where capital and small letters are the same.
fn is_azure(text: &str) -> bool {
    text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/"))
}

/// A text so that two are the same if they are the same image's id.
pub(super) fn key(text: &str) -> Cow<'_, str> {
    if is_azure(text) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// The words of Azure's ids, as Azure itself writes them.
const AZURE: &[&str] =
    &["resourceGroups", "providers", "Microsoft.Compute", "images", "galleries", "versions"];

/// Everything that an image may be called in a registry, if a resource calls it `text`. Names after
/// the first that are no digests are only the last part of what Google calls an image: see
/// [`may_be_short`].
pub(super) fn names(text: &str) -> Vec<Cow<'_, str>> {
    let mut names = vec![Cow::Borrowed(text)];
    if is_azure(text) {
        // Not every registry takes Azure's ids for the same however they are written.
        let word = |part| {
            let word = AZURE.iter().find(|word| word.eq_ignore_ascii_case(part));
            word.copied().unwrap_or(part)
        };
        let parts: Vec<&str> = text.split('/').map(word).collect();
        let written = parts.join("/").replacen(&text[..15], "/subscriptions/", 1);
        for name in [written, text.to_ascii_lowercase()] {
            if !names.contains(&Cow::Borrowed(name.as_str())) {
                names.push(name.into());
            }
        }
        return names;
    }
    // repository@digest
    if let Some((_, digest)) = text.split_once('@').filter(|it| it.1.starts_with("sha256:")) {
        names.push(digest.into());
    }
    // A path of Google's: the registry has the image's name.
    if let Some((_, name)) = text.rsplit_once("/global/images/").filter(|it| !it.1.contains('/')) {
        names.push(name.into());
    }
    // project/image
    if let Some((_, name)) = text.split_once('/').filter(|it| !it.1.contains(['/', ':', '@'])) {
        names.push(name.into());
    }
    names
}

/// Whether an image that a resource of this type calls `text` may be in the registry by the last part
/// of that. Elsewhere an image that is called the same and is somebody else's would be taken for
/// its own.
pub(super) fn may_be_short(text: &str, kind: &str) -> bool {
    kind.starts_with("google_") || (text.contains("/global/images/") && looks_like_image(text))
}

/// Whether a registry's platform is Google's.
pub(super) fn is_google(platform: &str) -> bool {
    can_be_of(platform, "google_") && !can_be_of(platform, "aws_")
}

/// Whether a text that the registry has as an image's id is this image and hardly anything else, even
/// in an attribute that nobody knows of.
pub(super) fn is_unambiguous(text: &str, kind: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hex);
    text.starts_with("ami-")
        || text.starts_with("sha256:")
        || text.contains("@sha256:")
        || text.starts_with("ocid1.image.")
        || is_azure(text)
        || is_uuid
        || looks_like_image(text)
        || (text.starts_with("projects/") && text.contains("/images/"))
        // A file that is made is not what another was made of.
        || ((text.starts_with('/') || text.contains("://")) && provider(kind) != "local")
}

/// The provider of a resource's type: `google` of `google_compute_disk`.
pub(super) fn provider(kind: &str) -> &str {
    kind.split_once('_').map_or(kind, |(provider, _)| provider)
}

/// Clouds, by what registries and what providers call them. Each knows nothing of another's images.
const CLOUDS: &[(&[&str], &[&str])] = &[
    (&["aws"], &["aws", "awscc"]),
    (&["azure"], &["azurerm", "azapi"]),
    (&["gce", "gcp", "google", "googlecompute"], &["google"]),
    (&["digitalocean"], &["digitalocean"]),
    (&["hcloud", "hetznercloud"], &["hcloud"]),
    (&["linode"], &["linode"]),
    (&["openstack"], &["openstack"]),
    (&["oracle", "oci"], &["oci"]),
    (&["alicloud"], &["alicloud"]),
    (&["scaleway"], &["scaleway"]),
    (&["vsphere"], &["vsphere"]),
    (&["proxmox"], &["proxmox"]),
];

/// Whether a resource can be made of an image of a platform: not if both are clouds', and different
/// ones'.
pub(super) fn can_be_of(platform: &str, kind: &str) -> bool {
    let provider = provider(kind);
    let image = CLOUDS.iter().position(|(platforms, _)| platforms.contains(&platform));
    let resource = CLOUDS.iter().position(|(_, providers)| providers.contains(&provider));
    image.is_none() || resource.is_none() || image == resource
}

/// Whether machines are made from a resource: it has an image, and others refer to it.
pub(super) fn is_template(kind: &str) -> bool {
    matches!(
        kind,
        "alicloud_ess_scaling_configuration"
            | "alicloud_launch_template"
            | "aws_launch_configuration"
            | "aws_launch_template"
            | "google_compute_instance_template"
            | "google_compute_region_instance_template"
    )
}

/// Whether a resource that refers to a template makes machines from it: one of the same provider,
/// but those that only say who may use it, or write its name down.
pub(super) fn makes_machines(kind: &str, template: &str) -> bool {
    provider(kind) == provider(template)
        && !is_template(kind)
        && !kind.contains("_iam_")
        && !kind.contains("_ssm_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_by_their_shape() {
        for id in [
            "ami-0123456789abcdef0",
            "ami-01234567",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/golden",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a/images/b\
             /versions/1.0.0",
            "projects/p/global/images/golden-1",
            "https://www.googleapis.com/compute/v1/projects/p/global/images/golden-1",
        ] {
            assert!(looks_like_image(id), "{id}");
        }
        for other in [
            "ami-",
            "ami-xyz",
            "ami-0123456789abcdef01",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d",
            "projects/p/global/images/family/golden",
            "nginx",
            "",
        ] {
            assert!(!looks_like_image(other), "{other}");
        }
    }

    #[test]
    fn names_without_what_is_before_them() {
        assert_eq!(names("r/x@sha256:aa"), ["r/x@sha256:aa", "sha256:aa"]);
        let google = "projects/p/global/images/g";
        assert_eq!(names(google), [google, "g"]);
        assert_eq!(names("p/g"), ["p/g", "g"]);
        assert_eq!(names("ami-1"), ["ami-1"]);
    }

    #[test]
    fn ids_of_azure_are_the_same_however_they_are_written() {
        let written = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/images/Gold";
        let other = written.replace("resourceGroups", "RESOURCEGROUPS").replace("images", "Images");
        assert_eq!(key(&other), key(written));
        assert_eq!(names(&other), [&other, written, &written.to_lowercase()]);
        assert_eq!(names(&written.to_lowercase()).len(), 2);
        assert_ne!(key("ami-A"), key("ami-a"));
    }

    #[test]
    fn ids_are_told_from_words() {
        for id in ["ami-1", "sha256:aa", "r/x@sha256:aa", "/subscriptions/s/x", "https://x/y"] {
            assert!(is_unambiguous(id, "null_resource"), "{id}");
        }
        for word in ["base.txt", "web-server", "project/web-server", "a-b-c-d-e"] {
            assert!(!is_unambiguous(word, "null_resource"), "{word}");
        }
        assert!(!is_unambiguous("/srv/base.txt", "local_file"));
        assert!(can_be_of("gce", "google_compute_disk") && !can_be_of("gce", "aws_instance"));
        assert!(can_be_of("docker", "aws_instance") && can_be_of("gce", "terraform_data"));
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(KNOWN.is_sorted_by_key(|(kind, _)| kind));
    }
}
