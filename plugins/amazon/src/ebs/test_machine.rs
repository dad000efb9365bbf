//! Launching a finished AMI, to be tested.

use std::path::Path;

use ingot_sdk::{
    Config, ConfigError, ConfigErrors, Error, OptionValue, Result, TestMachine, TestRun,
    TestSubject,
};

/// Options that are about how the AMI is made, not how an instance of it runs. Its disks are its own.
const OF_THE_BUILD: &[&str] = &[
    "source_ami_filter",
    "launch_block_device_mappings",
    "ami_block_device_mappings",
    "ami_regions",
    "region_kms_key_ids",
    "kms_key_id",
    "encrypt_boot",
    "fast_launch",
    "force_deregister",
    "force_delete_snapshot",
    "deregistration_protection",
    "deprecate_at",
];

/// Launches AMIs that `amazon-ebs` made.
pub(crate) struct AmiTest;

impl TestMachine for AmiTest {
    fn check(&self, config: &Config, run: Option<&TestRun>) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let is = |option: &str| config.get(option).and_then(OptionValue::as_bool) == Some(true);
        if run.is_some() {
            let message = "`run` is for containers: an instance runs its own services";
            let hint = "remove it; a `command` block runs something on the instance";
            errors.push(ConfigError::on("run", message).hint(hint));
        }
        if is("skip_create_ami") {
            let message = "without an AMI there is nothing to be tested";
            errors.push(ConfigError::on("skip_create_ami", message));
        }
        if is("skip_save_build_region") {
            let message = "the AMI is tested in the build's region, where none is left";
            errors.push(ConfigError::on("skip_save_build_region", message));
        }
        if config.get("communicator").and_then(OptionValue::as_str) == Some("none") {
            let message = "without a communicator nothing can look into the instance";
            errors.push(ConfigError::on("communicator", message));
        }
        errors.into_result(())
    }

    fn options(&self, config: &Config, subject: &TestSubject, _: &Path) -> Result<Config> {
        let region = config.get("region").and_then(OptionValue::as_str);
        let image = image(&subject.id, region)?;
        let mut options = config.without(OF_THE_BUILD);
        options.set("source_ami", OptionValue::String(image));
        options.set("skip_create_ami", OptionValue::Bool(true));
        Ok(options)
    }
}

/// The AMI in `region` of those that `id` lists, as artifacts do: `REGION:AMI,REGION:AMI`.
fn image(id: &str, region: Option<&str>) -> Result<String> {
    let images: Vec<(&str, &str)> =
        id.split(',').map(|one| one.split_once(':').unwrap_or(("", one))).collect();
    let found = match images[..] {
        [(_, only)] => Some(only),
        _ => images.iter().find(|(place, _)| Some(*place) == region).map(|(_, image)| *image),
    };
    match found {
        Some(image) if image.starts_with("ami-") => Ok(image.to_owned()),
        Some(other) => Err(Error::new(format!("{other} is not the id of an AMI"))),
        None => Err(Error::new(format!("which AMI to test is not clear: {id}"))
            .hint("set `region` in the source block")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ami_of_the_builds_region_is_launched() {
        let both = "eu-west-1:ami-1,us-east-1:ami-2";
        assert_eq!(image(both, Some("us-east-1")).unwrap(), "ami-2");
        assert_eq!(image("us-east-1:ami-2", None).unwrap(), "ami-2");
        assert_eq!(image("ami-3", None).unwrap(), "ami-3");
        assert!(image(both, None).is_err() && image("web", None).is_err());
    }
}
