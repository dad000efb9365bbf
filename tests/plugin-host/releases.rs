//! `ingot init` where releases are many, older than what is there, or do not fit the disk.

use crate::init::{ACME, Machine, machine};
use crate::release_server::{Response, github_path, github_zip, program_name, sha256, zip_of};
use ingot_test_support::require;

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
    assert!(message.contains("49 more will not do either"), "{message}");
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
