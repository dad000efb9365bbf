//! Tags. Keys and values are `{{ }}` templates that know the build's data, such as `.SourceAMI`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Tags as written: values by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// All tags but those of requests for spot instances.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TagOptions {
    /// Tags of the AMI and its snapshots.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub tag: Vec<KeyValue>,
    /// Tags of the AMI's snapshots only; they win over `tags`.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub snapshot_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub snapshot_tag: Vec<KeyValue>,
    /// Tags of the instance and what else is made for the build only, and of an AMI that is made of
    /// the instance, unless `skip_ami_run_tags` is set.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_tag: Vec<KeyValue>,
    /// Tags of the instance's volumes.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_volume_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_volume_tag: Vec<NameValue>,
}

/// A tag.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct KeyValue {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A tag of a volume.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct NameValue {
    /// Its key.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Moves the tags of blocks to the others; blocks win, as in Packer.
pub(super) fn merge_blocks(tags: &mut Tags, blocks: &mut Vec<KeyValue>) {
    tags.extend(blocks.drain(..).map(|tag| (tag.key, tag.value)));
}

impl TagOptions {
    /// Moves the tags of the blocks to the others; blocks win, as in Packer.
    pub fn merge(&mut self) {
        for (tags, blocks) in [
            (&mut self.tags, &mut self.tag),
            (&mut self.snapshot_tags, &mut self.snapshot_tag),
            (&mut self.run_tags, &mut self.run_tag),
        ] {
            merge_blocks(tags, blocks);
        }
        let volumes = self.run_volume_tag.drain(..).map(|tag| (tag.name, tag.value));
        self.run_volume_tags.extend(volumes);
    }
}
