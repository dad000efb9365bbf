//! Fingerprints that are a commit's.

use std::process::Command;

use crate::publish::FILES;
use crate::world::{World, clean};

/// Has versions be called by commits.
pub(crate) const GIT: (&str, &str) = ("INGOT_BUILD_FINGERPRINT", "git");

/// Runs git in the directory of a world; what it said.
pub(crate) fn git(world: &World, args: &[&str]) -> String {
    let mut command = clean(Command::new("git"), world.path());
    let who = ["-c", "user.name=A. Uthor", "-c", "user.email=a@example.com"];
    let output = command.args(who).args(args).output().expect("git can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_commit_is_a_version() {
    let world = World::local();
    world.write("files.pkr.hcl", FILES);
    world.write("from.txt", "b");
    let fails = |env: &[(&str, &str)]| {
        let run = world.ingot_with(&["build", "files.pkr.hcl"], env);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        format!("{}{}", run.stdout, run.stderr)
    };
    let said = fails(&[GIT]);
    assert!(said.contains("is in no git repository with a commit"), "{said}");
    let said = fails(&[("INGOT_BUILD_FINGERPRINT", "svn")]);
    assert!(said.contains("INGOT_BUILD_FINGERPRINT is \"svn\""), "{said}");

    git(&world, &["init", "-q"]);
    let said = fails(&[GIT]);
    assert!(said.contains("is in no git repository with a commit"), "{said}");
    git(&world, &["add", "from.txt", "files.pkr.hcl"]);
    git(&world, &["commit", "-qm", "First"]);
    world.write("from.txt", "changed");
    let said = fails(&[GIT]);
    assert!(said.contains("has changes that are not committed"), "{said}");
    assert!(said.contains("changed: from.txt"), "{said}");
    world.write("from.txt", "b");
    world.write("more.pkr.hcl", "");
    assert!(fails(&[GIT]).contains("changed: more.pkr.hcl"));
    std::fs::remove_file(world.path().join("more.pkr.hcl")).expect("it is removed");
    assert!(!world.path().join("b.txt").exists(), "nothing was built");

    let sha = git(&world, &["rev-parse", "HEAD"]);
    assert_eq!(sha.len(), 40);
    let run = world.ingot_with(&["build", "-only=file.b", "files.pkr.hcl"], &[GIT]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // What the first run left, as the file it made, keeps no second from filling the version.
    let run = world.ingot_with(&["build", "files.pkr.hcl"], &[GIT]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let version = world.json(&["versions", "show", "files", &sha]);
    assert_eq!(version["name"], "v1");

    // One that is given counts more.
    let both = [GIT, ("HCP_PACKER_BUILD_FINGERPRINT", "given")];
    let run = world.ingot_with(&["build", "files.pkr.hcl"], &both);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(world.json(&["versions", "list", "files"])[0]["fingerprint"], "given");
}

#[test]
fn a_repository_that_git_refuses_to_read_is_reported() {
    let world = World::local();
    world.write("files.pkr.hcl", FILES);
    world.write("from.txt", "b");
    git(&world, &["init", "-q"]);
    git(&world, &["add", "from.txt", "files.pkr.hcl"]);
    git(&world, &["commit", "-qm", "First"]);
    let nowhere = world.path().join("nowhere").display().to_string();
    // Git's own switch for the first.
    for (env, why) in [
        (("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"), "dubious ownership"),
        (("PATH", nowhere.as_str()), "`git` cannot be run"),
    ] {
        let run = world.ingot_with(&["build", "files.pkr.hcl"], &[GIT, env]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(1), "{said}");
        assert!(said.contains("cannot be read") && said.contains(why), "{said}");
        assert!(said.contains("safe.directory"), "{said}");
        assert!(!said.contains("commit the template"), "{said}");

        let run = world.ingot_with(&["build", "files.pkr.hcl"], &[env]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(0), "{said}");
        let warnings = said.matches("Warning: the Git repository cannot be read");
        assert_eq!(warnings.count(), 1, "{said}");
        assert!(said.contains(why), "{said}");
    }
    // Where there is none, there is nothing to warn of.
    std::fs::remove_dir_all(world.path().join(".git")).expect("it is removed");
    let run = world.ingot_with(&["build", "files.pkr.hcl"], &[("PATH", nowhere.as_str())]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("Git"), "{}", run.stdout);
}
