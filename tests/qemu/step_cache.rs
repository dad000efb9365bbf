//! Builds that go on from states of earlier ones.

use std::os::unix::fs::FileExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ingot_test_support::{left_in_state, output_of, require};

use super::bench::{Bench, Guests, POWER_OFF, code_of, names, signal, wait_as_long_as};

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

    let list = bench.ingot(&["cache", "list"]).stdout;
    for part in ["qemu.m  its start", "qemu.m  three (3 of 3)"] {
        let found = list.lines().any(|line| spaced(line).contains(&spaced(part)));
        assert!(found, "no {part:?}: {list}");
    }
    assert!(!list.contains("unknown"), "{list}");
    two_builds_at_once_are_both_right(&bench, &source);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    a_killed_build_and_a_damaged_cache_do_no_harm(&bench, &source);
}

/// A line without its columns.
fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The directories of sets in the cache, finished ones and others.
fn sets(bench: &Bench) -> Vec<String> {
    let states = bench.path("cache/ingot-qemu-states");
    names(&states).into_iter().filter(|name| states.join(name).is_dir()).collect()
}

/// Two builds whose first step changed start from the machine before it, and keep states, some of them
/// the same, with one cache between them.
fn two_builds_at_once_are_both_right(bench: &Bench, source: &str) {
    let other = Bench::new(source, &steps("1", "echo the other"));
    bench.template(source, &steps("1", "echo the first"));
    let build = &["build", "-color=false", "-force", "-cache", "."];
    let directory = |name: &str| bench.path(name).display().to_string();
    let shared =
        [("PACKER_CACHE_DIR", directory("cache")), ("INGOT_STATE_DIR", directory("state"))];
    let shared = shared.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| other.ingot_with(build, &shared));
        (bench.ingot(build), second.join().unwrap())
    });
    for (bench, run, last) in [(bench, first, "the first"), (&other, second, "the other")] {
        let said = run.stdout + &run.stderr;
        assert_eq!(run.code, Some(0), "{said}");
        for part in [
            "Using the cached state of the machine before its provisioners",
            "==> qemu.m: /run/two\n==> qemu.m: 1\n==> qemu.m: two\n",
            &format!("==> qemu.m: {last}\n"),
        ] {
            assert!(said.contains(part), "no {part:?}: {said}");
        }
        assert!(!said.contains("not kept") && !said.contains("cannot be used"), "{said}");
        let disk = bench.path("output-m/packer-m").display().to_string();
        output_of("qemu-img", &["check", "-q", &disk]);
    }
}

/// A build is killed while it writes to the cache, and what is in there is damaged.
fn a_killed_build_and_a_damaged_cache_do_no_harm(bench: &Bench, source: &str) {
    bench.template(source, &steps("1", "echo the last"));
    let build = &["build", "-color=false", "-force", "-cache", "."];
    let child = bench.start(build);
    let is_new = || sets(bench).iter().any(|name| name.starts_with(".new-"));
    // A whole build has come before that.
    wait_as_long_as(600, "set that is being written", is_new, || bench.output());
    signal(&child, "KILL");
    assert_eq!(code_of(child), None);
    assert!(is_new(), "{:?}", sets(bench));
    let finished = sets(bench).into_iter().filter(|name| !name.starts_with(".new-"));
    for (number, name) in finished.enumerate() {
        let disk = bench.path("cache/ingot-qemu-states").join(name).join("disk-0");
        let file = std::fs::File::options().write(true).open(disk).unwrap();
        match number {
            0 => file.write_all_at(b"damaged", 1 << 20).unwrap(),
            _ => file.set_len(1 << 20).unwrap(),
        }
    }
    let done = bench.ingot(build);
    let said = done.stdout + &done.stderr;
    assert_eq!(done.code, Some(0), "{said}");
    for part in [
        "Removed qemu-states",
        "cached state cannot be used",
        "Starting VM, booting disk image",
        "==> qemu.m: /run/two\n==> qemu.m: 1\n==> qemu.m: two\n",
        "==> qemu.m: the last\n",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert!(!is_new() && !sets(bench).is_empty(), "{:?}", sets(bench));
    assert_eq!(left_in_state(&bench.path("state"), &["logs", "step-cache"]), [""; 0]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);
}
