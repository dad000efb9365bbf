//! Puts a plan together.

use std::collections::BTreeMap;
use std::path::Path;

use ingot_engine::graph::Node;
use ingot_engine::inputs::{BlockKind, BuildInputs, InputReader};
use ingot_engine::step_cache::outlook;
use ingot_engine::{CheckedNode, Project};
use ingot_hcl::value::Kind;
use ingot_hcl::{Scope, Value};
use ingot_publish::Plan;
use ingot_publish::changes::{Change, Published, compare, parent_records, removed};
use ingot_publish::data_sources::{FoundBy, ParentReference, parent_references};
use ingot_template::uses::Uses;
use serde_json::Value as Json;
use time::format_description::well_known::Rfc3339;

use super::block::planned;
use super::model::{
    BuildPlan, PlannedBuild, PlannedCache, PlannedData, PlannedParent, PlannedVariable,
    PlannedVersion, PublishPlan, State,
};

/// The form of what [`gather`] makes.
const FORMAT: u32 = 1;
/// How many digits of a commit are shown.
const COMMIT_SHOWN: usize = 12;

/// What a run that selects `nodes` would do. `publish` is as what the builds would be published, if
/// they would be; `registry` is there if one was asked; `cache` is the directory that the command line
/// names for the step cache. Reads the files that the builds name.
pub fn gather<B>(
    template: String,
    project: &Project,
    nodes: &[CheckedNode<B>],
    publish: Option<&Plan>,
    registry: Option<&Published>,
    cache: Option<&Path>,
) -> BuildPlan {
    let reader = InputReader::new(project);
    let scope = project.scope();
    let references = parent_references(&project.template, &scope);
    let parents = parent_records(&references);
    let builds = nodes.iter().map(|checked| {
        let inputs = reader.read(checked);
        let change = registry.filter(|_| publish.is_some()).map(|registry| {
            compare(registry.last.as_ref(), &checked.node.component, &inputs, &parents)
        });
        let mut build = build(project, &scope, &checked.node, &inputs, change, &references);
        let outlooks = outlook(project, checked, Path::new(&template), cache);
        for (step, outlook) in build.provisioners.iter_mut().zip(outlooks.into_iter().flatten()) {
            step.cache = Some(PlannedCache {
                not_kept_because: outlook.reason,
                last_kept: outlook.kept.and_then(|at| at.format(&Rfc3339).ok()),
            });
        }
        build
    });
    let builds: Vec<PlannedBuild> = builds.collect();
    let removed = registry
        .and_then(|registry| registry.last.as_ref())
        .map(|last| removed(project, last))
        .unwrap_or_default();
    let differs = !removed.is_empty() || builds.iter().any(|build| build.state != State::Unchanged);
    let is_beside = differs && registry.is_some_and(|registry| registry.commit_is_built);
    BuildPlan {
        format: FORMAT,
        template,
        registry_asked: registry.is_some(),
        builds,
        publish: publish.map(|plan| PublishPlan {
            registry: registry.map(|registry| registry.registry.clone()),
            bucket: plan.bucket.clone(),
            fingerprint: (plan.fingerprint_given && !is_beside).then(|| plan.fingerprint.clone()),
            beside: is_beside.then(|| plan.fingerprint.chars().take(COMMIT_SHOWN).collect()),
            bucket_labels: plan.bucket_labels.clone().into_iter().collect(),
            build_labels: plan.build_labels.clone().into_iter().collect(),
            channels: plan.channels.clone(),
            promote: project.companion.family.as_ref().and_then(|family| family.promote.clone()),
            last_version: registry.and_then(|registry| registry.last.as_ref()).map(|last| {
                PlannedVersion {
                    name: last.name.clone(),
                    fingerprint: last.fingerprint.clone(),
                    revoked: last.is_revoked(),
                }
            }),
            removed,
        }),
    }
}

fn build(
    project: &Project,
    scope: &Scope,
    node: &Node,
    inputs: &BuildInputs,
    change: Option<Change>,
    references: &[ParentReference],
) -> PlannedBuild {
    let template = &project.template;
    let steps = node.provisioners.iter().chain(node.pipelines.iter().flatten());
    let bodies = node.parts.iter().map(|part| &part.body);
    let bodies = bodies.chain(steps.map(|step| &step.block.body));
    // The registry block is for all builds.
    let bodies = bodies.chain(template.registries.iter().map(|block| &block.body));
    let bodies: Vec<_> = bodies.cloned().collect();
    let uses = Uses::of(template, &bodies);
    let (state, reasons) = match change {
        None => (State::NotCompared, Vec::new()),
        Some(Change::New(why)) => (State::New, vec![why]),
        Some(Change::Changed(what)) => (State::Changed, what),
        Some(Change::Undecided(what)) => (State::Undecided, what),
        Some(Change::Unchanged) => (State::Unchanged, Vec::new()),
    };
    let of = |kind| inputs.blocks.iter().filter(move |block| block.kind == kind);
    let source = of(BlockKind::Source).map(|block| planned(block, &node.ty)).next();
    let mut pipelines: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for block in of(BlockKind::PostProcessor) {
        let pipeline = block.number.split('.').next().and_then(|number| number.parse().ok());
        let pipeline = pipelines.entry(pipeline.unwrap_or_default()).or_default();
        pipeline.push(planned(block, &block.name));
    }
    PlannedBuild {
        name: node.name.clone(),
        component: node.component.clone(),
        state,
        reasons,
        // A node without a builder was not checked.
        source: source.unwrap_or_else(|| unreachable_source(project, node)),
        provisioners: of(BlockKind::Provisioner).map(|block| planned(block, &block.name)).collect(),
        post_processors: pipelines.into_values().collect(),
        variables: variables(scope, &uses),
        data_sources: data_sources(project, scope, &uses),
        parents: references
            .iter()
            .filter(|reference| {
                let name = |(ty, name): &(String, String)| format!("data.{ty}.{name}");
                uses.data.iter().any(|data| name(data) == reference.name)
            })
            .map(|reference| PlannedParent {
                data_source: reference.name.clone(),
                bucket: reference.bucket.clone(),
                channel: match &reference.by {
                    FoundBy::Channel(channel) => Some(channel.clone()),
                    _ => None,
                },
                version_id: reference.version_id.clone(),
            })
            .collect(),
    }
}

/// The source of a node whose builder is not there.
fn unreachable_source(project: &Project, node: &Node) -> super::model::PlannedBlock {
    let place = project.place(node.header);
    super::model::PlannedBlock {
        ty: node.ty.clone(),
        name: Some(node.source_name.clone()),
        file: place.file,
        line: place.line,
        base: None,
        files: Vec::new(),
        unknown: Vec::new(),
        volatile: Vec::new(),
        cache: None,
        holds_secret: false,
    }
}

fn variables(scope: &Scope, uses: &Uses) -> Vec<PlannedVariable> {
    let values = scope.get("var").and_then(Value::as_entries).into_iter().flatten();
    let used = values.filter(|(name, _)| uses.all_variables || uses.variables.contains(*name));
    let variable = |(name, value): (&String, &Value)| PlannedVariable {
        name: name.clone(),
        value: if value.holds_secret() { Json::Null } else { json(value) },
        sensitive: value.holds_secret(),
    };
    used.map(variable).collect()
}

fn data_sources(project: &Project, scope: &Scope, uses: &Uses) -> Vec<PlannedData> {
    let values = scope.get("data").and_then(Value::as_entries);
    let data = uses.data.iter().filter_map(|key| {
        let block = project.template.data.get(key)?;
        let (ty, name) = key;
        let value = values.and_then(|values| values.get(ty)?.as_entries()?.get(name));
        let place = project.place(block.header);
        Some(PlannedData {
            name: format!("data.{ty}.{name}"),
            file: place.file,
            line: place.line,
            fetched: value.is_some_and(|value| !value.is_unknown()),
        })
    });
    data.collect()
}

/// A value as JSON. What is not known is null, and a number that is too large for JSON a string.
fn json(value: &Value) -> Json {
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => Json::Null,
        Kind::Bool(truth) => (*truth).into(),
        Kind::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => serde_json::Number::from_f64(number.to_f64())
                .map_or_else(|| Json::String(number.to_string()), Json::Number),
        },
        Kind::String(text) => (&**text).into(),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            items.iter().map(json).collect()
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            Json::Object(entries.iter().map(|(name, value)| (name.clone(), json(value))).collect())
        }
    }
}
