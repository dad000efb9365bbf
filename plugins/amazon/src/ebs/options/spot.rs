//! Spot instances.

use schemars::JsonSchema;
use serde::Deserialize;

use super::tags::{KeyValue, Tags, merge_blocks};

/// Options of spot instances.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SpotOptions {
    /// Run a spot instance, for at most this many dollars an hour; `auto` for at most the price
    /// on demand.
    pub spot_price: Option<String>,
    /// The types that may be used, instead of `instance_type`.
    #[serde(default)]
    pub spot_instance_types: Vec<String>,
    /// Which of them EC2 prefers: `lowest-price`, `diversified`, `capacity-optimized`,
    /// `capacity-optimized-prioritized` or `price-capacity-optimized`.
    pub spot_allocation_strategy: Option<String>,
    /// Has no effect; Packer still knows it.
    pub spot_price_auto_product: Option<String>,
    /// How long spot instances last. EC2 no longer offers this.
    pub block_duration_minutes: Option<i64>,
    /// Tags of the request for a spot instance.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub spot_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub spot_tag: Vec<KeyValue>,
    /// Tags of the fleet that a spot instance is requested with.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub fleet_tags: Tags,
    /// The same as blocks.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub fleet_tag: Vec<KeyValue>,
}

impl SpotOptions {
    /// Moves the tags of the blocks to the others; blocks win, as in Packer.
    pub fn merge(&mut self) {
        merge_blocks(&mut self.spot_tags, &mut self.spot_tag);
        merge_blocks(&mut self.fleet_tags, &mut self.fleet_tag);
    }
}
