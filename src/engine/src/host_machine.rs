//! The machine that Ingot runs on.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ingot_sdk::file_work::read_small_text;
use ingot_sdk::hash;
use serde::{Deserialize, Serialize};

/// A machine that Ingot runs on, told from others that share a directory with it, such as the home
/// directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMachine {
    /// The same until the system is installed anew or, where its root is new at each boot, starts again.
    id: String,
    /// What its users call it; empty where it has no name.
    name: String,
}

/// Where the id of an installed system is; see `machine-id(5)`.
const ID: &str = "/etc/machine-id";
/// The most that is read of such a file, in bytes.
const LONGEST: u64 = 4096;
/// The numbers of the namespaces in which a system starts, the same on all: `PROC_PID_INIT_INO` and the
/// others of the kernel. A container has some of its own.
const FIRST_NAMESPACES: [(&str, u64); 3] =
    [("pid", 0xEFFF_FFFC), ("uts", 0xEFFF_FFFE), ("ipc", 0xEFFF_FFFF)];

/// What machines are called that nobody has named, or that were just installed or cloned.
const COMMON_NAMES: [&str; 32] = [
    "",
    "(none)",
    "almalinux",
    "alpine",
    "archlinux",
    "build",
    "builder",
    "buildkit",
    "centos",
    "ci",
    "debian",
    "default",
    "desktop",
    "fedora",
    "host",
    "kali",
    "linux",
    "localhost",
    "localhost-live",
    "nixos",
    "node",
    "packer",
    "raspberrypi",
    "rhel",
    "rocky",
    "runner",
    "server",
    "ubuntu",
    "ubuntu-server",
    "vagrant",
    "vm",
    "worker",
];

impl HostMachine {
    /// This machine. None where it is not known: in a container, whose id can be that of its image or
    /// another one in each run; and where the id is gone at the next reboot.
    pub(crate) fn this() -> Option<HostMachine> {
        let is_first = |(kind, number): &(&str, u64)| {
            let namespace = std::fs::metadata(format!("/proc/self/ns/{kind}"));
            namespace.is_ok_and(|found| found.ino() == *number)
        };
        if !FIRST_NAMESPACES.iter().all(is_first) {
            return None;
        }
        let id = id_in(Path::new(ID))?;
        let name = Path::new("/proc/sys/kernel/hostname");
        let name = read_small_text(name, "name of a host", LONGEST).unwrap_or_default();
        Some(HostMachine { id, name: name.trim().to_owned() })
    }

    /// What its users call it; empty where it has no name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `recorded`, if it is another machine than `here`; none where one of them is not known. One of the
    /// same name is the same, whatever its id: machines are installed anew, and a chroot has an id of
    /// its own.
    pub(crate) fn other(
        recorded: Option<&HostMachine>,
        here: Option<&HostMachine>,
    ) -> Option<HostMachine> {
        let (recorded, here) = recorded.zip(here)?;
        let named_alike = recorded.name == here.name && recorded.has_own_name();
        (recorded.id != here.id && !named_alike).then(|| recorded.clone())
    }

    /// Whether somebody has given it a name.
    fn has_own_name(&self) -> bool {
        let first = self.name.split('.').next().unwrap_or_default();
        !COMMON_NAMES.contains(&first.to_ascii_lowercase().as_str())
    }
}

impl fmt::Display for HostMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str("another machine"),
            name => write!(f, "the machine {name}"),
        }
    }
}

/// What tells a machine by the id in `file`; none if there is none that lasts.
fn id_in(file: &Path) -> Option<String> {
    // One that was made for this boot only is mounted over the file.
    let filesystem = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    if filesystem(file)? != filesystem(file.parent()?)? {
        return None;
    }
    let text = read_small_text(file, "id of a machine", LONGEST).ok()?;
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    // The id itself is not for others: whoever has it can tell what other programs derive of it.
    is_id.then(|| hash::sha256(format!("ingot {id}"))[..32].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a name, which is its id, too.
    fn machine(name: &str) -> HostMachine {
        HostMachine { id: name.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_machine_is_another_only_if_both_are_known() {
        let (a, b) = (machine("a"), machine("b"));
        assert_eq!(HostMachine::other(Some(&a), Some(&b)), Some(a.clone()));
        assert_eq!(a.to_string(), "the machine a");
        for (recorded, here) in [(Some(&a), Some(&a)), (Some(&a), None), (None, Some(&a))] {
            assert_eq!(HostMachine::other(recorded, here), None);
        }
        // Machines keep their id when they get another name.
        let renamed = HostMachine { name: "c".to_owned(), ..a.clone() };
        assert_eq!(HostMachine::other(Some(&renamed), Some(&a)), None);
        // And their name when they are installed anew, if that tells them from others.
        for (name, is_other) in [("build1", false), ("", true), ("localhost.localdomain", true)] {
            let [old, new] = ["1", "2"].map(|id| HostMachine { id: id.into(), name: name.into() });
            assert_eq!(HostMachine::other(Some(&old), Some(&new)).is_some(), is_other, "{name}");
        }
    }

    #[test]
    fn a_file_without_an_id_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("machine-id");
        assert_eq!(id_in(&file), None);
        // Images of systems have such files.
        for text in ["", "uninitialized\n", "0123\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(id_in(&file), None);
        }
        let id = "0123456789abcdef0123456789abcdef";
        std::fs::write(&file, format!("{id}\n")).unwrap();
        let known = id_in(&file).unwrap();
        assert!(known.len() == 32 && known != id, "{known}");
    }
}
