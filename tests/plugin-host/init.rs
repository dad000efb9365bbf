//! `ingot init`: plugins from servers, mirrors and directories, and what can go wrong on the way.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::installed::put_program;
use crate::machine::{ACME, assert_whole, machine, requiring};
use crate::release_server::{
    How, Response, archive, github_zip, program_name, program_of, sha256, zip_of,
};
use ingot_sdk::Platform;
use ingot_test_support::{eventually, require};

#[test]
fn the_newest_release_that_will_do_is_installed_from_github() {
    let machine = require!(machine(ACME, ">= 1.0, < 2"));
    machine.server.github(&["1.0.0", "1.10.0", "1.9.0", "1.11.0-beta1", "2.0.0"]);
    let path = machine.installed(ACME, "1.10.0");
    let said = machine.init(&[]);
    assert_eq!(
        said.lines().last(),
        Some(format!("Installed plugin {ACME} v1.10.0 in \"{}\"", path.display()).as_str()),
        "{said}"
    );
    assert_whole(&path, "1.10.0");
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    for part in ["version = \"1.10.0\"", "darwin_arm64", &sha256(&archive("1.10.0"))] {
        assert!(lock.contains(part), "{part}: {lock}");
    }
    let run = machine.run(&["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    machine.server.asked();
    // It is installed: no server is asked, no output, the lock file stays as it is.
    assert_eq!(machine.init(&[]), "");
    assert_eq!(machine.server.asked(), Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(machine.lock_file()).unwrap(), lock);
    // A program that is not what was installed is installed again.
    std::fs::write(&path, "broken").unwrap();
    assert!(machine.init(&[]).contains("Installed plugin"));
    assert_whole(&path, "1.10.0");
}

#[test]
fn hashicorp_s_plugins_come_from_the_releases_server_and_else_from_github() {
    let source = "github.com/hashicorp/trial";
    let machine = require!(machine(source, "~> 1.0"));
    machine.server.releases(&["1.0.0", "1.2.0"]);
    assert!(machine.init(&[]).contains("v1.2.0"));
    assert_whole(&machine.installed(source, "1.2.0"), "1.2.0");
    let asked = machine.server.asked();
    assert!(asked.iter().all(|path| path.starts_with("/packer-plugin-trial/")), "{asked:?}");
    // The releases server is away.
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    machine.server.put("/packer-plugin-trial/index.json", Response::status(404, &[]));
    machine.server.github(&["1.2.0"]);
    let message = machine.init_fails(&["-upgrade"], &[]);
    assert!(message.contains("hashicorp/packer-plugin-trial"), "{message}");
    assert!(
        machine
            .server
            .asked()
            .contains(&"/repos/hashicorp/packer-plugin-trial/git/matching-refs/tags".to_owned())
    );
}

#[test]
fn a_wrong_checksum_installs_nothing() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let other = zip_of(&[(&program_name("1.0.0"), b"something else")], false);
    machine.server.put(&machine.zip("1.0.0"), Response::ok(other.clone()));
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("wrong checksum") && message.contains(&sha256(&other)), "{message}");
    assert!(message.contains("t.pkr.hcl:5:"), "{message}");
    assert!(!machine.lock_file().exists());
    // Mended on the server, the next run does not go on with what it had.
    machine.server.github(&["1.0.0"]);
    machine.init(&[]);
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
}

#[test]
fn a_download_that_breaks_off_goes_on() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.server.change(&machine.zip("1.0.0"), |answer| answer.how = How::CutOnce(5_000_000));
    machine.init(&[]);
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
    let heads = machine.server.heads();
    let zips: Vec<&String> = heads
        .iter()
        .filter(|(path, _)| *path == machine.zip("1.0.0"))
        .map(|(_, head)| head)
        .collect();
    assert_eq!(zips.len(), 2);
    assert!(zips[1].contains("range: bytes=5000000-"), "{}", zips[1]);
}

#[test]
fn a_server_that_sends_nothing_is_given_up() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.server.change(&machine.zip("1.0.0"), |answer| answer.how = How::Stall(1000));
    let begun = Instant::now();
    let message = machine.init_fails(&[], &[("INGOT_PLUGIN_DOWNLOAD_TIMEOUT", "300ms")]);
    assert!(message.contains("the server sent nothing for 0.3 seconds"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let message = machine.init_fails(&[], &[("INGOT_PLUGIN_GITHUB_API_URL", "http://127.0.0.1:1")]);
    assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
}

#[test]
fn a_rate_limit_is_explained_and_the_token_goes_to_the_api_only() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let tags = "/repos/acme/packer-plugin-trial/git/matching-refs/tags";
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let reset = (soon.as_secs() + 600).to_string();
    let limited = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset.as_str())];
    machine.server.put(tags, Response::status(403, &limited));
    let message = machine.init_fails(&[], &[]);
    for part in ["takes no more requests for now", "10 minutes", "PACKER_GITHUB_API_TOKEN"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    machine.server.github(&["1.0.0"]);
    machine.server.asked();
    let run = machine.run_with(&["init", "."], &[("PACKER_GITHUB_API_TOKEN", "s3cret-t0ken")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    for (path, head) in machine.server.heads() {
        let sent = head.contains("authorization: bearer s3cret-t0ken");
        assert_eq!(sent, path == tags, "{path}: {head}");
    }
    machine.server.put(tags, Response::status(401, &[]));
    let bad = [("PACKER_GITHUB_API_TOKEN", "s3cret-t0ken")];
    let message = machine.init_fails(&["-upgrade"], &bad);
    assert!(message.contains("check the token") && !message.contains("s3cret-t0ken"), "{message}");
}

#[test]
fn what_is_not_there_is_reported() {
    let machine = require!(machine(ACME, ">= 3.0"));
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("has no repository acme/packer-plugin-trial"), "{message}");
    machine.server.github(&["1.0.0", "2.0.0"]);
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("\">= 3.0\"") && message.contains("is 2.0.0"), "{message}");
    machine.server.github(&["3.0.0-rc1"]);
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("pre-release 3.0.0-rc1"), "{message}");
    // A tag without a release, one without a program for this machine, one in another protocol.
    machine.server.github(&["3.0.0", "3.1.0", "3.2.0"]);
    machine.server.put(&machine.sums("3.2.0"), Response::status(404, &[]));
    let other = format!("{}  packer-plugin-trial_v3.1.0_x5.0_plan9_mips.zip\n", "e".repeat(64));
    machine.server.put(&machine.sums("3.1.0"), Response::ok(other));
    let newer = format!(
        "{}  packer-plugin-trial_v3.0.0_x6.1_{}.zip\n",
        "e".repeat(64),
        Platform::current()
    );
    machine.server.put(&machine.sums("3.0.0"), Response::ok(newer));
    let message = machine.init_fails(&[], &[]);
    for part in [
        "version 3.2.0 has no packer-plugin-trial_v3.2.0_SHA256SUMS",
        "version 3.1.0 has no program for",
        "only for plan9_mips",
        "version 3.0.0 speaks version 6.1 of the plugin protocol, not 5.0",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // With one that will do below them, that is taken.
    machine.server.github(&["3.0.0", "3.1.0", "3.2.0"]);
    machine.server.put(&machine.sums("3.2.0"), Response::status(404, &[]));
    assert!(machine.init(&[]).contains("v3.1.0"));
}

#[test]
fn without_a_network_a_mirror_is_named() {
    for source in [ACME, "github.com/hashicorp/trial"] {
        let machine = require!(machine(source, ">= 1.0"));
        // Nobody listens there.
        let away = "http://127.0.0.1:1";
        let names =
            ["INGOT_PLUGIN_GITHUB_URL", "INGOT_PLUGIN_GITHUB_API_URL", "INGOT_PLUGIN_RELEASES_URL"];
        let message = machine.init_fails(&[], &names.map(|name| (name, away)));
        assert!(message.contains("-plugin-mirror or INGOT_PLUGIN_MIRROR"), "{message}");
        assert!(message.contains("127.0.0.1:1"), "{message}");
    }
}

#[test]
fn archives_that_are_not_what_they_should_be_are_refused() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let serve = |archive: Vec<u8>| {
        let sums = format!("{}  {}\n", sha256(&archive), github_zip("1.0.0"));
        machine.server.put(&machine.sums("1.0.0"), Response::ok(sums));
        machine.server.put(&machine.zip("1.0.0"), Response::ok(archive));
    };
    let name = program_name("1.0.0");
    let small = [("INGOT_PLUGIN_MAX_SIZE", "16")];
    serve(zip_of(&[(&name, &vec![0; 17 << 20])], true));
    let message = machine.init_fails(&[], &small);
    assert!(message.contains("larger than 16 MiB"), "{message}");
    serve(vec![0; 17 << 20]);
    let message = machine.init_fails(&[], &small);
    assert!(message.contains("larger than 16 MiB"), "{message}");
    serve(b"this is no archive".to_vec());
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("the zip archive cannot be read"), "{message}");
    serve(zip_of(&[("README.md", b"hello"), (&format!("../{name}"), b"x")], false));
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains(&format!("there is no {name} in the archive")), "{message}");
    serve(zip_of(&[(&name, b"#!/bin/sh\nexit 3\n")], false));
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("exit code 3"), "{message}");
    // What says that it is another version than its release.
    serve(zip_of(&[(&name, &program_of("1.0.0"))], false));
    let message = machine.init_fails(&[], &[("TRIAL_VERSION", "1.0.1")]);
    assert!(message.contains("the program says that it is version 1.0.1"), "{message}");
    let message = machine.init_fails(&[], &[("TRIAL_VERSION", "1.0.0-dev")]);
    assert!(message.contains("the pre-release 1.0.0-dev"), "{message}");
}

#[test]
fn a_killed_installation_is_taken_up_by_the_next() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.server.change(&machine.zip("1.0.0"), |answer| answer.how = How::StallOnce(6_000_000));
    let mut child: Child = machine.command(&["init", "."]).stdout(Stdio::null()).spawn().unwrap();
    let place = machine.plugins().join(ACME);
    let part = place.join(format!(".ingot-{}.part", github_zip("1.0.0")));
    let length = || std::fs::metadata(&part).map_or(0, |found| found.len());
    // The last of it may be in memory still.
    eventually("it is being downloaded", || length() >= 5_000_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let have = length();
    assert_eq!(machine.programs(), Vec::<String>::new());
    machine.server.asked();
    machine.init(&[]);
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
    let heads = machine.server.heads();
    let (_, head) = heads.iter().find(|(path, _)| *path == machine.zip("1.0.0")).unwrap();
    assert!(head.contains(&format!("range: bytes={have}-")), "{head}");
}

#[test]
fn two_at_once_download_once() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let start = || machine.command(&["init", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let children = [start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
    let zips = machine.server.asked().into_iter().filter(|path| *path == machine.zip("1.0.0"));
    assert_eq!(zips.count(), 1);
}

#[test]
fn upgrade_and_force_install_what_is_there_again() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.init(&[]);
    machine.server.github(&["1.0.0", "1.1.0"]);
    assert_eq!(machine.init(&[]), "");
    let forced = machine.init(&["-force"]);
    assert!(forced.contains("v1.0.0"), "{forced}");
    let upgraded = machine.init(&["-upgrade"]);
    assert!(upgraded.contains("v1.1.0"), "{upgraded}");
    assert_eq!(machine.init(&["-upgrade"]), "");
    // Both are there; the newer one is used, as the lock file says.
    assert_eq!(machine.programs().len(), 4);
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    assert!(lock.contains("version = \"1.1.0\""), "{lock}");
}

#[test]
fn a_plugin_can_be_required_in_two_versions() {
    let machine = require!(machine(ACME, "1.0.0"));
    for version in ["1.0.0", "1.1.0"] {
        put_program(&machine.installed(ACME, version), &program_of(version));
    }
    let both = format!(
        "packer {{\n  required_plugins {{\n    old = {{\n      source = \"{ACME}\"\n      version = \
         \"1.0.0\"\n    }}\n    new = {{\n      source = \"{ACME}\"\n      version = \
         \"1.1.0\"\n    }}\n  }}\n}}\nsource \"old\" \"t\" {{\n  directory = \
         \"/x\"\n}}\nsource \"new\" \"t\" {{\n  directory = \"/x\"\n}}\nbuild {{\n  sources = \
         [\"source.old.t\", \"source.new.t\"]\n}}\n"
    );
    let file = machine.dir.path().join("t.pkr.hcl");
    std::fs::write(&file, both).unwrap();
    let is_locked = |version: &str| {
        let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
        lock.contains(&format!("version = \"{version}\""))
    };
    for flags in [&[] as &[&str], &[], &["-locked"]] {
        assert_eq!(machine.init(flags), "");
        let run = machine.run(&["validate", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert!(is_locked("1.0.0") && is_locked("1.1.0"));
    }
    // What is required no more goes.
    std::fs::write(&file, requiring(ACME, "1.1.0")).unwrap();
    assert_eq!(machine.init(&[]), "");
    assert!(!is_locked("1.0.0") && is_locked("1.1.0"));
    // So can templates that are files of one directory, each for itself.
    std::fs::write(machine.dir.path().join("old.pkr.hcl"), requiring(ACME, "1.0.0")).unwrap();
    assert_eq!(machine.run(&["init", "old.pkr.hcl"]).code, Some(0));
    for file in ["old.pkr.hcl", "t.pkr.hcl"] {
        let run = machine.run(&["validate", file]);
        assert_eq!(run.code, Some(0), "{file}: {}", run.stdout);
    }
}

#[test]
fn mirrors_take_the_place_of_everything_else() {
    let other = "git.example.com/tools/trial";
    let machine = require!(machine(other, ">= 1.0"));
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("INGOT_PLUGIN_MIRROR"), "{message}");
    assert_eq!(machine.server.asked(), Vec::<String>::new());
    // A directory with files of releases.
    let mirror = machine.home.path().join("mirror");
    let place = mirror.join(other);
    std::fs::create_dir_all(&place).unwrap();
    let zip = github_zip("1.3.0");
    std::fs::write(place.join(&zip), archive("1.3.0")).unwrap();
    let sums = format!("{}  {zip}\n", sha256(&archive("1.3.0")));
    std::fs::write(place.join("packer-plugin-trial_v1.3.0_SHA256SUMS"), &sums).unwrap();
    let flag = format!("-plugin-mirror={}", mirror.display());
    assert!(machine.init(&[&flag]).contains("v1.3.0"));
    assert_whole(&machine.installed(other, "1.3.0"), "1.3.0");
    // The plugin directory of another machine.
    let copied = machine.home.path().join("copied");
    std::fs::rename(machine.plugins(), &copied).unwrap();
    let run =
        machine.run_with(&["init", "."], &[("INGOT_PLUGIN_MIRROR", copied.to_str().unwrap())]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_whole(&machine.installed(other, "1.3.0"), "1.3.0");
    // A server.
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    let at = |file: &str| format!("/mirror/{other}/{file}");
    machine.server.put(&at("index.json"), Response::ok("{\"versions\": {\"1.3.0\": {}}}"));
    machine.server.put(&at("packer-plugin-trial_v1.3.0_SHA256SUMS"), Response::ok(sums));
    machine.server.put(&at(&zip), Response::ok(archive("1.3.0")));
    machine.init(&["-locked", &format!("-plugin-mirror={}/mirror", machine.server.url)]);
    assert_whole(&machine.installed(other, "1.3.0"), "1.3.0");
    let message = machine.run(&["init", "-plugin-mirror=/nowhere", "."]);
    assert!(
        message.stdout.contains("/nowhere is neither a URL nor a directory"),
        "{}",
        message.stdout
    );
    let message = machine.run(&["init", "-plugin-mirror=ftp://me:s3cret@h/x", "."]);
    assert!(message.stdout.contains("ftp://h/x is neither a URL with"), "{}", message.stdout);
}

#[test]
fn what_is_built_in_is_not_downloaded() {
    let machine = require!(machine(ACME, ">= 1.0"));
    let text = |source: &str| {
        format!(
            "packer {{\n  required_plugins {{\n    docker = {{\n      source  = \
             \"github.com/hashicorp/docker\"\n      version = \">= 1\"\n    }}\n    amazon = {{\n      \
             source  = \"github.com/hashicorp/amazon\"\n      version = \">= 1\"\n    }}\n  }}\n}}\n\
             source \"{source}\" \"x\" {{}}\n"
        )
    };
    let file = machine.dir.path().join("t.pkr.hcl");
    std::fs::write(&file, text("docker")).unwrap();
    assert_eq!(machine.init(&[]), "");
    assert_eq!(machine.server.asked(), Vec::<String>::new());
    assert!(!machine.lock_file().exists());
    // Ingot lacks this builder: the program is needed for it.
    std::fs::write(&file, text("amazon-chroot")).unwrap();
    let message = machine.init_fails(&[], &[]);
    assert!(
        message.contains("hashicorp/amazon") && !message.contains("hashicorp/docker"),
        "{message}"
    );
    std::fs::write(&file, "locals {\n  a = 1\n}\n").unwrap();
    assert!(machine.init(&[]).contains("requires no plugins"));
}
