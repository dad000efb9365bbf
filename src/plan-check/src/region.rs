//! Where a resource is.

use serde_json::Value;

use super::configuration::split;
use super::plan::{Plan, Planned};

/// The region, or what stands for one, that a resource is in, as far as the plan says.
pub(super) fn region(plan: &Plan, planned: &Planned) -> Option<String> {
    let attribute = |name: &str| planned.after[name].as_str().filter(|text| !text.is_empty());
    let own = attribute("region").or_else(|| attribute("location")).map(str::to_owned);
    own.or_else(|| attribute("availability_zone").and_then(of_zone))
        .or_else(|| attribute("zone").map(|zone| last(zone).to_owned()))
        .or_else(|| attribute("arn").and_then(of_arn))
        .or_else(|| of_provider(plan, planned.address, &["region", "zone", "location"]))
}

/// Google's project that a resource is in, as far as the plan says.
pub(super) fn project(plan: &Plan, planned: &Planned) -> Option<String> {
    let own = planned.after["project"].as_str().filter(|text| !text.is_empty());
    own.map(str::to_owned).or_else(|| of_provider(plan, planned.address, &["project"]))
}

/// `eu-west-1` of `eu-west-1b`.
fn of_zone(zone: &str) -> Option<String> {
    let (region, letter) = zone.split_at_checked(zone.len().checked_sub(1)?)?;
    let is_zone = letter.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.ends_with(|c: char| c.is_ascii_digit());
    is_zone.then(|| region.to_owned())
}

/// The last part of a zone that may be a URL.
fn last(zone: &str) -> &str {
    zone.rsplit('/').next().unwrap_or(zone)
}

fn of_arn(arn: &str) -> Option<String> {
    let region = arn.strip_prefix("arn:")?.split(':').nth(2)?;
    (!region.is_empty()).then(|| region.to_owned())
}

/// What the provider's configuration says, by one of these names.
fn of_provider(plan: &Plan, address: &str, names: &[&str]) -> Option<String> {
    let (_, configured) = plan.configured(address)?;
    let provider = plan.configuration.provider_config.get(&configured.provider_config_key)?;
    let modules = provider.module_address.as_deref().map(|address| {
        // As if something were in that module.
        split(&format!("{address}.x.y")).0
    });
    let modules = modules.unwrap_or_default();
    names.iter().find_map(|name| {
        let expression = &provider.expressions[*name];
        match expression {
            Value::Null => None,
            expression => plan.constant(&modules, expression),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_names_of_resources_have_regions() {
        assert_eq!(of_zone("eu-west-1b").as_deref(), Some("eu-west-1"));
        assert_eq!(of_zone("1"), None);
        assert_eq!(of_zone(""), None);
        assert_eq!(of_arn("arn:aws:ec2:us-east-2:1:instance/i").as_deref(), Some("us-east-2"));
        assert_eq!(of_arn("arn:aws:iam::1:role/x"), None);
        assert_eq!(last("https://x/zones/us-central1-a"), "us-central1-a");
    }
}
