//! `test` blocks on the AMI: it is launched once more, and the instance goes.

use ingot_test_support::require;

use super::bench::{Bench, instances, leaks};
use super::cloud::cloud;
use super::proxy::Act;

const COMPANION: &str = r#"
test "the AMI" {
  command "echo from an instance" {
    stdout = ["from an instance"]
  }
  file "/etc/passwd" {
    owner = "root"
  }
}
"#;

fn run(companion: &str, check: impl Fn(&Bench, Option<i32>, &str)) {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, "", "", |_| Act::Forward);
    std::fs::write(bench.path("t.ingot.hcl"), companion).unwrap();
    // moto takes the disks of AMIs that are made for those of instances without EBS.
    bench.proxy.edit_answers(|call, body| {
        let standard = "<rootDeviceType>standard</rootDeviceType>";
        (call.action == "DescribeImages")
            .then(|| body.replace(standard, "<rootDeviceType>ebs</rootDeviceType>"))
    });
    let ended = bench.run(&["build", "."]);
    check(&bench, ended.code, &ended.said);
}

#[test]
fn the_ami_is_launched_and_checked() {
    run(COMPANION, |bench, code, said| {
        assert_eq!(code, Some(0), "{said}");
        for line in ["Running test: the AMI", "passed: file \"/etc/passwd\"", "passed: command"] {
            assert!(said.contains(line), "{line:?} is not in {said}");
        }
        let launches =
            bench.proxy.calls().iter().filter(|call| call.action == "RunInstances").count();
        assert_eq!(launches, 2, "{said}");
        assert_eq!(leaks(&bench.holds(), true), [""; 0], "{said}");
        assert_eq!(bench.journals(), 0);

        // Alone, by its id.
        let id = said.lines().find_map(|line| line.split_once("us-east-1: ami-"));
        let id = format!("ami-{}", id.expect("an AMI").1.trim());
        let again = bench.run(&["test", ".", &id]);
        assert_eq!(again.code, Some(0), "{}", again.said);
        assert!(again.said.contains("==> Tests passed."), "{}", again.said);
        assert_eq!(leaks(&bench.holds(), true), [""; 0], "{}", again.said);
    });
}

#[test]
fn an_ami_that_fails_its_tests_is_removed_in_all_regions() {
    run(&COMPANION.replace("\"root\"", "\"nobody\""), |bench, code, said| {
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("failed: file \"/etc/passwd\": the owner is root (0)"), "{said}");
        assert!(said.contains("its tests failed"), "{said}");
        assert_eq!(leaks(&bench.holds(), false), [""; 0], "{said}");
        assert_eq!(bench.journals(), 0);
    });
}
