//! Plans that are made to keep who reads them busy, and those that do not come.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingot_test_support::{ingot_program, signal};
use serde_json::{Value, json};

use crate::check::World;
use crate::plans::{configured, created, plan};

/// Eight modules one after another, of which each reads so many attributes of the one before: there
/// are that many ways from each to the one before.
pub(crate) fn knot(ways: usize) -> Value {
    let ways = |of: &str| -> Vec<String> { (0..ways).map(|way| format!("{of}.a{way}")).collect() };
    let call = |index: usize| {
        let input = match index {
            0 => json!({ "references": ["data.hcp_packer_artifact.late"] }),
            index => json!({ "references": ways(&format!("module.m{}.out", index - 1)) }),
        };
        let out = json!({ "out": { "expression": { "references": ways("var.in") } } });
        (
            format!("m{index}"),
            json!({ "expressions": { "in": input }, "module": { "outputs": out } }),
        )
    };
    let mut web = created("aws_instance.web", "aws_instance", json!({}));
    web["change"]["after_unknown"] = json!({ "ami": true });
    let late = json!({
        "address": "data.hcp_packer_artifact.late", "mode": "data", "type": "hcp_packer_artifact",
        "change": {
            "actions": ["read"], "after_unknown": { "external_identifier": true },
            "after": { "bucket_name": "golden", "channel_name": "production", "platform": "aws" },
        },
    });
    let mut plan = plan(vec![web, late]);
    let ami = json!({ "ami": { "references": ways("module.m7.out") } });
    plan["configuration"]["root_module"] = json!({
        "resources": [configured("aws_instance.web", ami)],
        "module_calls": (0..8).map(call).collect::<serde_json::Map<String, Value>>(),
    });
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ways_to_the_same_are_gone_once() {
    let world = World::local().await;
    world.write("plan.json", &knot(8));
    let mut command = ingot_test_support::ingot_command();
    let mut child = command
        .args(["registry", "check", "plan.json"])
        .current_dir(world.dir.path())
        .env("INGOT_REGISTRY", world.dir.path().join("registry.db"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("ingot can be run");
    let start = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().expect("it can be killed");
            panic!("it takes too long");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("it ended");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("ok    aws_instance.web.ami"), "{text}");
    assert!(text.contains("the image will be golden v3"), "{text}");
}

/// A plan whose references are more than are followed.
fn endless() -> Value {
    let (instances, outputs) = (600, 1000);
    let mut plan = plan(Vec::new());
    let (mut changes, mut resources) = (Vec::new(), Vec::new());
    for index in 0..instances {
        let address = format!("aws_instance.i{index:03}");
        let mut instance = created(&address, "aws_instance", json!({}));
        instance["change"]["after_unknown"] = json!({ "ami": true });
        changes.push(instance);
        resources.push(configured(&address, json!({ "ami": { "references": ["module.a.all"] } })));
    }
    plan["resource_changes"] = json!(changes);
    let inner: serde_json::Map<String, Value> = (0..outputs)
        .map(|index| (format!("o{index}"), json!({ "expression": { "references": ["var.x"] } })))
        .collect();
    let all: Vec<String> = (0..outputs).map(|index| format!("module.b.o{index}")).collect();
    plan["configuration"]["root_module"] = json!({
        "resources": resources,
        "module_calls": { "a": { "module": {
            "outputs": { "all": { "expression": { "references": all } } },
            "module_calls": { "b": {
                "expressions": { "x": { "references": ["null_resource.x"] } },
                "module": { "outputs": inner },
            } },
        } } },
    });
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_to_follow_is_unknown() {
    let world = World::local().await;
    world.write("plan.json", &endless());
    let start = Instant::now();
    let run = world.check(&["-unknown=fail", "plan.json"]);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let line = |what: &str| run.stdout.lines().filter(|line| line.contains(what)).count();
    let (whole, cut) =
        (line("it comes from module.a.null_resource.x"), line("more than could be followed"));
    assert!(whole > 100 && cut > 100 && whole + cut == 600, "{whole} {cut}");
    assert_eq!(line("note: the plan's references are too many to follow"), 1);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_plan_on_standard_input() {
    let dir = tempfile::tempdir().expect("a directory");
    // Several times: which of two things a command does first may depend on chance.
    for _ in 0..8 {
        // Whoever runs the tests may ignore the signal.
        let mut child = Command::new("env")
            .arg("--default-signal=INT")
            .arg(ingot_program())
            .args(["registry", "check", "-"])
            .current_dir(dir.path())
            .env("INGOT_REGISTRY", dir.path().join("registry.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("ingot can be run");
        let mut plan = child.stdin.take().expect("a pipe");
        // More than a pipe holds: it is being read when this has been written.
        plan.write_all(" ".repeat(1 << 20).as_bytes()).expect("it is read");
        signal("INT", child.id());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            if start.elapsed() > Duration::from_secs(30) {
                child.kill().expect("it can be killed");
                panic!("the signal does not end it");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.signal(), Some(2), "{status}");
        drop(plan);
    }
}
