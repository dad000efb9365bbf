//! The Docker Engine of this machine.

use std::fs::File;
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use ingot_base::file_lock;
use ingot_base::hash::sha256;

use crate::{missing, output_of, repository};

/// The image that tests of builds start from, made of busybox-static.
pub const BASE: &str = "ingot-e2e-base:1";

/// Whether there is Docker; makes the base image the first time.
pub fn docker() -> bool {
    static BASE_IMAGE: Once = Once::new();
    let there = Command::new("docker").arg("info").output().is_ok_and(|out| out.status.success());
    if !there {
        missing("no Docker Engine answers");
        return false;
    }
    BASE_IMAGE.call_once(make_base);
    true
}

/// Makes the base image, or takes the one that was made of the same before. An import has another id
/// each time, on which the step cache of another test program depends that runs meanwhile.
fn make_base() {
    let script = repository("examples/hello-docker/base.sh");
    let mut content = std::fs::read(&script).expect("the script is there");
    // Where there is none, the script says what to install.
    content.extend(std::fs::read("/bin/busybox").unwrap_or_default());
    // Behind BASE in the order of names: the Engine shows the first.
    let kept = format!("ingot-e2e-base:of-{}", &sha256(content)[..16]);
    let lock = File::open(&script).expect("the script is there");
    let locked = file_lock::wait_for(&lock, Duration::from_secs(60)).expect("it can be locked");
    assert!(locked, "another program imports the base image, and does not end");
    let inspected = Command::new("docker").args(["image", "inspect", &kept]).output();
    if !inspected.is_ok_and(|output| output.status.success()) {
        output_of(&script.display().to_string(), &[&kept]);
    }
    output_of("docker", &["tag", &kept, BASE]);
}
