//! Which accelerator runs the machine.

use ingot_sdk::{Error, Result, Ui};

/// The device that KVM is used through.
const KVM: &str = "/dev/kvm";

/// The accelerator for `program`: the one asked for, else the best there is. Says which, and
/// why it is slow where it is.
///
/// # Errors
/// KVM is asked for and cannot be used.
pub(crate) fn choose(asked: Option<&str>, program: &str, ui: &Ui) -> Result<String> {
    match asked {
        Some("kvm") => match usable_kvm() {
            Ok(()) => Ok("kvm".to_owned()),
            Err(why) => Err(Error::new(format!("accelerator = \"kvm\": {why}")).hint(
                "load the module kvm_intel or kvm_amd, join the group kvm, or set accelerator = \
                 \"tcg\", which is slow and works everywhere",
            )),
        },
        Some("none") => {
            ui.message("accelerator = \"none\": QEMU chooses, usually slow emulation.");
            Ok("none".to_owned())
        }
        Some(other) => Ok(other.to_owned()),
        None => {
            let (name, why) = best(program);
            match why {
                None => ui.message(format!("Using the accelerator {name}.")),
                Some(why) => {
                    ui.message(format!("Using the accelerator {name}, which is slow: {why}."));
                }
            }
            Ok(name.to_owned())
        }
    }
}

/// The one that [`choose`] chooses, without its messages.
pub(crate) fn name<'a>(asked: Option<&'a str>, program: &str) -> &'a str {
    asked.unwrap_or_else(|| best(program).0)
}

/// The best accelerator, and where that is emulation, why.
fn best(program: &str) -> (&'static str, Option<String>) {
    if !emulates_this_processor(program, std::env::consts::ARCH) {
        return ("tcg", Some(format!("{program} is for another kind of processor")));
    }
    if cfg!(target_os = "macos") {
        return ("hvf", None);
    }
    match usable_kvm() {
        Ok(()) => ("kvm", None),
        Err(why) => ("tcg", Some(why)),
    }
}

fn usable_kvm() -> Result<(), String> {
    match std::fs::File::options().read(true).write(true).open(KVM) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{KVM} cannot be opened: {error}")),
    }
}

/// Whether machines of `qemu-system-ARCH` have the processor `this`. Programs with other names,
/// such as `qemu-kvm`, are the host's own.
fn emulates_this_processor(program: &str, this: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name.strip_prefix("qemu-system-") {
        None => true,
        Some(arch) => {
            matches!(
                (arch, this),
                ("x86_64" | "i386", "x86_64") | ("i386", "x86") | ("aarch64" | "arm", "aarch64")
            ) || arch == this
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_for_this_processor_are_accelerated() {
        assert!(emulates_this_processor("qemu-system-x86_64", "x86_64"));
        assert!(emulates_this_processor("/usr/libexec/qemu-kvm", "x86_64"));
        assert!(emulates_this_processor("/opt/bin/qemu-system-riscv64", "riscv64"));
        assert!(!emulates_this_processor("/usr/bin/qemu-system-aarch64", "x86_64"));
        assert!(!emulates_this_processor("qemu-system-x86_64", "aarch64"));
    }
}
