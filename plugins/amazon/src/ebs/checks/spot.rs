//! Spot instances.

use ingot_sdk::{ConfigErrors, ConfigWarning};

use super::{one_of, wrong, wrong_with};
use crate::ebs::options::{Options, given};

const STRATEGIES: &[&str] = &[
    "lowest-price",
    "diversified",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
];

/// Whether a spot instance is run.
pub(crate) fn is_spot(raw: &Options) -> bool {
    given(&raw.spot.spot_price).is_some_and(|price| price != "0")
}

/// Options of instances on demand that the request for a spot instance has no place for.
fn ignored(raw: &Options) -> impl Iterator<Item = ConfigWarning> {
    let instance = &raw.instance;
    let placement = instance.placement.clone().unwrap_or_default();
    let cannot_stop = "a spot instance is not stopped before the AMI is created";
    let template = "the request for a spot instance does not carry it";
    let options = [
        ("shutdown_behavior", given(&instance.shutdown_behavior).is_some(), template),
        (
            "placement.host_resource_group_arn",
            given(&placement.host_resource_group_arn).is_some(),
            template,
        ),
        ("placement.host_id", given(&placement.host_id).is_some(), template),
        ("placement.tenancy", given(&placement.tenancy).is_some(), template),
        ("tenancy", given(&instance.tenancy).is_some(), template),
        ("license_specifications", !instance.license_specifications.is_empty(), template),
        (
            "capacity_reservation_preference",
            given(&instance.capacity_reservation_preference).is_some(),
            template,
        ),
        ("capacity_reservation_id", given(&instance.capacity_reservation_id).is_some(), template),
        (
            "capacity_reservation_group_arn",
            given(&instance.capacity_reservation_group_arn).is_some(),
            template,
        ),
        ("disable_stop_instance", instance.disable_stop_instance, cannot_stop),
    ];
    options.into_iter().filter(|(_, set, _)| *set).map(|(option, _, why)| {
        let message = format!("`{option}` has no effect with a spot_price: {why}");
        ConfigWarning::on(option, message)
    })
}

/// Checks the options of spot instances.
pub(crate) fn spot(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<ConfigWarning>) {
    let spot = &raw.spot;
    for (option, tags) in [("spot_tags", &spot.spot_tags), ("fleet_tags", &spot.fleet_tags)] {
        if !tags.is_empty() && !is_spot(raw) {
            let related = (option, &["spot_price"][..]);
            let message = "this needs a spot instance";
            wrong_with(errors, related, message, "set spot_price = \"auto\"");
        }
    }
    if !spot.spot_instance_types.is_empty() && !is_spot(raw) {
        wrong_with(
            errors,
            ("spot_instance_types", &["spot_price"]),
            "this needs a spot instance",
            "set spot_price = \"auto\", or use instance_type",
        );
    }
    match is_spot(raw) {
        true => warnings.extend(ignored(raw)),
        false if given(&spot.spot_allocation_strategy).is_some() => warnings.push(ConfigWarning::on(
            "spot_allocation_strategy",
            "`spot_allocation_strategy` has no effect without a spot_price: the instance is run on \
             demand",
        )),
        false => {}
    }
    let strategy = given(&spot.spot_allocation_strategy);
    one_of(errors, "spot_allocation_strategy", strategy, STRATEGIES);
    if let Some(price) = given(&spot.spot_price)
        && price != "auto"
        && !price.parse::<f64>().is_ok_and(|price| price >= 0.0 && price.is_finite())
    {
        wrong(
            errors,
            "spot_price",
            format!("{price:?} is not a price"),
            "write dollars an hour, such as \"0.05\", or \"auto\"",
        );
    }
    let minutes = spot.block_duration_minutes.unwrap_or(0);
    if minutes % 60 != 0 {
        wrong(errors, "block_duration_minutes", "this has to be whole hours", "remove the option");
    } else if minutes != 0 {
        warnings.push(ConfigWarning::on(
            "block_duration_minutes",
            "`block_duration_minutes` has no effect: EC2 no longer has spot instances of a fixed \
             duration",
        ));
    }
    if given(&spot.spot_price_auto_product).is_some() {
        warnings.push(ConfigWarning::on(
            "spot_price_auto_product",
            "`spot_price_auto_product` has no effect; please remove it",
        ));
    }
}
