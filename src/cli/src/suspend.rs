//! Ctrl-Z: the live view goes away before the process stops, and is drawn anew when it goes on.
//! Without this it would be drawn over what the shell has written meanwhile.

use std::sync::Arc;

use ingot_engine::signals;
use ingot_sdk::process_table::Stat;
use ingot_ui::Renderer;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// Stops the process whenever the terminal asks it to, which it does not do by itself any more. Does
/// nothing where there is no view, or nobody who could let the process go on.
pub(super) async fn without_view(renderer: Arc<Renderer>) {
    let kind = SignalKind::from_raw(Signal::TSTP.as_raw());
    if !renderer.can_show_view() || signals::is_ignored(kind) || !has_job_control() {
        return;
    }
    let mut stops = match signal(kind) {
        Ok(stops) => stops,
        Err(error) => return tracing::warn!(%error, "Ctrl-Z cannot be listened for"),
    };
    while stops.recv().await.is_some() {
        renderer.without_view(|| {
            // Returns when the process goes on.
            if let Err(error) = kill_process(getpid(), Signal::STOP) {
                tracing::warn!(%error, "the process cannot stop itself");
            }
        });
    }
}

/// Whether a process above this one, in another process group of the same session, controls its
/// jobs. The system does not stop groups for which there is none either.
fn has_job_control() -> bool {
    let Some(own) = Stat::of("self") else { return true };
    let mut parent = own.parent;
    // As deep as process trees of people are, and then some.
    for _ in 0..64 {
        match Stat::of(parent) {
            Some(found) if found.session != own.session => return false,
            Some(found) if found.group != own.group => return true,
            Some(found) => parent = found.parent,
            None => return false,
        }
    }
    false
}
