//! `amazon-ebsvolume` and `amazon-ebssurrogate`: what becomes of the volumes of their instances.

use std::sync::{Arc, Mutex};

use ingot_test_support::require;
use rustix::process::Signal;
use serde_json::Value;

use super::bench::{Bench, Instances, instances};
use super::cloud::{Cloud, cloud, items, value};
use super::http::form_value;
use super::proxy::{Act, Call};

/// Options of `amazon-ebsvolume`: a volume that stays, and a snapshot of it.
pub(crate) const VOLUMES: &str = r#"
  ebs_volumes {
    device_name     = "/dev/xvdf"
    volume_size     = 3
    snapshot_volume = true
    snapshot_users  = ["123456789012"]
    tags            = { Of = "the user" }
  }
"#;

/// Options of `amazon-ebssurrogate`: an AMI of the instance, whose root is exchanged before.
pub(crate) const EXCHANGED: &str = r#"
  ami_name                = "made"
  ami_virtualization_type = "hvm"
  use_create_image        = true
  skip_ami_run_tags       = true
  tags                    = { Of = "the AMI" }
  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 2
    delete_on_termination = true
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvdg"
    volume_size           = 1
    delete_on_termination = true
    omit_from_artifact    = true
  }
  ami_root_device {
    source_device_name = "/dev/xvdf"
    device_name        = "/dev/xvda"
  }
"#;

/// Options of `amazon-ebssurrogate`: an AMI that is registered of a snapshot.
const REGISTERED: &str = r#"
  ami_name                = "made"
  ami_virtualization_type = "hvm"
  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 2
    delete_on_termination = true
  }
  ami_root_device {
    source_device_name = "/dev/xvdf"
    device_name        = "/dev/xvda"
  }
"#;

const BUILD: &[&str] = &["build", "-color=false", "."];

fn bench(
    (cloud, instances): (&Cloud, &Arc<Instances>),
    (builder, own): (&str, &str),
    build: &str,
    plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
) -> Bench {
    let bench = Bench::new(cloud, instances, "", build, plan);
    bench.in_one_region();
    bench.of_builder(builder, own);
    bench
}

/// The one volume of the account, as EC2 lists it.
fn volume(bench: &Bench) -> String {
    let all = items(&bench.account.call("us-east-1", "DescribeVolumes", &[]), "volumeSet");
    let [one] = &all[..] else { panic!("{all:?}") };
    one.clone()
}

#[test]
fn volumes_are_the_users_without_the_permission_to_take_tags_off() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "DeleteTags" => Act::Refuse(403, "UnauthorizedOperation"),
        _ => Act::Forward,
    };
    let bench = bench((&cloud, &instances), ("amazon-ebsvolume", VOLUMES), "", plan);
    let ended = bench.run(BUILD);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let volume = volume(&bench);
    let id = value(&volume, "volumeId");
    assert!(ended.said.contains(&format!("us-east-1:{id}")), "{}", ended.said);
    assert!(volume.contains("<value>the user</value>"), "{volume}");
    assert!(!volume.contains("ingot-run"), "{volume}");
    // Nothing takes it for what a killed build left.
    let held = bench.holds();
    let cleaned = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=0"]);
    assert_eq!((cleaned.code, bench.holds()), (Some(0), held), "{}", cleaned.said);
}

#[test]
fn disks_that_ec2_does_not_list_at_once_are_waited_for() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let how = ("amazon-ebsvolume", VOLUMES);
    let bench = bench((&cloud, &instances), how, "", |_| Act::Forward);
    bench.proxy.edit_answers(|call, body| {
        let (before, rest) = body.split_once("<blockDeviceMapping>")?;
        let (_, after) = rest.split_once("</blockDeviceMapping>")?;
        let is_early = call.action == "DescribeInstances" && call.nth < 2;
        is_early.then(|| format!("{before}<blockDeviceMapping/>{after}"))
    });
    let ended = bench.run(BUILD);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let volume = volume(&bench);
    let id = value(&volume, "volumeId");
    assert!(ended.said.contains(&format!("us-east-1:{id}")), "{}", ended.said);
    assert!(volume.contains("<value>the user</value>"), "{volume}");
}

#[test]
fn snapshots_that_are_created_again_are_listed_once() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match (call.action.as_str(), call.nth) {
        ("ModifySnapshotAttribute", 0) => Act::Refuse(400, "InvalidParameterValue"),
        _ => Act::Forward,
    };
    let how = ("amazon-ebsvolume", VOLUMES);
    let bench = bench((&cloud, &instances), how, "  post-processor \"manifest\" {}\n", plan);
    let ended = bench.run_on_terminal("build -color=false -on-error=ask .", "r\n");
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("Step \"make snapshots\" failed."), "{}", ended.said);
    let manifest = std::fs::read(bench.path("packer-manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let told = manifest["builds"][0]["artifact_id"].as_str().unwrap();
    let held = bench.holds();
    let mut ids: Vec<String> = held
        .iter()
        .map(|line| format!("us-east-1:{}", line.rsplit(' ').next().unwrap_or_default()))
        .collect();
    ids.sort();
    assert_eq!(ids.len(), 2, "a volume and its snapshot: {held:?}");
    assert_eq!(told, ids.join(","));
}

#[test]
fn an_ami_of_volumes_of_a_spot_instance_has_enhanced_networking() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let own = format!("  spot_price = \"auto\"\n  ena_support = true\n{REGISTERED}");
    let how = ("amazon-ebssurrogate", own.as_str());
    let bench = bench((&cloud, &instances), how, "", |_| Act::Forward);
    // moto does not give spot instances the disks that are asked for.
    let account = bench.account.clone();
    bench.proxy.edit_answers(move |call, body| {
        if call.action == "CreateFleet" {
            let instance = format!("i-{}", body.split_once("<item>i-")?.1.split_once('<')?.0);
            let ask = |action: &str, own: &[(&str, &str)]| account.call("us-east-1", action, own);
            let zone = [("Size", "2"), ("AvailabilityZone", "us-east-1a")];
            let volume = value(&ask("CreateVolume", &zone), "volumeId");
            let (instance, device) = (("InstanceId", instance.as_str()), "/dev/xvdf");
            ask("AttachVolume", &[instance, ("VolumeId", volume.as_str()), ("Device", device)]);
            let goes_along = "BlockDeviceMapping.1.Ebs.DeleteOnTermination";
            let name = ("BlockDeviceMapping.1.DeviceName", device);
            ask("ModifyInstanceAttribute", &[instance, name, (goes_along, "true")]);
        }
        None
    });
    let registered = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&registered);
    bench.proxy.edit_requests(move |call, body| {
        if call.action == "RegisterImage" {
            seen.lock().unwrap().push(form_value(body, "EnaSupport"));
        }
        None
    });
    let ended = bench.run(BUILD);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(*registered.lock().unwrap(), [Some("true".to_owned())]);
    let calls = bench.proxy.calls();
    assert!(!calls.iter().any(|call| call.action == "ModifyInstanceAttribute"), "{calls:?}");
}

#[test]
fn a_root_device_that_is_to_stay_stays_when_its_build_is_killed() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "ModifyInstanceAttribute" => Act::Signal(Signal::KILL),
        _ => Act::Forward,
    };
    let (goes, stays) = ("delete_on_termination = true", "delete_on_termination = false");
    let own = EXCHANGED.replacen(goes, stays, 1);
    let how = ("amazon-ebssurrogate", own.as_str());
    let bench = bench((&cloud, &instances), how, "", plan);
    let ended = bench.run(BUILD);
    assert_eq!(ended.code, None, "{}", ended.said);
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    // It is the root device by now, and not the disk that is left out of the AMI.
    assert_eq!(value(&volume(&bench), "size"), "2", "{}", cleaned.said);
    let held = bench.holds();
    assert_eq!((held.len(), bench.journals()), (1, 0), "{held:?}: {}", cleaned.said);
}

/// A build whose AMI's name another one takes while this one takes its snapshot.
fn too_late(cloud: &Cloud, instances: &Arc<Instances>) -> Bench {
    let plan = |call: &Call| match call.action.as_str() {
        "RegisterImage" => Act::Refuse(400, "InvalidAMIName.Duplicate"),
        _ => Act::Forward,
    };
    let bench = bench((cloud, instances), ("amazon-ebssurrogate", REGISTERED), "", plan);
    let account = bench.account.clone();
    bench.proxy.edit_requests(move |call, _| {
        if call.action == "CreateSnapshot" {
            let image = [("Name", "made"), ("RootDeviceName", "/dev/xvda")];
            account.call("us-east-1", "RegisterImage", &image);
        }
        None
    });
    bench
}

/// Whether there is nothing but an AMI, and nothing in the journal.
fn holds_an_ami_only(bench: &Bench) -> bool {
    let held = bench.holds();
    let kept = |line: &String| line.contains(" image ") || line.contains(" snapshot-of-image ");
    held.len() == 2 && held.iter().all(kept) && bench.journals() == 0
}

#[test]
fn an_ami_that_took_the_name_first_is_not_removed() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = too_late(&cloud, &instances);
    let ended = bench.run(BUILD);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("InvalidAMIName.Duplicate"), "{}", ended.said);
    assert!(holds_an_ami_only(&bench), "{:?}: {}", bench.holds(), ended.said);
}

#[test]
fn cleaning_up_after_a_killed_build_leaves_an_ami_that_took_the_name_first() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = too_late(&cloud, &instances);
    let child = bench.start_on_terminal("build -color=false -on-error=ask .");
    let ended = bench.kill_on_terminal(child, "[c] Clean up and exit");
    assert!(ended.said.contains("InvalidAMIName.Duplicate"), "{}", ended.said);
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert!(holds_an_ami_only(&bench), "{:?}: {}", bench.holds(), cleaned.said);
}
