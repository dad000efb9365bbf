//! The formats of disk images and firmware.

use std::io::Read;
use std::path::Path;

use ingot_sdk::{Context as _, Result};

/// What a qcow2 image begins with: "QFI" and 0xfb (QEMU's docs/interop/qcow2).
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// The format of a firmware file: `qcow2`, as some distributions have it, or `raw`. What cannot be
/// read is taken for raw; QEMU says what is wrong with it.
pub(crate) fn of_firmware(path: &Path) -> &'static str {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == QCOW2_MAGIC { "qcow2" } else { "raw" }
}

/// The size of the disk that a file holds, in bytes. Of qcow2 the header has it, as a big-endian
/// number at byte 24; a raw image is as large as its file.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn virtual_size(path: &Path) -> Result<u64> {
    let reading = || format!("reading {}", path.display());
    let mut file = std::fs::File::open(path).with_context(reading)?;
    let mut header = [0; 32];
    match file.read_exact(&mut header) {
        Ok(()) if header.starts_with(&QCOW2_MAGIC) => {
            let mut size = [0; 8];
            size.copy_from_slice(&header[24..]);
            Ok(u64::from_be_bytes(size))
        }
        _ => Ok(file.metadata().with_context(reading)?.len()),
    }
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
        let mut header = b"QFI\xfb\0\0\0\x03".to_vec();
        header.resize(24, 0);
        header.extend(5_u64.to_be_bytes());
        assert_eq!(virtual_size(&file("d.qcow2", &header)).unwrap(), 5);
        assert_eq!(virtual_size(&file("e.raw", &[0; 64])).unwrap(), 64);
    }
}
