//! Running a finished image, to be tested.

use std::path::Path;

use ingot_sdk::{
    Config, ConfigError, ConfigErrors, OptionValue, Result, TestMachine, TestRun, TestSubject,
};

/// Options that are about how the image is made, not how a container runs.
const OF_THE_BUILD: &[&str] =
    &["build", "commit", "export_path", "changes", "author", "message", "login", "run_command"];

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
        let kept = config.values().iter();
        let kept = kept.filter(|(name, _)| !OF_THE_BUILD.contains(&name.as_str()));
        let mut values: Vec<(String, OptionValue)> =
            kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut set = |name: &str, value: OptionValue| {
            values.retain(|(known, _)| known != name);
            values.push((name.to_owned(), value));
        };
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
                let own = config.get("run_command");
                own.into_iter().for_each(|own| set("run_command", own.clone()));
            }
        }
        Ok(Config::new(values))
    }
}

/// The arguments of `docker run`. What the user wrote is no template of `{{ }}`.
fn run_command(run: &TestRun) -> Vec<String> {
    let literal = |text: &str| text.replace("{{", "{{`{{`}}");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match run {
        TestRun::Shell(command) => {
            let script = format!("{command}\nstatus=$?\n[ $status = 0 ] || exit $status\n{WAIT}");
            let mut all = words(&["-d", "--entrypoint=/bin/sh", "--", "{{.Image}}", "-c"]);
            all.push(literal(&script));
            all
        }
        TestRun::Image(arguments) => {
            let mut all = words(&["-d", "--", "{{.Image}}"]);
            all.extend(arguments.iter().map(|argument| literal(argument)));
            all
        }
    }
}

/// Keeps a container alive whose command went into the background.
const WAIT: &str = "while :; do sleep 3600; done";
