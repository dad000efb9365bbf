//! `ingot plugins`

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::installed::installed;
use crate::release_server::program_of;
use ingot_sdk::Platform;
use ingot_test_support::trial_plugin::program;
use ingot_test_support::{Run, ingot_command, require, template};

struct Plugins {
    directory: tempfile::TempDir,
}

impl Plugins {
    fn path(&self, version: &str) -> String {
        let name = format!("packer-plugin-trial_v{version}_x5.0_{}", Platform::current());
        self.directory.path().join("github.com/acme/trial").join(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = ingot_command()
            .args(args)
            .env("PACKER_PLUGIN_PATH", self.directory.path())
            .env("XDG_CACHE_HOME", self.directory.path().join("cache"))
            .env("INGOT_STATE_DIR", self.directory.path().join("state"))
            // Nothing is to be asked for.
            .env("INGOT_PLUGIN_GITHUB_API_URL", "http://127.0.0.1:1")
            .envs(env.iter().copied())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed; what it printed.
    fn said(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    }

    /// Runs a command that must fail; what it printed.
    fn refused(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(1), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout + &run.stderr
    }
}

/// An empty plugin directory, and the program; none where that cannot be built.
fn plugins() -> Option<(Plugins, &'static Path)> {
    let program = program()?;
    Some((Plugins { directory: tempfile::tempdir().unwrap() }, program))
}

const ACME: &str = "github.com/acme/trial";

#[test]
fn a_program_is_installed_listed_described_and_removed() {
    let (plugins, program) = require!(plugins());
    let file = program.display().to_string();
    assert_eq!(plugins.said(&["plugins", "installed"]), "");
    let said = plugins.said(&["plugins", "install", "-path", &file, ACME]);
    let one = plugins.path("1.0.0");
    assert_eq!(said, format!("Successfully installed plugin {ACME} from {file} to {one}\n"));
    // The plugin takes its version from its name.
    let elsewhere = tempfile::tempdir().unwrap();
    let newer = elsewhere.path().join("packer-plugin-trial_v1.1.0-dev");
    std::fs::write(&newer, program_of("1.1.0-dev")).unwrap();
    std::fs::set_permissions(&newer, PermissionsExt::from_mode(0o755)).unwrap();
    plugins.said(&["plugins", "install", "--path", newer.to_str().unwrap(), ACME]);
    let two = plugins.path("1.1.0-dev");
    assert_eq!(plugins.said(&["plugins", "installed"]), format!("{one}\n{two}\n"));
    for args in [
        ["plugins", "installed", "-machine-readable"],
        ["plugins", "-machine-readable", "installed"],
        ["-machine-readable", "plugins", "installed"],
    ] {
        let said = plugins.said(&args);
        let lines: Vec<&str> = said.lines().map(|line| line.split_once(',').unwrap().1).collect();
        assert_eq!(lines, [format!(",ui,message,{one}"), format!(",ui,message,{two}")]);
    }
    let described = plugins.said(&["plugins", "describe", "trial", "-json"]);
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described[0]["version"], "1.0.0");
    assert_eq!(described[1]["components"]["data_sources"][0], "trial-facts");
    assert!(plugins.said(&["plugins", "describe"]).contains("provisioners:    trial\n"));
    let message = plugins.refused(&["plugins", "describe", "nothing"]);
    assert!(message.contains("nothing is not installed"), "{message}");

    let dir = template(&format!(
        "packer {{\n  required_plugins {{\n    trial = {{\n      source = \"{ACME}\"\n      version = \
         \">= 1.0, <2\"\n    }}\n    other = {{\n      source = \"github.com/acme/other\"\n      \
         version = \"1.2.3\"\n    }}\n  }}\n}}\n"
    ));
    let path = dir.path().to_str().unwrap();
    assert_eq!(
        plugins.said(&["plugins", "required", path]),
        format!("trial {ACME} \">= 1.0, <2\" {one} {two}\nother github.com/acme/other \"1.2.3\"\n")
    );

    assert!(plugins.refused(&["plugins", "remove", ACME, ">= 5"]).contains(
        "No installed plugin found matching the plugin constraints github.com/acme/trial >= 5"
    ));
    // A pre-release counts as what it comes before.
    assert_eq!(plugins.said(&["plugins", "remove", ACME, "> 1.0.0"]), format!("{two}\n"));
    let outside = format!("{}/github.com/../../x", plugins.directory.path().display());
    let message = plugins.refused(&["plugins", "remove", &outside]);
    assert!(message.contains("is not below the plugin directory"), "{message}");
    assert_eq!(plugins.said(&["plugins", "remove", &one]), format!("{one}\n"));
    assert!(!Path::new(&one).exists() && !Path::new(&format!("{one}_SHA256SUM")).exists());
    assert_eq!(plugins.said(&["plugins", "installed"]), "");
}

#[test]
fn what_is_built_in_is_described() {
    let plugins = Plugins { directory: tempfile::tempdir().unwrap() };
    for name in ["docker", "github.com/hashicorp/docker", "docker-tag"] {
        let said = plugins.said(&["plugins", "describe", name]);
        let title = said.lines().next().unwrap_or_default();
        assert!(title.starts_with("github.com/hashicorp/docker v"), "{name}: {said}");
        assert!(title.ends_with(", built in"), "{name}: {said}");
        for line in [
            "  sources:         docker\n",
            "  post-processors: docker-import, docker-push, docker-save, docker-tag\n",
            "/docs/reference\n",
        ] {
            assert!(said.contains(line), "{name}: {said}");
        }
    }
    // One of no plugin.
    let said = plugins.said(&["plugins", "describe", "powershell"]);
    assert!(said.starts_with("powershell, built in\n  provisioners:    powershell\n"), "{said}");
    let described = plugins.said(&["plugins", "describe", "qemu", "-json"]);
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described[0]["built_in"], true, "{described:#}");
    assert_eq!(described[0]["components"]["sources"][0], "qemu", "{described:#}");
    let message = plugins.refused(&["plugins", "describe", "docker-no"]);
    assert!(message.contains("docker-no is not installed"), "{message}");
}

#[test]
fn build_metadata_of_a_version_does_not_count() {
    let (plugins, program) = require!(plugins());
    let file = program.display().to_string();
    let env = [("TRIAL_VERSION", "1.0.0+abc")];
    let run = plugins.run_with(&["plugins", "install", "-path", &file, ACME], &env);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = plugins.run_with(&["plugins", "installed"], &env);
    assert_eq!(run.stdout, format!("{}\n", plugins.path("1.0.0")), "{}", run.stderr);
}

#[test]
fn a_version_beside_a_program_has_no_effect() {
    let (plugins, program) = require!(plugins());
    let file = program.display().to_string();
    let said = plugins.said(&["plugins", "install", "-path", &file, ACME, "2.0.0"]);
    assert!(said.contains("warning: the version \"2.0.0\" has no effect"), "{said}");
    assert!(said.contains("Successfully installed plugin"), "{said}");
    assert!(Path::new(&plugins.path("1.0.0")).exists(), "{said}");
}

#[test]
fn without_home_the_user_s_entry_says_where_plugins_are() {
    let (plugins, program) = require!(plugins());
    let entry = ingot_test_support::output_of("sh", &["-c", "getent passwd $(id -u)"]);
    let home = entry.trim().split(':').nth(5).unwrap().to_owned();
    if Path::new(&home).join(".packer.d").exists() {
        println!("skipped: there is a .packer.d in {home}");
        return;
    }
    let mut command = ingot_command();
    command.args(["plugins", "install", "-path", program.to_str().unwrap(), "a.example/b/trial"]);
    command.env_remove("PACKER_PLUGIN_PATH").env_remove("PACKER_CONFIG_DIR").env_remove("HOME");
    // Nothing is written to the real one.
    command.env("XDG_CONFIG_HOME", plugins.directory.path());
    command.env("XDG_CACHE_HOME", plugins.directory.path().join("cache"));
    command.env("INGOT_STATE_DIR", plugins.directory.path().join("state"));
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let place = plugins.directory.path().join("packer/plugins/a.example/b/trial");
    assert!(said.contains(&format!("to {}", place.display())), "{said}");
}

#[test]
fn what_is_no_plugin_is_not_installed() {
    let (plugins, program) = require!(plugins());
    let file = program.display().to_string();
    let install =
        |path: &str, source: &str| plugins.refused(&["plugins", "install", "-path", path, source]);
    assert!(install("/bin/false", ACME).contains("installing /"));
    assert!(install("/bin/echo", ACME).contains("invalid message from it"));
    assert!(install("/nowhere", ACME).contains("/nowhere"));
    assert!(install("/", ACME).contains("it is a directory, not a program"));
    for source in ["github.com/acme", "acme", "github.com/../trial", "github.com/acme/"] {
        let message = install(&file, source);
        assert!(message.contains("is not the source of a plugin"), "{message}");
    }
    let message = install(&file, "github.com/acme/packer-plugin-trial");
    assert!(message.contains("did you mean github.com/acme/trial?"), "{message}");
    let run = plugins.run_with(
        &["plugins", "install", "-path", &file, ACME],
        &[("TRIAL_VERSION", "1.0.0-beta1")],
    );
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("1.0.0-beta1"), "{}", run.stdout);
    let message = plugins.refused(&["plugins", "install", ACME, "1.0.0-dev"]);
    assert!(message.contains("Unsupported prerelease for constraint \"1.0.0-dev\""), "{message}");
    let message = plugins.refused(&["plugins", "install", ACME, ">=x"]);
    assert!(message.contains("malformed constraint: >=x"), "{message}");
    let message = plugins.refused(&["plugins", "install", ACME]);
    assert!(message.contains("127.0.0.1:1"), "{message}");
    assert_eq!(plugins.said(&["plugins", "installed"]), "");
    for args in [&["plugins"][..], &["plugins", "bogus"], &["plugins", "install"]] {
        let message = plugins.refused(args);
        assert!(message.contains("Usage") || message.contains("unrecognized"), "{message}");
    }
}

#[test]
fn the_log_says_why_a_program_is_left_out() {
    let plugins = require!(installed());
    plugins.set_checksum("0000");
    let dir = template("");
    let run = plugins.ingot_with(dir.path(), &["plugins", "installed"], &[("PACKER_LOG", "1")]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert!(run.stderr.contains("its checksum is another one"), "{}", run.stderr);
}
