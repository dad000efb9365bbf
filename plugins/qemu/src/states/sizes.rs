//! How large the disks of a machine are, as it sees them.

use std::path::Path;

use ingot_sdk::{Result, RunContext};

use crate::qemu_img;
use crate::settings::Settings;

/// What `qemu-img` rounds sizes up to, in bytes.
const SECTOR: u64 = 512;

/// The sizes of the disks in bytes, as the options have them; none for one that cannot be read here.
/// `medium` is the base image.
///
/// # Errors
/// The base image is no disk image.
pub(super) async fn virtual_sizes(
    ctx: &RunContext,
    settings: &Settings,
    medium: &Path,
) -> Result<Vec<Option<u64>>> {
    let raw = &settings.raw;
    let first = match raw.disk_image && raw.skip_resize_disk {
        true => Some(qemu_img::virtual_size(ctx, medium).await?),
        false => in_bytes(&settings.disk_size),
    };
    let first = first.and_then(|size| size.checked_next_multiple_of(SECTOR));
    Ok([first]
        .into_iter()
        .chain(raw.disk_additional_size.iter().map(|size| in_bytes(size)))
        .collect())
}

/// A size as `qemu-img` takes it: a number of bytes, or one with a unit.
fn in_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let size = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    size.checked_next_multiple_of(SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_qemu_img_reads_them() {
        for (text, size) in [
            ("40960M", Some(40_960 << 20)),
            ("20g", Some(20 << 30)),
            ("1000b", Some(1024)),
            ("1024", Some(1024)),
            ("1.5G", None),
            ("99999999999T", None),
            ("", None),
        ] {
            assert_eq!(in_bytes(text), size, "{text}");
        }
    }
}
