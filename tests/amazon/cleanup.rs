//! `ingot cleanup` for AWS: by the journal, and without one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::bench::{Bench, instances};
use super::cloud::cloud;
use super::proxy::{Act, Call};

const SLEEP: &str = "  provisioner \"shell\" {\n    inline = [\"echo asleep; sleep 300\"]\n  }";

/// Starts a build and returns once its provisioner sleeps.
fn asleep(bench: &Bench) -> std::process::Child {
    let child = bench.start(&["build", "-color=false", "."]);
    let start = Instant::now();
    while !bench.said().contains("amazon-ebs.a: asleep") {
        assert!(start.elapsed() < Duration::from_secs(120), "{}", bench.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

/// What `-json` lists, one line each.
fn listed(said: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(said).unwrap();
    let things = report["runs"].as_array().unwrap().iter().flat_map(|run| {
        run["things"].as_array().unwrap().iter().map(|thing| {
            ["status", "kind", "where"].map(|name| thing[name].as_str().unwrap()).join(" ")
        })
    });
    things.collect()
}

#[test]
fn the_next_build_mentions_what_a_killed_one_left_and_makes_no_calls_for_it() {
    let (Some(cloud), Some(instances)) = (cloud(), instances()) else { return };
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
fn what_cannot_be_removed_is_told_and_stays_in_the_journal() {
    let (Some(cloud), Some(instances)) = (cloud(), instances()) else { return };
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
fn without_a_journal_the_tag_of_the_run_tells_what_is_left() {
    let (Some(cloud), Some(instances)) = (cloud(), instances()) else { return };
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
