//! `post-processor "amazon-ami-management"`: old AMIs go, those in use stay.

use std::collections::BTreeSet;

use ingot_test_support::require;

use super::bench::{Bench, instances};
use super::cloud::{Account, BASE_ID, cloud, items, value};
use super::proxy::Act;

const REGION: &str = "us-east-1";
const IDENTIFIER: &str = "Amazon_AMI_Management_Identifier";

/// An AMI with the tag of the post-processor, and its id.
fn old(account: &Account, instance: &str, name: &str) -> String {
    let tag = "TagSpecification.1.Tag.1";
    let parameters = [
        ("InstanceId", instance),
        ("Name", name),
        ("TagSpecification.1.ResourceType", "image"),
        (&format!("{tag}.Key"), IDENTIFIER),
        (&format!("{tag}.Value"), "web"),
    ];
    value(&account.call(REGION, "CreateImage", &parameters), "imageId")
}

/// The names of the AMIs that the account has made.
fn names(bench: &Bench) -> BTreeSet<String> {
    let held = bench.holds().into_iter();
    let images = held.filter(|line| line.contains(" image "));
    images.filter_map(|line| line.split(' ').nth(3).map(str::to_owned)).collect()
}

fn snapshots(bench: &Bench) -> usize {
    bench.holds().iter().filter(|line| line.contains(" snapshot")).count()
}

#[test]
fn old_images_are_removed_with_their_snapshots_unless_they_are_in_use() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let build = r#"
  post-processor "amazon-ami-management" {
    regions       = ["us-east-1"]
    identifier    = "web"
    keep_releases = 1
    dry_run       = true
  }
  post-processor "amazon-ami-management" {
    # A name like any other.
    regions    = ["us-east-1"]
    identifier = "w*b"
    keep_releases = 1
  }
"#;
    let bench = Bench::new(&cloud, &instances, "", build, |_| Act::Forward);
    let path = bench.path("t.pkr.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = |line: &&str| !line.contains("ami_regions") && !line.contains("ami_users");
    let text: String = text.lines().filter(kept).map(|line| line.to_owned() + "\n").collect();
    let tag = "tags          = { Amazon_AMI_Management_Identifier = \"web\" }";
    let text = text.replace("tags          = { Of = \"the AMI\" }", tag);
    std::fs::write(&path, &text).unwrap();

    let account = &bench.account;
    let run = [("ImageId", BASE_ID), ("MinCount", "1"), ("MaxCount", "1")];
    let launched = account.call(REGION, "RunInstances", &run);
    let instance = value(&items(&launched, "instancesSet")[0], "instanceId");
    let old = |name: &str| old(account, &instance, name);
    let (free, launch, scaled, running) =
        (old("free"), old("launch"), old("scaled"), old("running"));
    let template = [("LaunchTemplateName", "lt"), ("LaunchTemplateData.ImageId", &*launch)];
    account.call(REGION, "CreateLaunchTemplate", &template);
    account.create_launch_configuration(REGION, "lc", &scaled);
    account.call(REGION, "RunInstances", &[("ImageId", &*running), run[1], run[2]]);
    let all = ["free", "launch", "made", "running", "scaled"].map(str::to_owned);

    let dry = bench.run(&["build", "-color=false", "."]);
    assert_eq!(dry.code, Some(0), "{}", dry.said);
    let says = format!("[DryRun] Deleting image: {free}");
    assert_eq!(dry.said.matches(&says).count(), 1, "{}", dry.said);
    assert_eq!(dry.said.matches("Deleting image: ").count(), 4, "{}", dry.said);
    assert_eq!((names(&bench), snapshots(&bench)), (BTreeSet::from(all), 5), "{}", dry.said);

    let text = text.replace("\"made\"", "\"made-2\"").replace("dry_run       = true\n", "");
    std::fs::write(&path, text).unwrap();
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for part in [
        "Processing in us-east-1".to_owned(),
        format!("Deleting image: {free}"),
        format!("[WARN] {launch} is used in launch template: lt (1). Skipped..."),
        format!("[WARN] {scaled} is used in launch configuration: lc. Skipped..."),
        format!("[WARN] {running} is used in instance: i-"),
    ] {
        assert!(ended.said.contains(&part), "no {part:?}: {}", ended.said);
    }
    let left = ["launch", "made-2", "running", "scaled"].map(str::to_owned);
    assert_eq!((names(&bench), snapshots(&bench)), (BTreeSet::from(left), 4), "{}", ended.said);
}

#[test]
fn missing_and_contradictory_options_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let validate = |options: &str| {
        let text = format!(
            "source \"null\" \"a\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
             [\"null.a\"]\n  post-processor \"amazon-ami-management\" {{\n{options}\n  }}\n}}\n"
        );
        std::fs::write(directory.path().join("t.pkr.hcl"), text).unwrap();
        let mut command = ingot_test_support::ingot_command();
        // What is preferred to the built-in plugin `amazon` does not concern this one.
        command.env("INGOT_PREFER_INSTALLED_PLUGINS", "amazon");
        let output = command.args(["validate", "."]).current_dir(directory.path()).output();
        let output = output.unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    };
    let good = "regions = [\"eu-west-1\"]\nidentifier = \"web\"\nkeep_days = 7";
    assert!(validate(good).0, "{}", validate(good).1);
    let (fine, said) = validate(&format!("{good}\nregion = \"us-east-1\""));
    assert!(fine && said.contains("`region` has no effect"), "{said}");
    for (options, part) in [
        ("regions = [\"a\"]\nkeep_days = 7", "`identifier` or `tags` must be set"),
        ("regions = [\"a\"]\nidentifier = \"web\"", "`keep_releases` or `keep_days` must be set"),
        ("identifier = \"web\"\nkeep_days = 7", "no region is given"),
        (
            "regions = [\"a\"]\nidentifier = \"web\"\nkeep_days = 7\nkeep_releases = 2",
            "cannot be set at the same time",
        ),
        ("regions = [\"a\"]\nidentifier = \"web\"\nkeep_releases = -1", "this must be 1 or more"),
    ] {
        let (fine, said) = validate(options);
        assert!(!fine && said.contains(part), "{part}: {said}");
    }
}
