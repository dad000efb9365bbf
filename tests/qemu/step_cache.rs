//! Builds that go on from states of earlier ones.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ingot_sdk::hash::{Sha256, sha256};
use ingot_test_support::{left_in_state, output_of, require};
use serde_json::{Value, json};

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
    // Those of the steps as they were before.
    let pruned = prune_oldest(3, &bench);
    a_killed_build_and_a_damaged_cache_do_no_harm(&bench, &source, &pruned);
    let states = states(&bench);
    assert!(states.iter().all(|(key, _)| !pruned.contains(key)), "{states:?}, {pruned:?}");
}

/// The keys and sizes of the states, those that were used last first.
fn states(bench: &Bench) -> Vec<(String, u64)> {
    let list: Value =
        serde_json::from_str(&bench.ingot(&["cache", "list", "-json"]).stdout).unwrap();
    let state = |state: &Value| {
        (state["key"].as_str().unwrap().to_owned(), state["bytes"].as_u64().unwrap())
    };
    list["states"].as_array().unwrap().iter().map(state).collect()
}

/// Removes as many states, those that were not used for the longest time; their keys.
fn prune_oldest(count: usize, bench: &Bench) -> Vec<String> {
    let before = states(bench);
    let (stay, go) = before.split_at(before.len() - count);
    let bytes: u64 = stay.iter().map(|(_, bytes)| bytes).sum();
    let run = bench.ingot(&["cache", "prune", &format!("-keep-bytes={bytes}")]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(0), "{said}");
    // Others are in the same disks.
    let removed = format!("Removed {count} states, ");
    for part in [removed.as_str(), "more are on disk for states that were removed"] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert_eq!(states(bench).len(), stay.len());
    go.iter().map(|(key, _)| key.clone()).collect()
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

/// A build is killed while it writes to the cache, and what is in there is damaged. States of the keys
/// `pruned` were removed before.
fn a_killed_build_and_a_damaged_cache_do_no_harm(bench: &Bench, source: &str, pruned: &[String]) {
    bench.template(source, &steps("1", "echo the last"));
    let build = &["build", "-color=false", "-force", "-cache", "."];
    let child = bench.start(build);
    let is_new = || sets(bench).iter().any(|name| name.starts_with(".new-"));
    // A whole build has come before that.
    wait_as_long_as(600, "set that is being written", is_new, || bench.output());
    signal(&child, "KILL");
    assert_eq!(code_of(child), None);
    assert!(is_new(), "{:?}", sets(bench));
    // What it was writing has the states of the disks that it started from, but for those.
    let disk = bench.path("output-m/packer-m").display().to_string();
    let info = output_of("qemu-img", &["info", "-U", "--output=json", &disk]);
    assert!(info.contains("ingot-"), "{info}");
    assert!(pruned.iter().all(|key| !info.contains(key.as_str())), "{info}, {pruned:?}");
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

/// A machine of its own, with nothing but the directory `shared` in common with others: the base image is
/// elsewhere, too, and is called `base`.
fn other_machine(guests: &Guests, shared: &Path, base: &str) -> Bench {
    let bench = Bench::new("", "");
    let (base, own) = (guests.file("quick.qcow2"), bench.path(base));
    std::fs::copy(&base, &own).unwrap();
    let source = guests.machine("quick.qcow2").replace(&base, &own.display().to_string());
    // What is downloaded is never cached. It was in the memory of the machine.
    let download = "  provisioner \"file\" {\n    direction = \"download\"\n    \
                    source = \"/run/log\"\n    destination = \"log.txt\"\n  }\n";
    let steps = shell("one", "echo one >> /log; echo runs one")
        + &shell("two", "echo two >> /log; cat /log > /run/log; echo runs two")
        + download;
    bench.template(&(source + POWER_OFF), &steps);
    let block = format!("cache {{\n  directory = \"{}\"\n}}\n", shared.display());
    std::fs::write(bench.path("t.ingot.hcl"), block).unwrap();
    bench
}

/// Builds on a machine of [`other_machine`]; the output.
fn build_there(bench: &Bench) -> String {
    let run = bench.ingot(&["build", "-color=false", "-cache", "-explain", "."]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(0), "{said}");
    assert_eq!(std::fs::read_to_string(bench.path("log.txt")).unwrap(), "one\ntwo\n", "{said}");
    let disk = bench.path("output-m/packer-m").display().to_string();
    let info = output_of("qemu-img", &["info", "--output=json", &disk]);
    assert!(!info.contains("backing-filename") && !info.contains("\"snapshots\""), "{info}");
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    said
}

/// The files of the states in the directory that machines share, by the numbers of their steps.
fn shared_states(bench: &Bench, shared: &Path) -> Vec<PathBuf> {
    let flag = format!("-cache-dir={}", shared.display());
    let list = bench.ingot(&["cache", "list", "-json", &flag]).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut states = list["states"].as_array().unwrap().clone();
    states.sort_by_key(|state| state["number"].as_u64());
    let path = |state: &Value| {
        let name = format!("{}.machine", state["key"].as_str().unwrap());
        assert_eq!(state["builder"], "qemu", "{state}");
        shared.join("qemu").join(name)
    };
    states.iter().map(path).collect()
}

/// How many bytes the header of a file takes.
const HEADER: usize = 1024;

/// Asserts that the file of a state is what its header says, that what others have anyway, the base image,
/// is not in it, and that the rest is compressed.
fn assert_whole(guests: &Guests, path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let header: Value = serde_json::from_slice(&bytes[..HEADER]).unwrap();
    assert_eq!(header["sha256"], sha256(&bytes[HEADER..]), "{}", path.display());
    let (size, base) = (bytes.len(), std::fs::metadata(guests.file("quick.qcow2")).unwrap().len());
    assert!((size as u64) < base / 2, "{size} bytes, with a base image of {base}");
}

/// Writes a state whose checksums are right, and whose disk names a file of the host.
fn write_hostile_state(bench: &Bench, path: &Path) {
    let disk = bench.path("hostile.qcow2");
    let create = ["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw"];
    output_of("qemu-img", &[&create[..], &[disk.to_str().unwrap(), "750M"]].concat());
    let description = json!({
        "base": "none", "disks": 1, "cd": false, "http_port": 0, "private_key": null,
    });
    let description = description.to_string();
    let mut stream = u32::try_from(description.len()).unwrap().to_le_bytes().to_vec();
    stream.extend(description.as_bytes());
    let mut sum = Sha256::new();
    for block in std::fs::read(disk).unwrap().chunks(64 << 10) {
        sum.update([3]);
        sum.update(block);
        stream.push(3);
        stream.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        stream.extend(block);
    }
    stream.push(0);
    stream.extend(sum.finish().as_bytes());
    // An LZ4 frame of blocks of 64 KiB that are not compressed.
    let mut body = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
    for block in stream.chunks(64 << 10) {
        body.extend((u32::try_from(block.len()).unwrap() | 1 << 31).to_le_bytes());
        body.extend(block);
    }
    body.extend([0; 4]);
    let old = std::fs::read(path).unwrap();
    let mut header: Value = serde_json::from_slice(&old[..HEADER]).unwrap();
    header["size"] = body.len().into();
    header["sha256"] = sha256(&body).into();
    let header = format!("{:1$}\n", header.to_string(), HEADER - 1);
    std::fs::write(path, [header.as_bytes(), &body].concat()).unwrap();
}

#[test]
fn machines_share_states_by_a_directory() {
    let guests = require!(Guests::get());
    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().join("shared");
    // Not called qcow2: the disk is converted, and its blocks are elsewhere than in the base image.
    let first = other_machine(guests, &shared, "base.img");
    let said = build_there(&first);
    assert!(
        said.contains("==> qemu.m: runs one") && said.contains("==> qemu.m: runs two"),
        "{said}"
    );
    assert!(said.contains("Keeping 3 states for other machines"), "{said}");
    let states = shared_states(&first, &shared);
    assert_eq!(states.len(), 3, "{states:?}");
    states.iter().for_each(|path| assert_whole(guests, path));

    let second = other_machine(guests, &shared, "other.qcow2");
    let said = build_there(&second);
    for part in [
        "Starting VM from the cached state",
        "Using cached state for one (1 of 3)",
        "Using cached state for two (2 of 3)",
        &format!("Step cache: the state after two (2 of 3) comes from {}", shared.display()),
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert!(!said.contains("m: runs") && !said.contains("for other machines"), "{said}");

    // What is not whole, or not what it says, is made again.
    let file = std::fs::File::options().write(true).open(&states[2]).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let file = std::fs::File::options().write(true).open(&states[1]).unwrap();
    file.write_all_at(b"damaged", 1 << 20).unwrap();
    write_hostile_state(&second, &states[0]);
    let third = other_machine(guests, &shared, "third.qcow2");
    let said = build_there(&third);
    assert_eq!(said.matches(".machine is not used: it is damaged").count(), 2, "{said}");
    for part in [
        "cannot be used, so that all is done again: its disk leads to another file",
        "Starting VM, booting disk image",
        "==> qemu.m: runs one",
        "==> qemu.m: runs two",
        "Keeping 3 states for other machines",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert_eq!(shared_states(&third, &shared), states);
    states.iter().for_each(|path| assert_whole(guests, path));
    let flag = format!("-cache-dir={}", shared.display());
    let pruned = third.ingot(&["cache", "prune", "-all", &flag]);
    assert!(pruned.stdout.starts_with("Removed 3 states"), "{}", pruned.stdout);
    assert_eq!(names(&shared.join("qemu")), [""; 0]);
}
