//! What a build differs in from the last version that was published of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingot_engine::graph::{self, Filter};
use ingot_engine::inputs::{BuildInputs, InputReader, InputsRecord, ParentRecord};
use ingot_engine::resume::Plans;
use ingot_engine::{CheckedNode, Project};
use ingot_registry::api::{self, Build, Version};
use ingot_registry::client::Registry;
use ingot_registry::settings::{self, Settings};
use ingot_registry::{Connected, connect, find_in_pages, new_id};
use ingot_sdk::{Error, Result, Ui};
use ingot_template::EnforcedBlock;

use super::enforced::enforced_blocks;
use super::plan::Plan;

use crate::data_sources::{FoundBy, ParentReference, parent_references};
use ingot_hcl::Diagnostics;

/// Where a record of inputs is in what is published of a build: in `packer` of its metadata, of which
/// the API takes any JSON.
const KEY: &str = "inputs";

/// How a build compares with the last version of its bucket that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is nothing to compare it with, for this reason.
    New(String),
    /// It differs, in these ways.
    Changed(Vec<String>),
    /// It may differ: these are not known.
    Undecided(Vec<String>),
    /// It does not differ.
    Unchanged,
}

/// Connects to the registry that the environment names, for reading; none if that is a file which is
/// not there, in which nothing was published yet and which must not be created by reading it.
///
/// # Errors
/// As of [`connect`].
pub async fn connect_to_read(ui: &Ui) -> Result<Option<Connected>> {
    if !is_there()? {
        return Ok(None);
    }
    let ui = ui.clone();
    connect(Arc::new(move |secret: &str| ui.mask(secret))).await.map(Some)
}

/// Whether the registry that the environment names can be asked without creating it.
///
/// # Errors
/// What the environment says of a registry makes no sense.
pub fn is_there() -> Result<bool> {
    Ok(match settings::from_environment()? {
        // An empty file is none yet.
        Settings::Local(path) => std::fs::metadata(&path).is_ok_and(|found| found.len() > 0),
        Settings::Remote(_) => true,
    })
}

/// The version of a bucket that was completed last, with its builds and what is known of how they were
/// made; none if the bucket is not there or has none.
///
/// # Errors
/// The registry does not answer.
pub async fn last_completed(registry: &dyn Registry, bucket: &str) -> api::Result<Option<Version>> {
    let ask = |page| async move { registry.list_versions(bucket, &page).await };
    let newest = find_in_pages(ask, |versions| {
        let complete = versions.into_iter().filter(Version::is_complete);
        // Versions are listed by when they were opened, and numbered by when they were completed.
        complete.max_by_key(|version| version.name.trim_start_matches('v').parse::<u64>().ok())
    });
    let newest = match newest.await {
        Err(error) if error.is_absent() => return Ok(None),
        newest => newest?,
    };
    let Some(newest) = newest else { return Ok(None) };
    registry.get_version(bucket, &newest.fingerprint).await.map(Some)
}

/// What a registry says of a bucket before a run.
#[derive(Debug, Default)]
pub struct Published {
    /// What the registry is called.
    pub registry: String,
    /// The version that was completed last.
    pub last: Option<Version>,
    /// The blocks that the registry enforces in the bucket.
    pub enforced: Vec<EnforcedBlock>,
    /// Whether the version is complete that is called by the commit which the template is at, where
    /// versions are called so.
    pub commit_is_built: bool,
}

/// What the registry says of the bucket of `plan`. Nothing is changed in it.
///
/// # Errors
/// The registry does not answer.
pub async fn last_published(plan: &Plan, skip_enforcement: bool, ui: &Ui) -> Result<Published> {
    let Some(connected) = connect_to_read(ui).await? else {
        return Ok(Published { registry: "local".into(), ..Published::default() });
    };
    let (name, bucket) = (&connected.name, &plan.bucket);
    let wrong = |error: api::Error| {
        Error::from(error).context(format_args!("the {name} registry: the bucket {bucket}"))
    };
    let last = last_completed(&*connected.registry, bucket).await.map_err(wrong)?;
    let commit_is_built = plan.fingerprint_of_commit
        && is_complete(&*connected.registry, bucket, &plan.fingerprint).await.map_err(wrong)?;
    let enforced = match skip_enforcement {
        true => Vec::new(),
        false => enforced_blocks(&connected, &plan.bucket).await?,
    };
    Ok(Published { registry: connected.name, last, enforced, commit_is_built })
}

/// Whether a version is there and complete.
async fn is_complete(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
) -> api::Result<bool> {
    match registry.get_version(bucket, fingerprint).await {
        Err(error) if error.is_absent() => Ok(false),
        found => found.map(|version| version.is_complete()),
    }
}

/// The versions that a template's data sources found.
pub fn parent_records(references: &[ParentReference]) -> Vec<ParentRecord> {
    let records = references.iter().filter_map(|reference| {
        let channel = match &reference.by {
            FoundBy::Channel(channel) => channel.clone(),
            FoundBy::Version(_) | FoundBy::Unknown => String::new(),
            // What it was found by is a reference of its own.
            FoundBy::OtherData => return None,
        };
        Some(ParentRecord {
            bucket: reference.bucket.clone()?,
            channel,
            version: reference.version_id.clone()?,
        })
    });
    let mut records: Vec<ParentRecord> = records.collect();
    records.sort();
    records.dedup();
    records
}

/// What is to be published of the inputs of builds that go as `plans` says, by their components, and
/// whose tests are skipped, if `skips_tests`. Reads the files that they name.
pub fn records<B>(
    project: &Project,
    nodes: &[CheckedNode<B>],
    plans: &Plans,
    skips_tests: bool,
) -> BTreeMap<String, InputsRecord> {
    let references = parent_references(&project.template, &project.scope());
    let parents = parent_records(&references);
    let reader = InputReader::new(project).skipping_tests(skips_tests);
    let records = nodes.iter().map(|checked| {
        let inputs = reader.read(checked);
        let partial = plans.is_partial(&checked.node.name);
        let record = InputsRecord { partial, ..inputs_record(&inputs, &parents) };
        (checked.node.component.clone(), record)
    });
    records.collect()
}

fn inputs_record(inputs: &BuildInputs, parents: &[ParentRecord]) -> InputsRecord {
    // A ULID has 80 random bits: enough that no two versions have the same.
    inputs.record(&new_id(), parents.to_vec())
}

/// Puts a record into the metadata of a build.
pub(super) fn add_inputs(metadata: &mut api::BuildMetadata, record: &InputsRecord) {
    if let (Some(packer), Ok(record)) = (&mut metadata.packer, serde_json::to_value(record)) {
        let mut value = packer.value();
        value[KEY] = record;
        *packer = value.into();
    }
}

/// What was published of a build's inputs.
pub fn published_inputs(build: &Build) -> Option<InputsRecord> {
    let mut packer = build.metadata.as_ref()?.packer.as_ref()?.value();
    serde_json::from_value(packer.get_mut(KEY)?.take()).ok()
}

/// The builds of a version that the template has none of any more, by their components.
pub fn removed(project: &Project, last: &Version) -> Vec<String> {
    // What is wrong with the template is reported where it is checked.
    let ignored = &mut Diagnostics::default();
    let all = graph::build(&project.template, &project.builds, &Filter::default(), ignored);
    let gone = last.builds.iter().map(|build| &build.component_type);
    let gone = gone.filter(|component| all.iter().all(|node| node.component != **component));
    gone.cloned().collect()
}

/// Compares a build, called `component` in the registry, with the last version that was completed.
pub fn compare(
    last: Option<&Version>,
    component: &str,
    inputs: &BuildInputs,
    parents: &[ParentRecord],
) -> Change {
    let Some(last) = last else {
        return Change::New("its bucket has no complete version".into());
    };
    let name = &last.name;
    if last.is_revoked() {
        return Change::Changed(vec![format!("{name} is revoked")]);
    }
    let Some(build) = last.builds.iter().find(|build| build.component_type == component) else {
        return Change::New(format!("{name} has no build of {component}"));
    };
    let Some(record) = published_inputs(build) else {
        return Change::New(format!("{name} does not say what it was made from"));
    };
    let mut found = inputs.compare(&record);
    for parent in parents {
        let same =
            |old: &&ParentRecord| (&old.bucket, &old.channel) == (&parent.bucket, &parent.channel);
        let moved = match record.parents.iter().find(same) {
            Some(old) => old.version != parent.version,
            None => true,
        };
        if moved {
            found.changed.push(match parent.channel.as_str() {
                "" => format!("the version of its parent {}", parent.bucket),
                channel => format!("its parent: channel {channel} of {} moved", parent.bucket),
            });
        }
    }
    match (found.changed.is_empty(), found.undecided.is_empty()) {
        (false, _) => Change::Changed(found.changed),
        (true, false) => Change::Undecided(found.undecided),
        (true, true) => Change::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_registry::api::VersionStatus;

    fn version(builds: Vec<Build>) -> Version {
        Version { name: "v3".into(), builds, ..Version::default() }
    }

    fn parent(version: &str) -> ParentRecord {
        let (bucket, channel) = ("base".into(), "production".into());
        ParentRecord { bucket, channel, version: version.into() }
    }

    #[test]
    fn a_version_without_inputs_counts_as_new() {
        let inputs = BuildInputs::default();
        let of = |last: Option<&Version>| compare(last, "docker.web", &inputs, &[]);
        assert!(matches!(of(None), Change::New(_)));
        assert_eq!(
            of(Some(&version(Vec::new()))),
            Change::New("v3 has no build of docker.web".into())
        );
        let build = Build { component_type: "docker.web".into(), ..Build::default() };
        let of_packer = version(vec![build]);
        assert_eq!(
            of(Some(&of_packer)),
            Change::New("v3 does not say what it was made from".into())
        );
    }

    #[test]
    fn a_parent_that_moved_is_a_change() {
        let inputs = BuildInputs::default();
        let mut metadata = api::BuildMetadata {
            packer: Some(serde_json::json!({ "version": "1" }).into()),
            ..api::BuildMetadata::default()
        };
        add_inputs(&mut metadata, &inputs_record(&inputs, &[parent("1")]));
        let build = Build {
            component_type: "docker.web".into(),
            metadata: Some(metadata),
            ..Build::default()
        };
        let mut last = version(vec![build]);
        let of = |last: &Version, version: &str| {
            compare(Some(last), "docker.web", &inputs, &[parent(version)])
        };
        assert_eq!(of(&last, "1"), Change::Unchanged);
        let moved = "its parent: channel production of base moved";
        assert_eq!(of(&last, "2"), Change::Changed(vec![moved.into()]));
        last.status = VersionStatus::Revoked;
        assert_eq!(of(&last, "1"), Change::Changed(vec!["v3 is revoked".into()]));
    }
}
