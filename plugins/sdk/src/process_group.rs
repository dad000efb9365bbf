//! The process groups of what this process starts: a terminal's Ctrl-C does not reach them, so they are
//! ended here, with all that their leaders started.

use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;

/// How often it is looked whether a group is stopped.
const LOOK: Duration = Duration::from_secs(1);

/// What helps where a program wanted to use the terminal, which is not that of its group.
pub const TERMINAL_HINT: &str = "let it take what it asks for from a file or from the environment; if it is \
                                 sudo, run `sudo -v` before";

/// The process groups that end with this process.
static LIVE: Mutex<Groups> = Mutex::new(Groups { ids: Vec::new(), closed: false });

struct Groups {
    ids: Vec<Pid>,
    /// Whether this process is ending, and none may be added any more.
    closed: bool,
}

/// The process group of a child that was started as its leader. Dropping it kills what is left of the
/// group, unless it outlives this process or was left.
#[derive(Debug)]
pub struct ProcessGroup {
    /// None once the child has been waited for: the number may be another's by then.
    id: Option<Pid>,
    kill: bool,
    /// Whether it is in the list of those that end with this process.
    live: bool,
}

impl ProcessGroup {
    /// The group of `child`. It ends with this process, and at once where this process is ending.
    pub fn of(child: &Child) -> ProcessGroup {
        let id = pid(child);
        if let Some(id) = id {
            let mut live = LIVE.lock();
            if live.closed {
                kill_group(id);
            }
            live.ids.push(id);
        }
        ProcessGroup { id, kill: true, live: true }
    }

    /// The group of `child`, which goes on when this is dropped and when this process ends, unless it
    /// [is ended](Self::end) before.
    pub fn that_outlives(child: &Child) -> ProcessGroup {
        ProcessGroup { id: pid(child), kill: false, live: false }
    }

    /// Its number.
    pub fn id(&self) -> Option<Pid> {
        self.id
    }

    /// Asks the processes of the group to end; what has not when this is dropped is killed then.
    pub fn end(&mut self) {
        self.kill = true;
        if let Some(id) = self.id {
            // These fail only if nothing of the group is left. What is stopped is asked when it goes on.
            let _ = kill_process_group(id, Signal::TERM);
            let _ = kill_process_group(id, Signal::CONT);
        }
    }

    /// Waits until the child is stopped because it, or something that it started, wants to use the
    /// terminal: that is for the group in the foreground, which this process is in. Nobody else sees
    /// it, and would let it go on.
    pub async fn wants_terminal(&self) {
        while !self.id.is_some_and(is_stopped_by_terminal) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Leaves alone what is left of it.
    pub fn leave(mut self) {
        self.kill = false;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        if self.kill {
            kill_group(id);
        }
        if self.live {
            LIVE.lock().ids.retain(|live| *live != id);
        }
    }
}

/// Sends SIGINT to a process group, as a terminal does at Ctrl-C.
pub fn interrupt_group(id: Pid) {
    // Fails only if nothing of it is left.
    let _ = kill_process_group(id, Signal::INT);
}

/// Kills what is left of a process group.
pub fn kill_group(id: Pid) {
    // Fails only if nothing of it is left.
    let _ = kill_process_group(id, Signal::KILL);
}

/// Whether [`kill_live_groups`] kills the process group `id`.
pub fn is_live_group(id: Pid) -> bool {
    LIVE.lock().ids.contains(&id)
}

/// Kills the process groups that were to end before this process does, and those that are still
/// started; call it before the process ends without dropping what it has.
pub fn kill_live_groups() {
    let mut live = LIVE.lock();
    live.closed = true;
    live.ids.iter().copied().for_each(kill_group);
}

/// Whether the child `id` is stopped as a terminal stops a group in the background that reads from it
/// or changes it.
fn is_stopped_by_terminal(id: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(id), options).ok().flatten();
    let signal = status.and_then(|status| status.stopping_signal());
    signal.is_some_and(|signal| [Signal::TTIN.as_raw(), Signal::TTOU.as_raw()].contains(&signal))
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
}
