//! Sums the Engine's progress over layers.

use std::collections::HashMap;

use bollard::models::ProgressDetail;
use ingot_sdk::{Progress, Ui};

/// The progress of a pull or push: bytes so far and in all, summed over the layers seen.
pub(crate) struct LayerProgress {
    shown: Progress,
    layers: HashMap<String, (u64, u64)>,
}

impl LayerProgress {
    /// Shows progress under `label`.
    pub(crate) fn new(ui: &Ui, label: impl Into<String>) -> Self {
        LayerProgress { shown: ui.progress(label, None), layers: HashMap::new() }
    }

    /// Takes in one line of the Engine's stream. `layer` is none where the Engine's client
    /// library leaves the layer's id out; the layer's size then tells layers apart.
    pub(crate) fn update(&mut self, layer: Option<&str>, detail: Option<&ProgressDetail>) {
        let Some(ProgressDetail { current: Some(current), total: Some(total) }) = detail else {
            return;
        };
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        let (current, total) = (size(*current), size(*total));
        if total == 0 {
            return;
        }
        let key = layer.map_or_else(|| total.to_string(), str::to_owned);
        let entry = self.layers.entry(key).or_default();
        // Layers are downloaded and then extracted; the second run starts at zero again and is
        // not progress of the transfer.
        if current >= entry.0 {
            *entry = (current.min(total), total);
        }
        let position = self.layers.values().map(|(current, _)| current).sum();
        let total = self.layers.values().map(|(_, total)| total).sum();
        self.shown.at(position, Some(total));
    }
}
