//! `ingot cleanup` for AWS: by the journal, and without one.

use ingot_test_support::require;
use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::bench::{Bench, ENCRYPTED, instances, lasting};
use super::cloud::{cloud, value};
use super::proxy::{Act, Call};

const SLEEP: &str = "  provisioner \"shell\" {\n    inline      = [\"echo asleep; sleep 300\"]\n    remote_file = \"script-${uuidv4()}.sh\"\n  }";

/// Starts a build and returns once its provisioner sleeps.
fn asleep(bench: &Bench) -> std::process::Child {
    let child = bench.start(&["build", "-color=false", "."]);
    bench.wait_for("amazon-ebs.a: asleep");
    child
}

/// What `-json` lists, one line each.
fn listed(said: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(said).unwrap_or_else(|_| panic!("{said}"));
    let things = report["runs"].as_array().unwrap().iter().flat_map(|run| {
        run["things"].as_array().unwrap().iter().map(|thing| {
            ["status", "kind", "where"].map(|name| thing[name].as_str().unwrap()).join(" ")
        })
    });
    things.collect()
}

#[test]
fn the_next_build_mentions_what_a_killed_one_left_and_makes_no_calls_for_it() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, "", SLEEP, |_| Act::Forward);
    let child = asleep(&bench);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    assert_eq!(bench.end(child).code, None);
    let left = bench.holds();
    assert_eq!(left.len(), 4, "instance, volume, key pair, group: {left:?}");

    let calls = bench.proxy.calls().len();
    let null = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
                [\"null.n\"]\n}\n";
    std::fs::write(bench.path("t.pkr.hcl"), null).unwrap();
    let next = bench.run(&["build", "-color=false", "."]);
    assert_eq!(next.code, Some(0), "{}", next.said);
    assert!(next.said.contains("was interrupted and left amazon-instance "), "{}", next.said);
    assert!(next.said.contains("(us-east-1), amazon-security-group "), "{}", next.said);
    assert!(next.said.contains("`ingot cleanup` removes that."), "{}", next.said);
    assert_eq!((bench.proxy.calls().len(), bench.holds()), (calls, left));

    let expected = ["amazon-instance", "amazon-security-group", "amazon-key-pair"];
    let lines = |status: &str| expected.map(|kind| format!("{status} {kind} us-east-1")).to_vec();
    assert_eq!(listed(&bench.run(&["cleanup", "-list", "-json"]).said), lines("left"));
    let cleaned = bench.run(&["cleanup", "-json"]);
    assert_eq!((cleaned.code, listed(&cleaned.said)), (Some(0), lines("removed")));
    assert_eq!(bench.holds(), BTreeSet::new());
    assert_eq!(bench.journals(), 0);
}

#[test]
fn what_cannot_be_removed_is_reported_and_stays_in_the_journal() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "DeleteSecurityGroup" => Act::Refuse(403, "UnauthorizedOperation"),
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, "", "", plan);
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("Could not remove the security group"), "{}", ended.said);
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(1), "{}", cleaned.said);
    assert!(cleaned.said.contains("could not remove amazon-security-group"), "{}", cleaned.said);
    assert!(cleaned.said.contains("UnauthorizedOperation"), "{}", cleaned.said);
    assert_eq!(bench.journals(), 1);
    bench.proxy.disarm();
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert!(!bench.holds().iter().any(|line| line.contains("security-group")));
    assert_eq!(bench.journals(), 0);
}

#[test]
fn without_a_journal_the_tag_of_the_run_finds_what_is_left() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let spot = "  spot_price = \"auto\"\n";
    let bench = Bench::new(&cloud, &instances, spot, SLEEP, |_| Act::Forward);
    let child = asleep(&bench);
    // It lives, so that not even its age is a reason.
    let all = ["cleanup", "-aws-region", "us-east-1", "-older-than=0", "-json"];
    let during = bench.holds();
    assert_eq!(listed(&bench.run_beside(&all).said), [""; 0]);
    assert_eq!(bench.holds(), during);

    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    bench.end(child);
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    assert_eq!(listed(&bench.run(&["cleanup", "-list", "-json"]).said), [""; 0]);
    let list = bench.run(&["cleanup", "-aws-region=us-east-1", "-list", "-json"]);
    let expected =
        ["amazon-instance", "amazon-launch-template", "amazon-security-group", "amazon-key-pair"];
    let lines = |status: &str| expected.map(|kind| format!("{status} {kind} us-east-1")).to_vec();
    assert_eq!(listed(&list.said), lines("left"), "{}", list.said);
    let report: Value = serde_json::from_str(&list.said).unwrap();
    let run = report["runs"][0]["run"].as_str().unwrap();
    let young = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=1h", "-json"]);
    assert_eq!((young.code, listed(&young.said)), (Some(0), vec![]));
    let cleaned = bench.run(&["cleanup", "-aws-region=us-east-1", "-run", run, "-json"]);
    assert_eq!((cleaned.code, listed(&cleaned.said)), (Some(0), lines("removed")));
    assert_eq!(bench.holds(), BTreeSet::new());
}

#[test]
fn another_account_is_not_taken_for_one_that_holds_nothing() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, "", SLEEP, |_| Act::Forward);
    let child = asleep(&bench);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    bench.end(child);
    let left = bench.holds();
    assert_eq!(left.len(), 4, "{left:?}");
    let other = cloud.account();
    bench.proxy.switch(&other);
    let calls = bench.proxy.calls().len();
    let refused = bench.run(&["cleanup"]);
    let (own, asked) = (&bench.account.id, &bench.proxy.calls()[calls..]);
    let message = format!("it is in the account {own}, and these credentials are for {}", other.id);
    assert_eq!(
        (refused.code, refused.said.matches(&message).count()),
        (Some(1), 3),
        "{}",
        refused.said
    );
    let help = format!("help: run `ingot cleanup` with credentials for the account {own}");
    assert!(refused.said.contains(&help), "{}", refused.said);
    let asked: Vec<&str> = asked.iter().map(|call| call.action.as_str()).collect();
    assert_eq!(asked, ["GetCallerIdentity"]);
    assert_eq!((bench.holds(), bench.journals()), (left, 1));
    bench.proxy.switch(&bench.account);
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!((bench.holds(), bench.journals()), (BTreeSet::new(), 0));
}

#[test]
fn an_instance_goes_before_the_volumes_that_it_holds() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, "", SLEEP, |_| Act::Forward);
    bench.proxy.edit_requests(lasting);
    let child = asleep(&bench);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    bench.end(child);
    let cleaned = bench.run(&["cleanup", "-json"]);
    let expected = ["instance", "volume", "security-group", "key-pair"];
    let expected = expected.map(|kind| format!("removed amazon-{kind} us-east-1"));
    assert_eq!((cleaned.code, listed(&cleaned.said)), (Some(0), expected.to_vec()));
    assert_eq!(bench.holds(), BTreeSet::new());
}

#[test]
fn volumes_of_an_instance_that_does_not_run_yet_go_with_it() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match (call.action.as_str(), call.nth) {
        ("DescribeInstances", 0) => Act::Signal(Signal::INT),
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, "", "", plan);
    bench.proxy.edit_requests(lasting);
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_ne!(ended.code, Some(0), "{}", ended.said);
    assert_eq!((bench.holds(), bench.journals()), (BTreeSet::new(), 0), "{}", ended.said);
}

#[test]
fn a_snapshot_that_cannot_be_deleted_stays_in_the_journal_without_its_ami() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "DeleteSnapshot" => Act::Refuse(403, "UnauthorizedOperation"),
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, ENCRYPTED, "", plan);
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("Could not remove the AMI ingot-"), "{}", ended.said);
    let snapshots = |bench: &Bench| {
        bench.holds().into_iter().filter(|line| line.contains(" snapshot ")).count()
    };
    assert_eq!((snapshots(&bench), bench.journals()), (1, 1), "{:?}", bench.holds());
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!((cleaned.code, bench.journals()), (Some(1), 1), "{}", cleaned.said);
    bench.proxy.disarm();
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!((snapshots(&bench), bench.journals()), (0, 0), "{}", cleaned.said);
}

#[test]
fn what_is_not_seen_at_once_is_not_taken_for_gone() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    // Once sharing the AMI has failed, it is not seen for two looks; nor is the group whose answer
    // is lost.
    let failed = std::sync::atomic::AtomicUsize::new(usize::MAX);
    let order = std::sync::atomic::Ordering::SeqCst;
    let plan = move |call: &Call| match (call.action.as_str(), call.nth) {
        ("CreateSecurityGroup", 0) => Act::CutAfter,
        ("DescribeSecurityGroups", 0 | 1) => Act::Refuse(400, "InvalidGroup.NotFound"),
        ("ModifyImageAttribute", 0) => {
            failed.store(0, order);
            Act::Refuse(400, "InvalidParameterValue")
        }
        ("DescribeImages", _) if failed.load(order) < 2 => {
            failed.fetch_add(1, order);
            Act::Refuse(400, "InvalidAMIID.NotFound")
        }
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, "", "", plan);
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("InvalidParameterValue"), "{}", ended.said);
    assert_eq!((bench.holds(), bench.journals()), (BTreeSet::new(), 0), "{}", ended.said);
}

#[test]
fn snapshots_that_the_template_names_are_the_users() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    for killed in [false, true] {
        let plan = move |call: &Call| match (call.action.as_str(), call.nth) {
            ("ModifyImageAttribute", 0) if killed => Act::Signal(Signal::KILL),
            ("ModifyImageAttribute", 0) => Act::Refuse(400, "InvalidParameterValue"),
            _ => Act::Forward,
        };
        let disk = "  ami_block_device_mappings {\n    device_name = \"/dev/sdb\"\n    \
                    snapshot_id = \"SNAPSHOT\"\n  }\n";
        let bench = Bench::new(&cloud, &instances, disk, "", plan);
        let zone = [("Size", "1"), ("AvailabilityZone", "us-east-1a")];
        let volume = value(&bench.account.call("us-east-1", "CreateVolume", &zone), "volumeId");
        let of = [("VolumeId", volume.as_str())];
        let own = value(&bench.account.call("us-east-1", "CreateSnapshot", &of), "snapshotId");
        let path = bench.path("t.pkr.hcl");
        let text = std::fs::read_to_string(&path).unwrap().replace("SNAPSHOT", &own);
        std::fs::write(&path, text).unwrap();
        let before = bench.holds();
        // moto does not keep the disks that an AMI is to have.
        bench.proxy.edit_answers(move |call, body| {
            let disk = format!(
                "<blockDeviceMapping><item><deviceName>/dev/sdb</deviceName><ebs><snapshotId>{own}\
                 </snapshotId></ebs></item>"
            );
            let created = call.action == "DescribeImages" && body.contains("<name>made</name>");
            created.then(|| body.replace("<blockDeviceMapping>", &disk))
        });
        let ended = bench.run(&["build", "-color=false", "."]);
        assert_ne!(ended.code, Some(0), "{}", ended.said);
        if killed {
            assert!(bench.holds().len() > before.len());
            let cleaned = bench.run(&["cleanup"]);
            assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
        }
        assert_eq!((bench.holds(), bench.journals()), (before, 0), "{}", ended.said);
    }
}

#[test]
fn without_a_journal_roles_volumes_and_temporary_amis_are_found_too() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match (call.action.as_str(), call.nth) {
        ("CopyImage", 0) => Act::Signal(Signal::KILL),
        ("CopyImage", _) => Act::CutBefore,
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, ENCRYPTED, "", plan);
    bench.proxy.edit_requests(lasting);
    bench.run(&["build", "-color=false", "."]);
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    let cleaned = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=0s", "-json"]);
    let expected =
        ["instance", "volume", "security-group", "key-pair", "image", "instance-profile"];
    let expected = expected.map(|kind| format!("removed amazon-{kind} us-east-1"));
    assert_eq!(
        (cleaned.code, listed(&cleaned.said)),
        (Some(0), expected.to_vec()),
        "{}",
        cleaned.said
    );
    // Nothing distinguishes a copy from an AMI of the user.
    let left: Vec<String> =
        bench.holds().into_iter().filter(|line| !line.contains(" made ")).collect();
    assert!(left.iter().all(|line| line.contains("snapshot-of-image")), "{left:?}");
}

#[test]
fn a_security_group_has_the_start_of_its_run() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "AuthorizeSecurityGroupIngress" => Act::Signal(Signal::KILL),
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, "", "", plan);
    bench.run(&["build", "-color=false", "."]);
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    let key = bench.account.call("us-east-1", "DescribeKeyPairs", &[]);
    bench.account.call("us-east-1", "DeleteKeyPair", &[("KeyName", &value(&key, "keyName"))]);
    assert_eq!(bench.holds().len(), 1);
    let young = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=1h", "-json"]);
    assert_eq!((young.code, listed(&young.said)), (Some(0), vec![]));
    let old = bench.run(&["cleanup", "-aws-region=us-east-1", "-older-than=0s", "-json"]);
    assert_eq!(listed(&old.said), ["removed amazon-security-group us-east-1"], "{}", old.said);
    assert_eq!(bench.holds(), BTreeSet::new());
}

#[test]
fn no_secret_of_aws_is_in_the_log() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let mut bench = Bench::new(&cloud, &instances, "", "", |_| Act::Forward);
    let role = format!(
        "  assume_role {{\n    role_arn = \"arn:aws:iam::{}:role/r\"\n  }}\n",
        bench.account.id
    );
    let path = bench.path("t.pkr.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("  communicator  ", &format!("{role}  communicator  ")))
        .unwrap();
    let log = bench.path("log");
    bench.env =
        vec![("PACKER_LOG", "TRACE".to_owned()), ("PACKER_LOG_PATH", log.display().to_string())];
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let calls: Vec<String> = bench.proxy.calls().into_iter().map(|call| call.action).collect();
    assert!(calls.contains(&"AssumeRole".to_owned()), "{calls:?}");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("DEBUG"), "{log}");
    for secret in ["PRIVATE KEY", "SecretAccessKey", "SessionToken", "wJalrXUtnFEMI"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn the_snapshot_of_an_ami_that_is_gone_is_found_by_what_it_was_made_of() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "CreateImage" => Act::Signal(Signal::KILL),
        _ => Act::Forward,
    };
    let bench = Bench::new(&cloud, &instances, "", "", plan);
    bench.run(&["build", "-color=false", "."]);
    // The build never learnt its id.
    let created = bench.holds().into_iter().find(|line| line.contains(" image ")).unwrap();
    let id = created.split(' ').nth(2).unwrap().to_owned();
    bench.account.call("us-east-1", "DeregisterImage", &[("ImageId", &id)]);
    assert!(bench.holds().iter().any(|line| line.contains(" snapshot snap-")));
    let cleaned = bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!((bench.holds(), bench.journals()), (BTreeSet::new(), 0), "{}", cleaned.said);
}
