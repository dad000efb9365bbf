//! Writes what the Engine streams to a file.

use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ingot_sdk::output_file::{CreatedDirectories, OutputFile};
use ingot_sdk::{Context, Result, RunContext};
use tokio::io::AsyncWriteExt;

use crate::engine::EngineContext;

/// How much is gathered before it is written, and between two signs of progress.
const CHUNK: usize = 1024 * 1024;

/// Writes `stream` to `path`, showing progress under `label`; returns the directories that were
/// created for it. The file is there whole or not at all, also when this future is dropped.
///
/// # Errors
/// The Engine failed, or the file cannot be written.
pub(crate) async fn save_stream(
    ctx: &RunContext,
    label: &str,
    stream: impl Stream<Item = Result<Bytes, bollard::errors::Error>> + Unpin,
    path: &Path,
) -> Result<CreatedDirectories> {
    let output = OutputFile::open(&ctx.journal, path, 0o666).await?;
    let file = tokio::fs::File::from_std(output.writer()?);
    write(ctx, label, stream, file, path).await.map_err(|error| output.explain(error))?;
    let created = output.created();
    output.close(ctx).await?;
    Ok(created)
}

async fn write(
    ctx: &RunContext,
    label: &str,
    mut stream: impl Stream<Item = Result<Bytes, bollard::errors::Error>> + Unpin,
    file: tokio::fs::File,
    path: &Path,
) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let progress = ctx.ui.progress(label, None);
    let mut file = tokio::io::BufWriter::with_capacity(CHUNK, file);
    let (mut position, mut shown) = (0, 0);
    while let Some(piece) = stream.next().await {
        let piece = piece.doing(label)?;
        file.write_all(&piece).await.with_context(writing)?;
        position += piece.len() as u64;
        if position - shown >= CHUNK as u64 {
            shown = position;
            progress.at(position, None);
        }
    }
    progress.at(position, None);
    file.flush().await.with_context(writing)
}
