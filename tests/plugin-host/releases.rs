//! `ingot init` where releases are many, older than what is there, or do not fit the disk.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::installed::put_program;
use crate::machine::{ACME, Machine, machine, requiring};
use crate::release_server::{
    How, Response, archive, github_path, github_zip, program_name, program_of, sha256, zip_of,
};
use ingot_test_support::disk::Disk;
use ingot_test_support::{eventually, require};

impl Machine {
    /// Has tags of `versions`; what is not put besides has no files.
    fn tags(&self, versions: &[String]) {
        let tag = |version: &String| format!("{{\"ref\": \"refs/tags/v{version}\"}}");
        let tags: Vec<String> = versions.iter().map(tag).collect();
        let path = "/repos/acme/packer-plugin-trial/git/matching-refs/tags";
        self.server.put(path, Response::ok(format!("[{}]", tags.join(","))));
    }

    /// Has the list of checksums of a version.
    fn list(&self, version: &str, text: String) {
        let file = format!("packer-plugin-trial_v{version}_SHA256SUMS");
        self.server.put(&github_path(version, &file), Response::ok(text));
    }
}

#[test]
fn an_old_release_is_found_behind_many_that_will_not_do() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let versions: Vec<String> = (0..60).map(|minor| format!("1.{minor}.0")).collect();
    machine.tags(&versions);
    // Half of them are tags without a release.
    for version in versions.iter().skip(1).step_by(2) {
        let line =
            format!("{}  packer-plugin-trial_v{version}_x5.0_plan9_mips.zip\n", "e".repeat(64));
        machine.list(version, line);
    }
    let said = machine.init(&[]);
    assert!(said.contains("v1.0.0"), "{said}");
    // Nothing else was downloaded.
    let zips = machine.server.asked().into_iter().filter(|path| path.ends_with(".zip"));
    assert_eq!(zips.count(), 1);
    // Where there is none at all, the message stays one that can be read.
    machine.tags(&versions[1..]);
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    std::fs::remove_file(machine.lock_file()).unwrap();
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("49 more do not match either"), "{message}");
    assert!(!message.contains("were not looked at"), "{message}");
}

#[test]
fn the_search_ends_after_many_downloads_and_says_so() {
    let machine = require!(machine(ACME, ">= 1.0"));
    let versions: Vec<String> = (0..25).map(|minor| format!("1.{minor}.0")).collect();
    machine.tags(&versions);
    for version in &versions {
        let zip = zip_of(&[(&program_name(version), b"#!/bin/sh\nexit 3\n")], false);
        machine.list(version, format!("{}  {}\n", sha256(&zip), github_zip(version)));
        machine.server.put(&machine.zip(version), Response::ok(zip));
    }
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("older versions were not looked at: name one"), "{message}");
    let zips = machine.server.asked().into_iter().filter(|path| path.ends_with(".zip"));
    assert_eq!(zips.count(), 20);
}

/// A mirror that has one version.
fn mirror_of(machine: &Machine, version: &str) -> String {
    let mirror = machine.home.path().join(format!("mirror-{version}"));
    let place = mirror.join(ACME);
    std::fs::create_dir_all(&place).unwrap();
    let zip = github_zip(version);
    std::fs::write(place.join(&zip), archive(version)).unwrap();
    let sums = format!("{}  {zip}\n", sha256(&archive(version)));
    std::fs::write(place.join(format!("packer-plugin-trial_v{version}_SHA256SUMS")), sums).unwrap();
    format!("-plugin-mirror={}", mirror.display())
}

#[test]
fn an_upgrade_never_goes_back() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.1.0"]);
    machine.init(&[]);
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    let old = mirror_of(&machine, "1.0.0");
    for flags in [&["-upgrade", old.as_str()][..], &["-upgrade", "-force", old.as_str()]] {
        let said = machine.init(flags);
        let kept = format!("Keeping plugin {ACME} v1.1.0: the newest version that ");
        assert!(said.contains(&kept) && said.contains("is 1.0.0, older than 1.1.0"), "{said}");
        assert_eq!(std::fs::read_to_string(machine.lock_file()).unwrap(), lock);
    }
    assert!(!machine.installed(ACME, "1.0.0").exists());
    // Where it is only locked, there is nothing to keep.
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    let message = machine.init_fails(&["-upgrade", &old], &[]);
    assert!(
        message.contains("older than 1.1.0") && message.contains("name it in `version`"),
        "{message}"
    );
    assert_eq!(std::fs::read_to_string(machine.lock_file()).unwrap(), lock);
    // Who asks for it goes back.
    machine.init(&[]);
    std::fs::write(machine.dir.path().join("t.pkr.hcl"), requiring(ACME, "< 1.1")).unwrap();
    let said = machine.init(&["-upgrade", &old]);
    assert!(said.contains("Installed plugin") && said.contains("v1.0.0"), "{said}");
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    assert!(lock.contains("version = \"1.0.0\""), "{lock}");
    assert_eq!(machine.run(&["validate", "."]).code, Some(0));
}

/// Files of installations that did not end.
fn unfinished(machine: &Machine) -> Vec<String> {
    let files = std::fs::read_dir(machine.plugins().join(ACME)).into_iter().flatten().flatten();
    let names = files.map(|file| file.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".ingot-")).collect()
}

#[test]
fn a_download_that_is_too_large_leaves_nothing() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.server.put(&machine.zip("1.0.0"), Response::ok(vec![0; 17 << 20]));
    let message = machine.init_fails(&[], &[("INGOT_PLUGIN_MAX_SIZE", "16")]);
    assert!(message.contains("larger than 16 MiB"), "{message}");
    assert_eq!(unfinished(&machine), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_not_kept_full() {
    let machine = require!(machine(ACME, ">= 1.0"));
    let disk = require!(Disk::mount(8));
    machine.server.github(&["1.0.0"]);
    std::fs::create_dir_all(machine.plugins()).unwrap();
    std::os::unix::fs::symlink(disk.path(), machine.plugins().join("github.com")).unwrap();
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("No space left on device"), "{message}");
    assert_eq!(unfinished(&machine), Vec::<String>::new());
}

#[test]
fn what_broken_off_installations_left_goes_in_time_and_with_the_plugin() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let place = machine.plugins().join(ACME);
    std::fs::create_dir_all(&place).unwrap();
    let leave = |name: &str, days: u64| {
        let file = std::fs::File::create(place.join(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60 + 60);
        file.set_modified(then).unwrap();
    };
    let part = format!(".ingot-{}.part", github_zip("0.9.0"));
    leave(".ingot-a8Zk3P", 2);
    leave(&part, 0);
    machine.init(&[]);
    // It may still be taken up.
    assert_eq!(unfinished(&machine), std::slice::from_ref(&part));
    assert!(machine.installed(ACME, "1.0.0").exists());
    let run = machine.run(&["plugins", "remove", ACME, "< 1.0"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(unfinished(&machine), std::slice::from_ref(&part));
    let run = machine.run(&["plugins", "remove", ACME]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(&part), "{}", run.stdout);
    assert_eq!(unfinished(&machine), Vec::<String>::new());
    // Also where nothing else is left.
    leave(&part, 0);
    let run = machine.run(&["plugins", "remove", ACME]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(unfinished(&machine), Vec::<String>::new());
}

#[test]
fn what_another_init_locked_meanwhile_stays_locked() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    // It goes on after the time that a server may send nothing.
    machine.server.change(&machine.zip("1.0.0"), |answer| answer.how = How::StallOnce(1_000_000));
    let mut slow = machine.command(&["init", "t.pkr.hcl"]);
    let slow = slow.env("INGOT_PLUGIN_DOWNLOAD_TIMEOUT", "15s").stdout(Stdio::null());
    let mut slow = slow.spawn().unwrap();
    let part = machine.plugins().join(ACME).join(format!(".ingot-{}.part", github_zip("1.0.0")));
    eventually("it is being downloaded", || part.exists());
    let other = "git.example.com/tools/trial";
    std::fs::write(machine.dir.path().join("b.pkr.hcl"), requiring(other, ">= 1.0")).unwrap();
    let mirror = machine.home.path().join("mirror");
    put_program(&mirror.join(other).join(program_name("1.2.0")), &program_of("1.2.0"));
    let flag = format!("-plugin-mirror={}", mirror.display());
    let run = machine.run(&["init", &flag, "b.pkr.hcl"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(slow.try_wait().unwrap().is_none(), "it was not slow");
    assert!(slow.wait().unwrap().success());
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    for source in [ACME, other] {
        assert!(lock.contains(&format!("plugin \"{source}\"")), "{source}: {lock}");
    }
}
