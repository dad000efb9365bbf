//! Ends what plugins of a killed run still have running.
//!
//! Most plugins go on with their work when their connection ends, and so do programs that they
//! started. All of them have the variable [`RUN_VARIABLE`] in their environment, with the id of the run.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use ingot_sdk::process_group::is_live_group;
use ingot_sdk::process_table::{self, Texts};
use ingot_sdk::{Error, Reclaim, Resource, Result};
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde_json::Value;

/// The variable with the id of the run, in the environment of plugins.
pub const RUN_VARIABLE: &str = "INGOT_PLUGIN_RUN";
/// The kind of resource the processes of plugins are. The id is that of the run.
pub(crate) const PROCESSES: &str = "plugin-processes";
/// The attribute with the names of the programs that were asked to create something.
pub(crate) const CREATORS: &str = "creators";
/// How long killed processes may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often to look whether they are.
const LOOK: Duration = Duration::from_millis(50);

/// Ends the processes that the journal records.
pub struct ReclaimProcesses;

#[async_trait]
impl Reclaim for ReclaimProcesses {
    fn kinds(&self) -> &'static [&'static str] {
        &[PROCESSES]
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        // An empty id would be anybody's.
        if uuid_like(&resource.id) { end(&resource.id).await } else { Ok(()) }
    }

    fn remark(&self, resource: &Resource) -> Option<String> {
        let creators = resource.attributes.get(CREATORS)?.as_array()?;
        let creators: Vec<&str> = creators.iter().filter_map(Value::as_str).collect();
        Some(format!(
            "What {} created may be left: look for it, as no journal has it.",
            creators.join(" and ")
        ))
    }
}

fn uuid_like(id: &str) -> bool {
    id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

async fn end(run: &str) -> Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let found = of_run(run)?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::new(format!("the processes {found:?} of plugins do not end")));
        }
        kill_all(&found);
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends the processes of a run of this program that are in no group which ends with it, and waits for
/// that, on a thread that may block. Whether none is left after `limit`.
pub(crate) fn end_others(run: &str, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let Ok(mut found) = of_run(run) else { return false };
        found.retain(|&pid| is_other(pid));
        if found.is_empty() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        kill_all(&found);
        std::thread::sleep(LOOK);
    }
}

/// Whether a process is in no group that ends with this program. One that has ended is not.
fn is_other(pid: i32) -> bool {
    let group = Pid::from_raw(pid).and_then(|pid| getpgid(Some(pid)).ok());
    group.is_some_and(|group| !is_live_group(group))
}

fn kill_all(pids: &[i32]) {
    for pid in pids.iter().copied().filter_map(Pid::from_raw) {
        // Fails if it has just ended; else the next look finds it again.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The processes of a run; those of other users cannot be looked at.
fn of_run(run: &str) -> Result<Vec<i32>> {
    let mark = format!("{RUN_VARIABLE}={run}");
    process_table::find(Texts::Environment, |variables| variables.contains(&mark.as_bytes()))
}
