//! Looking up what the data sources ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_sdk::{ConfigError, ConfigErrors, Error, Result, Ui};
use time::macros::format_description;

use ingot_registry::api::{Artifact, Build, BuildStatus, LATEST_CHANNEL, Timestamp, Version};
use ingot_registry::client::Registry;
use ingot_registry::{connect_to_existing, find_in_pages};

/// How a version is named.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// By a channel that points at it.
    Channel(&'a str),
    /// By its fingerprint.
    Fingerprint(&'a str),
    /// By its id.
    Id(&'a str),
}

/// A version that can be used.
pub(super) struct FoundVersion {
    pub version: Version,
    /// The channel it was found by.
    pub channel_id: String,
}

/// A version that can be built on, from the registry that the environment names: not revoked. One
/// that is named by its fingerprint or id may be incomplete, as in Packer: see [`artifact`]. `ui` masks
/// the registry's secrets.
pub(super) async fn version(ui: &Ui, bucket: &str, by: By<'_>) -> Result<FoundVersion> {
    let masking = ui.clone();
    let connected = connect_to_existing(Arc::new(move |secret: &str| masking.mask(secret))).await?;
    let registry = &*connected.registry;
    let asking = |what: &str, error: ingot_registry::api::Error| {
        let doing = format!("the {} registry: {what} of bucket {bucket}", connected.name);
        Error::from(error).context(doing)
    };
    let (version, channel_id) = match by {
        By::Channel(name) => {
            let what = format!("channel {name}");
            let channel = registry.get_channel(bucket, name).await;
            let channel = channel.map_err(|error| asking(&what, error))?;
            let Some(version) = channel.version else {
                let text = format!("the channel {name} of bucket {bucket} has no version");
                return Err(Error::new(text).hint(what_else(registry, bucket, Some(name)).await));
            };
            (version, channel.id)
        }
        By::Fingerprint(text) => {
            let what = format!("version {text}");
            let version = registry.get_version(bucket, text).await;
            (version.map_err(|error| asking(&what, error))?, String::new())
        }
        By::Id(id) => {
            let what = format!("version {id}");
            let version = registry.get_version_by_id(bucket, id).await;
            (version.map_err(|error| asking(&what, error))?, String::new())
        }
    };
    let shown = format!("version {} ({}) of bucket {bucket}", version.name, version.fingerprint);
    if version.is_revoked() {
        let why = match version.revocation_message.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        let channel = match by {
            By::Channel(name) => Some(name),
            By::Fingerprint(_) | By::Id(_) => None,
        };
        return Err(Error::new(format!("{shown} is revoked and cannot be built on{why}"))
            .hint(what_else(registry, bucket, channel).await));
    }
    Ok(FoundVersion { version, channel_id })
}

/// What can be done where a bucket's version cannot be built on, or a channel has none: it depends
/// on what other versions there are.
async fn what_else(registry: &dyn Registry, bucket: &str, channel: Option<&str>) -> String {
    let assign = |version: &str| match channel {
        Some(LATEST_CHANNEL) | None => format!("{version} can be built on"),
        Some(name) => format!(
            "{version} can be built on: `ingot registry channel assign {bucket} {name} {version}`"
        ),
    };
    let mut revoked = 0_usize;
    let ask = |page| async move { registry.list_versions(bucket, &page).await };
    let usable = find_in_pages(ask, |versions| {
        let mut complete = versions.into_iter().filter(Version::is_complete);
        complete.find(|version| {
            let usable = !version.is_revoked();
            revoked += usize::from(!usable);
            usable
        })
    });
    match usable.await {
        Ok(Some(version)) => return assign(&version.name),
        Ok(None) => {}
        Err(_) => return assign("another version"),
    }
    match revoked {
        0 => format!("no version of {bucket} is complete: build one"),
        1 => format!(
            "its only complete version is revoked: build a new one, or take the revocation back \
             with `ingot registry restore {bucket} VERSION`"
        ),
        count => format!(
            "all {count} complete versions of {bucket} are revoked: build a new one, or take a \
             revocation back with `ingot registry restore {bucket} VERSION`"
        ),
    }
}

/// The artifact of a version that is asked for.
pub(super) struct ArtifactQuery<'a> {
    pub platform: &'a str,
    pub region: &'a str,
    /// Any where it is empty.
    pub component: &'a str,
}

/// The artifact that is meant, and its build: the first one that fits, as in Packer. Where several
/// do, a warning on `ui` names it. Of an incomplete version the builds that are done count, with a
/// warning.
pub(super) fn artifact<'v>(
    ui: &Ui,
    version: &'v Version,
    query: &ArtifactQuery,
) -> Result<(&'v Build, &'v Artifact)> {
    let ArtifactQuery { platform, region, component } = query;
    let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut fitting = Vec::new();
    let complete = version.is_complete();
    let incomplete = || {
        let (fingerprint, bucket) = (&version.fingerprint, &version.bucket_name);
        format!("version {fingerprint} of bucket {bucket} is incomplete")
    };
    let done = |build: &&Build| complete || build.status == BuildStatus::Done;
    for build in version.builds.iter().filter(done) {
        for artifact in &build.artifacts {
            let fits = component.is_empty() || build.component_type == *component;
            if build.platform == *platform && artifact.region == *region && fits {
                fitting.push((build, artifact));
            }
            regions.entry(&build.platform).or_default().push(&artifact.region);
        }
    }
    if let Some(first) = fitting.first() {
        if !complete {
            let what = incomplete();
            ui.error(format!(
                "Warning: {what}: other builds of it are missing. {} is done, and its artifact {} is taken",
                first.0.component_type, first.1.external_identifier
            ));
        }
        if fitting.len() > 1 {
            ui.error(ambiguous(version, query, &fitting));
        }
        return Ok(*first);
    }
    let of = match component.is_empty() {
        true => String::new(),
        false => format!(" of {component}"),
    };
    if !complete {
        let what = format!("{}: it has no artifact{of} for {platform} in {region:?}", incomplete());
        return Err(Error::new(what));
    }
    let known: Vec<String> = regions
        .into_iter()
        .map(|(platform, regions)| format!("{platform} ({})", regions.join(", ")))
        .collect();
    let what = format!("version {} has no artifact{of} for {platform} in {region:?}", version.name);
    Err(Error::new(what).hint(format!("it has them for {}", known.join(", "))))
}

/// What to warn of where more than one artifact is what was asked for.
fn ambiguous(version: &Version, query: &ArtifactQuery, fitting: &[(&Build, &Artifact)]) -> String {
    const SHOWN: usize = 10;
    let ArtifactQuery { platform, region, component } = query;
    let shown = fitting.iter().take(SHOWN).map(|(build, artifact)| {
        format!("{} ({})", artifact.external_identifier, build.component_type)
    });
    let mut list: Vec<String> = shown.collect();
    if fitting.len() > SHOWN {
        list.push(format!("{} more", fitting.len() - SHOWN));
    }
    let of_one =
        fitting.iter().all(|(build, _)| build.component_type == fitting[0].0.component_type);
    let advice = match of_one || !component.is_empty() {
        true => "",
        false => "; set component_type to say which build's is meant",
    };
    format!(
        "Warning: version {} of bucket {} has {} artifacts for {platform} in {region:?}, and the \
         first is taken: {}{advice}",
        version.name,
        version.bucket_name,
        fitting.len(),
        list.join(", ")
    )
}

/// A moment as Packer's data sources write it, with milliseconds.
pub(super) fn moment(at: Timestamp) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.datetime().and_then(|at| at.format(format).ok()).unwrap_or_default()
}

/// Checks that a text is there that has to be.
pub(super) fn require(errors: &mut ConfigErrors, name: &str, value: &str) {
    if value.is_empty() {
        errors.push(ConfigError::on(name, format!("`{name}` must not be empty")));
    }
}

/// Checks that just one of two texts is there.
pub(super) fn require_one(
    errors: &mut ConfigErrors,
    one: (&'static str, &str),
    other: (&'static str, &str),
) {
    match (one.1.is_empty(), other.1.is_empty()) {
        (true, true) => errors.push(
            ConfigError::new(format!("`{}` or `{}` is missing", one.0, other.0))
                .related([one.0, other.0])
                .hint("it says which version is meant"),
        ),
        (false, false) => errors.push(
            ConfigError::on(other.0, format!("`{}` and `{}` exclude each other", one.0, other.0))
                .hint("keep one of the two"),
        ),
        _ => {}
    }
}
