//! Which attributes of which resources hold images, and what images' ids look like.

use std::borrow::Cow;

use super::google::ImageName;

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
    ("docker_image", &["name"]),
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
    if of_arn(text).is_some_and(looks_like_image) || text.starts_with(SSM) {
        return true;
    }
    if let Some(path) = azure_path(text) {
        // A managed image, or a version of a gallery's.
        return gallery_or_image(path).is_some_and(|versioned| versioned);
    }
    ImageName::parse(text).is_some_and(|image| image.project.is_some() && !image.family)
}

/// How AWS's attributes refer to a parameter of Systems Manager that holds an AMI's id.
const SSM: &str = "resolve:ssm:";

/// The id in an image's ARN, `arn:aws:ec2:REGION::image/ami-…`.
fn of_arn(text: &str) -> Option<&str> {
    let resource = text.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
    resource.strip_prefix("image/").filter(|id| id.starts_with("ami-"))
}

/// Whether a path of Azure's is that of an image which is always the same; none if it is no image's.
/// One of a gallery without a version, or with `latest` for one, is the newest at the time.
fn gallery_or_image(path: &str) -> Option<bool> {
    let lower = path.to_ascii_lowercase();
    let parts: Vec<&str> = lower.trim_matches('/').split('/').collect();
    let at = parts.iter().position(|part| *part == "microsoft.compute")?;
    match parts[at + 1..] {
        ["images", _] => Some(true),
        ["galleries", _, "images", _, "versions", version] => Some(version != "latest"),
        ["galleries", _, "images", _] => Some(false),
        _ => None,
    }
}

/// Why a text is no image's, although it stands for one: what it stands for is decided when it is
/// used. None for all others.
pub(super) fn resolved_later(text: &str, kind: &str) -> Option<&'static str> {
    if text.starts_with(SSM) {
        return Some("a parameter of Systems Manager, which AWS reads when a machine is started");
    }
    if azure_path(text).and_then(gallery_or_image) == Some(false) {
        return Some("an image of a gallery without a version, of which Azure takes the newest");
    }
    let family = ImageName::parse(text)
        .or_else(|| ImageName::parse_short(text).filter(|_| provider(kind) == "google"));
    family
        .is_some_and(|image| image.family)
        .then_some("a family, of which Google takes the newest image when a machine is created")
}

/// Whether a text can be an image's id at all, so that the registry may be asked for it.
pub(super) fn can_be_image(text: &str) -> bool {
    (4..=1024).contains(&text.len())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "{}<>\"".contains(c))
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null" | "none")
        && (of_arn(text).is_some() || !text.starts_with("arn:"))
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

/// The path of an id of Azure's, where capital and small letters are the same, or of the URL of one.
fn azure_path(text: &str) -> Option<&str> {
    let path = match text.split_once("://") {
        None => text,
        Some((_, rest)) => {
            let (host, _) = rest.split_once('/')?;
            // Of every cloud of Azure's, as management.usgovcloudapi.net.
            let management = host.to_ascii_lowercase().starts_with("management.");
            management.then(|| &rest[host.len()..])?
        }
    };
    let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
    path.get(..15).filter(|start| start.eq_ignore_ascii_case("/subscriptions/")).map(|_| path)
}

/// A text so that two are the same if they are the same image's id.
pub(super) fn key(text: &str) -> Cow<'_, str> {
    if let Some(path) = azure_path(text) {
        return path.to_ascii_lowercase().into();
    }
    if let Some(id) = of_arn(text) {
        return id.into();
    }
    match ImageName::parse(text).and_then(|image| image.path()) {
        Some(path) => path.into(),
        None => text.into(),
    }
}

/// The words of Azure's ids, as Azure itself writes them.
const AZURE: &[&str] =
    &["resourceGroups", "providers", "Microsoft.Compute", "images", "galleries", "versions"];

/// The digest of `REPOSITORY@sha256:…`.
pub(super) fn digest(text: &str) -> Option<&str> {
    text.split_once('@').map(|(_, digest)| digest).filter(|digest| digest.starts_with("sha256:"))
}

/// What an image may be called in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Whether it is this image's and no other's. Others leave out the project that Google has an
    /// image in: see [`may_be_short`].
    pub exact: bool,
}

/// Who calls an image something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Caller<'a> {
    /// The type of the resource.
    pub kind: &'a str,
    /// Google's project that the resource is in, as far as that is known.
    pub project: Option<&'a str>,
    /// Whether the text can be nothing but an image's: others are not worth a dozen questions each.
    pub certain: bool,
}

/// Everything that an image may be called in a registry, if a resource calls it `text`.
pub(super) fn names<'a>(text: &'a str, caller: Caller<'a>) -> Vec<Name<'a>> {
    let mut names = vec![Name { text: text.into(), exact: true }];
    let mut add = |text: Cow<'a, str>, exact: bool| {
        if !names.iter().any(|name| name.text == text) {
            names.push(Name { text, exact });
        }
    };
    if let Some(path) = azure_path(text) {
        // Not every registry takes Azure's ids for the same however they are written.
        let word = |part| {
            let word = AZURE.iter().find(|word| word.eq_ignore_ascii_case(part));
            word.copied().unwrap_or(part)
        };
        let parts: Vec<&str> = path.split('/').map(word).collect();
        let written = parts.join("/").replacen(&path[..15], "/subscriptions/", 1);
        add(path.into(), true);
        add(written.into(), true);
        add(path.to_ascii_lowercase().into(), true);
        return names;
    }
    if let Some(id) = of_arn(text) {
        add(id.into(), true);
        return names;
    }
    if let Some(digest) = digest(text) {
        add(digest.into(), true);
        return names;
    }
    let google = provider(caller.kind) == "google";
    let path = ImageName::parse(text);
    let Some(mut image) = path.or_else(|| ImageName::parse_short(text).filter(|_| google)) else {
        return names;
    };
    if path.is_none() && !caller.certain {
        add(image.name.into(), false);
        return names;
    }
    image.project = image.project.or(caller.project);
    let family = ImageName { family: true, ..image };
    // The short forms do not say whether they are a family's.
    let both = [Some(image), Some(family).filter(|_| path.is_none() && !image.family)];
    for image in both.into_iter().flatten() {
        image.full().into_iter().for_each(|text| add(text, true));
    }
    image.short().into_iter().for_each(|text| add(text, false));
    names
}

/// Whether an image that a resource of this type calls `text` may be in the registry by the last part
/// of that. Elsewhere an image that is called the same and is somebody else's would be taken for
/// its own.
pub(super) fn may_be_short(text: &str, kind: &str) -> bool {
    provider(kind) == "google" || ImageName::parse(text).is_some_and(|it| it.project.is_some())
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
        || azure_path(text).is_some()
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
            "https://www.googleapis.com/compute/beta/projects/p/global/images/golden-1",
            "https://management.azure.com/subscriptions/s/resourceGroups/g/providers\
             /Microsoft.Compute/images/golden",
            "arn:aws:ec2:eu-west-1::image/ami-0123456789abcdef0",
            "resolve:ssm:/golden/ami",
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

    fn texts(text: &str, caller: Caller) -> Vec<String> {
        names(text, caller).into_iter().map(|name| name.text.into_owned()).collect()
    }

    #[test]
    fn names_are_found_without_their_prefixes() {
        let nobody = Caller::default();
        assert_eq!(texts("r/x@sha256:aa", nobody), ["r/x@sha256:aa", "sha256:aa"]);
        assert_eq!(texts("ami-1", nobody), ["ami-1"]);
        // Only Google has such short forms.
        assert_eq!(texts("p/g", nobody), ["p/g"]);
        let google = Caller { kind: "google_compute_disk", ..nobody };
        assert_eq!(texts("p/g", google), ["p/g", "g"]);
        let arn = "arn:aws:ec2:eu-west-1::image/ami-01234567";
        assert_eq!(texts(arn, nobody), [arn, "ami-01234567"]);
    }

    #[test]
    fn images_of_google_are_found_by_all_their_names() {
        let path = "projects/p/global/images/g";
        let link = |host: &str, version: &str| format!("https://{host}/compute/{version}/{path}");
        let mut all = vec![path.to_owned(), format!("//compute.googleapis.com/{path}")];
        for host in ["www.googleapis.com", "compute.googleapis.com"] {
            all.extend(["v1", "beta", "alpha"].map(|version| link(host, version)));
        }
        let exact = |text: &str, caller: Caller| -> Vec<String> {
            let names = names(text, caller).into_iter().filter(|name| name.exact);
            names.map(|name| name.text.into_owned()).collect()
        };
        let disk = Caller { kind: "google_compute_disk", project: None, certain: true };
        for text in all.clone() {
            let found = exact(&text, Caller::default());
            assert!(all.iter().all(|name| found.contains(name)), "{text}: {found:?}");
            assert_eq!(key(&text), path);
            let short = texts(&text, Caller::default());
            assert!(
                ["p/g", "global/images/g", "g"].iter().all(|one| short.contains(&(*one).into()))
            );
        }
        // The project may be known from the resource.
        let there = Caller { project: Some("p"), ..disk };
        for text in ["g", "global/images/g"] {
            let found = exact(text, there);
            assert!(all.iter().all(|name| found.contains(name)), "{text}: {found:?}");
            assert_eq!(exact(text, disk), [text]);
        }
        let family = "projects/p/global/images/family/g".to_owned();
        assert!(exact("p/g", disk).contains(&family));
        assert!(!exact("projects/p/global/images/g", disk).contains(&family));
        // What may be anything is not asked for a dozen times.
        let any = Caller { certain: false, ..there };
        assert_eq!(texts("e2-medium", any), ["e2-medium"]);
    }

    #[test]
    fn values_decided_at_use_differ_from_unknown_ones() {
        let gallery = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a\
                       /images/b";
        for (text, kind) in [
            ("resolve:ssm:/golden/ami", "aws_launch_template"),
            ("resolve:ssm:/golden/ami:3", "aws_instance"),
            ("projects/p/global/images/family/f", "google_compute_disk"),
            ("https://www.googleapis.com/compute/v1/projects/p/global/images/family/f", "x_y"),
            ("family/f", "google_compute_instance"),
            (gallery, "azurerm_linux_virtual_machine"),
            (&format!("{gallery}/versions/latest"), "azurerm_linux_virtual_machine"),
        ] {
            assert!(resolved_later(text, kind).is_some(), "{text}");
        }
        for (text, kind) in [
            ("ami-01234567", "aws_instance"),
            ("projects/p/global/images/f", "google_compute_disk"),
            ("family/f", "docker_container"),
            (&format!("{gallery}/versions/1.0.0"), "azurerm_linux_virtual_machine"),
        ] {
            assert_eq!(resolved_later(text, kind), None, "{text}");
        }
    }

    #[test]
    fn ids_of_azure_are_the_same_however_they_are_written() {
        let written = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/images/Gold";
        let other = written.replace("resourceGroups", "RESOURCEGROUPS").replace("images", "Images");
        let url = format!("https://management.azure.com{other}?api-version=2024-07-01");
        let nobody = Caller::default();
        assert_eq!(key(&other), key(written));
        assert_eq!(key(&url), key(written));
        assert_eq!(key(&format!("{other}/")), key(written));
        assert_eq!(texts(&other, nobody), [&other, written, &written.to_lowercase()]);
        assert_eq!(texts(&url, nobody), [&url, &other, written, &written.to_lowercase()]);
        assert_eq!(texts(&written.to_lowercase(), nobody).len(), 2);
        assert_ne!(key("ami-A"), key("ami-a"));
    }

    #[test]
    fn ids_are_distinguished_from_words() {
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
