//! A template of a family, as it is read without building or asking anything.

use std::path::{Path, PathBuf};

use ingot_engine::graph::Filter;
use ingot_engine::project::RunFlags;
use ingot_engine::{Project, ProjectOptions, check};
use ingot_hcl::{Diagnostic, Diagnostics};
use ingot_publish::data_sources::{FoundBy, parent_references};
use ingot_sdk::{Secrets, TemplatePlace};
use ingot_template::variables::VariableFlag;

/// A template of a family.
#[derive(Debug, Clone)]
pub struct Member {
    /// The template, as it was found.
    pub template: PathBuf,
    /// The bucket that it publishes to, by which it is called.
    pub bucket: String,
    /// Where it says so; its build block, if it does not say so itself.
    pub place: TemplatePlace,
    /// The channel that a version is assigned to once it is built and tested: `promote` of `family` in
    /// the companion file.
    pub promote: Option<String>,
    /// What a new version is found by.
    pub fingerprint: String,
    /// Whether that is the commit that the template is at.
    pub of_commit: bool,
    /// Channels that the build itself assigns the version to.
    pub channels: Vec<String>,
    /// What it builds on.
    pub parents: Vec<ParentLink>,
    /// How many builds it has.
    pub builds: usize,
    /// What it takes of the values of variables that the command line gives.
    pub variables: Vec<VariableFlag>,
    /// What must never be shown.
    pub secrets: Secrets,
    /// Names that are shown though a secret is part of them.
    pub public_names: Vec<String>,
}

/// A bucket that a template builds on.
#[derive(Debug, Clone)]
pub struct ParentLink {
    /// The data source that names it.
    pub data_source: String,
    /// Where that stands.
    pub place: TemplatePlace,
    /// The bucket.
    pub bucket: String,
    /// The channel that says which version is meant; none if the version is written down.
    pub channel: Option<String>,
}

impl Member {
    /// Whether a version that it publishes gets assigned to `channel`.
    pub fn moves(&self, channel: &str) -> bool {
        channel == ingot_registry::api::LATEST_CHANNEL
            || self.promote.as_deref() == Some(channel)
            || self.channels.iter().any(|one| one == channel)
    }

    /// Whether what it is built from changes when `parent` is built.
    pub fn follows(&self, parent: &Member) -> bool {
        let links = self.parents.iter().filter(|link| link.bucket == parent.bucket);
        let mut channels = links.filter_map(|link| link.channel.as_deref());
        channels.any(|channel| parent.moves(channel))
    }
}

/// Reads a template, of which `only` and `except` select builds and post-processors. What is wrong with
/// it, or keeps it from being of a family, goes to `diagnostics`, which are to be shown against the
/// project's texts.
pub fn read_member(
    template: &Path,
    options: &ProjectOptions,
    (only, except): (&[String], &[String]),
    diagnostics: &mut Diagnostics,
) -> (Project, Option<Member>) {
    let mut options = options.clone();
    let mut project = Project::load(template, &options, diagnostics);
    // Values for variables that others of the family have are no mistake here.
    options.variables.retain(|flag| match flag {
        VariableFlag::Value(text) => {
            let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
            let legacy = project.template.legacy.is_some();
            legacy || project.template.variables.contains_key(name.trim())
        }
        VariableFlag::File(_) => true,
    });
    project.evaluate(&options, diagnostics);
    let plan = match diagnostics.has_errors() {
        true => None,
        false => ingot_publish::plan(&project, None, diagnostics),
    };
    let nodes = check(&project, &Filter::default(), &RunFlags::default(), diagnostics);
    let filter = diagnostics.keep(project.filter(only, except)).unwrap_or_default();
    for left_out in nodes.iter().filter(|checked| !filter.selects(&checked.node.selector())) {
        let name = &left_out.node.name;
        diagnostics.push(
            Diagnostic::error(format!("-only and -except leave `{name}` out"))
                .at(left_out.node.header)
                .note("the versions of a family hold all builds of their templates")
                .help(
                    "leave out post-processors only, or build that template by itself, without \
                     -stale",
                ),
        );
    }
    let place = project.registry.as_ref().and_then(|block| block.header);
    let place = place.or(project.builds.first().map(|build| build.header));
    if plan.is_none() && !diagnostics.has_errors() {
        let none = Diagnostic::error(format!(
            "{} publishes nothing, so it belongs to no family",
            template.display()
        ));
        let none = none.help("add an hcp_packer_registry block, or leave the template out");
        diagnostics.push(match place {
            Some(place) => none.at(place),
            None => none,
        });
    }
    let mut parents = Vec::new();
    for reference in parent_references(&project.template, &project.scope()) {
        let unknown = |what: &str| {
            Diagnostic::error(format!(
                "{what} of {} is not known before it is built",
                reference.name
            ))
            .at(reference.place)
            .help("use variables and locals for it, so that the parents of a template can be found")
        };
        let channel = match reference.by {
            FoundBy::Channel(channel) => Some(channel),
            FoundBy::Version(_) => None,
            // What that names is a parent by itself.
            FoundBy::OtherData => continue,
            FoundBy::Unknown if diagnostics.has_errors() => continue,
            FoundBy::Unknown => {
                diagnostics.push(unknown("the channel"));
                continue;
            }
        };
        let Some(bucket) = reference.bucket else {
            if !diagnostics.has_errors() {
                diagnostics.push(unknown("the bucket"));
            }
            continue;
        };
        let place = project.place(reference.place);
        parents.push(ParentLink { data_source: reference.name, place, bucket, channel });
    }
    let member =
        plan.filter(|_| !diagnostics.has_errors()).zip(place).map(|(plan, place)| Member {
            template: template.to_owned(),
            bucket: plan.bucket,
            place: project.place(place),
            promote: project.companion.family.as_ref().and_then(|family| family.promote.clone()),
            fingerprint: plan.fingerprint,
            of_commit: plan.fingerprint_of_commit,
            channels: plan.channels,
            parents,
            builds: nodes.len(),
            variables: options.variables,
            secrets: project.secrets().clone(),
            public_names: project.public_names(),
        });
    (project, member)
}
