//! The log: off unless `PACKER_LOG` says otherwise, to standard error or `PACKER_LOG_PATH`.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::LevelFilter;

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
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(writer);
    // A log that is on already stays.
    let _ = tracing::subscriber::set_global_default(subscriber.finish());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Ingot");
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
