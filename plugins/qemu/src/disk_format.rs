//! The formats of disk images and firmware.

use std::io::Read;
use std::path::Path;

/// What a qcow2 image begins with: "QFI" and 0xfb (QEMU's docs/interop/qcow2).
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// The format of a firmware file: `qcow2`, as some distributions have it, or `raw`. What cannot be
/// read is taken for raw; QEMU says what is wrong with it.
pub(crate) fn of_firmware(path: &Path) -> &'static str {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == QCOW2_MAGIC { "qcow2" } else { "raw" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_what_files_begin_with() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(of_firmware(&file("a.fd", b"QFI\xfb\0\0\0\x03")), "qcow2");
        assert_eq!(of_firmware(&file("b.qcow2", &[0; 64])), "raw");
        assert_eq!(of_firmware(&file("c", b"QF")), "raw");
        assert_eq!(of_firmware(&directory.path().join("none")), "raw");
    }
}
