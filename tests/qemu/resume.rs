//! Machines that builds leave when they fail, and go on with.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ingot_test_support::{output_of, require, signal};

use super::bench::{Bench, Guests, POWER_OFF, dead_machine, names, qemu, wait_for};

const KEEP: &[&str] = &["build", "-color=false", "-on-error=keep", "."];
const RESUME: &[&str] = &["build", "-color=false", "-resume", "."];

/// The directory of the only kept build's record.
fn record(bench: &Bench) -> PathBuf {
    let kept = bench.path("state/kept");
    let all = names(&kept);
    let [one] = &all[..] else { panic!("{all:?}") };
    kept.join(one)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn shell(name: &str, script: &str) -> String {
    format!(
        "  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"{script}\"]\n  }}\n"
    )
}

#[test]
fn a_machine_goes_on_at_the_failed_provisioner() {
    let guests = require!(Guests::get());
    let source = guests.machine("quick.qcow2")
        + POWER_OFF
        + "  http_content = { \"/a\" = \"from the server\" }\n";
    let fetch = "busybox wget -q -O - http://$PACKER_HTTP_ADDR/a";
    let steps = |two: &str| {
        let one =
            shell("one", &format!("echo one >> /log; echo $PACKER_HTTP_ADDR > /address; {fetch}"));
        one + &shell("two", two)
    };
    let bench = Bench::new(&source, &steps("exit 3"));
    let failed = bench.ingot(KEEP);
    let said = failed.stdout + &failed.stderr;
    assert_eq!(failed.code, Some(1), "{said}");
    let goes_on = "The machine is kept: `ingot build -resume .` goes on at provisioner 2 of 2";
    assert!(said.contains(goes_on), "{said}");
    assert_eq!(bench.pids().len(), 1, "{:?}", bench.processes());
    let record = record(&bench);
    let secrets = record.join("secrets.json");
    assert_eq!((mode(&record), mode(&secrets)), (0o700, 0o600));
    assert!(std::fs::read_to_string(&secrets).unwrap().contains("PRIVATE KEY"));
    assert!(!std::fs::read_to_string(record.join("record.json")).unwrap().contains("PRIVATE KEY"));

    // Another build leaves it alone, and so does this one without -resume.
    let again = bench.ingot(&["build", "."]);
    assert!((again.stdout + &again.stderr).contains("output-m exists already"));
    assert_eq!(bench.pids().len(), 1);

    bench.template(
        &source,
        &steps(&format!(
            "echo two >> /log; cat /log; [ $(cat /address) = $PACKER_HTTP_ADDR ]; {fetch}"
        )),
    );
    let done = bench.ingot(RESUME);
    let said = done.stdout + &done.stderr;
    assert_eq!(done.code, Some(0), "{said}");
    for part in [
        "provisioner 2, shell \"two\"",
        "Going on with the machine that was kept",
        "==> qemu.m: one\n==> qemu.m: two\n==> qemu.m: from the server",
        "--> qemu.m: VM files in directory: output-m",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    assert_eq!(bench.processes(), [""; 0]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    let disk = bench.path("output-m/packer-m").display().to_string();
    output_of("qemu-img", &["check", "-q", &disk]);
    let info = output_of("qemu-img", &["info", "--output=json", &disk]);
    assert!(!info.contains("backing-filename"), "{info}");
}

#[test]
fn a_qemu_that_is_killed_after_its_machine_was_kept_is_an_error() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    let source = source.replace("ssh_username = \"root\"", "communicator = \"none\"");
    let local = |script: &str| {
        format!("  provisioner \"shell-local\" {{\n    inline = [\"{script}\"]\n  }}\n")
    };
    bench.template(&source, &local("exit 3"));
    let failed = bench.ingot(KEEP);
    assert_eq!(failed.code, Some(1), "{}{}", failed.stdout, failed.stderr);
    let pids = bench.pids();
    let [pid] = &pids[..] else { panic!("{:?}", bench.processes()) };
    // It could be taken for a machine that has turned itself off.
    bench.template(&source, &local(&format!("kill -s KILL {pid}; sleep 60")));
    let resumed = bench.ingot(RESUME);
    let said = resumed.stdout + &resumed.stderr;
    assert_eq!(resumed.code, Some(1), "{said}");
    assert!(said.contains("provisioning: QEMU does not run any more"), "{said}");
    let cleaned = bench.ingot(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.stdout);
    bench.assert_clean();
}

#[test]
fn a_machine_that_is_gone_is_reported_and_what_is_left_of_it_can_be_removed() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    let more = "  ssh_timeout = \"4s\"\n  vtpm = true\n  cd_content = { \"a\" = \"b\" }\n";
    bench.template(&format!("{source}{more}"), "");
    let failed = bench.ingot(KEEP);
    assert_eq!(failed.code, Some(1), "{}{}", failed.stdout, failed.stderr);
    assert_eq!(bench.pids().len(), 2, "{:?}", bench.processes());
    // It is reached as before; how it is reached may change.
    bench.template(&format!("{source}{more}").replace("\"4s\"", "\"3s\""), "");
    let again = bench.ingot(RESUME);
    let said = again.stdout + &again.stderr;
    assert_eq!(again.code, Some(1), "{said}");
    assert!(said.contains("the source: `ssh_timeout`"), "{said}");
    assert!(said.contains("no SSH connection within 3s"), "{said}");
    let pids = bench.pids();
    assert_eq!(pids.len(), 2, "{:?}", bench.processes());

    // What is in the place of the output directory is not the machine's, and stays.
    std::fs::rename(bench.path("output-m"), bench.path("aside")).unwrap();
    for replaced in [false, true] {
        if replaced {
            std::fs::create_dir(bench.path("output-m")).unwrap();
            std::fs::write(bench.path("output-m/precious"), "x").unwrap();
        }
        let refused = bench.ingot(RESUME);
        let said = refused.stdout + &refused.stderr;
        assert_eq!(refused.code, Some(1), "{said}");
        assert!(said.contains("the output directory output-m was removed or replaced"), "{said}");
        assert!(said.contains("`ingot cleanup -kept` removes what is left of it"), "{said}");
        assert_eq!(bench.pids(), pids);
    }
    assert_eq!(names(&bench.path("output-m")), ["precious"]);
    std::fs::remove_dir_all(bench.path("output-m")).unwrap();
    std::fs::rename(bench.path("aside"), bench.path("output-m")).unwrap();

    pids.iter().for_each(|pid| signal("KILL", pid));
    wait_for("end of QEMU", || bench.pids().is_empty(), || format!("{:?}", bench.processes()));
    let gone = bench.ingot(RESUME);
    let said = gone.stdout + &gone.stderr;
    assert_eq!(gone.code, Some(1), "{said}");
    assert!(said.contains("the machine that was kept is gone"), "{said}");
    assert!(said.contains("`ingot cleanup -kept` removes what is left of it"), "{said}");
    let cleaned = bench.ingot(&["cleanup", "-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.stdout);
    bench.assert_clean();
}
