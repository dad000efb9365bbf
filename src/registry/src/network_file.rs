//! Whether a registry's file is on a network file system.

use std::path::Path;

/// The file systems on which processes of several machines do not see the memory that they share by a file, in
/// which SQLite keeps the index of its log (<https://sqlite.org/wal.html>): what `statfs` says of each (Linux'
/// `linux/magic.h`, and the sources of Lustre, GPFS and BeeGFS), and its name. Two machines that write to
/// one database damage it.
#[cfg(target_os = "linux")]
const NETWORK: &[(u32, &str)] = &[
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "SMB"),
    (0xFE53_4D42, "SMB"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x5346_414F, "AFS"),
];

/// What to call the network file system of a type; none if it is a local one.
#[cfg(target_os = "linux")]
fn name_of(kind: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(network, _)| *network == kind).map(|(_, name)| *name)
}

/// The network file system that a file is on; none if it is a local one, or is not known.
#[cfg(target_os = "linux")]
fn network_of(path: &Path) -> Option<&'static str> {
    // The type has 32 bits, whatever it is kept in.
    name_of(rustix::fs::statfs(path).ok()?.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn network_of(_: &Path) -> Option<&'static str> {
    None
}

/// What to warn of where a registry's file is on a network file system, on Linux.
pub fn network_file_warning(path: &Path) -> Option<String> {
    let network = network_of(path)?;
    Some(format!(
        "{} is on a network file system ({network}): only one machine may use this registry; \
         to share one, use `ingot registry serve`",
        path.display()
    ))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known() {
        for (kind, name) in [(0x6969, "NFS"), (0xFF53_4D42, "SMB"), (0xFE53_4D42, "SMB")] {
            assert_eq!(name_of(kind), Some(name), "{kind:x}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs.
        for kind in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(name_of(kind), None, "{kind:x}");
        }
        assert_eq!(network_file_warning(Path::new("/proc")), None);
        assert_eq!(network_file_warning(Path::new("/nowhere/registry.db")), None);
    }
}
