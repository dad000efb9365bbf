//! Options that set labels.

use clap::Args;
use ingot_registry::api::Labels;
use ingot_sdk::Result;

/// Labels to set: `-label name=value`, any number of times.
#[derive(Debug, Clone, Args)]
pub(super) struct SetLabels {
    /// Set a label: -label 'name=value'
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub(super) labels: Vec<(String, String)>,
}

/// Labels to change.
#[derive(Debug, Clone, Args)]
pub(super) struct ChangeLabels {
    #[command(flatten)]
    set: SetLabels,
    /// Remove a label
    #[arg(long = "remove-label", value_name = "NAME")]
    remove: Vec<String>,
}

impl SetLabels {
    pub(super) fn labels(&self) -> Labels {
        self.labels.iter().cloned().collect()
    }
}

impl ChangeLabels {
    /// `labels`, changed.
    pub(super) fn apply(&self, mut labels: Labels) -> Labels {
        labels.retain(|name, _| !self.remove.contains(name));
        labels.extend(self.set.labels());
        labels
    }

    pub(super) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.labels.is_empty()
    }
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}
