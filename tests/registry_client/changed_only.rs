//! What `build -changed-only` takes for a change, and what it then builds.

use crate::fingerprint::{GIT, git};
use crate::plan::web;
use crate::world::World;

#[test]
fn a_selection_of_nothing_is_not_taken_for_nothing_changed() {
    let world = World::local();
    web(&world);
    world.build("web.pkr.hcl", "one");
    for selection in ["-only=file.wbe", "-except=*"] {
        let run = world.ingot(&["build", "-changed-only", selection, "web.pkr.hcl"]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(1), "{said}");
        assert!(said.contains("There is nothing to build: no build has a source that"), "{said}");
        assert!(!said.contains("Nothing has changed"), "{said}");
    }
}

#[test]
fn what_changed_without_a_commit_is_built_too() {
    let world = World::local();
    web(&world);
    git(&world, &["init", "-q"]);
    git(&world, &["add", "web.pkr.hcl", "check.sh"]);
    git(&world, &["commit", "-qm", "First"]);
    let sha = git(&world, &["rev-parse", "HEAD"]);
    let build = |args: &[&str], code: i32| {
        let run = world.ingot_with(&[&["build"], args, &["web.pkr.hcl"]].concat(), &[GIT]);
        assert_eq!(run.code, Some(code), "{}{}", run.stdout, run.stderr);
        format!("{}{}", run.stdout, run.stderr)
    };
    build(&["-changed-only"], 0);
    assert!(build(&["-changed-only"], 0).contains("Nothing has changed"));
    let said = build(&["-changed-only", "-var=who=shop"], 0);
    let short = &sha[..12];
    let told = format!("commit {sha} is complete: what is built goes to the version {short}-");
    assert!(said.contains(&told), "{said}");
    assert!(build(&["-changed-only", "-var=who=shop"], 0).contains("Nothing has changed"));
    let versions = world.json(&["versions", "list", "web"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions:#}");
    assert_eq!(versions[0]["name"], "v2", "{versions:#}");
    let said = build(&["-var=who=another"], 1);
    assert!(said.contains("with INGOT_BUILD_FINGERPRINT=git, -changed-only builds what"), "{said}");
}
