//! Fast launching of Windows.

use std::collections::BTreeSet;

use ingot_sdk::{ConfigErrors, ConfigWarning};

use super::wrong;
use crate::ebs::options::{Options, given};

/// How many instances EC2 starts at once at the least, as its API says.
const LEAST_LAUNCHES: i32 = 6;

/// Checks the block `fast_launch`.
pub(super) fn fast_launch(
    raw: &Options,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    let Some(options) = &raw.ami.fast_launch else { return };
    if !options.is_enabled() {
        return;
    }
    if options.max_parallel_launches.is_some_and(|most| most != 0 && most < LEAST_LAUNCHES) {
        wrong(
            errors,
            "fast_launch.max_parallel_launches",
            format!("EC2 starts at least {LEAST_LAUNCHES} instances at once"),
            "raise it, or remove the option",
        );
    }
    if options.target_resource_count.is_some_and(|count| count < 0) {
        wrong(
            errors,
            "fast_launch.target_resource_count",
            "at least one snapshot has to be kept ready",
            "raise it, or remove the option; EC2 keeps 5 by default",
        );
    }
    let own = given(&raw.access.region);
    let top = (
        "fast_launch",
        given(&options.template_id),
        given(&options.template_name),
        options.template_version,
    );
    let regions = options.region_launch_templates.iter().filter(|one| one.is_enabled());
    let regions = regions.map(|one| {
        let template = (given(&one.template_id), given(&one.template_name));
        ("fast_launch.region_launch_templates", template.0, template.1, one.template_version)
    });
    for (option, id, name, version) in std::iter::once(top).chain(regions) {
        if id.is_some() && name.is_some() {
            wrong(
                errors,
                option,
                "template_id and template_name exclude each other",
                "keep one of them",
            );
        }
        let version = version.unwrap_or(0);
        if version < 0 {
            wrong(errors, option, "a template_version is 1 or more", "remove it for the latest");
        }
        if version > 0 && id.is_none() && name.is_none() {
            wrong(
                errors,
                option,
                "a template_version needs a launch template",
                "set template_id or template_name",
            );
        }
    }
    let mut seen = BTreeSet::new();
    if let (Some(own), true) = (own, options.has_template()) {
        seen.insert(own);
    }
    for one in &options.region_launch_templates {
        match given(&one.region) {
            None => wrong(
                errors,
                "fast_launch.region_launch_templates",
                "a launch template needs the `region` that it is in",
                "set region to one of ami_regions, or to the build's",
            ),
            Some(region) if !seen.insert(region) => wrong(
                errors,
                "fast_launch.region_launch_templates",
                format!("{region} has two launch templates"),
                "keep one of them; template_id and template_name are those of the build's region",
            ),
            Some(region) => {
                let copied = raw.ami.ami_regions.iter().any(|other| other == region);
                if !copied && own.is_some_and(|own| own != region) {
                    let message = format!(
                        "`fast_launch.region_launch_templates` has no effect for {region}, which \
                         is not one of ami_regions"
                    );
                    warnings
                        .push(ConfigWarning::on("fast_launch.region_launch_templates", message));
                }
            }
        }
    }
    if raw.ami.skip_create_ami {
        warnings.push(ConfigWarning::on(
            "fast_launch",
            "`fast_launch` has no effect with skip_create_ami",
        ));
    }
}
