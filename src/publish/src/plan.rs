//! What a run publishes, as the template and the environment say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::environment::{BUCKET_NAME, Environment};
use super::fingerprint;
use ingot_engine::{CheckedNode, Project};
use ingot_hcl::Value;
use ingot_hcl::{Diagnostic, Diagnostics};
use ingot_registry::api::{LATEST_CHANNEL, Labels, TemplateType};
use ingot_template::Build;
use ingot_template::registry_block::{RegistryBlock, is_bucket_name};

/// What a run publishes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The bucket.
    pub bucket: String,
    /// The bucket's description.
    pub description: String,
    /// The bucket's labels.
    pub bucket_labels: Labels,
    /// Labels of all builds.
    pub build_labels: Labels,
    /// Channels that are assigned the version when it is complete.
    pub channels: Vec<String>,
    /// How often the registry is notified that a build still runs.
    pub heartbeat: Duration,
    /// What the version is found by.
    pub fingerprint: String,
    /// Whether the environment says the fingerprint: otherwise it is new in each run.
    pub fingerprint_given: bool,
    /// Whether that is the commit that the template is at.
    pub fingerprint_of_commit: bool,
    /// The syntax of the template.
    pub template_type: TemplateType,
    /// All builds of the template, selected or not, as `TYPE.NAME`; in a legacy JSON template by the
    /// names that it gives them.
    pub components: Vec<String>,
    /// The versions that images come from which data sources looked up, by the images' ids.
    pub parents: BTreeMap<String, Parent>,
    /// The run's id.
    pub run_uuid: String,
    /// Where the template is.
    pub template_dir: PathBuf,
}

/// Where an image comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    /// The version's id.
    pub version_id: String,
    /// The id of the channel it was found by; empty for one found by its fingerprint.
    pub channel_id: String,
}

/// Reports problems of publishing that can be found without a registry: channels that cannot be
/// assigned, and builds without artifacts.
pub fn check<B>(project: &Project, nodes: &[CheckedNode<B>], diagnostics: &mut Diagnostics) {
    let inside = project.builds.iter().filter_map(|build| build.registry.as_ref());
    let blocks: Vec<&RegistryBlock> = project.registry.iter().chain(inside).collect();
    if !Environment::read().enables(!blocks.is_empty()) {
        return;
    }
    blocks.into_iter().for_each(|block| check_channels(block, diagnostics));
    check_artifacts(project, nodes, diagnostics);
}

fn check_channels(block: &RegistryBlock, diagnostics: &mut Diagnostics) {
    if !block.channels.iter().any(|channel| channel == LATEST_CHANNEL) {
        return;
    }
    let message = format!("the channel `{LATEST_CHANNEL}` cannot be assigned a version");
    let mut error = Diagnostic::error(message)
        .note("the registry itself has it point at the bucket's newest valid version")
        .help("remove it from channels");
    if let Some(place) = block.channels_place.or(block.header) {
        error = error.at(place);
    }
    diagnostics.push(error);
}

/// Reports builds that are to be published and will have nothing to publish, because their options
/// say so.
pub fn check_artifacts<B>(
    project: &Project,
    nodes: &[CheckedNode<B>],
    diagnostics: &mut Diagnostics,
) {
    let inside = project.builds.iter().any(|build| build.registry.is_some());
    if !Environment::read().enables(project.registry.is_some() || inside) {
        return;
    }
    for node in nodes {
        let Some(why) = &node.no_artifact else { continue };
        diagnostics.push(
            Diagnostic::error(format!(
                "`{}` is to be published, and leaves nothing to publish: {why}",
                node.node.name
            ))
            .at(node.node.header)
            .help(
                "remove the option, leave the build out with -except, or set \
                 HCP_PACKER_REGISTRY=off to build without publishing",
            ),
        );
    }
}

/// What to publish; none if nothing is to be. A run that goes on with another fills the version that
/// one has `begun`, unless the environment names one. What is wrong goes to `diagnostics`.
pub fn plan(project: &Project, begun: Option<&str>, diagnostics: &mut Diagnostics) -> Option<Plan> {
    let mut environment = Environment::read();
    if environment.fingerprint.is_none() {
        environment.fingerprint = begun.map(str::to_owned);
    }
    plan_with(&environment, project, diagnostics)
}

fn plan_with(
    environment: &Environment,
    project: &Project,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    let outside = project.registry.as_ref();
    let inside: Vec<&RegistryBlock> =
        project.builds.iter().filter_map(|build| build.registry.as_ref()).collect();
    if !environment.enables(outside.is_some() || !inside.is_empty()) {
        return None;
    }
    let block = the_block(outside, &inside, diagnostics);
    let build = the_build(&project.builds, diagnostics)?;
    // A build block lends its name and description only where there is no block outside of it.
    check_channels(&block, diagnostics);
    let lends = outside.is_none();
    let own_name = build.name.clone().filter(|_| lends);
    let bucket = environment.bucket_name.clone().or(block.bucket_name).or(own_name);
    let Some(bucket) = bucket else {
        diagnostics.push(
            Diagnostic::error("the builds are to be published, and there is no bucket to do it in")
                .at(block.header.unwrap_or(build.header))
                .help(format!("set bucket_name in hcp_packer_registry, or {BUCKET_NAME}")),
        );
        return None;
    };
    if !is_bucket_name(&bucket) {
        let source = match &environment.bucket_name {
            Some(_) => BUCKET_NAME,
            None => "the build's name, which stands in for bucket_name",
        };
        diagnostics.push(
            Diagnostic::error(format!("{bucket:?} cannot be the name of a bucket"))
                .note(format!("it is from {source}"))
                .help("names of buckets are 3 to 36 ASCII letters, digits and hyphens"),
        );
    }
    let fingerprint = fingerprint::of(environment, &project.template.dir);
    let fingerprint = diagnostics.keep(fingerprint);
    let heartbeat = diagnostics.keep(environment.heartbeat());
    let description = match block.description.is_empty() && lends {
        true => build.description.clone().unwrap_or_default(),
        false => block.description,
    };
    Some(Plan {
        bucket,
        description,
        bucket_labels: block.bucket_labels,
        build_labels: block.build_labels,
        channels: block.channels,
        // Invalid ones were already reported, and nothing is built.
        heartbeat: heartbeat.unwrap_or_default(),
        fingerprint: fingerprint.unwrap_or_default(),
        fingerprint_given: environment.fingerprint.is_some()
            || environment.fingerprint_from.is_some(),
        fingerprint_of_commit: environment.fingerprint.is_none()
            && environment.fingerprint_from.is_some(),
        template_type: match project.template.legacy {
            Some(_) => TemplateType::Json,
            None => TemplateType::Hcl2,
        },
        components: components(build, diagnostics),
        parents: parents(project.names.get("data")),
        run_uuid: project.run_uuid.clone(),
        template_dir: project.template.dir.clone(),
    })
}

/// The one block that counts.
fn the_block(
    outside: Option<&RegistryBlock>,
    inside: &[&RegistryBlock],
    diagnostics: &mut Diagnostics,
) -> RegistryBlock {
    let mut blocks = outside.into_iter().chain(inside.iter().copied());
    let Some(block) = blocks.next() else { return RegistryBlock::default() };
    for (place, first) in blocks.filter_map(|other| Some((other.header?, block.header?))) {
        diagnostics.push(
            Diagnostic::error("a template has one hcp_packer_registry")
                .at(place)
                .also(first, "first here")
                .help("keep the one outside of the builds"),
        );
    }
    if let (None, Some(place)) = (outside, block.header) {
        diagnostics.push(
            Diagnostic::warning("hcp_packer_registry in a build block is deprecated")
                .at(place)
                .help("move it out of the build block (Packer 1.12.1 and later)"),
        );
    }
    block.clone()
}

/// The one build block that can be published.
fn the_build<'a>(builds: &'a [Build], diagnostics: &mut Diagnostics) -> Option<&'a Build> {
    let (first, rest) = builds.split_first()?;
    if let Some(second) = rest.first() {
        diagnostics.push(
            Diagnostic::error("a template that is published has one build block")
                .at(second.header)
                .also(first.header, "the first")
                .help("make them one, or set HCP_PACKER_REGISTRY=off to build without publishing"),
        );
    }
    Some(first)
}

/// A build's sources, whose names alone must be unique.
fn components(build: &Build, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for used in &build.sources {
        if !seen.insert(used.selector()) {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is published twice", used.id()))
                    .at(used.span)
                    .help("give one of the two a name of its own in the build block"),
            );
        }
    }
    seen.into_iter().collect()
}

/// The data sources whose value is an image: its id, its version and its channel in it.
const IMAGES: [[&str; 3]; 2] = [
    ["hcp-packer-artifact", "external_identifier", "version_id"],
    ["hcp-packer-image", "id", "iteration_id"],
];
/// Those whose value is a version.
const VERSIONS: [&str; 2] = ["hcp-packer-version", "hcp-packer-iteration"];

/// What the data sources of a template looked up.
fn parents(data: Option<&Value>) -> BTreeMap<String, Parent> {
    let all = |ty: &str| -> Vec<BTreeMap<String, String>> {
        let of_type = data.and_then(Value::as_entries).and_then(|types| types.get(ty));
        let values = of_type.and_then(Value::as_entries).into_iter().flatten();
        let texts = values.filter_map(|(_, value)| {
            let fields = value.as_entries()?.iter();
            let texts = fields.filter_map(|(name, v)| Some((name.clone(), v.as_str()?.to_owned())));
            Some(texts.collect())
        });
        texts.collect()
    };
    let text = |fields: &BTreeMap<String, String>, name: &str| {
        fields.get(name).cloned().unwrap_or_default()
    };
    let channels: BTreeMap<String, String> = VERSIONS
        .into_iter()
        .flat_map(all)
        .map(|version| (text(&version, "id"), text(&version, "channel_id")))
        .collect();
    let mut parents = BTreeMap::new();
    for [ty, id, version] in IMAGES {
        for image in all(ty) {
            let version_id = text(&image, version);
            let mut channel_id = text(&image, "channel_id");
            if channel_id.is_empty() {
                // Found by a version's fingerprint; the version may have been by a channel.
                channel_id = channels.get(&version_id).cloned().unwrap_or_default();
            }
            parents.insert(text(&image, id), Parent { version_id, channel_id });
        }
    }
    parents.remove("");
    parents
}
