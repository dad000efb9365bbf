//! What vagrant-libvirt wants in a box.

use std::path::PathBuf;

use ingot_sdk::{Artifact, Error, Result};
use serde_json::{Value, json};

use super::packing::{BoxFiles, Content};

/// The machine of an artifact.
pub(super) struct Machine {
    /// Its disks, in their order.
    pub(super) disks: Vec<PathBuf>,
    /// The disks' format, as QEMU names it.
    format: String,
    /// libvirt's driver.
    driver: &'static str,
}

impl Machine {
    /// What an artifact of qemu knows of its machine.
    ///
    /// # Errors
    /// It does not know enough, or was run by what libvirt has no name for.
    pub(super) fn of(artifact: &dyn Artifact) -> Result<Machine> {
        let text = |name: &str| match artifact.state(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Error::new(format!("the artifact does not say its {name}"))),
        };
        let files = artifact.files();
        let listed: Vec<PathBuf> = artifact
            .state("diskPaths")
            .and_then(|paths| serde_json::from_value(paths).ok())
            .unwrap_or_default();
        let mut disks: Vec<PathBuf> =
            listed.into_iter().filter(|disk| files.contains(disk)).collect();
        if disks.is_empty() {
            // The machine's name, and that with the disk's number.
            let name = text("diskName")?;
            let is_disk = |file: &PathBuf| {
                file.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name))
            };
            disks = files.into_iter().filter(is_disk).collect();
        }
        if disks.is_empty() {
            return Err(Error::new("the artifact has no disk"));
        }
        let accelerator = text("domainType")?;
        let driver = match accelerator.as_str() {
            "none" | "tcg" | "hvf" => "qemu",
            "kvm" => "kvm",
            other => {
                return Err(Error::new(format!("libvirt has no driver for `{other}`"))
                    .hint("build with accelerator kvm, tcg, hvf or none"));
            }
        };
        Ok(Machine { disks, format: text("diskType")?, driver })
    }

    /// Adds the disks, the metadata and the Vagrantfile, of which `custom` becomes a part.
    pub(super) fn add_to(self, files: &mut BoxFiles, architecture: &str, custom: &str) {
        let names: Vec<String> = (0..self.disks.len()).map(|n| format!("box_{n}.img")).collect();
        let disks: Vec<Value> =
            names.iter().map(|name| json!({ "format": self.format, "path": name })).collect();
        for (name, disk) in names.into_iter().zip(self.disks) {
            files.set(name, Content::File(disk));
        }
        // Metadata that is included counts instead.
        if !files.has("metadata.json") {
            let metadata =
                json!({ "architecture": architecture, "disks": disks, "provider": "libvirt" });
            files.set("metadata.json".to_owned(), Content::Text(format!("{metadata}\n")));
        }
        let vagrantfile = format!(
            "# What a machine of this kind needs.\n\
             Vagrant.configure(\"2\") do |config|\n  \
               config.vm.provider :libvirt do |libvirt|\n    \
                 libvirt.driver = \"{}\"\n  \
               end\n\
             end\n\
             \n\
             # From vagrantfile_template, if there is one.\n\
             {custom}\n",
            self.driver
        );
        files.set("Vagrantfile".to_owned(), Content::Text(vagrantfile));
    }
}
