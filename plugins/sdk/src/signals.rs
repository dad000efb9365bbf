//! What this process was started to do with signals.

use tokio::signal::unix::SignalKind;

/// Whether whoever started this process has it ignore a signal, as `nohup` does with SIGHUP.
pub fn is_ignored(kind: SignalKind) -> bool {
    ignored() >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Whether a signal that asks to end is not to be listened for: SIGHUP and SIGQUIT, where this process
/// was started to ignore them. A shell's background jobs ignore Ctrl-C as well, and are to end with it.
pub fn is_left_alone(kind: SignalKind) -> bool {
    (kind == SignalKind::hangup() || kind == SignalKind::quit()) && is_ignored(kind)
}

/// The signals that the process ignores: bit 0 stands for signal 1. Linux tells it in a file (see
/// `proc(5)`); elsewhere it takes a call that is not safe, so nothing is taken for ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
