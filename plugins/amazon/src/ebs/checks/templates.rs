//! What is rendered while the build runs, rendered with made-up data to find mistakes now.

use ingot_sdk::{ConfigError, ConfigErrors, PrepareContext};

use crate::ebs::options::Options;
use crate::ebs::tags::try_out;

/// Checks the description and all tags.
pub(crate) fn templates(raw: &Options, ctx: &PrepareContext, errors: &mut ConfigErrors) {
    let description = raw.ami.ami_description.iter().map(|text| ("ami_description", text));
    let texts = raw
        .all_tags()
        .into_iter()
        .flat_map(|(option, tags)| tags.iter().flat_map(move |(k, v)| [(option, k), (option, v)]));
    for (option, text) in description.chain(texts) {
        if let Err(error) = try_out(ctx, text) {
            errors.push(ConfigError::on(option, error.to_string()));
        }
    }
}
