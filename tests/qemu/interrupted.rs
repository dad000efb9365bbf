//! Builds that are stopped: nothing is left.

use ingot_test_support::require;
use std::io::{Read, Write};
use std::net::TcpListener;

use super::bench::{
    Bench, Guests, POWER_OFF, POWER_SWITCH, code_of, dead_machine, names, qemu, signal, wait_for,
};

/// Builds until `line` is shown, presses Ctrl-C, and asserts that nothing is left.
fn interrupt_at(bench: &Bench, line: &str) {
    let child = bench.build_until(line);
    signal(&child, "INT");
    let code = code_of(child);
    assert_eq!(code, Some(1), "{}", bench.output());
    bench.assert_clean();
}

/// Runs a build that makes nothing.
fn build_nothing(bench: &Bench) -> String {
    let template = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n\
                    build {\n  sources = [\"null.n\"]\n}\n";
    std::fs::write(bench.path("t.pkr.hcl"), template).unwrap();
    bench.build().stdout
}

#[test]
fn ctrl_c_while_downloading() {
    require!(qemu());
    // A server that begins to answer and never ends.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                std::thread::sleep(std::time::Duration::from_secs(60));
            });
        }
    });
    let url = format!("http://127.0.0.1:{port}/disk.img");
    let bench = Bench::new(&dead_machine(&url), "");
    interrupt_at(&bench, "Trying http://127.0.0.1");
}

#[test]
fn ctrl_c_before_typing_and_while_waiting_for_ssh() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    let more =
        "  vtpm = true\n  cd_content = { \"a\" = \"b\" }\n  http_content = { \"/a\" = \"b\" }\n";
    let typed = "  boot_command = [\"<enter>\"]\n  boot_wait = \"1m\"\n";
    bench.template(&format!("{source}{more}{typed}"), "");
    interrupt_at(&bench, "Waiting 1m0s for boot...");
    bench.template(&format!("{source}{more}"), "");
    interrupt_at(&bench, "Waiting for SSH to become available...");
}

#[test]
fn ctrl_c_while_converting() {
    require!(qemu());
    let bench = Bench::new("", "");
    let disk = bench.brief_disk(96 * 1024 * 1024);
    let source = dead_machine(&disk)
        .replace("ssh_username = \"root\"", "communicator = \"none\"")
        .replace("disk_size = \"16M\"", "disk_compression = true\n  disk_size = \"96M\"");
    bench.template(&format!("{source}  {POWER_SWITCH}"), "");
    interrupt_at(&bench, "Converting hard drive...");
}

#[test]
fn ctrl_c_while_provisioning() {
    let guests = require!(Guests::get());
    let bench = Bench::new(
        &(guests.machine("quick.qcow2") + POWER_OFF),
        "  provisioner \"shell\" {\n    inline = [\"echo asleep\", \"sleep 300\"]\n  }",
    );
    interrupt_at(&bench, "m: asleep");
}

#[test]
fn a_machine_whose_qemu_is_killed_has_not_turned_itself_off() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    bench.template(&source.replace("ssh_username = \"root\"", "communicator = \"none\""), "");
    let child = bench.build_until("Waiting for shutdown...");
    bench.pids().iter().for_each(|pid| ingot_test_support::signal("KILL", pid));
    assert_eq!(code_of(child), Some(1), "{}", bench.output());
    assert!(bench.output().contains("QEMU was killed"), "{}", bench.output());
    bench.assert_clean();
}

#[test]
fn an_output_directory_is_taken_from_no_build_and_what_replaces_it_stays() {
    require!(qemu());
    let bench = Bench::new("", "");
    bench.template(&dead_machine(&bench.empty_disk()), "");
    let child = bench.build_until("Waiting for SSH to become available...");
    let refused = bench.ingot(&["build", "-force", "."]);
    let said = refused.stdout + &refused.stderr;
    assert_eq!(refused.code, Some(1), "{said}");
    assert!(said.contains("a build that runs writes to output-m"), "{said}");
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);

    // Who does not heed that loses nothing of what is there then.
    std::fs::rename(bench.path("output-m"), bench.path("away")).unwrap();
    std::fs::create_dir(bench.path("output-m")).unwrap();
    std::fs::write(bench.path("output-m/packer-m"), "of another build").unwrap();
    bench.pids().iter().for_each(|pid| ingot_test_support::signal("KILL", pid));
    assert_eq!(code_of(child), Some(1), "{}", bench.output());
    let said = bench.output();
    for part in ["QEMU was killed", "Another build has replaced output-m, which stays."] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(bench.processes(), [""; 0]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
}

/// Kills a build while its machine runs.
fn kill_one(bench: &Bench) {
    let source = dead_machine(&bench.empty_disk());
    bench.template(&format!("{source}  vtpm = true\n  cd_content = {{ \"a\" = \"b\" }}\n"), "");
    let child = bench.build_until("Waiting for SSH to become available...");
    signal(&child, "KILL");
    assert_eq!(code_of(child), None);
    let running = bench.processes();
    assert!(running.iter().any(|line| line.starts_with("qemu-system-x86_64")), "{running:?}");
    assert!(running.iter().any(|line| line.starts_with("swtpm")), "{running:?}");
    assert!(bench.path("output-m/packer-m").exists());
    assert!(!names(&bench.path("tmp")).is_empty());
}

/// Asserts that nothing is left, soon.
fn assert_gone(bench: &Bench) {
    // Processes that were killed are waited for by whoever inherits them.
    wait_for("end of QEMU", || bench.processes().is_empty(), || format!("{:?}", bench.processes()));
    bench.assert_clean();
}

#[test]
fn what_a_killed_build_leaves_is_removed_by_the_next_run() {
    require!(qemu());
    let bench = Bench::new("", "");
    kill_one(&bench);
    let next = build_nothing(&bench);
    assert!(next.contains("which an interrupted run left behind"), "{next}");
    assert_gone(&bench);
}

#[test]
fn what_a_killed_build_leaves_is_listed_and_removed_by_cleanup() {
    require!(qemu());
    let bench = Bench::new("", "");
    kill_one(&bench);
    let running = bench.pids();
    let list = bench.ingot(&["cleanup", "-list"]).stdout;
    for kind in ["qemu-process", "qemu-output", "scratch-directory"] {
        assert!(list.contains(&format!("  {kind} /")), "{kind}: {list}");
    }
    assert!(list.contains(", qemu.m\n"), "{list}");
    assert_eq!(bench.pids(), running);
    let run = bench.ingot(&["cleanup"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_gone(&bench);
}

#[test]
fn on_error_abort_leaves_the_machine_running() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    bench.template(&format!("{source}  ssh_timeout = \"4s\"\n"), "");
    let run = bench.ingot(&["build", "-on-error=abort", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let pids = bench.pids();
    assert_eq!(pids.len(), 1, "{:?}", bench.processes());
    assert!(bench.path("output-m/packer-m").exists());
    // It is the user's now: the next run leaves it alone.
    let next = build_nothing(&bench);
    assert_eq!((next.as_str().contains("left behind"), bench.pids()), (false, pids.clone()));
    ingot_test_support::signal("TERM", &pids[0]);
}
