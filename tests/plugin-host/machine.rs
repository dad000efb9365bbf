//! A machine that plugins are installed on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release_server::{
    ReleaseServer, Response, github_path, github_zip, program_name, program_of, sha256, zip_of,
};
use ingot_sdk::Platform;
use ingot_test_support::trial_plugin::program;
use ingot_test_support::{Run, ingot_command, template};

/// A machine without plugins, and a server with releases.
pub(crate) struct Machine {
    pub server: ReleaseServer,
    pub home: tempfile::TempDir,
    pub dir: tempfile::TempDir,
}

/// Requires `source` and uses its builder.
pub(crate) fn requiring(source: &str, version: &str) -> String {
    format!(
        "packer {{\n  required_plugins {{\n    trial = {{\n      source  = \"{source}\"\n      \
         version = \"{version}\"\n    }}\n  }}\n}}\nsource \"trial\" \"t\" {{\n  directory = \
         \"/x\"\n}}\nbuild {{\n  sources = [\"source.trial.t\"]\n}}\n"
    )
}

pub(crate) const ACME: &str = "github.com/acme/trial";

/// A machine with a template that requires `source` in `version`; none where the plugin cannot be
/// built.
pub(crate) fn machine(source: &str, version: &str) -> Option<Machine> {
    program()?;
    let home = tempfile::tempdir().unwrap();
    Some(Machine {
        server: ReleaseServer::start(),
        home,
        dir: template(&requiring(source, version)),
    })
}

impl Machine {
    pub(crate) fn plugins(&self) -> PathBuf {
        self.home.path().join("plugins")
    }

    /// Where the plugin of `source` is installed.
    pub(crate) fn installed(&self, source: &str, version: &str) -> PathBuf {
        self.plugins().join(source).join(program_name(version))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = ingot_command();
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("HOME", self.home.path())
            .env("PACKER_PLUGIN_PATH", self.plugins())
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("INGOT_STATE_DIR", self.home.path().join("state"))
            .env("INGOT_PLUGIN_GITHUB_URL", &self.server.url)
            .env("INGOT_PLUGIN_GITHUB_API_URL", &self.server.url)
            .env("INGOT_PLUGIN_RELEASES_URL", &self.server.url)
            .env_remove("PACKER_GITHUB_API_TOKEN");
        command
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = self.command(args).envs(env.iter().copied()).output().unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    /// Runs `ingot init .`, which must succeed.
    pub(crate) fn init(&self, flags: &[&str]) -> String {
        let run = self.run(&[&["init"], flags, &["."]].concat());
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        run.stdout
    }

    /// Runs `ingot init .`, which must fail, install nothing and leave nothing.
    pub(crate) fn init_fails(&self, flags: &[&str], env: &[(&str, &str)]) -> String {
        let before = self.programs();
        let run = self.run_with(&[&["init"], flags, &["."]].concat(), env);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("Failed getting the"), "{}", run.stdout);
        assert_eq!(self.programs(), before);
        run.stdout
    }

    /// What is in the plugin's directory.
    pub(crate) fn programs(&self) -> Vec<String> {
        let mut found = Vec::new();
        for source in [ACME, "github.com/hashicorp/trial"] {
            let Ok(entries) = std::fs::read_dir(self.plugins().join(source)) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
            found.extend(names.filter(|name| name.starts_with("packer-plugin-")));
        }
        found.sort();
        found
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.dir.path().join(".ingot.lock.hcl")
    }

    /// Writes a lock file of version 1.0.0 with hashes for this machine: of `archives` or `programs`.
    pub(crate) fn lock(&self, name: &str, hash: &str) {
        let hashes = format!("{name} = {{ {} = \"sha256:{hash}\" }}", Platform::current());
        let text = format!("plugin \"{ACME}\" {{\n  version = \"1.0.0\"\n  {hashes}\n}}\n");
        std::fs::write(self.lock_file(), text).unwrap();
    }

    /// What the tampered program writes when it runs.
    pub(crate) fn marker(&self) -> PathBuf {
        self.home.path().join("it-ran")
    }

    /// A program that is not the plugin.
    pub(crate) fn tampered(&self) -> Vec<u8> {
        format!("#!/bin/sh\necho ran > '{}'\nexit 3\n", self.marker().display()).into_bytes()
    }

    /// Changes the release 1.0.0 on GitHub: the tampered program is in its archive.
    pub(crate) fn tamper(&self) {
        let changed = zip_of(&[(&program_name("1.0.0"), &self.tampered())], false);
        let sums = format!("{}  {}\n", sha256(&changed), github_zip("1.0.0"));
        self.server.put(&self.sums("1.0.0"), Response::ok(sums));
        self.server.put(&self.zip("1.0.0"), Response::ok(changed));
    }

    pub(crate) fn zip(&self, version: &str) -> String {
        github_path(version, &github_zip(version))
    }

    pub(crate) fn sums(&self, version: &str) -> String {
        github_path(version, &format!("packer-plugin-trial_v{version}_SHA256SUMS"))
    }
}

pub(crate) fn assert_whole(path: &Path, version: &str) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes == program_of(version), "{} is not the program", path.display());
    let sum = std::fs::read_to_string(format!("{}_SHA256SUM", path.display())).unwrap();
    assert_eq!(sum, sha256(&bytes));
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
