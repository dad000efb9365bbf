//! What is rendered while the build runs, rendered with made-up data to find mistakes now.

use ingot_sdk::{ConfigError, ConfigErrors, PrepareContext};

use crate::ebs::options::Options;
use crate::ebs::tags::try_out;

/// Checks the description and all tags.
pub(crate) fn templates(raw: &Options, ctx: &PrepareContext, errors: &mut ConfigErrors) {
    let tags = &raw.tags;
    let description = raw.ami.ami_description.iter().map(|text| ("ami_description", text));
    let all = [
        ("tags", &tags.tags),
        ("snapshot_tags", &tags.snapshot_tags),
        ("run_tags", &tags.run_tags),
        ("run_volume_tags", &tags.run_volume_tags),
        ("spot_tags", &tags.spot_tags),
        ("fleet_tags", &tags.fleet_tags),
    ];
    let texts = all
        .into_iter()
        .flat_map(|(option, tags)| tags.iter().flat_map(move |(k, v)| [(option, k), (option, v)]));
    for (option, text) in description.chain(texts) {
        if let Err(error) = try_out(ctx, text) {
            errors.push(ConfigError::on(option, error.to_string()));
        }
    }
}
