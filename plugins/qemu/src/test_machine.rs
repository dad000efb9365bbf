//! Booting a finished disk, to be tested. What the machine writes goes to a disk of its own that has
//! the finished one for its backing file.

use std::path::{Path, PathBuf};

use ingot_sdk::interpolate;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, Error, OptionValue, Result, TestMachine, TestRun,
    TestSubject,
};

use crate::disk_format::virtual_size;
use crate::steps::EFI_VARIABLES;

/// Options that are about how the disk is made, not how the machine runs.
const OF_THE_BUILD: &[&str] = &[
    "iso_urls",
    "iso_target_path",
    "iso_target_extension",
    "iso_skip_cache",
    "boot_command",
    "boot_steps",
    "disk_compression",
    "skip_compaction",
    "qemu_img_args",
    "qmp_socket_path",
    "run_once",
];

/// Options of logins that last longer than a build.
const LOGINS: &[&str] =
    &["ssh_password", "ssh_private_key_file", "ssh_agent_auth", "winrm_password"];

/// Boots disks that `qemu` made.
pub(crate) struct DiskTest;

impl TestMachine for DiskTest {
    fn check(&self, config: &Config, run: Option<&TestRun>) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let text = |option: &str| config.get(option).and_then(OptionValue::as_str);
        let some = |option: &&str| match config.get(option) {
            Some(OptionValue::Bool(truth)) => *truth,
            Some(OptionValue::List(items)) => !items.is_empty(),
            Some(value) => value.as_str() != Some("") && *value != OptionValue::Null,
            None => false,
        };
        if run.is_some() {
            let message = "`run` is for containers: a machine runs its own services";
            let hint = "remove it; a `command` block runs something on the machine";
            errors.push(ConfigError::on("run", message).hint(hint));
        }
        if text("communicator") == Some("none") {
            let message = "without a communicator nothing can look into the machine";
            errors.push(ConfigError::on("communicator", message));
        } else if !LOGINS.iter().any(some) {
            let related = LOGINS.iter().chain(&["communicator"]).copied();
            let hint = "give the source a login that is on the disk: ssh_password or \
                        ssh_private_key_file";
            errors.push(
                ConfigError::new(
                    "the finished disk cannot be logged in to: the source makes a new key for each \
                     build, which only the machine of that build knows",
                )
                .related(related)
                .hint(hint),
            );
        }
        if some(&"disk_additional_size") {
            let message = "a machine with several disks cannot be tested";
            errors.push(ConfigError::on("disk_additional_size", message));
        }
        errors.into_result(())
    }

    fn options(&self, config: &Config, subject: &TestSubject, scratch: &Path) -> Result<Config> {
        let disk = disk(subject)?;
        let size = virtual_size(&disk)?;
        let mut options = config.without(OF_THE_BUILD);
        let mut set = |name: &str, value: OptionValue| options.set(name, value);
        let literal = |text: &str| OptionValue::String(interpolate::literal(text));
        let path = |path: &Path| literal(&path.to_string_lossy());
        set("iso_url", path(&disk));
        set("iso_checksum", literal("none"));
        set("disk_image", OptionValue::Bool(true));
        set("use_backing_file", OptionValue::Bool(true));
        set("skip_resize_disk", OptionValue::Bool(true));
        set("disk_size", literal(&format!("{size}b")));
        set("format", literal("qcow2"));
        set("headless", OptionValue::Bool(true));
        set("output_directory", path(&scratch.join("machine")));
        let variables = |file: &&PathBuf| file.file_name().is_some_and(|it| it == EFI_VARIABLES);
        if let Some(variables) = subject.files.iter().find(variables) {
            set("efi_firmware_vars", path(&absolute(variables)?));
        }
        Ok(options)
    }
}

/// The disk to boot from: the first file of the artifact that is one.
fn disk(subject: &TestSubject) -> Result<PathBuf> {
    let is_disk = |file: &&PathBuf| {
        file.file_name().is_some_and(|name| name != EFI_VARIABLES)
            && file.extension().is_none_or(|ending| ending != "monitor")
    };
    let disk = subject.files.iter().find(is_disk);
    let disk = disk.ok_or_else(|| {
        Error::new(format!("there is no disk {}", subject.id)).hint("name the file of the disk")
    })?;
    absolute(disk)
}

/// The overlay names its backing file, and is elsewhere.
fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> Config {
        let options = options.iter();
        Config::new(
            options.map(|(name, value)| {
                ((*name).to_owned(), OptionValue::String((*value).to_owned()))
            }),
        )
    }

    #[test]
    fn a_login_that_lasts_is_asked_for() {
        let wrong = DiskTest.check(&config(&[("ssh_username", "root")]), None).unwrap_err();
        assert!(wrong.0[0].message.contains("cannot be logged in to"), "{wrong:?}");
        DiskTest.check(&config(&[("ssh_password", "x")]), None).unwrap();
        // What a seed does it does once, as cloud-init for an instance that it knows already.
        assert!(DiskTest.check(&config(&[("cd_content", "x")]), None).is_err());
        let run = TestRun::Image(Vec::new());
        let wrong = DiskTest.check(&config(&[("ssh_password", "x")]), Some(&run)).unwrap_err();
        assert!(wrong.0[0].message.contains("`run` is for containers"), "{wrong:?}");
    }

    #[test]
    fn the_disk_is_only_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("packer-m");
        std::fs::write(&file, vec![0; 4096]).unwrap();
        let variables = directory.path().join("efivars.fd");
        let subject =
            TestSubject { files: vec![variables.clone(), file.clone()], ..Default::default() };
        let source = config(&[("iso_urls", "x"), ("boot_command", "y"), ("ssh_password", "z")]);
        let options = DiskTest.options(&source, &subject, Path::new("/scratch")).unwrap();
        let text = |name: &str| options.get(name).and_then(OptionValue::as_str).unwrap().to_owned();
        assert_eq!(text("iso_url"), file.to_str().unwrap());
        assert_eq!(text("disk_size"), "4096b");
        assert_eq!(text("output_directory"), "/scratch/machine");
        assert_eq!(text("efi_firmware_vars"), variables.to_str().unwrap());
        assert_eq!(options.get("use_backing_file"), Some(&OptionValue::Bool(true)));
        assert!(!options.has("boot_command") && !options.has("iso_urls"));
        assert!(DiskTest.options(&source, &TestSubject::default(), Path::new("/s")).is_err());
    }
}
