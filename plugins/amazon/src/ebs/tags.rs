//! Tags, and what their `{{ }}` templates and `build.*` know about the source AMI.

use aws_sdk_ec2::types::{
    Image, LaunchTemplateTagSpecificationRequest, ResourceType, Tag, TagSpecification,
};
use ingot_sdk::interpolate::{Error as RenderError, Interpolation};
use ingot_sdk::{Error, GeneratedData, PrepareContext, Result, RunContext};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::options::{Tags, clean_function};

/// The tag of everything that is made for a build only; its value is the run's id.
pub const RUN_TAG: &str = "ingot-run";

/// The tag that says when that run started, as RFC 3339 writes times: not all that is made has a
/// date of its own.
pub(super) const STARTED_TAG: &str = "ingot-started";

/// What a template may use as `build.NAME`.
pub(super) const GENERATED: [&str; 6] = [
    "SourceAMIName",
    "BuildRegion",
    "SourceAMI",
    "SourceAMICreationDate",
    "SourceAMIOwner",
    "SourceAMIOwnerName",
];

/// What is known about a build once its source AMI is found.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildInfo {
    /// The names without dots, as Packer has them.
    values: Map<String, Value>,
}

impl BuildInfo {
    /// What is known about a build in `region` that starts from `image`.
    pub(super) fn new(region: &str, image: &Image) -> BuildInfo {
        let tags: Map<String, Value> = image
            .tags()
            .iter()
            .map(|tag| (tag.key().unwrap_or_default().to_owned(), json!(tag.value())))
            .collect();
        let text = |value: Option<&str>| json!(value.unwrap_or_default());
        let values = json!({
            "BuildRegion": region,
            "SourceAMI": text(image.image_id()),
            "SourceAMIName": text(image.name()),
            "SourceAMICreationDate": text(image.creation_date()),
            "SourceAMIOwner": text(image.owner_id()),
            "SourceAMIOwnerName": text(image.image_owner_alias()),
            "SourceAMITags": tags,
        });
        BuildInfo { values: values.as_object().cloned().unwrap_or_default() }
    }

    /// The values for `build.*`.
    pub(super) fn generated(&self) -> GeneratedData {
        let values = self.values.iter().filter(|(name, _)| *name != "SourceAMITags");
        values.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Renders one text.
    ///
    /// # Errors
    /// It names something that does not exist, such as a tag that the source AMI does not have.
    pub(super) fn render(&self, ctx: &RunContext, option: &str, text: &str) -> Result<String> {
        let rendered = render(&ctx.prepare, text, &Value::Object(self.values.clone()));
        rendered.map_err(|error| Error::new(format!("{option}: {error}")))
    }

    /// Renders tags, in the order of their keys.
    ///
    /// # Errors
    /// See [`BuildInfo::render`].
    pub(super) fn tags(&self, ctx: &RunContext, option: &str, tags: &Tags) -> Result<Vec<Tag>> {
        let rendered = |text: &str| self.render(ctx, option, text);
        tags.iter().map(|(key, value)| Ok(tag(&rendered(key)?, &rendered(value)?))).collect()
    }
}

/// Renders a text with the functions of this builder.
pub(crate) fn render(
    ctx: &PrepareContext,
    text: &str,
    data: &Value,
) -> Result<String, RenderError> {
    Interpolation::new(ctx)
        .with_function("clean_resource_name", Box::new(clean_function))
        .render(text, data)
}

/// Renders a text with made-up values, to see whether it can be.
pub(super) fn try_out(ctx: &PrepareContext, text: &str) -> Result<(), RenderError> {
    let sample: Map<String, Value> =
        GENERATED.iter().map(|&name| (name.to_owned(), json!("sample"))).collect();
    if text.contains("SourceAMITags") {
        // Which tags there are is known later.
        return Interpolation::new(ctx)
            .with_function("clean_resource_name", Box::new(clean_function))
            .check(text);
    }
    render(ctx, text, &Value::Object(sample)).map(drop)
}

/// One tag.
pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// `tags` and the one that marks what is made for this run only.
pub(super) fn marked(ctx: &RunContext, tags: &[Tag]) -> Vec<Tag> {
    let mut tags = tags.to_vec();
    tags.push(tag(RUN_TAG, &ctx.prepare.run_uuid));
    let started = ctx.prepare.start.and_then(|start| start.format(&Rfc3339).ok());
    tags.extend(started.map(|started| tag(STARTED_TAG, &started)));
    tags
}

/// Tags for what a call creates; none without tags, which EC2 refuses.
pub(crate) fn specification(of: ResourceType, tags: Vec<Tag>) -> Option<TagSpecification> {
    let some = !tags.is_empty();
    some.then(|| TagSpecification::builder().resource_type(of).set_tags(Some(tags)).build())
}

/// The same in a launch template.
pub(super) fn template_specification(
    of: ResourceType,
    tags: Vec<Tag>,
) -> Option<LaunchTemplateTagSpecificationRequest> {
    let builder = LaunchTemplateTagSpecificationRequest::builder().resource_type(of);
    (!tags.is_empty()).then(|| builder.set_tags(Some(tags)).build())
}

/// Shows tags that are about to be added.
pub(crate) fn report(ctx: &RunContext, tags: &[Tag]) {
    for tag in tags {
        let (key, value) = (tag.key().unwrap_or_default(), tag.value().unwrap_or_default());
        ctx.ui.message(format!("Adding tag: {key:?}: {value:?}"));
    }
}
