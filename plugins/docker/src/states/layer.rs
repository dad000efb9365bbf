//! The layer of a state: all that its provisioners changed in the image that they started from, as a
//! tar archive.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use ingot_sdk::file_work::blocking;
use ingot_sdk::{Context, Error, Result, RunContext};
use ingot_shared_states::spool::{self, spool, spool_error};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, describe};

/// How long the Engine may take for the next piece of an image. It writes the whole image to its own disk
/// before it gives the first.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// What a file that is compressed by gzip, and by Zstandard, begins with.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The layer that changes nothing: the end of a tar archive.
pub(super) const EMPTY_LAYER: &str =
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
const EMPTY: [u8; 1024] = [0; 1024];

/// A layer in a file that has no name, so that nothing is left of it, however this program ends.
pub(crate) struct Layer(pub(super) File);

impl Layer {
    fn empty() -> Result<Layer> {
        let mut file = spool()?;
        file.write_all(&EMPTY).map_err(spool_error)?;
        Ok(Layer(file))
    }

    /// Takes the layer `diff_id` (`sha256:…`, of its archive) out of the image `image`. The Engine gives
    /// it with all layers below, which are not kept.
    ///
    /// # Errors
    /// The Engine fails, the image does not have the layer, or the disk is full.
    pub(super) async fn of_image(
        ctx: &RunContext,
        engine: &Engine,
        image: &str,
        diff_id: &str,
    ) -> Result<Layer> {
        if diff_id == EMPTY_LAYER {
            return Layer::empty();
        }
        let mut layer = None;
        let stream = archive_of(engine.api.export_image(image));
        let wanted = HashSet::from([diff_id.to_owned()]);
        let layer = from_stream(ctx, stream, move |source| {
            each(source, wanted, |_, found| {
                layer = Some(found);
                Ok(())
            })?;
            Ok(layer)
        });
        let layer = layer.await.and_then(|layer| layer.ok_or_else(missing));
        layer.context("taking the layer of the state out of its image")
    }
}

fn missing() -> Error {
    Error::new("it is not in the archive that the Engine makes of the image")
}

/// The archive of images, as the Engine streams it.
fn archive_of(
    stream: impl Stream<Item = Result<Bytes, bollard::errors::Error>> + Send + 'static,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    stream.map_err(|error| std::io::Error::other(describe(&error))).boxed()
}

/// Hands each layer of `wanted`, by its checksum, to `found`. The layers are those of `images`, which
/// the Engine gives as one archive, in which what they have in common is once.
///
/// # Errors
/// The Engine fails, a layer is not there, the disk is full, or what `found` failed with.
pub(super) async fn of_images(
    ctx: &RunContext,
    engine: &Engine,
    images: &[&str],
    mut wanted: HashSet<String>,
    mut found: impl FnMut(&str, Layer) -> Result<()> + Send + 'static,
) -> Result<()> {
    if wanted.remove(EMPTY_LAYER) {
        found(EMPTY_LAYER, Layer::empty()?)?;
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let stream = archive_of(engine.api.export_images(images));
    from_stream(ctx, stream, move |source| each(source, wanted, found)).await
}

/// Runs `job` on a thread that may block, with a stream to read.
async fn from_stream<T: Send + 'static>(
    ctx: &RunContext,
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    job: impl FnOnce(BlockingStream) -> Result<T> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    blocking(ctx, move |stop| {
        job(BlockingStream { stream, runtime, stop: stop.clone(), piece: Bytes::new() })
    })
    .await
}

/// Reads a stream on a thread that may block.
struct BlockingStream {
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    runtime: tokio::runtime::Handle,
    stop: CancellationToken,
    piece: Bytes,
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            let (stream, stop) = (&mut self.stream, &self.stop);
            let next = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Some(Err(std::io::Error::other("cancelled"))),
                    next = tokio::time::timeout(IDLE, stream.next()) => next.unwrap_or_else(|_| {
                        let late = format!("the Engine sent nothing for {} s", IDLE.as_secs());
                        Some(Err(std::io::Error::other(late)))
                    }),
                }
            });
            match next {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// Whether a file of an image's archive may be the archive of a layer: Engines before 25 call them
/// `ID/layer.tar`, later ones `blobs/sha256/DIGEST`.
fn may_be_layer(path: &[u8]) -> bool {
    path.ends_with(b"/layer.tar") || path.starts_with(b"blobs/sha256/")
}

/// Takes the layers whose archives have the checksums `wanted` out of the archive of images. What layers
/// are called there differs between Engines, and some compress them: a layer is known by its checksum
/// alone.
fn each(
    source: impl Read,
    mut wanted: HashSet<String>,
    mut found: impl FnMut(&str, Layer) -> Result<()>,
) -> Result<()> {
    let mut archive = tar::Archive::new(source);
    let mut file = spool()?;
    for entry in archive.entries()? {
        if wanted.is_empty() {
            break;
        }
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() || !may_be_layer(&entry.path_bytes()) {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut start = Vec::new();
        entry.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
        let is_gzip = start.starts_with(&GZIP);
        // A blob that is not compressed is named by its contents.
        let digest = path.strip_prefix("blobs/sha256/").map(|digest| format!("sha256:{digest}"));
        let is_other = digest.is_some_and(|digest| !wanted.contains(&digest));
        // The Engine compresses those that it makes by gzip alone.
        if start == ZSTD || is_other && !is_gzip {
            continue;
        }
        file.set_len(0).map_err(spool_error)?;
        file.seek(SeekFrom::Start(0)).map_err(spool_error)?;
        let whole = start.as_slice().chain(entry);
        let sum = match is_gzip {
            true => copy(MultiGzDecoder::new(whole), &mut file)?,
            false => copy(whole, &mut file)?,
        };
        if wanted.remove(&sum) {
            found(&sum, Layer(std::mem::replace(&mut file, spool()?)))?;
        }
    }
    match wanted.is_empty() {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// Copies all of a layer's archive; its checksum (`sha256:…`).
fn copy(source: impl Read, spool: &mut File) -> Result<String> {
    spool::copy(source, spool).map(|(_, sum)| format!("sha256:{sum}"))
}

#[cfg(test)]
mod tests {
    use ingot_sdk::hash::sha256;

    use super::*;

    /// An archive of an image with these files.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, data) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, path, *data).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn sum(data: &[u8]) -> String {
        format!("sha256:{}", sha256(data))
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// The layer with the contents `wanted`.
    fn taken(archive: &[u8], wanted: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        each(archive, HashSet::from([sum(wanted)]), |_, mut layer| {
            layer.0.seek(SeekFrom::Start(0))?;
            layer.0.read_to_end(&mut bytes)?;
            Ok(())
        })?;
        Ok(bytes)
    }

    #[test]
    fn the_layer_that_changes_nothing_is_known() {
        let (mut layer, mut bytes) = (Layer::empty().unwrap(), Vec::new());
        layer.0.seek(SeekFrom::Start(0)).unwrap();
        layer.0.read_to_end(&mut bytes).unwrap();
        assert_eq!(sum(&bytes), EMPTY_LAYER);
        assert_eq!(tar::Archive::new(&bytes[..]).entries().unwrap().count(), 0);
    }

    #[test]
    fn a_layer_is_found_by_its_checksum_whatever_the_engine_calls_it() {
        let (layer, base) = (vec![7; 100_000], vec![1; 50_000]);
        let named = |data: &[u8]| sum(data).replace("sha256:", "blobs/sha256/");
        let old: &[(&str, &[u8])] =
            &[("a/layer.tar", &base), ("a/json", b"{}"), ("b/layer.tar", &layer)];
        let (of_base, of_layer) = (named(&base), named(&layer));
        let new: &[(&str, &[u8])] = &[(&of_base, &base), (&of_layer, &layer)];
        let (packed_base, packed) = (gzip(&base), gzip(&layer));
        let (of_base, of_layer) = (named(&packed_base), named(&packed));
        let containerd: &[(&str, &[u8])] = &[(&of_base, &packed_base), (&of_layer, &packed)];
        for files in [old, new, containerd] {
            assert_eq!(taken(&archive(files), &layer).unwrap(), layer);
            let error = taken(&archive(files), b"another").unwrap_err();
            assert!(error.to_string().contains("not in the archive"), "{error}");
        }
        let broken = &archive(old)[..60_000];
        assert!(taken(broken, &layer).is_err());
    }
}
