//! The step cache of `amazon-ebs`: states of instances as AMIs.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ingot_test_support::require;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::bench::{Bench, Instances, RunResult, instances};
use super::cloud::{BASE_ID, Cloud, cloud, items, value};
use super::proxy::{Act, Call};

const CACHED: &[&str] = &["build", "-color=false", "-cache", "-explain", "."];

/// A provisioner that is not in the way of those of other tests on the same machine, and the same each
/// time.
fn shell(unique: &str, name: &str, script: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    name        = \"{name}\"\n    inline      = [\"{script}\"]\n    \
         remote_file = \"script-{unique}-{name}.sh\"\n  }}\n"
    )
}

/// A template whose AMI is in one region and says which AMI it comes from.
fn bench(
    cloud: &Cloud,
    instances: &Arc<Instances>,
    second: &str,
    plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
) -> Bench {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let first = shell(&unique, "one", "echo first") + &shell(&unique, "two", second);
    let steps = first + &shell(&unique, "three", "echo third");
    let bench = Bench::new(cloud, instances, "", &steps, plan);
    bench.in_one_region();
    bench.edit(|text| text.replace("Of = \"the AMI\"", "Of = \"{{ .SourceAMI }}\""));
    std::fs::write(bench.path("t.ingot.hcl"), "cache {\n  amazon = true\n}\n").unwrap();
    bench
}

fn says(ended: &RunResult, code: i32, parts: &[&str], absent: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    for part in parts {
        assert!(ended.said.contains(part), "no {part:?}: {}", ended.said);
    }
    for part in absent {
        assert!(!ended.said.contains(part), "{part:?}: {}", ended.said);
    }
}

/// The ids of the AMIs that keep states.
fn states(bench: &Bench) -> BTreeSet<String> {
    let answer = bench.account.call("us-east-1", "DescribeImages", &[]);
    let images = items(&answer, "imagesSet").into_iter();
    let states = images.filter(|image| image.contains("<key>ingot-state</key>"));
    states.map(|image| value(&image, "imageId")).collect()
}

/// The AMI of each instance that there was.
fn launched_from(bench: &Bench) -> Vec<String> {
    let answer = bench.account.call("us-east-1", "DescribeInstances", &[]);
    let mut instances = items(&answer, "instancesSet");
    instances.sort_by_key(|instance| value(instance, "launchTime"));
    instances.iter().map(|instance| value(instance, "imageId")).collect()
}

/// What a list of the cache in JSON says: how many states there are of `amazon-ebs`.
fn listed(bench: &Bench) -> usize {
    let listed = bench.run(&["cache", "list", "-json"]);
    assert_eq!(listed.code, Some(0), "{}", listed.said);
    let listed: Value = serde_json::from_str(&listed.said).unwrap();
    let states = listed["states"].as_array().unwrap().iter();
    states.filter(|state| state["builder"] == "amazon-ebs").count()
}

#[test]
fn only_what_changed_is_run_and_states_go_when_they_are_pruned() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "DeregisterImage" => Act::Refuse(403, "UnauthorizedOperation"),
        _ => Act::Forward,
    };
    let bench = bench(&cloud, &instances, "exit 3", plan);

    // A build that fails has come to something.
    let failed = bench.run(CACHED);
    let kept = "Step cache: one (1 of 3) was run and kept: there was no state of it";
    says(&failed, 1, &["amazon-ebs.a: first", kept, "Starting the instance again..."], &[]);
    let one = states(&bench);
    assert_eq!((one.len(), listed(&bench)), (1, 1), "{}", failed.said);
    let made = bench.holds();
    assert!(made.iter().all(|line| line.contains("image")), "{made:?}");
    assert_eq!(bench.journals(), 1, "the directory of the cache");

    // The step that failed is mended: nothing else runs.
    bench.edit(|text| text.replace("exit 3", "echo second"));
    let done = bench.run(CACHED);
    let cached = [
        "Using cached state for one (1 of 3)",
        "amazon-ebs.a: second",
        "two (2 of 3) was run and kept",
        // The AMI is made of what it leaves, which a start could change.
        "three (3 of 3) was run, not cached: the AMI is made of the instance as the last step leaves",
    ];
    says(&done, 0, &cached, &["amazon-ebs.a: first"]);
    assert_eq!(done.said.matches("Starting the instance again...").count(), 1, "{}", done.said);
    assert_eq!((states(&bench).len(), listed(&bench)), (2, 2), "{}", done.said);
    assert_eq!(launched_from(&bench)[1], *one.first().unwrap());
    let answer = bench.account.call("us-east-1", "DescribeImages", &[]);
    let images = items(&answer, "imagesSet").into_iter();
    let made: Vec<String> = images.filter(|image| value(image, "name") == "made").collect();
    // What is seen of the source is the template's.
    let tag = format!("<key>Of</key><value>{BASE_ID}</value>");
    let plain: String = made[0].chars().filter(|c| !c.is_whitespace()).collect();
    assert!(plain.contains(&tag) && !plain.contains("ingot-state"), "{plain}");

    // States that AWS refuses to remove are still known.
    let pruned = bench.run(&["cache", "prune", "-all"]);
    says(&pruned, 1, &["deregistering the AMI ami-", "UnauthorizedOperation"], &[]);
    assert_eq!((states(&bench).len(), listed(&bench)), (2, 2));
    bench.proxy.disarm();

    // Nothing changed but what is made of the instance, which comes out as without the cache.
    bench.edit(|text| {
        let shared = "skip_ami_run_tags = true\n  ami_users   = [\"123456789012\"]\n  ami_regions = \
                      [\"eu-west-1\"]\n";
        text.replace("\"made\"", "\"made-2\"").replace("skip_ami_run_tags = true\n", shared)
    });
    let again = bench.run(CACHED);
    let absent = ["amazon-ebs.a: first", "amazon-ebs.a: second", "to keep its state"];
    says(&again, 0, &["Using cached state for two (2 of 3)", "AMIs were created:"], &absent);
    assert_eq!(states(&bench).len(), 2);
    for region in ["us-east-1", "eu-west-1"] {
        let answer = bench.account.call(region, "DescribeImages", &[]);
        let images = items(&answer, "imagesSet").into_iter();
        let made: Vec<String> = images.filter(|image| value(image, "name") == "made-2").collect();
        assert_eq!(made.len(), 1, "{region}: {answer}");
        let id = value(&made[0], "imageId");
        let asked = [("ImageId", &*id), ("Attribute", "launchPermission")];
        let users = bench.account.call(region, "DescribeImageAttribute", &asked);
        assert!(users.contains("<userId>123456789012</userId>"), "{users}");
        assert!(!made[0].contains("ingot-state"), "{}", made[0]);
    }
    bench.edit(|text| {
        let kept =
            |line: &&str| !line.trim_start().starts_with("ami_") || line.contains("ami_name");
        text.lines().filter(kept).map(|line| line.to_owned() + "\n").collect()
    });

    // What somebody has removed is made again, and the rest is forgotten.
    for id in states(&bench) {
        bench.account.call("us-east-1", "DeregisterImage", &[("ImageId", &id)]);
    }
    bench.edit(|text| {
        text.replace("\"made-2\"", "\"made-3\"").replace("echo second", "echo another")
    });
    let remade = bench.run(CACHED);
    let parts = ["amazon-ebs.a: first", "amazon-ebs.a: another", "was run and kept"];
    says(&remade, 0, &parts, &["Using cached state"]);
    assert_eq!(states(&bench).len(), 2);
    // The state after the step that is another one now is not looked for.
    assert_eq!(listed(&bench), 3);
    let pruned = bench.run(&["cache", "prune", "-all"]);
    says(&pruned, 0, &["Removed 3 states"], &[]);
    assert_eq!(listed(&bench), 0);
    let held = bench.holds();
    let names: Vec<&str> = held
        .iter()
        .filter(|line| line.contains(" image "))
        .filter_map(|line| line.split(' ').nth(3))
        .collect();
    assert_eq!(names.len(), 4, "{held:?}");
    assert!(names.iter().all(|name| name.starts_with("made")), "{held:?}");
    assert!(!held.iter().any(|line| line.contains(" snapshot ")), "{held:?}");

    // Without being asked for, no state is made.
    std::fs::remove_file(bench.path("t.ingot.hcl")).unwrap();
    bench.edit(|text| text.replace("\"made-3\"", "\"made-4\""));
    let unasked = bench.run(CACHED);
    let why =
        "AWS takes money for the states of amazon-ebs, which are AMIs; cache { amazon = true }";
    says(&unasked, 0, &[&format!("No step is cached: {why}")], &["to keep its state"]);
    assert_eq!(states(&bench).len(), 0);
    let planned = bench.run(&["plan", "-format=json", "."]);
    says(&planned, 0, &[why], &[]);
}

#[test]
fn a_build_that_is_interrupted_leaves_no_state() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = bench(&cloud, &instances, "echo asleep; sleep 300", |_| Act::Forward);
    let child = bench.start(CACHED);
    bench.wait_for("amazon-ebs.a: asleep");
    assert_eq!(states(&bench).len(), 1);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = bench.end(child);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert_eq!(bench.holds(), BTreeSet::new(), "{}", ended.said);
    assert_eq!(listed(&bench), 0);
}

#[test]
fn what_a_killed_build_was_about_to_keep_is_cleaned_up() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let plan = |call: &Call| match call.action.as_str() {
        "CreateImage" => Act::Signal(Signal::KILL),
        _ => Act::Forward,
    };
    let bench = bench(&cloud, &instances, "echo second", plan);
    let killed = bench.run(CACHED);
    assert_eq!(killed.code, None, "{}", killed.said);
    assert_eq!(states(&bench).len(), 1, "{:?}", bench.holds());
    let cleaned = bench.run(&["cleanup"]);
    says(&cleaned, 0, &["amazon-image ingot-state-"], &[]);
    assert_eq!(bench.holds(), BTreeSet::new(), "{}", cleaned.said);
}

#[test]
fn an_instance_that_moves_is_reached_and_its_state_is_shared() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let mut bench = bench(&cloud, &instances, "echo at ${build.Host}", |_| Act::Forward);
    let shared = bench.path("shared").display().to_string();
    bench.env.push(("INGOT_CACHE_DIR", shared));
    bench.edit(|text| {
        let kept = text.lines().filter(|line| !line.contains("ssh_host"));
        kept.map(|line| line.to_owned() + "\n").collect()
    });
    let started = AtomicBool::new(false);
    bench.proxy.edit_answers(move |call, text| {
        if call.action == "StartInstances" {
            started.store(true, Ordering::SeqCst);
        }
        let address = if started.load(Ordering::SeqCst) { "127.0.0.2" } else { "127.0.0.1" };
        (call.action == "DescribeInstances").then(|| {
            let start = text.find("<ipAddress>").unwrap_or(text.len());
            let end = text.find("</ipAddress>").map_or(start, |at| at + "</ipAddress>".len());
            let text = format!("{}{}", &text[..start], &text[end..]);
            let own = format!("<ipAddress>{address}</ipAddress><instanceId>");
            text.replacen("<instanceId>", &own, 1)
        })
    });
    let built = bench.run(CACHED);
    let parts = [
        "communicator to connect: 127.0.0.1",
        "communicator to connect: 127.0.0.2",
        "amazon-ebs.a: at 127.0.0.2",
        "two (2 of 3) was run, not cached: build.Host is known only while the build runs",
    ];
    says(&built, 0, &parts, &[]);
    assert_eq!(states(&bench).len(), 1);

    // Another machine that shares the directory shares the states.
    bench.env.push(("INGOT_STATE_DIR", bench.path("other").display().to_string()));
    bench.edit(|text| text.replace("\"made\"", "\"made-2\""));
    let other = bench.run(CACHED);
    let cached = "Using cached state for one (1 of 3)";
    says(&other, 0, &[cached, "amazon-ebs.a: at 127.0.0.2"], &["amazon-ebs.a: first"]);
    assert_eq!((states(&bench).len(), listed(&bench)), (1, 1));
    says(&bench.run(&["cache", "prune", "-all"]), 0, &["Removed 1 state, "], &[]);
    assert_eq!(states(&bench).len(), 0);

    // Nothing is made that could not be written down.
    let records = bench.path("shared/amazon-ebs");
    std::fs::remove_dir_all(&records).unwrap();
    std::fs::write(&records, "").unwrap();
    bench.edit(|text| text.replace("\"made-2\"", "\"made-3\""));
    let unwritten = bench.run(CACHED);
    let why = "No more states of the instance are kept: writing to ";
    says(&unwritten, 0, &[why, "amazon-ebs.a: first"], &["to keep its state"]);
    assert_eq!(states(&bench).len(), 0);
}

/// The files that say which AMIs keep states, in the shared directory `shared`.
fn records(shared: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(shared.join("amazon-ebs")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn who_writes_to_the_shared_directory_can_have_nothing_removed_or_run() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let mut bench = bench(&cloud, &instances, "echo second", |_| Act::Forward);
    let shared = bench.path("shared");
    bench.env.push(("INGOT_CACHE_DIR", shared.display().to_string()));
    let kept = "was run and kept";
    says(&bench.run(CACHED), 0, &[kept], &[]);

    // What else is in the account.
    let call = |action: &str, parameters: &[(&str, &str)], result: &str| {
        value(&bench.account.call("us-east-1", action, parameters), result)
    };
    let launch = [("ImageId", BASE_ID), ("MinCount", "1"), ("MaxCount", "1")];
    let instance = call("RunInstances", &launch, "instanceId");
    let image = call("CreateImage", &[("InstanceId", &instance), ("Name", "backup")], "imageId");
    let room = [("AvailabilityZone", "us-east-1a"), ("Size", "1")];
    let volume = call("CreateVolume", &room, "volumeId");
    let backup = call("CreateSnapshot", &[("VolumeId", &volume)], "snapshotId");

    // What somebody writes who wants to have it removed, a program run, or a signed request.
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    endpoint.set_nonblocking(true).unwrap();
    let url = format!("http://{}", endpoint.local_addr().unwrap());
    let (credentials, ran) = (bench.path("credentials"), bench.path("ran"));
    let process = format!("[evil]\ncredential_process = /usr/bin/touch {}\n", ran.display());
    std::fs::write(&credentials, process).unwrap();
    let first = records(&shared).remove(0);
    let record: Value = serde_json::from_slice(&std::fs::read(&first).unwrap()).unwrap();
    let plant = |path: &Path, id: &str| {
        let mut record = record.clone();
        let attributes = record["image"]["attributes"].as_object_mut().unwrap();
        attributes.extend([
            ("image_id".to_owned(), json!(id)),
            ("snapshots".to_owned(), json!(backup)),
            ("profile".to_owned(), json!("evil")),
            ("shared_credentials_file".to_owned(), json!(credentials)),
            ("endpoint".to_owned(), json!(url)),
            ("sts_endpoint".to_owned(), json!(url)),
        ]);
        std::fs::write(path, record.to_string()).unwrap();
    };
    let is_untouched = || {
        let held = bench.holds();
        assert!(held.contains(&format!("us-east-1 image {image} backup available")), "{held:?}");
        assert!(held.contains(&format!("us-east-1 snapshot {backup}")), "{held:?}");
        assert!(!ran.exists(), "a program was run");
        assert!(endpoint.accept().is_err(), "a request was sent");
    };
    is_untouched();

    // A build that finds that its states are gone.
    for path in records(&shared) {
        plant(&path, "ami-0000000000000000f");
    }
    for id in states(&bench) {
        bench.account.call("us-east-1", "DeregisterImage", &[("ImageId", &id)]);
    }
    bench.edit(|text| text.replace("\"made\"", "\"made-2\""));
    says(&bench.run(CACHED), 0, &["amazon-ebs.a: first", kept], &["Using cached state"]);
    is_untouched();

    // What takes no room here is not removed to make some.
    let made = states(&bench);
    assert!(!made.is_empty());
    says(&bench.run(&["cache", "prune", "-keep-bytes=0"]), 0, &["Removed 0 states"], &[]);
    assert_eq!(states(&bench), made);

    // One names somebody's AMI, one an AMI that is gone, one nothing.
    let name = first.file_stem().unwrap().to_str().unwrap();
    let (start, last) = name.split_at(name.len() - 1);
    let mut others = ["1", "2", "3", "4"].iter().filter(|digit| **digit != last);
    let mut other = || first.with_file_name(format!("{start}{}.json", others.next().unwrap()));
    let (foreign, gone, damaged) = (other(), other(), other());
    plant(&foreign, &image);
    plant(&gone, "ami-0000000000000000f");
    std::fs::write(&damaged, "{ half").unwrap();
    let damaged = damaged.display().to_string();
    says(&bench.run(&["cache", "list"]), 1, &["amazon-ebs", &damaged], &[]);
    let refused =
        format!("the AMI {image}, which the record of this state names, does not hold it");
    let pruned = bench.run(&["cache", "prune", "-all"]);
    says(&pruned, 1, &[&refused, &foreign.display().to_string(), &damaged], &[]);
    is_untouched();
    assert_eq!(states(&bench), BTreeSet::new(), "{}", pruned.said);
    assert!(!gone.exists());
}
