//! The formats of disk images and firmware.

use std::io::Read;
use std::path::Path;

use ingot_sdk::{Context as _, Result};

/// What a qcow2 image begins with: "QFI" and 0xfb (QEMU's docs/interop/qcow2).
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// Features of a qcow2 image that are known here, and need nothing but the image: another compression,
/// and clusters in parts. That it is not clean, or that its data are in another file, is not among them.
const WHOLE_FEATURES: u64 = (1 << 3) | (1 << 4);
/// The feature that the data are in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// What the header of a qcow2 image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Qcow2 {
    version: u32,
    /// Where the name of its backing file is; 0 for none.
    backing_file: u64,
    /// The size of the disk in it, in bytes.
    pub virtual_size: u64,
    encryption: u32,
    incompatible_features: u64,
}

impl Qcow2 {
    /// The header of the image at `path`; none of another format.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Option<Qcow2>> {
        let reading = || format!("reading {}", path.display());
        let file = std::fs::File::open(path).with_context(reading)?;
        let mut header = Vec::new();
        file.take(80).read_to_end(&mut header).with_context(reading)?;
        if !header.starts_with(&QCOW2_MAGIC) || header.len() < 72 {
            return Ok(None);
        }
        let number = |at: usize, length: usize| {
            let bytes = header.get(at..at + length).unwrap_or_default();
            bytes.iter().fold(0, |number: u64, &byte| number << 8 | u64::from(byte))
        };
        let small = |at| u32::try_from(number(at, 4)).unwrap_or_default();
        let version = small(4);
        // Before version 3 there are no features.
        let incompatible_features = if version < 3 { 0 } else { number(72, 8) };
        Ok(Some(Qcow2 {
            version,
            backing_file: number(8, 8),
            virtual_size: number(24, 8),
            encryption: small(32),
            incompatible_features,
        }))
    }

    /// Whether a part of its contents is in another file, which it names.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        self.backing_file != 0 || self.incompatible_features & EXTERNAL_DATA != 0
    }

    /// Why the image is not whole by itself and clean, if it is not. QEMU reads whatever file an image
    /// names: one from a stranger must not be opened before this is known.
    pub(crate) fn unfit(&self) -> Option<&'static str> {
        if self.leads_elsewhere() {
            Some("its disk leads to another file")
        } else if !matches!(self.version, 2 | 3)
            || self.encryption != 0
            || self.incompatible_features & !WHOLE_FEATURES != 0
        {
            Some("its disk has a format that Ingot does not create")
        } else {
            None
        }
    }
}

/// The format of a firmware file: `qcow2`, as some distributions have it, or `raw`. What cannot be
/// read is taken for raw; QEMU says what is wrong with it.
pub(crate) fn of_firmware(path: &Path) -> &'static str {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == QCOW2_MAGIC { "qcow2" } else { "raw" }
}

/// The size of the disk that a file holds, in bytes. A raw image is as large as its file.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn virtual_size(path: &Path) -> Result<u64> {
    if let Some(qcow2) = Qcow2::read(path)? {
        return Ok(qcow2.virtual_size);
    }
    let found = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognized_by_the_first_bytes() {
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
        header.resize(104, 0);
        assert_eq!(virtual_size(&file("d.qcow2", &header)).unwrap(), 5);
        assert_eq!(virtual_size(&file("e.raw", &[0; 64])).unwrap(), 64);
    }

    #[test]
    fn an_image_that_is_not_whole_by_itself_is_known_by_its_header() {
        let directory = tempfile::tempdir().unwrap();
        let image = |name: &str, arguments: &[&str]| {
            let path = directory.path().join(name);
            let mut command = std::process::Command::new("qemu-img");
            command.args(["create", "-q", "-f", "qcow2"]).args(arguments).arg(&path).arg("1M");
            command.status().ok().filter(|status| status.success())?;
            Qcow2::read(&path).unwrap()
        };
        // Without QEMU there is no machine of QEMU's to test either.
        let Some(plain) = image("plain", &[]) else { return };
        assert_eq!((plain.unfit(), plain.virtual_size), (None, 1 << 20));
        for form in ["compat=0.10", "extended_l2=on,cluster_size=128k", "compression_type=zlib"] {
            assert_eq!(image("form", &["-o", form]).unwrap().unfit(), None, "{form}");
        }
        let backed = image("backed", &["-u", "-b", "/etc/shadow", "-F", "raw"]).unwrap();
        assert!(backed.leads_elsewhere() && backed.unfit().is_some());
        let data = format!("data_file={}", directory.path().join("data").display());
        let external = image("external", &["-o", &data]).unwrap();
        assert!(external.leads_elsewhere() && external.unfit().is_some());
        let unclean = Qcow2 { incompatible_features: 1 << 1, ..plain };
        assert!(!unclean.leads_elsewhere() && unclean.unfit().is_some());
    }
}
