//! Builds that go on from states of earlier ones.

use std::time::{SystemTime, UNIX_EPOCH};

use ingot_test_support::{output_of, require};

use super::bench::{Bench, Guests, POWER_OFF, names};

fn shell(name: &str, script: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"{script}\"]\n  }}\n"
    )
}

/// Steps of which the last tells what all have left.
fn steps(one: &str, last: &str) -> String {
    shell("one", &format!("echo {one} >> /log"))
        + &shell("two", "echo two >> /log; mkdir /run/two")
        + &shell("three", &format!("ls -d /run/two; cat /log; date -u +time:%s; {last}"))
}

#[test]
fn a_build_goes_on_from_the_last_state_that_is_kept() {
    let guests = require!(Guests::get());
    let source = guests.machine("quick.qcow2") + POWER_OFF;
    let bench = Bench::new(&source, &steps("one", "exit 3"));
    let build = &["build", "-color=false", "-force", "-cache", "."];
    // What a build that fails has come to is kept, too.
    let failed = bench.ingot(build);
    let said = failed.stdout + &failed.stderr;
    assert_eq!(failed.code, Some(1), "{said}");
    assert!(said.contains("==> qemu.m: one\n==> qemu.m: two\n"), "{said}");
    assert!(!bench.path("output-m").exists());

    bench.template(&source, &steps("one", "echo mended"));
    let done = bench.ingot(build);
    let said = done.stdout + &done.stderr;
    assert_eq!(done.code, Some(0), "{said}");
    for part in [
        "Starting VM from the cached state",
        "Using cached state for",
        // Memory is part of it: this is on a tmpfs.
        "==> qemu.m: /run/two\n==> qemu.m: one\n==> qemu.m: two\n",
        "==> qemu.m: mended",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    let time = said.split("time:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let time: u64 = time.and_then(|time| time.parse().ok()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(time) < 60, "the machine's clock is {time}, and it is {now}");
    // Nothing of the cache is in the disk, nor leads to it.
    let disk = bench.path("output-m/packer-m").display().to_string();
    let info = output_of("qemu-img", &["info", "--output=json", &disk]);
    assert!(!info.contains("backing-filename") && !info.contains("\"snapshots\""), "{info}");

    // A change of the first step goes on from the machine before it.
    bench.template(&source, &steps("1", "echo done"));
    let done = bench.ingot(build);
    let said = done.stdout + &done.stderr;
    assert_eq!(done.code, Some(0), "{said}");
    for part in [
        "Using the cached state of the machine before its provisioners",
        "==> qemu.m: /run/two\n==> qemu.m: 1\n==> qemu.m: two\n",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }

    assert_eq!(names(&bench.path("tmp")), [""; 0]);
}
