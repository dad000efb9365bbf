//! Internal snapshots of a running machine, by QEMU's jobs (since QEMU 6.0).

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::{Error, Result};
use serde_json::{Value, json};

use crate::qmp::Qmp;

/// How long writing the memory may take, and reading it. Meanwhile QEMU answers nothing.
pub(crate) const MEMORY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often QEMU is asked whether it is done.
const POLL: Duration = Duration::from_millis(50);
/// The names of our jobs.
const SAVE: &str = "ingot-save";
const DELETE: &str = "ingot-delete";

/// Writes the state of the machine into its disks as `tag`; in the place of one of that name, if
/// there is one. The machine stands still meanwhile.
///
/// # Errors
/// QEMU refuses, or takes too long. The machine goes on.
pub(super) async fn save(
    socket: &Path,
    disks: &[PathBuf],
    tag: &str,
    replaces: bool,
) -> Result<()> {
    let mut qmp = Qmp::connect(socket).await?;
    dismiss_old(&mut qmp).await?;
    let nodes = nodes(&mut qmp, disks).await?;
    if replaces {
        let arguments = json!({ "job-id": DELETE, "tag": tag, "devices": nodes });
        job(&mut qmp, "snapshot-delete", DELETE, arguments).await?;
    }
    let arguments = json!({ "job-id": SAVE, "tag": tag, "vmstate": nodes[0], "devices": nodes });
    job(&mut qmp, "snapshot-save", SAVE, arguments).await
}

/// Has QEMU forget jobs whose end nobody waited for: it takes no others of the same name.
async fn dismiss_old(qmp: &mut Qmp) -> Result<()> {
    let jobs = qmp.execute("query-jobs", Value::Null).await?;
    for job in jobs.as_array().into_iter().flatten() {
        let id = job["id"].as_str().filter(|&id| id == SAVE || id == DELETE);
        if let (Some(id), Some("concluded")) = (id, job["status"].as_str()) {
            qmp.execute("job-dismiss", json!({ "id": id })).await?;
        }
    }
    Ok(())
}

/// QEMU's names of the disks.
async fn nodes(qmp: &mut Qmp, disks: &[PathBuf]) -> Result<Vec<String>> {
    let blocks = qmp.execute("query-block", Value::Null).await?;
    let blocks = blocks.as_array().cloned().unwrap_or_default();
    let node = |disk: &PathBuf| {
        let disk = disk.display().to_string();
        let mut inserted = blocks.iter().map(|block| &block["inserted"]);
        let found = inserted.find(|inserted| inserted["image"]["filename"] == disk.as_str());
        let name = found.and_then(|inserted| inserted["node-name"].as_str());
        name.map(str::to_owned).ok_or_else(|| Error::new(format!("QEMU does not know {disk}")))
    };
    let nodes = disks.iter().map(node).collect::<Result<Vec<_>>>()?;
    match nodes.is_empty() {
        true => Err(Error::new("the machine has no disk")),
        false => Ok(nodes),
    }
}

async fn job(qmp: &mut Qmp, command: &str, id: &str, arguments: Value) -> Result<()> {
    let deadline = tokio::time::Instant::now() + MEMORY_TIMEOUT;
    let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
    qmp.execute_within(left(), command, arguments).await?;
    loop {
        let jobs = qmp.execute_within(left(), "query-jobs", Value::Null).await?;
        let mut jobs = jobs.as_array().cloned().unwrap_or_default().into_iter();
        match jobs.find(|job| job["id"] == id) {
            Some(job) if job["status"] == "concluded" => {
                qmp.execute("job-dismiss", json!({ "id": id })).await?;
                return match job["error"].as_str() {
                    Some(why) => Err(Error::new(format!("QEMU's {command} failed: {why}"))),
                    None => Ok(()),
                };
            }
            Some(_) if !left().is_zero() => tokio::time::sleep(POLL).await,
            Some(_) => return Err(Error::new(format!("QEMU's {command} takes too long"))),
            None => return Err(Error::new(format!("QEMU has forgotten its {command}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;
    use crate::qmp::testing::{SLOW, serve};

    #[tokio::test]
    async fn a_machine_is_saved_however_long_its_memory_takes() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let disk =
            json!({ "inserted": { "image": { "filename": "/disk" }, "node-name": "#block1" } });
        let answer = |value: Value| format!("{}\r\n", json!({ "return": value }));
        let job = |status: &str| json!([{ "id": SAVE, "status": status }]);
        let answers = [
            answer(json!({})),
            // One that took so long that nobody waited for its end.
            answer(job("concluded")),
            answer(json!({})),
            answer(json!([disk])),
            answer(json!({})),
            answer(job("running")),
            format!("{SLOW}{}", answer(job("concluded"))),
            answer(json!({})),
        ];
        let qemu = async move { serve(listener, &answers.each_ref().map(String::as_str)).await };
        let qemu = tokio::spawn(qemu);
        save(&socket, &["/disk".into()], "tag", false).await.unwrap();
        let heard = qemu.await.unwrap();
        let commands = [
            "qmp_capabilities",
            "query-jobs",
            "job-dismiss",
            "query-block",
            "snapshot-save",
            "query-jobs",
            "query-jobs",
            "job-dismiss",
        ];
        for (command, line) in commands.iter().zip(&heard) {
            assert!(line.contains(&format!("\"execute\":\"{command}\"")), "{command}: {heard:?}");
        }
        assert_eq!(heard.len(), commands.len());
    }
}
