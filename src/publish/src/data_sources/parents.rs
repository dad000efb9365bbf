//! Which buckets a template builds on: what its data sources that read a registry name.

use ingot_hcl::ast::{Block, Expr};
use ingot_hcl::eval::eval;
use ingot_hcl::source::Span;
use ingot_hcl::{Scope, Value};
use ingot_template::Template;

/// The data sources, the options that say which version is meant (by bucket, by channel, by itself),
/// and the attribute of what they give that is the version's id.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("hcp-packer-artifact", "channel_name", "version_fingerprint", "version_id"),
    ("hcp-packer-image", "channel", "iteration_id", "iteration_id"),
    ("hcp-packer-version", "channel_name", "", "id"),
    ("hcp-packer-iteration", "channel", "", "id"),
];

/// What a data source names.
#[derive(Debug, Clone)]
pub struct ParentReference {
    /// The data source: `data.hcp-packer-artifact.base`.
    pub name: String,
    /// Where it stands.
    pub place: Span,
    /// The bucket; none where it is not known before other data sources were fetched.
    pub bucket: Option<String>,
    /// By what the version is found.
    pub by: FoundBy,
    /// The id of the version, if it was fetched.
    pub version_id: Option<String>,
}

/// By what a data source finds its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBy {
    /// By a channel.
    Channel(String),
    /// By the version's fingerprint or id, which is written down.
    Version(String),
    /// By what another data source gives, which is a reference of its own.
    OtherData,
    /// It is not known.
    Unknown,
}

/// Whether a data source of this type reads a registry of images.
fn reads_registry(ty: &str) -> bool {
    KINDS.iter().any(|(known, ..)| *known == ty)
}

/// What the data sources of a template name. `scope` is what its blocks see, with `data` as far as it
/// was fetched.
pub fn parent_references(template: &Template, scope: &Scope) -> Vec<ParentReference> {
    let data = scope.get("data").and_then(Value::as_entries);
    let mut found = Vec::new();
    for ((ty, name), block) in &template.data {
        let kind = KINDS.iter().find(|(known, ..)| known == ty);
        let Some((_, channel, version, id)) = kind else { continue };
        let by = match (text(block, version, scope), text(block, channel, scope)) {
            (Text::Known(version), _) => FoundBy::Version(version),
            (_, Text::Known(channel)) => FoundBy::Channel(channel),
            (Text::FromData, _) => FoundBy::OtherData,
            _ => FoundBy::Unknown,
        };
        let by = match block.body.attribute(version) {
            // Its value may be known by now; what was found by a channel is still of that channel.
            Some(attribute) if refers_to_data(&attribute.expr) => FoundBy::OtherData,
            _ => by,
        };
        let value = data.and_then(|data| data.get(ty)?.as_entries()?.get(name));
        let version_id = value.and_then(|value| value.as_entries()?.get(*id)?.as_str());
        found.push(ParentReference {
            name: format!("data.{ty}.{name}"),
            place: block.header,
            bucket: match text(block, "bucket_name", scope) {
                Text::Known(bucket) => Some(bucket),
                _ => None,
            },
            by,
            version_id: version_id.map(str::to_owned),
        });
    }
    found
}

/// What an option comes to.
enum Text {
    Known(String),
    FromData,
    Other,
}

fn text(block: &Block, option: &str, scope: &Scope) -> Text {
    let Some(attribute) = block.body.attribute(option) else { return Text::Other };
    // What is wrong is reported where the data source is checked.
    match eval(&attribute.expr, scope) {
        Ok(value) => match value.as_str() {
            Some("") => Text::Other,
            Some(text) => Text::Known(text.to_owned()),
            None if refers_to_data(&attribute.expr) => Text::FromData,
            None => Text::Other,
        },
        Err(_) => Text::Other,
    }
}

fn refers_to_data(expr: &Expr) -> bool {
    let references = expr.references();
    let mut paths = references.into_iter().filter_map(Expr::reference);
    paths.any(|path| {
        path.first() == Some(&"data") && path.get(1).is_none_or(|ty| reads_registry(ty))
    })
}
