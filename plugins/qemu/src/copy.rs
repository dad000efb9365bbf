//! Copies a disk image that already has the right format.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::{Context, Result, RunContext};

use crate::options::Options;

/// Whether a disk image of `format` is copied as it is where a machine is made of it, and not converted.
/// A name may promise what the file is not, and the machine would not boot. The arguments for
/// `qemu-img convert` are for the finished disk.
pub(crate) fn is_enough(raw: &Options, source: &Path, format: &str) -> bool {
    let promised = source.extension().unwrap_or_default() == raw.format();
    promised && format == raw.format()
}

/// Copies `source` to the new file `target`: by reference where the file system can, else by its
/// bytes, leaving holes for zeroes. How far it is is shown as `label`, if there is one.
///
/// # Errors
/// One of the files cannot be read or written, or the build was cancelled.
pub(crate) async fn copy(
    ctx: &RunContext,
    label: Option<&str>,
    source: &Path,
    target: &Path,
) -> Result<()> {
    let (source, target): (PathBuf, PathBuf) = (source.to_owned(), target.to_owned());
    let (copy_ctx, label) = (ctx.clone(), label.map(str::to_owned));
    blocking(ctx, move |stop| {
        let mut from = Reader::open(&source)?;
        let writing = || format!("writing {}", target.display());
        let mut to = File::create_new(&target).with_context(writing)?;
        if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
            return Ok(());
        }
        let mut reader = match label {
            Some(label) => Reader::new(&copy_ctx, &label, std::slice::from_ref(&source)),
            None => Reader::new(&copy_ctx, "", &[]),
        };
        reader.copy(stop, &mut from, |bytes| {
            if bytes.iter().all(|&byte| byte == 0) {
                let length = i64::try_from(bytes.len()).unwrap_or(0);
                to.seek(SeekFrom::Current(length)).map(drop)
            } else {
                to.write_all(bytes)
            }
        })?;
        let length = to.stream_position().with_context(writing)?;
        to.set_len(length).with_context(writing)
    })
    .await
}
