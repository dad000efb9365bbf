//! `ingot registry backup` and `restore-backup`: a served registry's database, whichever it is, as a
//! file and back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::output;
use super::serve::{DatabaseArgs, shown};
use ingot_registry::api::Result;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file; what is in it is secret
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// How often to say how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Says every few seconds how far it is.
fn progress() -> impl FnMut(&str, u64) + Send {
    let mut last = Instant::now();
    move |table: &str, rows: u64| {
        if last.elapsed() >= EVERY {
            last = Instant::now();
            output::line(format!("{rows} rows so far; the table {table}"));
        }
    }
}

pub(super) async fn back_up(args: &BackupArgs) -> Result<()> {
    let database = shown(&args.database.location()?);
    let store = args.database.open_existing().await?;
    let rows = store.back_up(&args.file, &mut progress()).await;
    store.close().await;
    output::line(format!("Backed up {} rows of {database} to {}", rows?, args.file.display()));
    Ok(())
}

pub(super) async fn restore(args: &BackupArgs) -> Result<()> {
    let database = shown(&args.database.location()?);
    let store = args.database.open_to_restore().await?;
    let rows = store.restore(&args.file, &mut progress()).await;
    store.close().await;
    output::line(format!("Restored {} rows from {} to {database}", rows?, args.file.display()));
    Ok(())
}
