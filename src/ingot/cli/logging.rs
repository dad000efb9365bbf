//! The log: off unless `PACKER_LOG` says otherwise, to standard error or `PACKER_LOG_PATH`.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use crate::ui::Redactor;

/// Starts the log if the environment asks for one. Secrets are hidden in it as everywhere.
pub(super) fn start(redactor: Arc<Redactor>) {
    start_or(redactor, None);
}

/// As [`start`], with a level to log at if the environment says nothing.
pub(super) fn start_or(redactor: Arc<Redactor>, level: Option<LevelFilter>) {
    let level = match std::env::var("PACKER_LOG").unwrap_or_default().to_uppercase().as_str() {
        "" if level.is_some() => level.unwrap_or(LevelFilter::OFF),
        "" | "0" | "OFF" => return,
        "TRACE" => LevelFilter::TRACE,
        "INFO" => LevelFilter::INFO,
        "WARN" => LevelFilter::WARN,
        "ERROR" => LevelFilter::ERROR,
        _ => LevelFilter::DEBUG,
    };
    let path = std::env::var_os("PACKER_LOG_PATH").filter(|path| !path.is_empty());
    let target: Box<dyn Write + Send> = match path {
        None => Box::new(std::io::stderr()),
        Some(path) => match std::fs::OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Box::new(file),
            Err(error) => {
                eprintln!("cannot write the log to {}: {error}", path.display());
                return;
            }
        },
    };
    let writer = Mutex::new(Redacted { target, redactor });
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let subscriber = tracing_subscriber::registry().with(lines).with(targets(level));
    // A log that is on already stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Ingot");
}

/// Libraries that write whole requests and answers to the log, with passwords, keys and tokens that
/// nobody has masked yet; by how their names begin.
const TALKATIVE: [&str; 7] = ["aws_", "h2", "hyper", "reqwest", "tungstenite", "bollard", "oci_"];

/// Ingot's own lines at `level`. No library goes further than debugging, and those that would tell
/// secrets then say what is informative only.
fn targets(level: LevelFilter) -> Targets {
    let quiet = TALKATIVE.map(|name| (name, level.min(LevelFilter::INFO)));
    Targets::new()
        .with_default(level.min(LevelFilter::DEBUG))
        .with_target("ingot", level)
        .with_targets(quiet)
}

struct Redacted {
    target: Box<dyn Write + Send>,
    redactor: Arc<Redactor>,
}

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.target.write_all(self.redactor.apply(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn no_library_writes_what_it_sends_and_gets() {
        let all = targets(LevelFilter::TRACE);
        assert!(all.would_enable("ingot_amazon::ebs", &Level::TRACE));
        assert!(all.would_enable("some_library", &Level::DEBUG));
        assert!(!all.would_enable("some_library", &Level::TRACE));
        for library in ["aws_smithy_runtime::client::orchestrator", "aws_sigv4", "hyper_util", "h2"]
        {
            assert!(!all.would_enable(library, &Level::DEBUG), "{library}");
            assert!(all.would_enable(library, &Level::INFO), "{library}");
        }
        assert!(!targets(LevelFilter::WARN).would_enable("aws_config", &Level::INFO));
    }
}
