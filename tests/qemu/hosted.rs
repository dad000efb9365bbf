//! Provisioners and post-processors of plugins with machines of the built-in builder.

use super::bench::{Bench, Guests, POWER_OFF, names};
use ingot_test_support::require;
use ingot_test_support::trial_plugin::plugin_directory;

#[test]
fn a_plugin_provisions_a_machine_and_takes_its_disk() {
    let plugins = require!(plugin_directory());
    let Some(guests) = Guests::get() else { return };
    let bench = Bench::new(
        &format!(
            "{}{POWER_OFF}  temporary_key_pair_type = \"ed25519\"\n",
            guests.machine("quick.qcow2")
        ),
        "  provisioner \"trial\" {\n    run    = [\"echo on $(uname -s)\", \"echo to the log >&2\"]\n    \
         stream = true\n    copy   = \"t.pkr.hcl\"\n    text   = build.ConnType\n  }\n  \
         provisioner \"shell\" {\n    inline = [\"test -s /tmp/trial-copy\"]\n  }\n  \
         post-processor \"trial\" {\n    state  = [\"diskName\", \"generated_data\"]\n    keep   = true\n    \
         output = \"out\"\n  }",
    );
    let path = plugins.path().to_str().unwrap();
    let run = bench.ingot_with(&["build", "."], &[("PACKER_PLUGIN_PATH", path)]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, bench.log());
    for line in [
        "on Linux",
        "to the log",
        "got one",
        "the same: true, and \"plain\"",
        "\"text\":\"ssh\"",
        "of transcend.qemu: VM files in directory: output-m",
        "file packer-m",
        "state diskName: packer-m",
        "ConnType:ssh",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(names(&bench.path("out")), ["list"]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);
}
