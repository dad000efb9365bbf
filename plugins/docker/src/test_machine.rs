//! Running a finished image, to be tested.

use std::path::{Component, Path};

use ingot_sdk::interpolate::literal;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, OptionValue, Result, TestMachine, TestRun, TestSubject,
};

use crate::run_command::DEFAULT_COMMAND;

/// Options about how the image is created, not how a container runs. A `tmpfs` mount hides what the
/// image has there, and with a terminal error output cannot be told from output.
const OF_THE_BUILD: &[&str] = &[
    "build",
    "commit",
    "export_path",
    "changes",
    "author",
    "message",
    "login",
    "run_command",
    "volumes",
    "tmpfs",
    "pty",
];

/// What is tested is there: an image that is not must not be another's of that name in a registry.
const NEVER: &str = "--pull=never";

/// Where mounts show the kernel, not files that an image could have.
const OF_THE_KERNEL: &[&str] = &["/sys", "/proc", "/dev"];

/// Runs containers of images that `docker` built.
pub(crate) struct ImageTest;

impl TestMachine for ImageTest {
    fn check(&self, config: &Config, _: Option<&TestRun>) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let is = |option: &str| config.get(option).and_then(OptionValue::as_bool) == Some(true);
        let hint = "tests run the image that `commit = true` makes";
        if config.has("export_path") {
            let message = "an exported file system cannot be tested";
            errors.push(ConfigError::on("export_path", message).hint(hint));
        }
        if is("discard") {
            let message = "a container that is thrown away leaves nothing to be tested";
            errors.push(ConfigError::on("discard", message).hint(hint));
        }
        if config.get("communicator").and_then(OptionValue::as_str) == Some("none") {
            let message = "without a communicator nothing can look into the container";
            errors.push(ConfigError::on("communicator", message));
        }
        errors.into_result(())
    }

    fn options(&self, config: &Config, subject: &TestSubject, _: &Path) -> Result<Config> {
        let text = |text: &str| OptionValue::String(text.to_owned());
        let mut options = config.without(OF_THE_BUILD);
        let mut set = |name: &str, value: OptionValue| options.set(name, value);
        // What a mount shows would pass for what the image has.
        if let Some(OptionValue::Map(volumes)) = config.get("volumes") {
            let kernel = volumes.iter().filter(|(_, inside)| shows_kernel(inside));
            let kernel = kernel.map(|(host, inside)| (host.clone(), inside.clone())).collect();
            set("volumes", OptionValue::Map(kernel));
        }
        set("image", text(&subject.id));
        set("pull", OptionValue::Bool(false));
        set("discard", OptionValue::Bool(true));
        let list = |words: Vec<String>| {
            OptionValue::List(words.into_iter().map(OptionValue::String).collect())
        };
        match &subject.run {
            Some(run) => set("run_command", list(run_command(run))),
            // How the source keeps its container alive may be its own.
            None => {
                let own = match config.get("run_command") {
                    Some(OptionValue::List(own)) if !own.is_empty() => own.clone(),
                    _ => DEFAULT_COMMAND.map(text).to_vec(),
                };
                let all = [text(NEVER)].into_iter().chain(own).collect();
                set("run_command", OptionValue::List(all));
            }
        }
        Ok(options)
    }
}

/// Whether a volume, as `PATH` or `PATH:OPTIONS` in the container, is the kernel's.
fn shows_kernel(inside: &OptionValue) -> bool {
    let path = inside.as_str().unwrap_or_default().split(':').next().unwrap_or_default();
    let path = Path::new(path);
    OF_THE_KERNEL.iter().any(|top| path.starts_with(top))
        && path.components().all(|part| part != Component::ParentDir)
}

/// The arguments of `docker run`. What the user wrote is no template of `{{ }}`.
fn run_command(run: &TestRun) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match run {
        TestRun::Shell(command) => {
            let script = format!("{command}\nstatus=$?\n[ $status = 0 ] || exit $status\n{WAIT}");
            let mut all = words(&["-d", NEVER, "--entrypoint=/bin/sh", "--", "{{.Image}}", "-c"]);
            all.push(literal(&script));
            all
        }
        TestRun::Image(arguments) => {
            let mut all = words(&["-d", NEVER, "--", "{{.Image}}"]);
            all.extend(arguments.iter().map(|argument| literal(argument)));
            all
        }
    }
}

/// Keeps a container alive whose command went into the background.
const WAIT: &str = "while :; do sleep 3600; done";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_build_mounts_is_not_in_the_tested_container() {
        let text = |text: &str| OptionValue::String(text.to_owned());
        let volumes = [
            ("/host", "/data"),
            ("/sys/fs/cgroup", "/sys/fs/cgroup:ro"),
            ("/trick", "/sys/../data"),
            ("/other", "/system"),
        ];
        let volumes = volumes.map(|(host, inside)| (host.to_owned(), text(inside)));
        let source = [
            ("volumes", OptionValue::Map(volumes.into_iter().collect())),
            ("tmpfs", OptionValue::List(vec![text("/tmp")])),
            ("pty", OptionValue::Bool(true)),
            ("commit", OptionValue::Bool(true)),
            ("privileged", OptionValue::Bool(true)),
        ];
        let source = Config::new(source.map(|(name, value)| (name.to_owned(), value)));
        let subject = TestSubject { id: "sha256:1".to_owned(), ..TestSubject::default() };
        let options = ImageTest.options(&source, &subject, Path::new("/scratch")).unwrap();
        let kept = [("/sys/fs/cgroup".to_owned(), text("/sys/fs/cgroup:ro"))];
        assert_eq!(options.get("volumes"), Some(&OptionValue::Map(kept.into())));
        assert!(["tmpfs", "pty", "commit"].iter().all(|option| !options.has(option)));
        assert_eq!(options.get("privileged"), Some(&OptionValue::Bool(true)));
        let Some(OptionValue::List(command)) = options.get("run_command") else { panic!() };
        assert_eq!(command[0], text("--pull=never"));
        assert_eq!(command[1..], DEFAULT_COMMAND.map(text));
    }
}
