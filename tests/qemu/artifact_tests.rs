//! `test` blocks on the finished disk, which is booted once more and stays as it is.

use ingot_test_support::{output_of, require};

use super::bench::{Bench, Guests, POWER_OFF, names};

const PASSING: &str = r#"
test "the disk" {
  timeout = "10m"
  file "/etc/golden" {
    contains = ["made by the build"]
    mode     = "0644"
  }
  command "touch /etc/written-by-the-test && test -d /sys" {}
  user "root" {
    uid  = 0
    home = "/root"
  }
}
"#;

#[test]
fn the_finished_disk_is_booted_and_checked_and_stays_as_it_is() {
    let guests = require!(Guests::get());
    let login = "  ssh_private_key_file = \"key\"\n";
    let source = format!("{}{POWER_OFF}{login}", guests.machine("quick.qcow2"));
    let bench = Bench::new(
        &source,
        "  provisioner \"shell\" {\n    inline = [\"echo made by the build >/etc/golden\", \"chmod \
         644 /etc/golden\"]\n  }\n  post-processor \"checksum\" {\n    checksum_types = [\"sha256\"]\n    \
         output = \"sum\"\n  }",
    );
    std::fs::write(bench.path("t.ingot.hcl"), PASSING).unwrap();
    let key = bench.path("key").display().to_string();
    output_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    // The cache and the directory for other machines are on disks that are full before a state is
    // written: none is kept, and nothing else happens.
    for directory in ["cache", "shared"] {
        std::fs::create_dir(bench.path(directory)).unwrap();
    }
    let small = "mount -t tmpfs -o size=32m none cache && mount -t tmpfs -o size=8m none shared";
    let build = ["build", "-color=false", "-cache", "-cache-dir=shared", "."];
    let run = bench.ingot_after(small, &build);
    assert_eq!(run.code, Some(0), "{}{}\n{}", run.stdout, run.stderr, bench.log());
    for what in ["States are not kept in ", "The states of the machine are not kept"] {
        let told = run.stdout.lines().find(|line| line.contains(what));
        let told = told.unwrap_or_else(|| panic!("no {what:?}: {}", run.stdout));
        assert!(told.contains("No space left on device"), "{told}");
    }
    let made = bench.path("output-m/packer-m").display().to_string();
    let info = output_of("qemu-img", &["info", "--output=json", &made]);
    assert!(!info.contains("\"snapshots\""), "{info}");
    for line in [
        "Running test: the disk",
        "passed: file \"/etc/golden\"",
        "passed: user \"root\"",
        "Running post-processor:  (type checksum)",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);

    // Alone, and with a check that fails: what the first test wrote is not on the disk.
    let disk = bench.path("output-m/packer-m").display().to_string();
    let sum = output_of("sha256sum", &[&disk]);
    let failing = PASSING.replace("test -d /sys", "test -d /nowhere")
        + "test \"again\" {\n  file \"/etc/written-by-the-test\" {\n    exists = true\n  }\n}\n";
    std::fs::write(bench.path("t.ingot.hcl"), failing.replace("touch", "true; ls")).unwrap();
    let run = bench.ingot(&["test", "-report=junit:r.xml", ".", "output-m/packer-m"]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for line in [
        "passed: file \"/etc/golden\"",
        "failed: file \"/etc/written-by-the-test\": it does not exist",
        "==> Tests failed.",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    assert_eq!(run.stdout.matches("Starting VM").count(), 1, "both tests share a machine");
    assert_eq!(output_of("sha256sum", &[&disk]), sum, "the disk is only read");
    assert!(std::fs::read_to_string(bench.path("r.xml")).unwrap().contains("<failure "));
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);
}

/// Needs no QEMU: the error comes before anything runs.
#[test]
fn a_disk_that_nobody_can_log_in_to_is_reported_before_the_build() {
    let disk = "  disk_image = true\n  iso_url = \"x.img\"\n  iso_checksum = \"none\"\n  \
                ssh_username = \"root\"\n";
    let bench = Bench::new(disk, "");
    let companion = "test \"a\" {\n  run = \"nginx\"\n  file \"/a\" {}\n}\n";
    std::fs::write(bench.path("t.ingot.hcl"), companion).unwrap();
    let run = bench.ingot(&["validate", "."]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(1), "{said}");
    for part in ["cannot be logged in to", "`run` is for containers", "t.ingot.hcl:2:9"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    bench.template(&format!("{disk}  ssh_password = \"x\"\n"), "");
    std::fs::write(bench.path("t.ingot.hcl"), companion.replace("  run = \"nginx\"\n", ""))
        .unwrap();
    let run = bench.ingot(&["validate", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // With a terminal all output comes as one, so that nothing is ever in `stderr`.
    bench.template(&format!("{disk}  ssh_password = \"x\"\n  ssh_pty = true\n"), "");
    let companion = "test \"a\" {\n  file \"/a\" {}\n  command \"a\" {\n    \
                     stderr = [\"!error\"]\n  }\n}\n";
    std::fs::write(bench.path("t.ingot.hcl"), companion).unwrap();
    let run = bench.ingot(&["validate", "."]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(1), "{said}");
    for part in ["`stderr` cannot be checked behind a terminal", "t.ingot.hcl:3:3"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
