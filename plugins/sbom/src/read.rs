//! Reading what the collector printed.

use globset::GlobSet;
use ingot_sdk::{Context, Result};

use crate::packages::Inventory;

/// Reads what the collector printed, or gives it back where it is the output of something else.
///
/// # Errors
/// Never but for a bug.
pub async fn read(output: Vec<u8>, exclude: GlobSet) -> Result<Result<Inventory, Vec<u8>>> {
    let read = move || Inventory::of(&output, &exclude).ok_or(output);
    tokio::task::spawn_blocking(read).await.context("reading the packages")
}
