//! A disk of a few megabytes of its own, for tests of what happens when it is full.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs. It is unmounted when it is dropped.
pub struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// Mounts one. Without the right to mount a test fails under CI and is skipped elsewhere.
    pub fn mount(megabytes: u32) -> Option<Disk> {
        let dir = tempfile::tempdir().expect("a directory");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .output()
            .expect("mount can be run");
        if !output.status.success() {
            crate::missing("a tmpfs cannot be mounted (only root may)");
            return None;
        }
        Some(Disk { dir })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("a file");
        for size in [64 << 10, 4 << 10, 1] {
            let block = vec![b'x'; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
