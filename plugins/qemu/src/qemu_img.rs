//! Runs `qemu-img`.

use std::path::Path;
use std::time::Duration;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::retry::Retry;
use ingot_sdk::{Context, Error, ErrorKind, OutputSink, Progress, Result, RunContext};
use parking_lot::Mutex;
use serde_json::Value;

/// How often a disk that another process still has locked is tried again. A QEMU that is ending
/// holds its locks for a moment.
const LOCK_TRIES: u32 = 10;

/// Runs `qemu-img` with `arguments`, in silence.
///
/// # Errors
/// What it says on its standard error; or it cannot be run.
pub(crate) async fn run(ctx: &RunContext, arguments: Vec<String>) -> Result<String> {
    let output = CapturedOutput::default();
    execute(ctx, arguments, &output, &output).await?;
    Ok(output.stdout_text())
}

/// Runs `qemu-img convert` with `arguments` behind it, showing its progress as `label`. `source`
/// is the disk that is read.
///
/// # Errors
/// As for [`run`].
pub(crate) async fn convert(
    ctx: &RunContext,
    label: &str,
    source: &Path,
    arguments: Vec<String>,
) -> Result<()> {
    let size = virtual_size(ctx, source).await?;
    let mut all = vec!["convert".to_owned(), "-p".to_owned()];
    all.extend(arguments);
    let retry = Retry {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(10),
        tries: Some(LOCK_TRIES),
        timeout: None,
    };
    let locked = |error: &Error| {
        let locked = error.kind() == Some(ErrorKind::Busy);
        if locked {
            ctx.ui.message("Another process still uses the disk; trying again.");
        }
        locked
    };
    retry
        .run(&ctx.cancel, locked, |_| async {
            let output = ConvertOutput {
                progress: ctx.ui.progress(label, Some(size)),
                size,
                line: Mutex::default(),
                errors: CapturedOutput::default(),
            };
            execute(ctx, all.clone(), &output, &output.errors).await
        })
        .await
}

/// How large the disk in an image is, in bytes.
///
/// # Errors
/// It is no disk image.
pub(crate) async fn virtual_size(ctx: &RunContext, image: &Path) -> Result<u64> {
    Ok(info(ctx, image).await?["virtual-size"].as_u64().unwrap_or(0))
}

/// The format of an image, as QEMU calls it.
///
/// # Errors
/// It is no disk image.
pub(crate) async fn format(ctx: &RunContext, image: &Path) -> Result<String> {
    Ok(info(ctx, image).await?["format"].as_str().unwrap_or("raw").to_owned())
}

/// What `qemu-img info` says.
async fn info(ctx: &RunContext, image: &Path) -> Result<Value> {
    let image = image.display().to_string();
    // `-U`: somebody may be using it, which does no harm here.
    let info = ["info", "-U", "--output=json", &image].map(str::to_owned).to_vec();
    serde_json::from_str(&run(ctx, info).await?)
        .with_context(|| format!("reading what qemu-img says of {image}"))
}

/// The names of the snapshots in an image.
///
/// # Errors
/// It is no disk image.
pub(crate) async fn snapshots(ctx: &RunContext, image: &Path) -> Result<Vec<String>> {
    let info = info(ctx, image).await?;
    let all = info["snapshots"].as_array().cloned().unwrap_or_default();
    Ok(all.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect())
}

async fn execute(
    ctx: &RunContext,
    arguments: Vec<String>,
    output: &dyn OutputSink,
    errors: &CapturedOutput,
) -> Result<()> {
    let argv: Vec<String> = ["qemu-img".to_owned()].into_iter().chain(arguments).collect();
    tracing::debug!(?argv, "running qemu-img");
    let what = argv.get(1).cloned().unwrap_or_default();
    let status = LocalCommand { argv, ..LocalCommand::default() }.run(ctx, output).await?;
    if status.success() {
        return Ok(());
    }
    let said = errors.stderr_text();
    let said = said.trim().strip_prefix("qemu-img: ").unwrap_or(said.trim());
    Err(failure(&what, said))
}

/// What `qemu-img` says on standard error, as an error. It has no other way to tell what is wrong.
fn failure(command: &str, said: &str) -> Error {
    let error = Error::new(format!("qemu-img {command}: {said}"));
    if said.contains("Failed to get shared \"write\" lock") {
        error.of_kind(ErrorKind::Busy)
    } else if said.contains("shrink") {
        error.hint("disk_size is less than the image has: raise it, or set skip_resize_disk = true")
    } else {
        error
    }
}

/// Moves a progress bar by what `qemu-img -p` prints: `    (12.34/100%)`, then a carriage return.
struct ConvertOutput {
    progress: Progress,
    size: u64,
    line: Mutex<Vec<u8>>,
    errors: CapturedOutput,
}

impl OutputSink for ConvertOutput {
    fn stdout(&self, bytes: &[u8]) {
        let mut line = self.line.lock();
        line.extend_from_slice(bytes);
        let Some(end) = line.iter().rposition(|&byte| byte == b'\r' || byte == b'\n') else {
            return;
        };
        let done: Vec<u8> = line.drain(..=end).collect();
        if let Some(percent) = last_percent(&String::from_utf8_lossy(&done)) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to size"
            )]
            #[expect(clippy::cast_precision_loss, reason = "for a progress bar")]
            let position = (self.size as f64 * percent.clamp(0.0, 100.0) / 100.0) as u64;
            self.progress.at(position, Some(self.size));
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        self.errors.stderr(bytes);
    }
}

/// The last `(N/100%)` of a text.
fn last_percent(text: &str) -> Option<f64> {
    let end = text.rfind("/100%)")?;
    let start = text[..end].rfind('(')?;
    text[start + 1..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_found() {
        assert_eq!(last_percent("    (0.00/100%)\r    (12.50/100%)\r"), Some(12.5));
        assert_eq!(last_percent("    (100.00/100%)\r\n"), Some(100.0));
        assert_eq!(last_percent("\n"), None);
    }
}
