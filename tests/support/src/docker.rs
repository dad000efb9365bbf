//! The Docker Engine of this machine.

use std::process::Command;
use std::sync::Once;

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
    BASE_IMAGE.call_once(|| {
        let script = repository("examples/hello-docker/base.sh");
        output_of(&script.display().to_string(), &[BASE]);
    });
    true
}
