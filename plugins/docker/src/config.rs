//! The options of the docker builder. Names and defaults are Packer's.

use std::collections::BTreeMap;

use ingot_sdk::home::expanded;
use ingot_sdk::interpolate::literal;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, ConfigWarning, Decoded, GoDuration, OptionSpec, OptionType,
    PrepareContext, Prepared, Schema,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credentials::Login;
use crate::ecr::{Ecr, EcrConfig};
use crate::engine::check_docker_path;
use crate::run_command::{DEFAULT_COMMAND, Pull, RunCommand};

/// The options of a `docker` source block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct BuilderConfig {
    /// The image to start from. Pulled first unless `pull` is false.
    pub image: Option<String>,
    /// Builds the image to start from out of a Dockerfile, instead of `image`.
    pub build: Option<DockerfileConfig>,
    /// Commits the container to an image.
    #[serde(default)]
    pub commit: bool,
    /// Throws the container away at the end.
    #[serde(default)]
    pub discard: bool,
    /// The tar file to export the container's file system to.
    pub export_path: Option<String>,
    /// Dockerfile instructions to apply to the committed image, such as `CMD` or `ENV`.
    #[serde(default)]
    pub changes: Vec<String>,
    /// The author to note in the committed image.
    pub author: Option<String>,
    /// The message to note in the committed image.
    pub message: Option<String>,
    /// The arguments of `docker run`. `{{.Image}}` stands for the image.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub run_command: Vec<String>,
    /// Directories to mount into the container: path on the Engine's host to path in the container.
    #[serde(default)]
    pub volumes: BTreeMap<String, String>,
    /// Runs the container with all privileges.
    #[serde(default)]
    pub privileged: bool,
    /// Linux capabilities to add.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Linux capabilities to drop.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Temporary file systems to mount, as `PATH` or `PATH:OPTIONS`.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Devices to give to the container, as `PATH`, `PATH:PATH_INSIDE` or with `:rwm`.
    #[serde(default)]
    pub device: Vec<String>,
    /// The container runtime, where it is not the Engine's default.
    pub runtime: Option<String>,
    /// The platform, such as `linux/arm64`, for Engines that can run several.
    pub platform: Option<String>,
    /// The user, or `user:group`, that commands run as in the container.
    pub exec_user: Option<String>,
    /// Runs commands with a terminal. Their error output then comes with their output.
    #[serde(default)]
    pub pty: bool,
    /// Whether to pull the image first. Default true. With false it is pulled if it is missing, unless
    /// `run_command` has `--pull=never`.
    pub pull: Option<bool>,
    /// Whether `login_username` and `login_password` are used to pull.
    #[serde(default)]
    pub login: bool,
    /// The user to log in as.
    pub login_username: Option<String>,
    /// The password to log in with.
    #[schemars(extend("sensitive" = true))]
    pub login_password: Option<String>,
    /// The registry to log in to; Docker Hub when empty.
    pub login_server: Option<String>,
    /// Amazon ECR.
    #[serde(flatten)]
    pub ecr: EcrConfig,
    /// Where a scratch volume is mounted in the container. Default `/packer-files`. What is
    /// written there is not part of the image.
    pub container_dir: Option<String>,
    /// Whether uploaded files are given to the user the container runs as. Default false, as
    /// Packer has it in HCL templates, against its documentation.
    #[serde(default)]
    pub fix_upload_owner: bool,
    /// Builds a Windows container. Not supported.
    #[serde(default)]
    pub windows_container: bool,
    /// Packer's way to choose another docker program. Here no program is run: `docker` is
    /// accepted, and `podman` chooses Podman's socket.
    pub docker_path: Option<String>,
    /// How to reach into the container: `docker` (the default) or `none`.
    pub communicator: Option<String>,
    /// How long to wait before provisioning.
    pub pause_before_connecting: Option<GoDuration>,
}

/// The options of the `build` block in a `docker` source block.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct DockerfileConfig {
    /// The Dockerfile.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    pub path: Option<String>,
    /// The directory whose files the Dockerfile can copy. Default: the current one.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    pub build_dir: Option<String>,
    /// Build arguments by name.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// Whether to pull newer versions of the images it starts from. Default true.
    #[serde(default)]
    pub pull: Option<bool>,
    /// Packer's option to compress what is sent to the Engine. Accepted; the context is sent
    /// as it is, over what is nearly always a local socket.
    #[serde(default)]
    pub compress: bool,
}

impl DockerfileConfig {
    fn is_empty(&self) -> bool {
        self.path.is_none()
            && self.build_dir.is_none()
            && self.arguments.is_empty()
            && self.pull.is_none()
            && !self.compress
    }
}

/// The options of all communicators that Packer's source blocks know and that mean nothing to
/// the docker communicator, by type. They are accepted with a warning, so that a template that
/// shares them between sources works unchanged.
fn other_communicators() -> Vec<(&'static str, OptionType)> {
    let text = || OptionType::String;
    let list = || OptionType::List(Box::new(OptionType::String));
    vec![
        ("ssh_host", text()),
        ("ssh_port", OptionType::Number),
        ("ssh_username", text()),
        ("ssh_password", text()),
        ("ssh_keypair_name", text()),
        ("temporary_key_pair_name", text()),
        ("temporary_key_pair_type", text()),
        ("temporary_key_pair_bits", OptionType::Number),
        ("ssh_ciphers", list()),
        ("ssh_clear_authorized_keys", OptionType::Bool),
        ("ssh_key_exchange_algorithms", list()),
        ("ssh_private_key_file", text()),
        ("ssh_certificate_file", text()),
        ("ssh_pty", OptionType::Bool),
        ("ssh_timeout", text()),
        ("ssh_wait_timeout", text()),
        ("ssh_agent_auth", OptionType::Bool),
        ("ssh_disable_agent_forwarding", OptionType::Bool),
        ("ssh_handshake_attempts", OptionType::Number),
        ("ssh_bastion_host", text()),
        ("ssh_bastion_port", OptionType::Number),
        ("ssh_bastion_agent_auth", OptionType::Bool),
        ("ssh_bastion_username", text()),
        ("ssh_bastion_password", text()),
        ("ssh_bastion_interactive", OptionType::Bool),
        ("ssh_bastion_private_key_file", text()),
        ("ssh_bastion_certificate_file", text()),
        ("ssh_file_transfer_method", text()),
        ("ssh_proxy_host", text()),
        ("ssh_proxy_port", OptionType::Number),
        ("ssh_proxy_username", text()),
        ("ssh_proxy_password", text()),
        ("ssh_keep_alive_interval", text()),
        ("ssh_read_write_timeout", text()),
        ("ssh_remote_tunnels", list()),
        ("ssh_local_tunnels", list()),
        ("winrm_username", text()),
        ("winrm_password", text()),
        ("winrm_host", text()),
        ("winrm_no_proxy", OptionType::Bool),
        ("winrm_port", OptionType::Number),
        ("winrm_timeout", text()),
        ("winrm_use_ssl", OptionType::Bool),
        ("winrm_insecure", OptionType::Bool),
        ("winrm_use_ntlm", OptionType::Bool),
    ]
}

/// The schema of the source block.
pub(crate) fn schema() -> Schema {
    let mut schema = Schema::of::<BuilderConfig>();
    schema.options.extend(other_communicators().into_iter().map(|(name, ty)| OptionSpec {
        name: name.to_owned(),
        ty,
        required: false,
        default: Value::Null,
        description: "An option of another communicator; has no effect on containers.".to_owned(),
        sensitive: name.ends_with("_password"),
        rendered_late: false,
        reads: None,
    }));
    schema
}

/// What becomes of the container at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Goal {
    /// An image.
    #[default]
    Commit,
    /// A tar file.
    Export(String),
    /// Nothing.
    Discard,
}

/// The options, checked and with defaults filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The options as written.
    pub raw: BuilderConfig,
    /// What becomes of the container.
    pub goal: Goal,
    /// Whether Podman's socket is meant.
    pub podman: bool,
    /// Whether there is a way into the container.
    pub connects: bool,
    /// When to pull the image.
    pub pull: Pull,
    /// The mount point of the scratch volume.
    pub container_dir: String,
    /// The arguments of `docker run`, before `{{.Image}}` is known.
    pub run_arguments: Vec<String>,
    /// The login to pull with.
    pub login: Option<Login>,
}

impl Options {
    /// Checks the options.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn prepare(
        Decoded { options: raw, config }: Decoded<'_, BuilderConfig>,
        ctx: &PrepareContext,
        ecr: &Ecr,
    ) -> Result<Prepared<Options>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut prepared = Prepared {
            generated: ["ImageSha256", "SourceImageDigest", "SourceImageSha256"]
                .map(str::to_owned)
                .to_vec(),
            ..Default::default()
        };

        let goal = check_goal(&raw, &mut errors);
        let connects = check_communicator(&raw, config, &mut errors, &mut prepared);
        let build = raw.build.clone().filter(|build| !build.is_empty());
        match (&build, raw.image.as_deref().filter(|image| !image.is_empty())) {
            (Some(build), image) => {
                if image.is_some() {
                    errors.push(
                        ConfigError::on("image", "cannot be combined with a `build` block")
                            .hint("the block builds the image to start from: remove one of them"),
                    );
                }
                check_dockerfile(build, &mut errors);
                if raw.pull == Some(true) {
                    prepared.warnings.push(ConfigWarning::on(
                        "pull",
                        "`pull` has no effect with a `build` block; its own `pull` (default \
                         true) decides",
                    ));
                }
            }
            (None, None) => errors.push(
                ConfigError::new("neither `image` nor a `build` block says what to start from")
                    .related(["image", "build"])
                    .hint("add for example: image = \"ubuntu:24.04\""),
            ),
            (None, Some(_)) => {}
        }
        match ecr.check(&raw.ecr, raw.login_server.as_deref()) {
            Ok(warning) => prepared
                .warnings
                .extend(warning.map(|text| ConfigWarning::on("login_server", text))),
            Err(error) => errors.push(error),
        }
        if raw.windows_container {
            errors.push(ConfigError::on(
                "windows_container",
                "Windows containers are not supported yet",
            ));
        }
        let podman = check_docker_path(raw.docker_path.as_deref()).unwrap_or_else(|error| {
            errors.push(error);
            false
        });
        let container_dir = raw
            .container_dir
            .clone()
            .filter(|directory| !directory.is_empty())
            .unwrap_or_else(|| "/packer-files".to_owned());

        let mut options = Options {
            pull: match build.is_none() && raw.pull.unwrap_or(true) {
                true => Pull::Always,
                false => Pull::Never,
            },
            login: raw.login.then(|| login_of(&raw)),
            run_arguments: run_arguments(&raw),
            raw: BuilderConfig { build, ..raw },
            goal,
            podman,
            connects,
            container_dir,
        };
        // Any image does for checking the flags.
        let image = options.raw.image.clone().unwrap_or_else(|| "image".to_owned());
        match options.run_command(&image, ctx) {
            Ok(run) => {
                let on_command = |message| ConfigWarning::on("run_command", message);
                prepared.warnings.extend(run.warnings.into_iter().map(on_command));
                // `docker run` comes after the pull that `pull` asks for, and pulls what is missing.
                if options.pull == Pull::Never && options.raw.build.is_none() {
                    options.pull = run.pull.unwrap_or(Pull::Missing);
                }
            }
            Err(error) => errors.push(error),
        }
        prepared.with(options).or_errors(errors)
    }

    /// The arguments of `docker run` for `image`, and what they ask for.
    ///
    /// # Errors
    /// An argument cannot be understood; the error names it.
    pub(crate) fn run_command(
        &self,
        image: &str,
        ctx: &PrepareContext,
    ) -> Result<RunCommand, ConfigError> {
        let data = json!({ "Image": image });
        let mut arguments = Vec::new();
        for argument in &self.run_arguments {
            let rendered = ctx
                .render(argument, &data)
                .map_err(|error| ConfigError::on("run_command", error.to_string()))?;
            arguments.push(rendered);
        }
        RunCommand::parse(arguments)
    }
}

/// All arguments for `docker run`: the other options as flags, then `run_command`.
fn run_arguments(raw: &BuilderConfig) -> Vec<String> {
    // Only `run_command` is a template; braces elsewhere have been rendered already.
    let mut arguments = Vec::new();
    let mut flag = |name: &str, value: &str| {
        arguments.push(name.to_owned());
        arguments.push(literal(value));
    };
    for device in &raw.device {
        flag("--device", device);
    }
    for capability in &raw.cap_add {
        flag("--cap-add", capability);
    }
    for capability in &raw.cap_drop {
        flag("--cap-drop", capability);
    }
    if let Some(runtime) = raw.runtime.as_deref().filter(|name| !name.is_empty()) {
        flag("--runtime", runtime);
    }
    if let Some(platform) = raw.platform.as_deref().filter(|name| !name.is_empty()) {
        flag("--platform", platform);
    }
    for mount in &raw.tmpfs {
        flag("--tmpfs", mount);
    }
    for (host, inside) in &raw.volumes {
        flag("-v", &format!("{}:{inside}", expanded(host).display()));
    }
    if raw.privileged {
        arguments.push("--privileged".to_owned());
    }
    if raw.run_command.is_empty() {
        arguments.extend(DEFAULT_COMMAND.map(str::to_owned));
    } else {
        arguments.extend(raw.run_command.iter().cloned());
    }
    arguments
}

fn login_of(raw: &BuilderConfig) -> Login {
    Login {
        server: raw.login_server.clone().unwrap_or_default(),
        username: raw.login_username.clone().unwrap_or_default(),
        password: raw.login_password.clone().unwrap_or_default(),
    }
}

/// The options that say what becomes of the container.
const GOALS: [&str; 3] = ["commit", "discard", "export_path"];

fn check_goal(raw: &BuilderConfig, errors: &mut ConfigErrors) -> Goal {
    let export = raw.export_path.as_deref().filter(|path| !path.is_empty());
    let asked = usize::from(raw.commit) + usize::from(raw.discard) + usize::from(export.is_some());
    if asked > 1 {
        errors.push(
            ConfigError::new("only one of `commit`, `discard` and `export_path` can be given")
                .related(GOALS)
                .hint("keep the one that says what becomes of the container"),
        );
    }
    if asked == 0 {
        errors.push(
            ConfigError::new("nothing says what becomes of the container")
                .related(GOALS)
                .hint("set one of commit = true, discard = true or export_path = \"FILE.tar\""),
        );
    }
    match export {
        Some(path) => {
            if std::path::Path::new(path).is_dir() {
                errors.push(
                    ConfigError::on("export_path", format!("{path} is a directory"))
                        .hint("name the tar file to write"),
                );
            }
            Goal::Export(path.to_owned())
        }
        None if raw.discard => Goal::Discard,
        None => Goal::Commit,
    }
}

fn check_dockerfile(build: &DockerfileConfig, errors: &mut ConfigErrors) {
    match build.path.as_deref().filter(|path| !path.is_empty()) {
        None => errors.push(ConfigError::on("build", "`path`, the Dockerfile, is missing")),
        Some(path) if !std::path::Path::new(path).is_file() => {
            errors.push(ConfigError::on("build.path", format!("{path} is not a file")));
        }
        Some(_) => {}
    }
    if let Some(directory) = build.build_dir.as_deref()
        && !directory.is_empty()
        && !std::path::Path::new(directory).is_dir()
    {
        errors.push(ConfigError::on("build.build_dir", format!("{directory} is not a directory")));
    }
}

/// Whether there will be a way into the container.
fn check_communicator(
    raw: &BuilderConfig,
    config: &Config,
    errors: &mut ConfigErrors,
    prepared: &mut Prepared,
) -> bool {
    let kind = raw.communicator.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("docker");
    match kind {
        "docker" | "none" => {}
        "dockerWindowsContainer" | "ssh" | "winrm" => errors.push(
            ConfigError::on("communicator", format!("{kind:?} is not supported yet for docker"))
                .hint("leave it out: commands then run in the container through the Engine"),
        ),
        _ => errors.push(
            ConfigError::on("communicator", format!("there is no communicator {kind:?}"))
                .hint("use \"docker\" or \"none\""),
        ),
    }
    let idle: Vec<&str> = other_communicators()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| config.has(name))
        .collect();
    if !idle.is_empty() && matches!(kind, "docker" | "none") {
        let message = format!(
            "{} {} no effect with the {kind} communicator",
            idle.join(", "),
            if idle.len() == 1 { "has" } else { "have" }
        );
        prepared.warnings.push(ConfigWarning::on(idle[0], message));
    }
    kind != "none"
}
