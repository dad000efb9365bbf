//! Provisioners and post-processors of plugins with the built-in builder.

use super::bench::{Bench, instances, leaks};
use super::cloud::cloud;
use super::proxy::Act;
use ingot_test_support::require;
use ingot_test_support::trial_plugin::plugin_directory;

#[test]
fn a_plugin_provisions_an_instance_and_takes_its_images() {
    let plugins = require!(plugin_directory());
    let (Some(cloud), Some(instances)) = (cloud(), instances()) else { return };
    let build = r#"
  provisioner "trial" {
    run    = ["echo on $(uname -s)", "echo to the log >&2"]
    stream = true
    copy   = "t.pkr.hcl"
    text   = "${build.ConnType} ${build.ID}"
  }
  post-processor "trial" {
    state  = ["atlas.artifact.metadata", "generated_data"]
    keep   = true
    output = "out"
  }
"#;
    let mut bench = Bench::new(&cloud, &instances, "", build, |_| Act::Forward);
    let path = plugins.path().display().to_string();
    bench.env.push(("PACKER_PLUGIN_PATH", path));
    let ended = bench.run(&["build", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for line in [
        "on Linux",
        "to the log",
        "got two",
        "the same: true, and \"plain\"",
        "\"text\":\"ssh i-",
        "of mitchellh.amazonebs: AMIs were created:",
        "ConnType:ssh",
    ] {
        assert!(ended.said.contains(line), "{line:?} is not in {}", ended.said);
    }
    let list = std::fs::read_to_string(bench.path("out/list")).expect("what the plugin wrote");
    assert!(list.contains("us-east-1:ami-") && list.contains("eu-west-1:ami-"), "{list}");
    assert_eq!(leaks(&bench.holds(), true), Vec::<String>::new());
    assert_eq!(bench.journals(), 0);
}
