//! Building with installed plugins, alone and together with what is built in.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::installed::installed;
use ingot_test_support::{
    docker, docker_template, eventually, output_of, require, signal, template,
};

fn assert_said(stdout: &str, lines: &[&str]) {
    for line in lines {
        assert!(stdout.contains(line), "{line}:\n{stdout}");
    }
}

#[test]
fn native_provisioners_and_post_processors_work_with_a_hosted_builder() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
  text      = "${source.name} {{ build_name }}"
}
build {
  name    = "b"
  sources = ["source.trial.t"]
  provisioner "shell" {
    inline           = ["echo from $PACKER_BUILDER_TYPE > made", "echo oops >&2"]
    remote_folder    = "."
    inline_shebang   = "/bin/sh -e"
  }
  provisioner "file" {
    source      = "t.pkr.hcl"
    destination = "copy"
  }
  provisioner "shell-local" {
    inline = ["echo ${build.ID} ${build.Answer} ${build.ConnType} > local"]
  }
  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "sums"
  }
  post-processor "manifest" {
    output = "manifest.json"
  }
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "-force", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_said(
        &run.stdout,
        &[
            "==> b.trial.t: options: {\"directory\":\"built\",\"text\":\"t {{ build_name }}\"}",
            "==> b.trial.t: facts: t trial debug=false force=true on-error=cleanup",
            "b.trial.t: oops",
            "A directory: built",
        ],
    );
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("built/made"), "from trial\n");
    assert_eq!(read("built/copy"), text);
    assert_eq!(read("local"), "trial-1 42 local\n");
    assert!(read("sums").contains("made"), "{}", read("sums"));
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(manifest["builds"][0]["artifact_id"], "built");
}

#[test]
fn hosted_provisioners_and_post_processors_work_with_native_docker() {
    let plugins = require!(installed());
    require!(docker());
    let steps = r#"
  provisioner "trial" {
    run       = ["hostname", "echo for the log >&2"]
    stream    = true
    copy      = "t.pkr.hcl"
    directory = "tree"
    text      = build.ConnType
  }
  provisioner "shell" {
    inline = ["test -f /tmp/trial-copy", "cat /tmp/trial-there/f"]
  }
  post-processor "trial" {
    state  = ["generated_data"]
    keep   = true
    output = "out"
  }
"#;
    let dir = template(&docker_template("commit = true", steps));
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    std::fs::write(dir.path().join("tree/f"), "in the tree").unwrap();
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_said(
        &run.stdout,
        &[
            "\"text\":\"docker\"",
            "for the log",
            "got one",
            "got two",
            "the same: true, and \"plain\"",
            "came back: /trial-there/f",
            "in the tree",
            "artifact sha256:",
            "of packer.post-processor.docker-import: Imported Docker image: sha256:",
            "ConnType:docker",
        ],
    );
    let id = std::fs::read_to_string(dir.path().join("out/list")).unwrap();
    output_of("docker", &["rmi", id.trim()]);
}

#[test]
fn plugins_know_that_there_is_no_http_server() {
    let plugins = require!(installed());
    let text = r#"
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["source.null.n"]
  provisioner "trial" {}
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_said(
        &run.stdout,
        &["PackerHTTPAddr = ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER (string)"],
    );
}

#[test]
fn values_of_sensitive_variables_are_hidden_in_what_plugins_print() {
    let plugins = require!(installed());
    let text = r#"
variable "password" {
  default   = "hunter22"
  sensitive = true
}
source "trial" "t" {
  directory = "built"
  text      = var.password
}
build {
  sources = ["source.trial.t"]
}
"#;
    let dir = template(text);
    let run = plugins.ingot_with(dir.path(), &["build", "."], &[("PACKER_LOG", "1")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("\"text\":\"<sensitive>\""), "{}", run.stdout);
    assert!(!run.stdout.contains("hunter22") && !run.stderr.contains("hunter22"));
    // Its log lines are in the log, with its name.
    assert!(run.stderr.contains("packer-plugin-trial plugin: "), "{}", run.stderr);
}

#[test]
fn machine_readable_lines_of_plugins_name_the_build() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {}
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "-machine-readable", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stdout.contains(",trial.t,trial-fact,one,two%!(PACKER_COMMA)three"),
        "{}",
        run.stdout
    );
}

#[test]
fn retries_timeouts_and_failures_are_those_of_native_plugins() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
}
source "file" "f" {
  content = "other builds go on"
  target  = "other"
}
build {
  sources = ["source.trial.t", "source.file.f"]
  provisioner "trial" {
    only        = ["trial.t"]
    run         = ["echo once more >> tries; test $(wc -l < tries) = 3"]
    max_retries = 2
  }
  provisioner "trial" {
    only    = ["trial.t"]
    slowly  = true
    timeout = "1s"
  }
  error-cleanup-provisioner "trial" {
    run = ["echo cleaning up after >> ../cleaned"]
  }
}
"#;
    let dir = template(text);
    let before = Instant::now();
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(before.elapsed() < Duration::from_secs(60));
    assert_said(
        &run.stdout,
        &[
            "retrying with 1 trie(s) left",
            "Cancelling provisioner after a timeout...",
            "stopped by cancellation",
            "removing built",
            "did not finish within its timeout of 1s",
        ],
    );
    assert!(dir.path().join("other").exists());
    assert!(dir.path().join("cleaned").exists());
    assert!(!dir.path().join("built").exists());
}

#[test]
fn a_provisioner_that_was_killed_is_started_again_for_the_next_try() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {
    fail        = "kill once"
    max_retries = 1
  }
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_said(&run.stdout, &["ended by signal 9 while provisioning", "with 1 trie(s) left"]);
}

#[test]
fn a_plugin_that_dies_fails_its_build_alone() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
  fail      = "crash"
}
source "file" "f" {
  content = "other builds go on"
  target  = "other"
}
build {
  sources = ["source.trial.t", "source.file.f"]
}
"#;
    let dir = template(text);
    let run = plugins.ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_said(
        &run.stdout,
        &[
            "Build 'trial.t' errored",
            "the plugin packer-plugin-trial failed: it ended with exit code 2 while building",
            "panic: crashing on purpose",
            "help: what packer-plugin-trial had created may be left: look for it, as `ingot cleanup`",
            "Build 'file.f' finished",
        ],
    );
    assert!(dir.path().join("other").exists());
}

#[test]
fn an_interrupted_build_lets_the_plugin_remove_what_it_created() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
  slowly    = true
}
build {
  sources = ["source.trial.t"]
}
"#;
    let dir = template(text);
    let child = plugins
        .command(dir.path(), &["build", "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the build starts", || dir.path().join("built").exists());
    std::thread::sleep(Duration::from_millis(300));
    signal("INT", child.id());
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert_said(&stdout, &["removing built", "Cleanly cancelled builds after being interrupted."]);
    assert!(!dir.path().join("built").exists());
    assert!(!any_plugin_runs(plugins.directory()));
}

pub(crate) const FAILING: &str = r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {
    run = ["exit 3"]
  }
  error-cleanup-provisioner "trial" {
    run = ["echo cleaning up > ../cleaned"]
  }
}
"#;

#[test]
fn what_a_failed_build_leaves_is_up_to_on_error() {
    let plugins = require!(installed());
    // What is left: the directory, and what the error-cleanup-provisioner wrote.
    for (flag, directory, cleaned) in [
        ("cleanup", false, true),
        ("abort", true, false),
        ("run-cleanup-provisioner", true, true),
        // Nobody is there to ask.
        ("ask", false, true),
    ] {
        let dir = template(FAILING);
        let on_error = format!("-on-error={flag}");
        let run = plugins.ingot(dir.path(), &["build", &on_error, "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stdout.contains("ended with 3"), "{}", run.stdout);
        assert_eq!(dir.path().join("built").exists(), directory, "{flag}: {}", run.stdout);
        assert_eq!(dir.path().join("cleaned").exists(), cleaned, "{flag}: {}", run.stdout);
        // The plugin says so itself, as the builders of Packer's plugins do.
        let said = "Provisioning step had errors: Running the cleanup provisioner, if present...";
        let times = usize::from(cleaned);
        assert_eq!(run.stdout.matches(said).count(), times, "{flag}: {}", run.stdout);
        assert!(!any_plugin_runs(plugins.directory()));
    }
}

#[test]
fn a_plugin_has_no_way_back_to_a_machine_that_was_kept() {
    let plugins = require!(installed());
    let dir = template(FAILING);
    let failed = plugins.ingot(dir.path(), &["build", "-on-error=keep", "."]);
    assert_eq!(failed.code, Some(1), "{}", failed.stdout);
    // As with abort.
    assert!(dir.path().join("built").exists(), "{}", failed.stdout);
    let told = "Packer's plugin protocol has no way back to it: -resume cannot go on with it";
    assert!(failed.stdout.contains(told), "{}", failed.stdout);
    let resumed = plugins.ingot(dir.path(), &["build", "-resume", "."]);
    assert_eq!(resumed.code, Some(1), "{}", resumed.stdout);
    let said = resumed.stdout + &resumed.stderr;
    assert!(
        said.contains("is a plugin's program, and Packer's plugin protocol has no way"),
        "{said}"
    );
    assert!(said.contains("remove what it left by hand, and build without -resume"), "{said}");
}

#[test]
fn what_plugins_of_a_killed_run_have_running_ends_with_the_next_run() {
    let plugins = require!(installed());
    let text = r#"
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
  provisioner "trial" {
    fail   = "child"
    slowly = true
  }
}
"#;
    let dir = template(text);
    let output = std::fs::File::create(dir.path().join("output")).unwrap();
    let mut child = plugins.command(dir.path(), &["build", "."]).stdout(output).spawn().unwrap();
    eventually("the build starts", || {
        let said = std::fs::read_to_string(dir.path().join("output")).unwrap();
        if said.contains("waiting to be cancelled") { Ok(()) } else { Err(said) }
    });
    assert!(any_plugin_runs(plugins.directory()) && child_runs(dir.path()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(child_runs(dir.path()));
    let other = template(ingot_test_support::NULL);
    let run = plugins.ingot(other.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(!child_runs(dir.path()), "{}", run.stdout);
    assert!(!any_plugin_runs(plugins.directory()), "{}", run.stdout);
    assert_said(
        &run.stdout,
        &["Warning: What packer-plugin-trial created may be left: look for it"],
    );
    let listed = plugins.ingot(other.path(), &["cleanup", "-list", "-json"]);
    assert!(!listed.stdout.contains("plugin-processes"), "{}", listed.stdout);
}

/// Whether what the plugin starts as a child runs in a directory.
fn child_runs(directory: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.map(|process| process.path()).any(|path| {
        std::fs::read(path.join("cmdline")).is_ok_and(|line| line == b"sleep\x00987654\x00")
            && std::fs::read_link(path.join("cwd")).is_ok_and(|found| found == directory)
    })
}

/// Whether a program in this plugin directory still runs.
pub(crate) fn any_plugin_runs(directory: &Path) -> bool {
    let listed = Command::new("ps").args(["-eo", "args"]).output();
    listed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).contains(&directory.display().to_string())
    })
}

#[test]
fn images_of_plugins_are_published_with_what_they_say_of_them() {
    let plugins = require!(installed());
    let text = r#"
hcp_packer_registry {
  bucket_name  = "hosted"
  build_labels = { stage = "test" }
}
source "trial" "t" {
  directory = "built"
}
build {
  sources = ["source.trial.t"]
}
"#;
    let dir = template(text);
    let data = dir.path().join("data");
    let env = [("INGOT_REGISTRY", "local"), ("INGOT_DATA_DIR", data.to_str().unwrap())];
    let run = plugins.ingot_with(dir.path(), &["build", "."], &env);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_said(&run.stdout, &["--> trial.t: Published metadata to local registry packer/hosted"]);
    let list = ["registry", "versions", "list", "hosted", "-json"];
    let list = plugins.ingot_with(dir.path(), &list, &env);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let build = &list[0]["builds"][0];
    assert_eq!(build["status"], "BUILD_DONE");
    assert_eq!(build["platform"], "trial");
    assert_eq!(build["artifacts"][0]["external_identifier"], "built");
    assert_eq!(build["artifacts"][0]["region"], "here");
    assert_eq!(build["source_external_identifier"], "trial-0");
    assert_eq!(build["labels"], serde_json::json!({"kind": "test", "stage": "test"}));
}
