//! What a build leaves.

use std::path::{Path, PathBuf};

use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::{Artifact, Context, RegistryImage, Resource, Result, async_trait};
use serde_json::{Map, Value, json};

use crate::output_directory::OutputDirectory;
use crate::steps::{EFI_VARIABLES, State};

/// The builder's id.
pub(crate) const BUILDER_ID: &str = "transcend.qemu";

/// The disks of a machine, and what else is in the output directory.
pub(crate) struct QemuArtifact {
    directory: PathBuf,
    /// The same, unless another build has replaced it.
    output: Option<OutputDirectory>,
    /// The directories that were created for it.
    created: CreatedDirectories,
    files: Vec<PathBuf>,
    disks: Vec<PathBuf>,
    /// The name of the file that the machine was made from.
    source: Option<String>,
    state: Map<String, Value>,
}

impl QemuArtifact {
    /// What is in the output directory of a finished build.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(crate) fn collect(state: &State) -> Result<QemuArtifact> {
        let settings = &state.settings;
        let mut files = Vec::new();
        list(&settings.output, &mut files)?;
        if settings.raw.efi_drop_efivars {
            files.retain(|file| file.file_name().is_none_or(|name| name != EFI_VARIABLES));
        }
        let facts = json!({
            "generated_data": state.data,
            "diskName": settings.vm_name,
            "diskPaths": settings.disks(),
            "diskType": settings.raw.format(),
            "diskSize": settings.disk_size,
            "domainType": state.runtime.accelerator,
        });
        let facts = facts.as_object().cloned().unwrap_or_default();
        let source = settings.raw.iso.urls().first().and_then(|url| {
            // Without what may be secret in a URL.
            let path = url.split(['?', '#']).next()?;
            path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
        });
        Ok(QemuArtifact {
            directory: settings.output.clone(),
            output: state.directory.clone(),
            created: state.created.clone(),
            files,
            disks: settings.disks(),
            source,
            state: facts,
        })
    }
}

/// Adds the files below `directory`, in the order of their names.
fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let listing = || format!("listing {}", directory.display());
    let mut entries: Vec<_> = std::fs::read_dir(directory)
        .with_context(listing)?
        .collect::<Result<_, _>>()
        .with_context(listing)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type().with_context(listing)?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[async_trait]
impl Artifact for QemuArtifact {
    fn builder_id(&self) -> &str {
        BUILDER_ID
    }

    fn id(&self) -> String {
        "VM".to_owned()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn description(&self) -> String {
        format!("VM files in directory: {}", self.directory.display())
    }

    fn state(&self, name: &str) -> Option<Value> {
        self.state.get(name).cloned()
    }

    /// The disks by their files' names, and their directory for the region, as the file builder has
    /// it. Packer's plugin has no images for a registry.
    fn images(&self) -> Vec<RegistryImage> {
        let text = |name: &str| match self.state.get(name) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let labels = [("format", text("diskType")), ("accelerator", text("domainType"))];
        let image = |disk: &PathBuf| RegistryImage {
            provider: "qemu".into(),
            region: self.directory.to_string_lossy().into_owned(),
            id: disk.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            source_id: self.source.clone(),
            labels: labels.clone().map(|(name, value)| (name.to_owned(), value)).into(),
        };
        self.disks.iter().filter(|disk| self.files.contains(disk)).map(image).collect()
    }

    fn resources(&self) -> Vec<Resource> {
        self.output.iter().map(|output| output.resource().clone()).collect()
    }

    /// The artifact is there until the run ends, and a later build of the run may replace it.
    fn processed(&self) {
        if let Some(output) = &self.output {
            output.release();
        }
    }

    async fn destroy(&self) -> Result<()> {
        if let Some(output) = &self.output
            && output.remove().await?
        {
            self.created.remove();
        }
        Ok(())
    }
}
