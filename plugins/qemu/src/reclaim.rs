//! Removes what a killed build left behind: processes, the output directory, and states that it wrote to
//! the cache.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use ingot_sdk::process_table::{self, Texts};
use ingot_sdk::{Context, Error, Reclaim, Resource, Result, async_trait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The kind of resource QEMU and swtpm are. The id is a part of the command line that nothing
/// else has: a path below a temporary directory with a random name.
pub(crate) const PROCESS: &str = "qemu-process";
/// The kind of resource the output directory is.
pub(crate) const OUTPUT: &str = "qemu-output";

/// The kind of resource a directory is in which states are written to the cache.
pub(crate) const STATES: &str = "qemu-states";

/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Removes what the journal names.
pub struct QemuReclaim;

#[async_trait]
impl Reclaim for QemuReclaim {
    fn kinds(&self) -> &'static [&'static str] {
        &[PROCESS, OUTPUT, STATES]
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        match resource.kind.as_str() {
            PROCESS => kill(&resource.id).await,
            _ => {
                let resource = resource.clone();
                tokio::task::spawn_blocking(move || remove_output(&resource))
                    .await
                    .context("removing an output directory")?
                    .map(drop)
            }
        }
    }
}

/// The journal's record of the directory `path`, before it is created.
pub(crate) fn output_resource(path: &Path) -> Resource {
    Resource::at(OUTPUT, path)
}

/// The same once it is there: what tells it from a directory that the user puts there later.
///
/// # Errors
/// It cannot be looked at.
pub(crate) fn created_output_resource(path: &Path) -> Result<Resource> {
    identified(output_resource(path), path)
}

/// Whether the directory that `created` is the record of is still there, and no other one in its place.
pub(crate) fn is_same(created: &Resource) -> bool {
    let expected = identity_of(created);
    identity(&created.path()).is_ok_and(|found| Some(found.as_str()) == expected)
}

/// What the directory is known by that `created` is the record of. None before it is created.
pub(crate) fn identity_of(created: &Resource) -> Option<&str> {
    created.attributes.get("identity").and_then(Value::as_str)
}

/// The journal's record of a directory for states, before it is created.
pub(crate) fn states_resource(path: &Path) -> Resource {
    Resource::at(STATES, path)
}

/// The same once it is there, as [`created_output_resource`].
///
/// # Errors
/// It cannot be looked at.
pub(crate) fn created_states_resource(path: &Path) -> Result<Resource> {
    identified(states_resource(path), path)
}

fn identified(resource: Resource, path: &Path) -> Result<Resource> {
    let identity = identity(path).with_context(|| format!("looking at {}", path.display()))?;
    Ok(resource.with("identity", identity))
}

/// What a directory is known by: number and, where the file system keeps it, time of birth.
fn identity(path: &Path) -> std::io::Result<String> {
    let found = std::fs::symlink_metadata(path)?;
    let born = found.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let born = born.unwrap_or_default().as_nanos();
    Ok(format!("{}:{}:{born}", found.dev(), found.ino()))
}

/// Removes the directory that `resource` is the record of, with all that is in it. False where another one
/// is in its place, which stays. Not finding any is success.
///
/// # Errors
/// It may still be there.
pub(crate) fn remove_output(resource: &Resource) -> Result<bool> {
    let recorded = resource.path();
    let path = recorded.as_path();
    let removing = || format!("removing {}", path.display());
    let removed = match (identity(path), identity_of(resource)) {
        (Err(error), _) => Err(error),
        (Ok(found), Some(expected)) if found == expected => std::fs::remove_dir_all(path),
        // Another directory by now.
        (Ok(_), Some(_)) => return Ok(false),
        // Killed right after it was created: nothing is in it, unless it is another directory.
        (Ok(_), None) => match std::fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => return Ok(false),
            removed => removed,
        },
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(removing),
        _ => Ok(true),
    }
}

/// Kills the processes whose command line has `marker` in it.
async fn kill(marker: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + GONE_WITHIN;
    loop {
        let found = with_marker(marker)?;
        if found.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::new(format!("the process {found:?} does not end")));
        }
        for pid in found {
            if let Some(pid) = Pid::from_raw(pid) {
                // Fails if it has just ended; else the next look finds it again.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a process runs that has `marker` in its command line.
///
/// # Errors
/// The marker may be anybody's, or processes cannot be listed.
pub(crate) fn runs(marker: &str) -> Result<bool> {
    Ok(!with_marker(marker)?.is_empty())
}

/// Sends a signal to the processes whose command line has `marker` in it.
///
/// # Errors
/// The marker may be anybody's, or processes cannot be listed.
pub(crate) fn send(marker: &str, signal: Signal) -> Result<()> {
    for pid in with_marker(marker)?.into_iter().filter_map(Pid::from_raw) {
        // Fails if it has just ended.
        let _ = kill_process(pid, signal);
    }
    Ok(())
}

fn with_marker(marker: &str) -> Result<Vec<i32>> {
    if marker.len() < 32 {
        return Err(Error::new(format!("{marker:?} may be part of anybody's command line")));
    }
    // The program's own arguments only: an editor may show the journal.
    process_table::find(Texts::CommandLine, |line| {
        line.iter().skip(1).any(|argument| String::from_utf8_lossy(argument).contains(marker))
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[tokio::test]
    async fn kills_by_marker_only() {
        let marker = format!("/tmp/{}/qmp", uuid::Uuid::new_v4());
        // It waits for input that does not come, and starts nothing that would outlive it.
        let waiting = |argument: &str| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", "read -r line", argument]).stdin(std::process::Stdio::piped());
            shell.spawn().unwrap()
        };
        let mut marked = waiting(&format!("unix:{marker},server=on"));
        let mut other = waiting("unix:/tmp/other,server=on");
        // A program that has just started has no command line for a moment.
        let line = format!("/proc/{}/cmdline", marked.id());
        while !std::fs::read_to_string(&line).unwrap().contains(&marker) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        QemuReclaim.reclaim(&Resource::new(PROCESS, &marker)).await.unwrap();
        assert!(!marked.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        let refused = QemuReclaim.reclaim(&Resource::new(PROCESS, "sh")).await;
        assert!(refused.unwrap_err().to_string().contains("anybody's command line"));
    }

    #[tokio::test]
    async fn an_output_directory_is_removed_only_if_it_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        // Not UTF-8, as the journal is.
        let path = directory.path().join(OsStr::from_bytes(b"t\xe9"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("disk"), "x").unwrap();
        let resource = created_output_resource(&path).unwrap();
        // Not known to be the one: only an empty directory goes.
        QemuReclaim.reclaim(&output_resource(&path)).await.unwrap();
        assert!(path.join("disk").exists());
        QemuReclaim.reclaim(&resource).await.unwrap();
        assert!(!path.exists());
        QemuReclaim.reclaim(&resource).await.unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("precious"), "x").unwrap();
        QemuReclaim.reclaim(&resource).await.unwrap();
        assert!(path.join("precious").exists());
    }
}
