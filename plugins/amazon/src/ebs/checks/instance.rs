//! The instance and what it starts from.

use std::path::Path;

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning};

use super::{is_spot, one_of, wrong, wrong_with};
use crate::ebs::choices::Product;
use crate::ebs::options::{Options, given};

/// Checks what the instance starts from.
pub(crate) fn source(raw: &Options, errors: &mut ConfigErrors) {
    let instance = &raw.instance;
    if given(&instance.source_ami).is_some() {
        return;
    }
    let Some(filter) = instance.source_ami_filter.as_ref().filter(|filter| !filter.is_empty())
    else {
        errors.push(
            ConfigError::new("there is no AMI to start from")
                .related(["source_ami", "source_ami_filter"])
                .hint("set source_ami, or find one with a source_ami_filter block"),
        );
        return;
    };
    if filter.owners.is_empty() {
        wrong_with(
            errors,
            ("source_ami_filter", &["source_ami"]),
            "a filter without `owners` would take anybody's AMI",
            "set owners = [\"self\"], [\"amazon\"] or the ids of accounts you trust",
        );
    }
}

/// Checks the instance.
pub(crate) fn instance(
    raw: &Options,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    let instance = &raw.instance;
    let kind = given(&instance.instance_type);
    match (kind, raw.spot.spot_instance_types.is_empty()) {
        (None, true) => errors.push(
            ConfigError::new("the type of the instance is missing")
                .related(["instance_type", "spot_instance_types"])
                .hint("set instance_type or spot_instance_types"),
        ),
        (Some(_), false) => wrong(
            errors,
            "spot_instance_types",
            "instance_type and spot_instance_types exclude each other",
            "keep one of them",
        ),
        _ => {}
    }
    one_of(errors, "shutdown_behavior", given(&instance.shutdown_behavior), &["stop", "terminate"]);
    user_data(raw, errors);
    metadata(raw, errors);
    if instance.enable_t2_unlimited {
        warnings.push(ConfigWarning::on(
            "enable_t2_unlimited",
            "`enable_t2_unlimited` is now called `enable_unlimited_credits`; please rename it",
        ));
    }
    let unlimited = instance.enable_unlimited_credits || instance.enable_t2_unlimited;
    if unlimited && kind.is_none() && !raw.spot.spot_instance_types.is_empty() {
        wrong_with(
            errors,
            ("enable_unlimited_credits", &["instance_type"]),
            "unlimited credits need an instance_type that has CPU credits",
            "set instance_type, or remove the option",
        );
    }
    if given(&instance.iam_instance_profile).is_some()
        && instance.temporary_iam_instance_profile_policy_document.is_some()
    {
        warnings.push(ConfigWarning::on(
            "temporary_iam_instance_profile_policy_document",
            "`temporary_iam_instance_profile_policy_document` has no effect: the instance has the \
             profile that iam_instance_profile names",
        ));
    }
    let kind = given(&instance.instance_type).unwrap_or_default();
    if unlimited && !kind.is_empty() && !is_burstable(kind) {
        wrong(
            errors,
            "enable_unlimited_credits",
            format!("instances of the type {kind} have no CPU credits"),
            "use a T2, T3 or T4g instance, or remove the option",
        );
    }
    if unlimited && given(&raw.spot.spot_price).is_some() && kind.starts_with("t2.") {
        wrong(
            errors,
            "enable_unlimited_credits",
            "T2 spot instances cannot have unlimited credits",
            "remove the option, or use T3",
        );
    }
    if instance.enable_nitro_enclave && given(&raw.spot.spot_price).is_some() {
        wrong(errors, "enable_nitro_enclave", "spot instances have no enclaves", "remove one");
    }
    if instance.enable_nitro_enclave && kind.starts_with('t') {
        let message = format!("instances of the type {kind} have no enclaves");
        wrong(errors, "enable_nitro_enclave", message, "use a type that is not burstable");
    }
}

/// Checks enhanced networking. An AMI that is registered has it by that call; what is made of an
/// instance has it from there, and EC2 modifies an instance only while it is stopped.
pub(crate) fn enhanced_networking(
    raw: &Options,
    product: &Product,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    if !is_spot(raw) || product.is_registered() {
        return;
    }
    let ami = &raw.ami;
    // As in Packer, which refuses it for the other two builders only.
    let is_surrogate = matches!(product, Product::Surrogate(_));
    if !is_surrogate && (ami.ena_support == Some(true) || ami.sriov_support) {
        wrong(
            errors,
            if ami.sriov_support { "sriov_support" } else { "ena_support" },
            "spot instances cannot be modified, which this needs",
            "start from an AMI that has it already",
        );
        return;
    }
    for (option, is_set) in
        [("ena_support", ami.ena_support.is_some()), ("sriov_support", ami.sriov_support)]
    {
        if is_set {
            let message = format!(
                "`{option}` has no effect with a spot_price: spot instances cannot be modified"
            );
            warnings.push(ConfigWarning::on(option, message));
        }
    }
}

/// Whether a type of instances has CPU credits.
pub(crate) fn is_burstable(kind: &str) -> bool {
    ["t2.", "t3.", "t3a.", "t4g."].iter().any(|family| kind.starts_with(family))
}

fn user_data(raw: &Options, errors: &mut ConfigErrors) {
    let instance = &raw.instance;
    if given(&instance.user_data).is_some() && given(&instance.user_data_file).is_some() {
        wrong(
            errors,
            "user_data_file",
            "user_data and user_data_file exclude each other",
            "keep one of them",
        );
    } else if let Some(path) = given(&instance.user_data_file)
        && !Path::new(path).exists()
    {
        wrong(
            errors,
            "user_data_file",
            format!("there is no file {path}"),
            "a path is relative to the directory that ingot runs in; \"${path.root}/FILE\" is one \
             of the template's directory",
        );
    }
}

fn metadata(raw: &Options, errors: &mut ConfigErrors) {
    let Some(options) = &raw.instance.metadata_options else { return };
    let switch = ["enabled", "disabled"];
    let block = |name: &str| format!("metadata_options.{name}");
    one_of(errors, &block("http_endpoint"), given(&options.http_endpoint), &switch);
    one_of(errors, &block("http_tokens"), given(&options.http_tokens), &["optional", "required"]);
    let tags = given(&options.instance_metadata_tags);
    one_of(errors, &block("instance_metadata_tags"), tags, &switch);
    if tags == Some("enabled") && given(&options.http_endpoint) == Some("disabled") {
        wrong(
            errors,
            &block("instance_metadata_tags"),
            "the metadata service is disabled, so it gives no tags",
            "remove one of the options",
        );
    }
    let limit = options.http_put_response_hop_limit.unwrap_or(0);
    if !(0..=64).contains(&limit) {
        errors.push(ConfigError::on(
            block("http_put_response_hop_limit"),
            "a response may travel 1 to 64 hops",
        ));
    }
}

/// Checks where the instance is placed and what capacity it uses.
pub(crate) fn placement(raw: &Options, errors: &mut ConfigErrors) {
    let instance = &raw.instance;
    let placement = instance.placement.clone().unwrap_or_default();
    let (new, old) = (given(&placement.tenancy), given(&instance.tenancy));
    if new.is_some() && old.is_some() {
        wrong(errors, "tenancy", "this is placement's tenancy too", "remove `tenancy`");
    }
    let option = if new.is_some() { "placement.tenancy" } else { "tenancy" };
    one_of(errors, option, new.or(old), &["default", "dedicated", "host"]);
    let (host, group) = (given(&placement.host_id), given(&placement.host_resource_group_arn));
    if host.is_some() && group.is_some() {
        wrong(
            errors,
            "placement.host_id",
            "host_id and host_resource_group_arn exclude each other",
            "keep one of them",
        );
    }
    if (host.is_some() || group.is_some()) && new.is_some_and(|tenancy| tenancy != "host") {
        wrong(
            errors,
            "placement.tenancy",
            "an instance on a host of your own has the tenancy `host`",
            "set tenancy = \"host\"",
        );
    }
    let preference = given(&instance.capacity_reservation_preference);
    one_of(errors, "capacity_reservation_preference", preference, &["none", "open"]);
    let targets = [
        ("capacity_reservation_id", given(&instance.capacity_reservation_id)),
        ("capacity_reservation_group_arn", given(&instance.capacity_reservation_group_arn)),
        ("capacity_reservation_preference", preference),
    ];
    let mut chosen = targets.iter().filter(|(_, value)| value.is_some());
    if let (Some((first, _)), Some((second, _))) = (chosen.next(), chosen.next()) {
        let message = format!("{first} and {second} exclude each other");
        wrong(errors, second, message, "keep one of them");
    }
}
