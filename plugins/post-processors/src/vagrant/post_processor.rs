//! The post-processor and its options.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::file_work::{blocking, read_small_text};
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, Context, Decoded, Error, Facts, FileArtifact,
    GeneratedData, PostProcess, PrepareContext, Prepared, Processed, Result, RunContext,
    async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::libvirt;
use super::packing::{BoxFiles, Packing};
use crate::work::template_data;

/// What artifacts of this post-processor say they were made by.
const BUILDER_ID: &str = "mitchellh.post-processor.vagrant";

/// The builder whose machines become boxes, by its id and by the name that templates call it.
const QEMU: (&str, &str) = ("transcend.qemu", "qemu");

/// Vagrant's name for what runs those boxes.
const PROVIDER: &str = "libvirt";

/// The largest custom Vagrantfile, in bytes.
const LARGEST_VAGRANTFILE: u64 = 16 << 20;

const DEFAULT_OUTPUT: &str = "packer_{{ .BuildName }}_{{ .Provider }}_{{ .Architecture }}.box";

/// How to have the plugin that makes boxes of other machines.
const PLUGIN: &str = "for other builders, require the plugin github.com/hashicorp/vagrant \
                      (required_plugins, `ingot init`); it is used for every build with another \
                      source than qemu, and for all with INGOT_PREFER_INSTALLED_PLUGINS=vagrant";

/// The options of `vagrant`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The box to write. `{{ .BuildName }}`, `{{ .Provider }}`, `{{ .Architecture }}` and
    /// `{{ .ArtifactId }}` stand for their values.
    #[serde(default = "default_output")]
    #[schemars(extend("rendered_late" = true))]
    output: String,
    /// How hard to compress, from 1 (fast) to 9 (small); 0 does not compress at all. Default 6,
    /// also as -1.
    compression_level: Option<i64>,
    /// More files for the box. Each is in it by the last part of its name.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    include: Vec<PathBuf>,
    /// A Vagrantfile that becomes part of the box's. `{{ }}` is rendered in it as in `output`.
    #[schemars(extend("reads" = "paths"))]
    vagrantfile_template: Option<PathBuf>,
    /// Whether `vagrantfile_template` comes into being during the build, so that it need not be
    /// there before.
    #[serde(default)]
    vagrantfile_template_generated: bool,
    /// Other values of these options for one provider: `{ libvirt = { compression_level = 9 } }`.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    r#override: Map<String, Value>,
    /// The kind of box. Only `libvirt` is supported.
    provider_override: Option<String>,
    /// The machine's architecture, for the box's metadata. Default: that of this system, such as
    /// `amd64`.
    architecture: Option<String>,
}

/// What [`Options::override`] may hold for a provider.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    output: Option<String>,
    compression_level: Option<i64>,
    include: Option<Vec<PathBuf>>,
    vagrantfile_template: Option<PathBuf>,
    vagrantfile_template_generated: Option<bool>,
    architecture: Option<String>,
}

fn default_output() -> String {
    DEFAULT_OUTPUT.to_owned()
}

/// `post-processor "vagrant"`
pub struct Vagrant;

/// Makes boxes. A box takes the machine's place unless `keep_input_artifact = true`.
pub struct MakeBox {
    output: String,
    /// From 1 to 9; none for the default.
    pub(super) level: Option<u32>,
    pub(super) compresses: bool,
    include: Vec<PathBuf>,
    vagrantfile: Option<PathBuf>,
    architecture: String,
}

impl Component for Vagrant {
    const NAME: &'static str = "vagrant";
    type Options = Options;
    type Ready = MakeBox;

    fn facts(&self) -> Facts {
        Facts { only_for: Some("qemu"), ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, config }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<MakeBox>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if ctx.build_type != QEMU.1 {
            let message = format!("`{}` builds no machine for a libvirt box", ctx.build_type);
            errors.push(ConfigError::new(message).hint(PLUGIN));
        }
        let provider = options.provider_override.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = provider.filter(|&name| name != PROVIDER) {
            let message = format!("boxes for `{name}` are not supported, only for {PROVIDER}");
            errors.push(ConfigError::on("provider_override", message).hint(PLUGIN));
        }
        let overrides = match options.r#override.get(PROVIDER) {
            None => Overrides::default(),
            Some(value) => Overrides::deserialize(value).unwrap_or_else(|error| {
                errors.push(ConfigError::on("override", format!("{PROVIDER}: {error}")));
                Overrides::default()
            }),
        };
        let level = overrides.compression_level.or(options.compression_level).unwrap_or(-1);
        if !(-1..=9).contains(&level) {
            errors.push(
                ConfigError::on("compression_level", format!("{level} is not a compression level"))
                    .hint(
                        "use a number from 1 (fast) to 9 (small), 0 for none, -1 for the default",
                    ),
            );
        }
        let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let vagrantfile =
            given(overrides.vagrantfile_template).or(given(options.vagrantfile_template));
        let is_generated = overrides
            .vagrantfile_template_generated
            .unwrap_or(options.vagrantfile_template_generated);
        if let Some(path) = &vagrantfile
            && !is_generated
            && config.is_known("vagrantfile_template_generated")
            && !path.exists()
        {
            let message = format!("there is no file {}", path.display());
            errors.push(
                ConfigError::on("vagrantfile_template", message)
                    .hint("if the build makes it, set vagrantfile_template_generated = true"),
            );
        }
        let text = |one: Option<String>, other: Option<String>| {
            one.or(other).filter(|text| !text.is_empty())
        };
        errors.into_result(Prepared::new(MakeBox {
            output: text(overrides.output, Some(options.output)).unwrap_or_else(default_output),
            level: u32::try_from(level).ok().filter(|level| (1..=9).contains(level)),
            compresses: level != 0,
            include: overrides.include.unwrap_or(options.include),
            vagrantfile,
            architecture: text(overrides.architecture, options.architecture)
                .unwrap_or_else(|| architecture().to_owned()),
        }))
    }
}

/// This system's architecture, by Go's names, which Vagrant takes, too.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        other => other,
    }
}

#[async_trait]
impl PostProcess for MakeBox {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        if artifact.builder_id() != QEMU.0 {
            let message =
                format!("an artifact of `{}` becomes no libvirt box", artifact.builder_id());
            return Err(Error::new(message).hint(PLUGIN));
        }
        ctx.ui.say(format!("Creating Vagrant box for '{PROVIDER}' provider"));
        let mut data = template_data(ctx, data);
        data["ArtifactId"] = artifact.id().into();
        data["Provider"] = PROVIDER.into();
        data["Architecture"] = self.architecture.as_str().into();
        let target = ctx.prepare.render(&self.output, &data).context("output")?;

        let mut files = BoxFiles::default();
        for path in &self.include {
            ctx.ui.message(format!("Copying from include: {}", path.display()));
            files.add(path)?;
        }
        let machine = libvirt::Machine::of(&*artifact)?;
        for disk in &machine.disks {
            ctx.ui.message(format!("Copying from artifact: {}", disk.display()));
        }
        let custom = match &self.vagrantfile {
            None => String::new(),
            Some(path) => {
                ctx.ui.message(format!("Using custom Vagrantfile: {}", path.display()));
                let text = read_small_text(path, "Vagrantfile", LARGEST_VAGRANTFILE)?;
                ctx.prepare.render(&text, &data).with_context(|| path.display().to_string())?
            }
        };
        machine.add_to(&mut files, &self.architecture, &custom);
        let packing = Packing {
            ctx: ctx.clone(),
            files,
            inputs: artifact.files(),
            target: PathBuf::from(&target),
            compresses: self.compresses,
            level: self.level,
        };
        blocking(ctx, move |stop| packing.run(stop)).await?;
        Ok(Processed {
            artifact: Some(Arc::new(FileArtifact {
                builder_id: BUILDER_ID.to_owned(),
                id: PROVIDER.to_owned(),
                files: vec![PathBuf::from(&target)],
                description: format!("'{PROVIDER}' provider box: {target}"),
            })),
            keep_input: false,
            force_keep_input: false,
        })
    }
}
