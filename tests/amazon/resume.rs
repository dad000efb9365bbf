//! Instances that builds leave when they fail, and go on with.

use std::collections::BTreeSet;

use ingot_test_support::require;

use super::bench::{Bench, instances};
use super::cloud::cloud;
use super::proxy::Act;

/// A provisioner that is not in the way of those of other tests on the same machine.
fn shell(name: &str, script: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    name        = \"{name}\"\n    inline      = [\"{script}\"]\n    \
         remote_file = \"script-{name}-${{build.ID}}.sh\"\n  }}\n"
    )
}

fn kinds(held: &BTreeSet<String>) -> Vec<String> {
    let kind = |line: &String| line.split(' ').nth(1).unwrap_or_default().to_owned();
    held.iter().map(kind).collect()
}

#[test]
fn an_instance_goes_on_at_the_failed_provisioner_and_what_is_left_can_be_removed() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let steps = shell("one", "echo first") + &shell("two", "exit 3");
    let bench = Bench::new(&cloud, &instances, "", &steps, |_| Act::Forward);
    let keep = &["build", "-color=false", "-on-error=keep", "."];
    let failed = bench.run(keep);
    assert_eq!(failed.code, Some(1), "{}", failed.said);
    let goes_on = "The machine is kept: `ingot build -resume .` goes on at provisioner 2 of 2";
    assert!(failed.said.contains(goes_on), "{}", failed.said);
    let kept = bench.holds();
    assert_eq!(kinds(&kept), ["instance", "key-pair", "security-group", "volume"], "{kept:?}");

    // A cleanup leaves it alone, also where it looks for the tag of the run.
    let cleaned = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=0"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(bench.holds(), kept);

    let path = bench.path("t.pkr.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("exit 3", "echo second")).unwrap();
    let done = bench.run(&["build", "-color=false", "-resume", "."]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    for part in ["Going on with the instance: i-", "amazon-ebs.a: second", "AMIs were created:"] {
        assert!(done.said.contains(part), "no {part:?}: {}", done.said);
    }
    assert!(!done.said.contains("amazon-ebs.a: first"), "{}", done.said);
    let made = kinds(&bench.holds());
    assert!(made.iter().all(|kind| kind.ends_with("image")), "{made:?}");

    // What is kept goes on demand, with all that was made for it.
    std::fs::write(&path, text.replace("\"made\"", "\"made-2\"")).unwrap();
    let failed = bench.run(keep);
    assert_eq!(failed.code, Some(1), "{}", failed.said);
    let cleaned = bench.run(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(kinds(&bench.holds()), made);
}
