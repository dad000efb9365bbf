//! Internal snapshots of a running machine, by QEMU's jobs (since QEMU 6.0).

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::{Error, Result};
use serde_json::{Value, json};

use crate::qmp::Qmp;

/// How long writing the memory may take.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often QEMU is asked whether it is done.
const POLL: Duration = Duration::from_millis(50);

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
    let nodes = nodes(&mut qmp, disks).await?;
    if replaces {
        let arguments = json!({ "job-id": "ingot-delete", "tag": tag, "devices": nodes });
        job(&mut qmp, "snapshot-delete", "ingot-delete", arguments).await?;
    }
    let arguments =
        json!({ "job-id": "ingot-save", "tag": tag, "vmstate": nodes[0], "devices": nodes });
    job(&mut qmp, "snapshot-save", "ingot-save", arguments).await
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
    qmp.execute(command, arguments).await?;
    let begun = tokio::time::Instant::now();
    loop {
        let jobs = qmp.execute("query-jobs", Value::Null).await?;
        let mut jobs = jobs.as_array().cloned().unwrap_or_default().into_iter();
        match jobs.find(|job| job["id"] == id) {
            Some(job) if job["status"] == "concluded" => {
                qmp.execute("job-dismiss", json!({ "id": id })).await?;
                return match job["error"].as_str() {
                    Some(why) => Err(Error::new(format!("QEMU's {command} failed: {why}"))),
                    None => Ok(()),
                };
            }
            Some(_) if begun.elapsed() < TIMEOUT => tokio::time::sleep(POLL).await,
            Some(_) => return Err(Error::new(format!("QEMU's {command} takes too long"))),
            None => return Err(Error::new(format!("QEMU has forgotten its {command}"))),
        }
    }
}
