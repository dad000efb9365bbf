//! Spot instances.

use ingot_sdk::ConfigErrors;

use super::{one_of, wrong};
use crate::ebs::options::{Options, given};
use crate::ebs::settings::known;

const STRATEGIES: &[&str] = &[
    "lowest-price",
    "diversified",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
];

/// Whether a spot instance is run.
pub fn is_spot(raw: &Options) -> bool {
    given(&raw.spot.spot_price).is_some_and(|price| price != "0")
}

/// Checks the options of spot instances.
pub fn spot(raw: &Options, errors: &mut ConfigErrors, warnings: &mut Vec<String>) {
    let spot = &raw.spot;
    for (option, tags) in [("spot_tags", &raw.tags.spot_tags), ("fleet_tags", &raw.tags.fleet_tags)]
    {
        if !tags.is_empty() && !is_spot(raw) {
            wrong(errors, option, "this needs a spot instance", "set spot_price = \"auto\"");
        }
    }
    if !spot.spot_instance_types.is_empty() && !is_spot(raw) {
        wrong(
            errors,
            "spot_instance_types",
            "this needs a spot instance",
            "set spot_price = \"auto\", or use instance_type",
        );
    }
    let strategy = known(&spot.spot_allocation_strategy);
    one_of(errors, "spot_allocation_strategy", strategy, STRATEGIES);
    if let Some(price) = known(&spot.spot_price)
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
        warnings.push(
            "`block_duration_minutes` has no effect: EC2 no longer has spot instances of a fixed \
             duration"
                .to_owned(),
        );
    }
    if given(&spot.spot_price_auto_product).is_some() {
        warnings.push("`spot_price_auto_product` has no effect; please remove it".to_owned());
    }
}
