//! Numbers of bytes for people.

/// A number of bytes: `512 B`, `1.4 MiB`.
pub fn byte_size(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, 0);
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let shown = [0, 1023, 1024, 1_500_000, 5 << 40, u64::MAX].map(byte_size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "5.0 TiB", "16384.0 PiB"]);
    }
}
