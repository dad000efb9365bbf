//! What the post-processors share.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use ingot_sdk::file_work::CHUNK;
use ingot_sdk::{Context, GeneratedData, Result, RunContext};
use serde_json::Value;

/// What templates of the options of this crate see: what the builder generated, and the build's
/// name and type under the names Packer gives them here.
pub(crate) fn template_data(ctx: &RunContext, generated: &GeneratedData) -> Value {
    let mut data: serde_json::Map<String, Value> =
        generated.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    data.insert("BuildName".to_owned(), ctx.prepare.build_name.clone().into());
    data.insert("BuilderType".to_owned(), ctx.prepare.build_type.clone().into());
    Value::Object(data)
}

/// Writes in large pieces; compressors emit small ones.
pub(crate) fn buffered(file: File) -> io::BufWriter<File> {
    io::BufWriter::with_capacity(CHUNK, file)
}

/// Writes what is buffered, with an error that names the file.
pub(crate) fn flush(mut writer: impl Write, path: &Path) -> Result<()> {
    writer.flush().with_context(|| format!("writing {}", path.display()))
}

/// Keeps the builds of this process from changing one file at the same time. Call the returned
/// lock's `lock` and keep the guard for as long as the file is read and written.
pub(crate) fn file_lock(path: &Path) -> Arc<Mutex<()>> {
    static LOCKS: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);
    let key = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut locks = LOCKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    Arc::clone(locks.entry(key).or_default())
}
