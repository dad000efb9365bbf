//! Which options of a block name local files that it reads.

use std::path::PathBuf;

use ingot_sdk::{Config, OptionValue, glob};

use super::BlockKind;

/// What plugins that are built in read, by their kind and name. What they write is not among it, nor
/// are private keys, nor media whose checksum is an option.
const READ: &[(BlockKind, &str, &[&str])] = &[
    (BlockKind::Source, "file", &["source"]),
    (BlockKind::Source, "null", &[]),
    (BlockKind::Source, "docker", &["build.path", "build.build_dir"]),
    (
        BlockKind::Source,
        "qemu",
        &[
            "floppy_files",
            "floppy_dirs",
            "cd_files",
            "http_directory",
            "efi_firmware_code",
            "efi_firmware_vars",
        ],
    ),
    (BlockKind::Source, "amazon-ebs", &["user_data_file"]),
    (BlockKind::Source, "amazon-ebssurrogate", &["user_data_file"]),
    (BlockKind::Source, "amazon-ebsvolume", &["user_data_file"]),
    (BlockKind::Provisioner, "shell", SCRIPTS),
    (BlockKind::Provisioner, "shell-local", SCRIPTS),
    (BlockKind::Provisioner, "powershell", SCRIPTS),
    (BlockKind::Provisioner, "windows-shell", SCRIPTS),
    (BlockKind::Provisioner, "file", &["source", "sources"]),
    (BlockKind::Provisioner, "hcp-sbom", &[]),
    (BlockKind::Provisioner, "breakpoint", &[]),
    (BlockKind::Provisioner, "sleep", &[]),
    (BlockKind::Provisioner, "windows-restart", &[]),
    (BlockKind::PostProcessor, "shell-local", SCRIPTS),
    (BlockKind::PostProcessor, "vagrant", &["include", "vagrantfile_template"]),
    (BlockKind::PostProcessor, "artifice", &[]),
    (BlockKind::PostProcessor, "checksum", &[]),
    (BlockKind::PostProcessor, "compress", &[]),
    (BlockKind::PostProcessor, "manifest", &[]),
    (BlockKind::PostProcessor, "provenance", &[]),
    (BlockKind::PostProcessor, "docker-tag", &[]),
    (BlockKind::PostProcessor, "docker-save", &[]),
    (BlockKind::PostProcessor, "docker-push", &[]),
    (BlockKind::PostProcessor, "docker-import", &[]),
];

/// Options whose paths may be patterns: of all builders that make media for a machine.
const PATTERNS: &[&str] = &["cd_files", "floppy_files"];

const SCRIPTS: &[&str] = &["script", "scripts"];

/// How options are called that name what other plugins read.
const ENDS: &[&str] =
    &["script", "scripts", "_file", "_files", "_dir", "_dirs", "_directory", "_path", "_paths"];
/// Parts of names of options that name something else.
const NOT_READ: &[&str] = &[
    "output",
    "remote",
    "target",
    "staging",
    "dest",
    "private_key",
    "password",
    "vault",
    "log",
    "execute",
    "guest",
    "cache",
    "temp",
    "tmp",
    "export",
];

/// The options that name local files or directories which a block reads, with what they name: one
/// entry for each name. An option of a nested block is `block.option`. What is not known is left out.
///
/// Of plugins that are not built in it is told by the names of their options: `script`, `…_file`,
/// `…_directory` and the like, and only what is there counts.
pub fn local_files(kind: BlockKind, plugin: &str, config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let known = READ.iter().find(|(of, name, _)| *of == kind && *name == plugin);
    if let Some((_, _, options)) = known {
        let direction = config.get("direction").and_then(OptionValue::as_str);
        if kind == BlockKind::Provisioner && plugin == "file" && direction == Some("download") {
            return found;
        }
        for option in *options {
            let mut parts = option.split('.');
            let first = parts.next().and_then(|name| config.get(name));
            let value = parts.fold(first, |value, name| match value {
                Some(OptionValue::Map(entries)) => entries.get(name),
                _ => None,
            });
            collect(option, value, &mut found);
        }
        return found;
    }
    for (name, value) in config.values() {
        let reads = ENDS.iter().any(|end| name.ends_with(end))
            && !NOT_READ.iter().any(|part| name.contains(part));
        if reads {
            collect(name, Some(value), &mut found);
        }
    }
    found.retain(|(_, path)| PathBuf::from(path).exists());
    found
}

fn collect(option: &str, value: Option<&OptionValue>, found: &mut Vec<(String, String)>) {
    match value {
        Some(OptionValue::String(path) | OptionValue::Secret(path)) if !path.is_empty() => {
            // As builders do, which take a pattern that nothing matches for nothing.
            let matches = match PATTERNS.contains(&option) && path.contains(['*', '?', '[']) {
                true => glob::find(path).unwrap_or_default(),
                false => Vec::new(),
            };
            if matches.is_empty() {
                found.push((option.to_owned(), path.clone()));
            }
            let matches = matches.into_iter();
            found.extend(matches.map(|path| (option.to_owned(), path.display().to_string())));
        }
        Some(OptionValue::List(items)) => {
            items.iter().for_each(|item| collect(option, Some(item), found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> Config {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OptionValue::String((*value).to_owned())));
        Config::new(options)
    }

    #[test]
    fn what_is_written_is_not_read() {
        let names = |kind, plugin: &str, options: &[(&str, &str)]| -> Vec<String> {
            let found = local_files(kind, plugin, &config(options));
            found.into_iter().map(|(option, _)| option).collect()
        };
        let file = [("source", "a"), ("target", "b")];
        assert_eq!(names(BlockKind::Source, "file", &file), ["source"]);
        let upload = [("source", "a"), ("destination", "/etc/motd")];
        assert_eq!(names(BlockKind::Provisioner, "file", &upload), ["source"]);
        let download = [("source", "/etc/motd"), ("direction", "download")];
        assert!(names(BlockKind::Provisioner, "file", &download).is_empty());
    }

    #[test]
    fn of_other_plugins_the_names_tell() {
        let here = file!();
        let there = std::path::Path::new(here).exists();
        let options = [("playbook_file", here), ("output_file", here), ("vars_file", "/nowhere/x")];
        let found = local_files(BlockKind::Provisioner, "ansible", &config(&options));
        assert_eq!(found.len(), usize::from(there), "{found:?}");
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
        let found = |kind, plugin| -> Vec<String> {
            local_files(kind, plugin, &config).into_iter().map(|(_, path)| path).collect()
        };
        assert_eq!(found(BlockKind::Source, "qemu"), [at("a.cfg"), at("b.cfg"), at("*.none")]);
        assert_eq!(found(BlockKind::Source, "virtualbox-iso"), [at("a.cfg"), at("b.cfg")]);
        let secret = Config::new([("source".to_owned(), OptionValue::Secret(at("a.cfg")))]);
        let found = local_files(BlockKind::Provisioner, "file", &secret);
        assert_eq!(found, [("source".to_owned(), at("a.cfg"))]);
    }
}
