//! Which options of a block name local files that it reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ingot_sdk::{Config, OptionType, OptionValue, Prepare, Reads, Schema, glob};

/// Options of plugins that nobody knows whose paths may be patterns: of all builders that make media for
/// a machine.
const PATTERNS: &[&str] = &["cd_files", "floppy_files"];

/// How options are called that name what such plugins read.
const ENDS: &[&str] = &[
    "script",
    "scripts",
    "_file",
    "_files",
    "_dir",
    "_dirs",
    "_directory",
    "_path",
    "_paths",
    "_tree",
    "_roots",
    "_vars",
    "_config",
    "_template",
];
/// Words in names of options that name something else.
const NOT_READ: &[&str] = &[
    "output",
    "outputs",
    "remote",
    "target",
    "targets",
    "staging",
    "dest",
    "destination",
    "private_key",
    "password",
    "vault",
    "log",
    "logs",
    "execute",
    "guest",
    "cache",
    "temp",
    "temporary",
    "tmp",
    "export",
    "env",
    "environment",
];

/// Flags of the docker client that name a file which it reads.
const FILE_FLAGS: &[&str] = &["--env-file", "--label-file"];

/// What options a plugin takes, and which of them name what it reads.
pub struct PluginOptions {
    /// The options.
    pub schema: Schema,
    /// The options of the built-in plugin in whose place this one, a program of its own, is installed.
    built_in: Option<Schema>,
}

impl PluginOptions {
    /// Those of the plugin called `name` in `plugins`; none if there is no such plugin. `built_in` is what
    /// is part of Ingot.
    pub fn of<R: ?Sized>(
        name: &str,
        plugins: &BTreeMap<String, Arc<dyn Prepare<R>>>,
        built_in: &BTreeMap<String, Arc<dyn Prepare<R>>>,
    ) -> Option<PluginOptions> {
        let schema = plugins.get(name)?.schema();
        let built_in = match is_of_program(&schema) {
            true => built_in.get(name).map(|plugin| plugin.schema()),
            false => None,
        };
        Some(PluginOptions { schema, built_in })
    }

    /// The options that name local files or directories which a block reads, with what they name: one
    /// entry for each name. An option of a nested block is `block.option`, and a flag in a command is
    /// `option --flag`. What is not known is left out.
    ///
    /// Built-in plugins [say so](Reads), also for installed plugins that take their place. Of options
    /// that they do not know, and of other plugins, the names decide: `script`, `…_file`,
    /// `…_directory` and the like. Of what programs are given, only files that exist count.
    pub fn local_files(&self, config: &Config) -> Vec<(String, String)> {
        let mut found = Vec::new();
        read_by_flags(config, &mut found);
        if !is_of_program(&self.schema) {
            read_in(&self.schema, config, &mut found);
            return found;
        }
        if let Some(built_in) = &self.built_in {
            read_in(built_in, config, &mut found);
        }
        let is_known = |name: &str| {
            self.built_in.as_ref().is_some_and(|built_in| built_in.get(name).is_some())
        };
        for (name, value) in config.values() {
            if looks_read(name) && !is_known(name) {
                collect(name, value, PATTERNS.contains(&name.as_str()), &mut found);
            }
        }
        found.retain(|(_, path)| Path::new(path).exists());
        found
    }
}

/// Whether options are those of a plugin that is a program of its own.
fn is_of_program(schema: &Schema) -> bool {
    schema.open || schema.renders_itself
}

/// Collects what the options in `config` name of what `schema` says is read.
fn read_in(schema: &Schema, config: &Config, found: &mut Vec<(String, String)>) {
    // The provisioner `file` writes to this machine then.
    if config.get("direction").and_then(OptionValue::as_str) != Some("download") {
        read_by(schema, &|name| config.get(name), "", found);
    }
}

/// Collects what `schema` says that the options in `get` name; `prefix` is the block they are in.
fn read_by<'v>(
    schema: &Schema,
    get: &dyn Fn(&str) -> Option<&'v OptionValue>,
    prefix: &str,
    found: &mut Vec<(String, String)>,
) {
    for option in &schema.options {
        let Some(value) = get(&option.name) else { continue };
        let name = format!("{prefix}{}", option.name);
        if let Some(reads) = option.reads {
            collect(&name, value, reads == Reads::Patterns, found);
        }
        let (OptionType::Block(inner) | OptionType::Blocks(inner)) = &option.ty else { continue };
        for entries in maps(value) {
            read_by(inner, &|name| entries.get(name), &format!("{name}."), found);
        }
    }
}

/// Collects what flags in `run_command`, which the builder `docker` takes, name.
fn read_by_flags(config: &Config, found: &mut Vec<(String, String)>) {
    let Some(OptionValue::List(words)) = config.get("run_command") else { return };
    let words: Vec<&str> = words.iter().filter_map(OptionValue::as_str).collect();
    for (index, word) in words.iter().enumerate() {
        for flag in FILE_FLAGS {
            let path = match word.strip_prefix(*flag) {
                Some("") => words.get(index + 1).copied(),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            found.extend(path.map(|path| (format!("run_command {flag}"), path.to_owned())));
        }
    }
}

/// Whether an option names what a plugin reads, as far as its name tells.
fn looks_read(name: &str) -> bool {
    let words = format!("_{name}_");
    let is_other = |word: &&str| words.contains(&format!("_{word}_"));
    ENDS.iter().any(|end| name.ends_with(end)) && !NOT_READ.iter().any(is_other)
}

/// The options of nested blocks: of one, or of several.
fn maps(value: &OptionValue) -> impl Iterator<Item = &BTreeMap<String, OptionValue>> {
    let blocks = match value {
        OptionValue::List(blocks) => blocks.as_slice(),
        block => std::slice::from_ref(block),
    };
    blocks.iter().filter_map(|block| match block {
        OptionValue::Map(entries) => Some(entries),
        _ => None,
    })
}

fn collect(option: &str, value: &OptionValue, patterns: bool, found: &mut Vec<(String, String)>) {
    match value {
        OptionValue::String(path) | OptionValue::Secret(path) if !path.is_empty() => {
            // As builders do, which take a pattern that nothing matches for nothing.
            let matches = match patterns && path.contains(['*', '?', '[']) {
                true => glob::find(path).unwrap_or_default(),
                false => Vec::new(),
            };
            if matches.is_empty() {
                found.push((option.to_owned(), path.clone()));
            }
            let matches = matches.into_iter();
            found.extend(matches.map(|path| (option.to_owned(), path.display().to_string())));
        }
        OptionValue::List(items) => {
            items.iter().for_each(|item| collect(option, item, patterns, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plugins::plugins;

    fn config(options: &[(&str, &str)]) -> Config {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OptionValue::String((*value).to_owned())));
        Config::new(options)
    }

    /// The schema of a plugin that is a program of its own.
    fn of_a_program() -> Schema {
        Schema { open: true, ..Schema::default() }
    }

    fn of(schema: Schema) -> PluginOptions {
        PluginOptions { schema, built_in: None }
    }

    fn names(schema: Schema, options: &[(&str, &str)]) -> Vec<String> {
        let found = of(schema).local_files(&config(options)).into_iter();
        found.map(|(option, _)| option).collect()
    }

    #[test]
    fn what_is_written_is_not_read() {
        let source = plugins().builders["file"].schema();
        assert_eq!(names(source, &[("source", "a"), ("target", "b")]), ["source"]);
        let file = plugins().provisioners["file"].schema();
        let upload = [("source", "a"), ("destination", "/etc/motd")];
        assert_eq!(names(file.clone(), &upload), ["source"]);
        let download = [("source", "/etc/motd"), ("direction", "download")];
        assert!(names(file, &download).is_empty());
    }

    #[test]
    fn flags_in_run_command_name_files() {
        let words =
            ["-d", "--env-file", "a.env", "--label-file=b", "-e", "A=--env-file=c", "image"];
        let words = words.map(|word| OptionValue::String(word.to_owned())).to_vec();
        let config = Config::new([("run_command".to_owned(), OptionValue::List(words))]);
        let found = of(plugins().builders["docker"].schema()).local_files(&config);
        let found: Vec<_> =
            found.iter().map(|(option, path)| (option.as_str(), path.as_str())).collect();
        let expected = [("run_command --env-file", "a.env"), ("run_command --label-file", "b")];
        assert_eq!(found, expected);
    }

    /// A new option that names a file has to say whether that is read.
    #[test]
    fn built_in_plugins_say_what_they_read() {
        let plugins = plugins();
        let builders = plugins.builders.iter().map(|(name, plugin)| (name, plugin.schema()));
        let provisioners =
            plugins.provisioners.iter().map(|(name, plugin)| (name, plugin.schema()));
        let post_processors =
            plugins.post_processors.iter().map(|(name, plugin)| (name, plugin.schema()));
        let (mut read, mut other) = (Vec::new(), Vec::new());
        for (plugin, schema) in builders.chain(provisioners).chain(post_processors) {
            collect_names(&schema, &format!("{plugin} "), &mut read, &mut other);
        }
        read.sort();
        other.sort();
        let mut expected = vec![
            "docker build.build_dir",
            "docker build.path",
            "file source",
            "file source",
            "file sources",
            "powershell script",
            "powershell scripts",
            "qemu cd_files",
            "qemu efi_firmware_code",
            "qemu efi_firmware_vars",
            "qemu floppy_dirs",
            "qemu floppy_files",
            "qemu http_directory",
            "shell script",
            "shell scripts",
            "shell-local script",
            "shell-local script",
            "shell-local scripts",
            "shell-local scripts",
            "vagrant include",
            "vagrant vagrantfile_template",
            "windows-shell script",
            "windows-shell scripts",
            "amazon-ebs user_data_file",
            "amazon-ebssurrogate user_data_file",
            "amazon-ebsvolume user_data_file",
        ];
        expected.sort_unstable();
        assert_eq!(read, expected);
        // What is on the machine or made by the build, who logs in, and what checks or describes what was
        // built.
        let mut expected = vec![
            "docker container_dir",
            "docker docker_path",
            "docker ssh_bastion_certificate_file",
            "docker ssh_certificate_file",
            "docker-import docker_path",
            "docker-push docker_path",
            "docker-save docker_path",
            "docker-tag docker_path",
            "hcp-sbom scan_path",
            "null ssh_bastion_certificate_file",
            "null ssh_certificate_file",
            "provenance sbom_scan_path",
            "provenance trusted_root_path",
            "qemu qmp_socket_path",
            "qemu ssh_bastion_certificate_file",
            "qemu ssh_certificate_file",
            "amazon-ami-management shared_credentials_file",
            "amazon-ebs shared_credentials_file",
            "amazon-ebs ssh_bastion_certificate_file",
            "amazon-ebs ssh_certificate_file",
            "amazon-ebssurrogate shared_credentials_file",
            "amazon-ebssurrogate ssh_bastion_certificate_file",
            "amazon-ebssurrogate ssh_certificate_file",
            "amazon-ebsvolume shared_credentials_file",
            "amazon-ebsvolume ssh_bastion_certificate_file",
            "amazon-ebsvolume ssh_certificate_file",
            "amazon-import shared_credentials_file",
        ];
        expected.sort_unstable();
        assert_eq!(other, expected, "mark with `reads` what of these is read");
    }

    /// The options that are marked, and others whose names look as if they should be.
    fn collect_names(
        schema: &Schema,
        prefix: &str,
        read: &mut Vec<String>,
        other: &mut Vec<String>,
    ) {
        for option in &schema.options {
            let name = format!("{prefix}{}", option.name);
            if let OptionType::Block(inner) | OptionType::Blocks(inner) = &option.ty {
                collect_names(inner, &format!("{name}."), read, other);
            }
            if option.reads.is_some() {
                read.push(name);
            } else if looks_read(&option.name)
                && !matches!(option.ty, OptionType::Bool | OptionType::Number)
            {
                other.push(name);
            }
        }
    }

    #[test]
    fn the_names_of_options_decide_for_other_plugins() {
        let here = file!();
        let there = std::path::Path::new(here).exists();
        let options = [("playbook_file", here), ("output_file", here), ("vars_file", "/nowhere/x")];
        let found = names(of_a_program(), &options);
        assert_eq!(found.len(), usize::from(there), "{found:?}");
    }

    #[test]
    fn names_that_tell_something_else_count_as_whole_words() {
        for name in ["group_vars", "minion_config", "config_template", "template_file"] {
            assert!(looks_read(name), "{name}");
        }
        for name in ["temp_dir", "log_file", "ssh_private_key_file", "environment_vars", "command"]
        {
            assert!(!looks_read(name), "{name}");
        }
    }

    /// What is read of the plugin that is installed in the place of a built-in post-processor or builder.
    fn read_by_installed(built_in: Schema, config: &Config) -> Vec<String> {
        let plugin = PluginOptions { schema: of_a_program(), built_in: Some(built_in) };
        plugin.local_files(config).into_iter().map(|(option, _)| option).collect()
    }

    #[test]
    fn built_in_plugins_say_what_programs_in_their_place_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let file = || OptionValue::String(file.display().to_string());
        let all = |names: &[&str]| -> BTreeMap<String, OptionValue> {
            names.iter().map(|name| ((*name).to_owned(), file())).collect()
        };
        let vagrant = plugins().post_processors["vagrant"].schema();
        let options = all(&["include", "vagrantfile_template", "output", "other_file"]);
        let gone = ("new_file".to_owned(), OptionValue::String("/nowhere/x".into()));
        let options = Config::new(options.into_iter().chain([gone]));
        assert_eq!(
            read_by_installed(vagrant, &options),
            ["include", "vagrantfile_template", "other_file"]
        );
        let build = OptionValue::Map(all(&["path", "build_dir", "target"]));
        for build in [build.clone(), OptionValue::List(vec![build])] {
            // The last looks as if it were read, and the built-in plugin knows better.
            let more = [("docker_path".to_owned(), file())];
            let config = Config::new([("build".to_owned(), build)].into_iter().chain(more));
            let docker = plugins().builders["docker"].schema();
            let mut found = read_by_installed(docker, &config);
            found.sort();
            assert_eq!(found, ["build.build_dir", "build.path"]);
        }
    }

    #[test]
    fn only_programs_are_looked_up_among_what_is_built_in() {
        let built_in = plugins();
        let of = |name: &str| {
            PluginOptions::of(name, &built_in.post_processors, &built_in.post_processors)
        };
        assert!(of("vagrant").is_some_and(|plugin| plugin.built_in.is_none()));
        assert!(of("nobody").is_none());
    }

    #[test]
    fn patterns_and_secret_paths_name_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["a.cfg", "b.cfg"] {
            std::fs::write(at(name), name).unwrap();
        }
        let files = OptionValue::List(vec![
            OptionValue::String(at("*.cfg")),
            OptionValue::String(at("*.none")),
        ]);
        let config = Config::new([("cd_files".to_owned(), files)]);
        let found = |schema: Schema| -> Vec<String> {
            of(schema).local_files(&config).into_iter().map(|(_, path)| path).collect()
        };
        let qemu = plugins().builders["qemu"].schema();
        assert_eq!(found(qemu), [at("a.cfg"), at("b.cfg"), at("*.none")]);
        assert_eq!(found(of_a_program()), [at("a.cfg"), at("b.cfg")]);
        let secret = Config::new([("source".to_owned(), OptionValue::Secret(at("a.cfg")))]);
        let file = plugins().provisioners["file"].schema();
        assert_eq!(of(file).local_files(&secret), [("source".to_owned(), at("a.cfg"))]);
    }
}
