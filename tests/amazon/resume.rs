//! Instances that builds leave when they fail, and go on with.

use std::collections::BTreeSet;
use std::sync::Arc;

use ingot_test_support::require;

use super::bench::{Bench, Instances, RunResult, instances};
use super::cloud::{Cloud, cloud, value};
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

const KEEP: &[&str] = &["build", "-color=false", "-on-error=keep", "."];
const RESUME: &[&str] = &["build", "-color=false", "-resume", "."];

/// What makes nothing but one AMI, and what runs in its instance: the second step fails.
fn failing(cloud: &Cloud, instances: &Arc<Instances>, source: &str, more: &str) -> Bench {
    let steps = shell("one", "echo first") + &shell("two", "exit 3") + more;
    let bench = Bench::new(cloud, instances, source, &steps, |_| Act::Forward);
    bench.in_one_region();
    bench
}

/// Mends the step that fails.
fn mend(bench: &Bench) {
    bench.edit(|text| text.replace("exit 3", "echo second"));
}

fn says(ended: &RunResult, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    for part in parts {
        assert!(ended.said.contains(part), "no {part:?}: {}", ended.said);
    }
}

/// The id of the one thing of a kind that the account has.
fn id_of(bench: &Bench, kind: &str) -> String {
    let held = bench.holds();
    let mut found = held.iter().filter(|line| line.split(' ').nth(1) == Some(kind));
    let line = found.next().unwrap_or_else(|| panic!("no {kind}: {held:?}"));
    line.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn a_spot_instance_goes_on() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = failing(&cloud, &instances, "  spot_price = \"auto\"\n", "");
    says(&bench.run(KEEP), 1, &["The machine is kept"]);
    let kept = kinds(&bench.holds());
    assert_eq!(kept, ["instance", "key-pair", "launch-template", "security-group", "volume"]);
    mend(&bench);
    says(&bench.run(RESUME), 0, &["Going on with the instance: i-", "amazon-ebs.a: second"]);
    let made = kinds(&bench.holds());
    assert!(made.iter().all(|kind| kind.ends_with("image")), "{made:?}");
}

#[test]
fn an_instance_whose_volumes_become_an_ami_goes_on() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = failing(&cloud, &instances, "", "");
    let own = r#"
  ami_name                = "surrogate"
  ami_virtualization_type = "hvm"
  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 8
    delete_on_termination = true
  }
  ami_root_device {
    source_device_name = "/dev/xvdf"
    device_name        = "/dev/xvda"
  }
"#;
    bench.of_builder("amazon-ebssurrogate", own);
    says(&bench.run(KEEP), 1, &["The machine is kept"]);
    let kept = kinds(&bench.holds());
    assert_eq!(kept, ["instance", "key-pair", "security-group", "volume"]);
    mend(&bench);
    let said = ["Going on with the instance: i-", "a: second", "AMIs were created:"];
    says(&bench.run(RESUME), 0, &said);
    // moto creates the AMI from another snapshot than the requested one.
    let made = kinds(&bench.holds());
    assert_eq!(made, ["image", "snapshot", "snapshot-of-image"], "{made:?}");
}

#[test]
fn volumes_are_made_of_an_instance_that_goes_on_and_removed_if_nobody_wants_them() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let fails = "  post-processor \"shell-local\" {\n    inline = [\"exit 1\"]\n  }\n";
    let bench = failing(&cloud, &instances, "", fails);
    let own = r#"
  ebs_volumes {
    device_name     = "/dev/xvdf"
    volume_size     = 3
    snapshot_volume = true
    tags            = { Of = "the user" }
  }
"#;
    bench.of_builder("amazon-ebsvolume", own);
    // The tags of the volumes are refused at first: that is tried again, too.
    let hit = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let once = Arc::clone(&hit);
    bench.proxy.edit_requests(move |call, body| {
        let tags = call.action == "CreateTags" && body.contains("the%20user");
        let first = tags && !once.swap(true, std::sync::atomic::Ordering::SeqCst);
        first.then(|| body.replace("ResourceId.1=vol-", "ResourceId.1=none-"))
    });
    says(&bench.run(KEEP), 1, &["tagging a volume", "goes on at provisioner 1 of 2"]);
    assert!(hit.load(std::sync::atomic::Ordering::SeqCst));
    says(&bench.run(RESUME), 1, &["a: first", "goes on at provisioner 2 of 2"]);
    let volumes = bench.account.call("us-east-1", "DescribeVolumes", &[]);
    assert!(volumes.contains("<value>the user</value>"), "{volumes}");
    mend(&bench);
    // What was made waits for the post-processor.
    let ended = bench.run(RESUME);
    says(&ended, 1, &["Going on with the instance: i-", "EBS Volumes were created"]);
    let made = kinds(&bench.holds());
    assert_eq!(made, ["snapshot", "volume"], "{}", ended.said);
    let snapshot = id_of(&bench, "snapshot");
    // A snapshot that the user made is none of the build's.
    let volume = id_of(&bench, "volume");
    let created = bench.account.call("us-east-1", "CreateSnapshot", &[("VolumeId", &volume)]);
    let own = value(&created, "snapshotId");
    let gone = |id: &str| bench.account.call("us-east-1", "DeleteSnapshot", &[("SnapshotId", id)]);
    let cleaned = bench.run(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    let left: Vec<String> = bench.holds().into_iter().collect();
    assert_eq!(left, [format!("us-east-1 snapshot {own}")], "{snapshot}: {}", cleaned.said);
    gone(&own);
}

#[test]
fn an_instance_that_was_stopped_is_started_again_and_one_that_was_terminated_is_reported() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = failing(&cloud, &instances, "", "");
    says(&bench.run(KEEP), 1, &["The machine is kept"]);
    let id = id_of(&bench, "instance");
    let ask = |action: &str| bench.account.call("us-east-1", action, &[("InstanceId.1", &id)]);
    ask("StopInstances");
    // It takes a while to stop, and is not started before.
    let looks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    bench.proxy.edit_answers(move |call, body| {
        let stopped = "<name>stopped</name>";
        let first = call.action == "DescribeInstances"
            && body.contains(stopped)
            && counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3;
        first.then(|| body.replace(stopped, "<name>stopping</name>"))
    });
    let again = bench.run(RESUME);
    says(&again, 1, &["is stopped: starting it again...", "Going on with the instance: i-"]);
    assert!(looks.load(std::sync::atomic::Ordering::SeqCst) > 3, "{}", again.said);
    assert!(again.said.contains("The machine is kept"), "{}", again.said);

    ask("TerminateInstances");
    mend(&bench);
    let told = format!("the instance {id}, which was kept, was terminated");
    let gone = bench.run(RESUME);
    says(&gone, 1, &[&told, "`ingot cleanup -kept` removes what is left of it"]);
    let cleaned = bench.run(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(bench.holds(), BTreeSet::new(), "{}", cleaned.said);
    assert_eq!(bench.journals(), 0);
}

#[test]
fn an_ami_that_is_gone_is_neither_processed_nor_tested() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let fails = "  post-processor \"shell-local\" {\n    inline = [\"exit 1\"]\n  }\n";
    let bench = failing(&cloud, &instances, "", fails);
    mend(&bench);
    says(&bench.run(KEEP), 1, &["What the builder made is kept"]);
    let id = id_of(&bench, "image");
    // As long as it is there, the post-processors run over it.
    bench.edit(|text| text.replace("exit 1", "exit 2"));
    says(&bench.run(RESUME), 1, &["exit status: 2"]);
    bench.account.call("us-east-1", "DeregisterImage", &[("ImageId", &id)]);
    let gone = bench.run(RESUME);
    says(&gone, 1, &["is gone, which the builder created", "build again without -resume"]);
    let gone = bench.run(&["build", "-color=false", "-only-post-processors", "."]);
    says(&gone, 1, &["is gone, which the builder created"]);
    let companion = "test \"it\" {\n  command \"true\" {}\n}\n";
    std::fs::write(bench.path("t.ingot.hcl"), companion).unwrap();
    let tested = bench.run(&["test", ".", &id]);
    says(&tested, 1, &[&id]);
    assert!(!tested.said.contains("panicked"), "{}", tested.said);
    let cleaned = bench.run(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    let left = kinds(&bench.holds());
    assert!(left.iter().all(|kind| kind == "snapshot"), "{left:?}: {}", cleaned.said);
}
