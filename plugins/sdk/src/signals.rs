//! What this process was started to do with signals.

use tokio::signal::unix::SignalKind;

/// Whether whoever started this process has it ignore a signal, as `nohup` does with SIGHUP.
pub fn is_ignored(kind: SignalKind) -> bool {
    ignored() >> (kind.as_raw_value() - 1) & 1 == 1
}

/// The signals that the process ignores: bit 0 stands for signal 1. Linux tells it in a file (see
/// `proc(5)`); elsewhere it takes a call that is not safe, so nothing is taken for ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
