//! Compresses the blocks of a stream on all cores, and writes them in their order.
//!
//! Where a block ends does not depend on the number of cores, so that the same file gives the same
//! bytes on every machine.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use noodles_bgzf::io::writer::{Builder, CompressionLevel};
use parking_lot::Mutex;

/// How much is compressed at a time, in bytes: the larger, the less is lost by each block knowing
/// nothing of the one before it.
const BLOCK: usize = 512 * 1024;
/// The most threads. There are two blocks for each in memory.
const MOST_THREADS: usize = 32;
/// The last block of a deflate stream, with nothing in it (RFC 1951, 3.2.6).
const LAST_BLOCK: [u8; 2] = [3, 0];

/// How many threads compress.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS)
}

/// Compresses a block.
type Encode = dyn Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync;

/// A block to compress.
struct Job {
    block: Vec<u8>,
    done: SyncSender<io::Result<Vec<u8>>>,
}

/// The threads that compress. Dropping this ends them, after the blocks that they are at.
struct Workers {
    /// None once they have to end.
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

impl Workers {
    /// Starts `most` threads, or fewer where the system has no more.
    fn start(most: usize, encode: &Arc<Encode>) -> io::Result<Workers> {
        let (jobs, queue) = sync_channel(2 * most);
        // Only the threads have it, so that nobody waits for them should all have ended.
        let queue = Arc::new(Mutex::new(queue));
        let mut workers =
            Workers { jobs: Some(jobs), threads: Vec::new(), stopped: Arc::default() };
        for _ in 0..most {
            let (queue, encode) = (Arc::clone(&queue), Arc::clone(encode));
            let stopped = Arc::clone(&workers.stopped);
            let thread = thread::Builder::new().name("compress".to_owned());
            match thread.spawn(move || work(&queue, &stopped, &*encode)) {
                Ok(thread) => workers.threads.push(thread),
                Err(_) if !workers.threads.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(workers)
    }

    /// Hands over a block; what it becomes comes out of the channel that is returned.
    fn encode(&self, block: Vec<u8>) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
        let (done, encoded) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(Job { block, done }).map_err(|_| ended())?;
        Ok(encoded)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Its panic was already reported where its block was waited for.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, stopped: &AtomicBool, encode: &Encode) {
    loop {
        let job = queue.lock().recv();
        let Ok(Job { block, done }) = job else { return };
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        // Whoever wanted it may have given up.
        let _ = done.send(encode(&block));
    }
}

fn ended() -> io::Error {
    io::Error::other("a thread that compresses has ended")
}

/// Compresses what is written to it block by block.
struct Blocks<W: Write> {
    output: W,
    block: Vec<u8>,
    /// The blocks that are being compressed, the oldest first.
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    most_pending: usize,
    workers: Workers,
}

impl<W: Write> Blocks<W> {
    fn new(output: W, threads: usize, encode: &Arc<Encode>) -> io::Result<Self> {
        Ok(Blocks {
            output,
            block: Vec::new(),
            pending: VecDeque::new(),
            // As many as the threads' queue takes, so that handing one over does not wait.
            most_pending: 2 * threads,
            workers: Workers::start(threads, encode)?,
        })
    }

    /// Has the block compressed that was written last.
    fn submit(&mut self) -> io::Result<()> {
        if self.pending.len() >= self.most_pending {
            self.write_oldest()?;
        }
        let block = std::mem::take(&mut self.block);
        self.pending.push_back(self.workers.encode(block)?);
        Ok(())
    }

    /// Waits for the oldest block and writes it.
    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.pending.pop_front() else { return Ok(()) };
        let encoded = oldest.recv().map_err(|_| ended())??;
        self.output.write_all(&encoded)
    }

    /// Writes all that there is, and returns the output.
    fn finish(mut self) -> io::Result<W> {
        self.write_pending()?;
        Ok(self.output)
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.write_oldest()?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BLOCK - self.block.len());
        self.block.reserve_exact(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..length]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_pending()?;
        self.output.flush()
    }
}

/// Writes gzip (RFC 1952): one member, as some programs read no more than the first.
pub(crate) struct ParallelGzip<W: Write> {
    blocks: Blocks<W>,
    crc: Crc,
}

impl<W: Write> ParallelGzip<W> {
    pub(crate) fn new(output: W, level: Compression) -> io::Result<Self> {
        ParallelGzip::with_threads(output, level, threads())
    }

    fn with_threads(mut output: W, level: Compression, threads: usize) -> io::Result<Self> {
        let effort = match level.level() {
            9.. => 2,
            0 | 1 => 4,
            _ => 0,
        };
        // Deflate, without a name or time, of no system in particular.
        output.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, 255])?;
        let encode: Arc<Encode> = Arc::new(move |block: &[u8]| deflate(block, level));
        Ok(ParallelGzip { blocks: Blocks::new(output, threads, &encode)?, crc: Crc::new() })
    }

    /// Writes what is still held back and the trailer, and returns the output.
    pub(crate) fn finish(self) -> io::Result<W> {
        let mut output = self.blocks.finish()?;
        output.write_all(&LAST_BLOCK)?;
        output.write_all(&self.crc.sum().to_le_bytes())?;
        // Of the length, too, only the lower 32 bits.
        output.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(output)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.blocks.write(bytes)?;
        self.crc.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush()
    }
}

/// A piece of a deflate stream that ends at a byte's end, so that another can follow.
fn deflate(block: &[u8], level: Compression) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(block.len() / 2), level);
    encoder.write_all(block)?;
    encoder.flush_finish()
}

/// Writes BGZF: gzip in members of at most 64 KiB, the last of which is empty.
pub(crate) struct ParallelBgzf<W: Write>(Blocks<W>);

impl<W: Write> ParallelBgzf<W> {
    pub(crate) fn new(output: W, level: CompressionLevel) -> io::Result<Self> {
        let encode: Arc<Encode> = Arc::new(move |block: &[u8]| members(block, level));
        Blocks::new(output, threads(), &encode).map(ParallelBgzf)
    }

    /// Writes what is still held back and the empty member, and returns the output.
    pub(crate) fn finish(self) -> io::Result<W> {
        let mut output = self.0.finish()?;
        output.write_all(&last_member()?)?;
        Ok(output)
    }
}

impl<W: Write> Write for ParallelBgzf<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn members(block: &[u8], level: CompressionLevel) -> io::Result<Vec<u8>> {
    let output = Vec::with_capacity(block.len() / 2);
    let mut writer = Builder::default().set_compression_level(level).build_from_writer(output);
    writer.write_all(block)?;
    writer.flush()?;
    // Without the empty member, which comes once.
    Ok(writer.into_inner())
}

/// The empty member, which ends a file.
fn last_member() -> io::Result<Vec<u8>> {
    noodles_bgzf::io::Writer::new(Vec::new()).finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Text that compresses, and bytes that do not.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut bytes = Vec::with_capacity(length + 64);
        while bytes.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 31 {
                0 => bytes.extend_from_slice(&state.to_le_bytes()),
                _ => bytes.extend_from_slice(b"what is the same again and again "),
            }
        }
        bytes.truncate(length);
        bytes
    }

    fn gzipped(bytes: &[u8], level: u32, threads: usize) -> Vec<u8> {
        let level = Compression::new(level);
        let mut gzip = ParallelGzip::with_threads(Vec::new(), level, threads).unwrap();
        // In pieces that end where blocks do not.
        bytes.chunks(100_003).for_each(|piece| gzip.write_all(piece).unwrap());
        gzip.finish().unwrap()
    }

    #[test]
    fn gzip_of_any_length_is_one_member() {
        for (length, level) in [
            (0, 6),
            (1, 6),
            (BLOCK - 1, 6),
            (BLOCK, 6),
            (BLOCK + 1, 6),
            (2 * BLOCK + 7, 0),
            (2 * BLOCK + 7, 1),
            (2 * BLOCK + 7, 9),
        ] {
            let bytes = sample(length);
            let packed = gzipped(&bytes, level, 2);
            let mut rest = &packed[..];
            let mut unpacked = Vec::new();
            // Reads the first member only, and compares its checksum and length.
            flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == bytes, "{length} bytes, level {level}");
            assert_eq!(rest.len(), 0, "{length} bytes, level {level}");
        }
    }

    #[test]
    fn the_output_does_not_depend_on_the_number_of_threads() {
        let bytes = sample(3 * BLOCK + 1);
        assert!(gzipped(&bytes, 1, 1) == gzipped(&bytes, 1, 7));
    }

    #[test]
    fn bgzf_ends_with_its_empty_member() {
        for length in [0, BLOCK + 1] {
            let bytes = sample(length);
            let mut writer = ParallelBgzf::new(Vec::new(), CompressionLevel::default()).unwrap();
            writer.write_all(&bytes).unwrap();
            let packed = writer.finish().unwrap();
            let mut unpacked = Vec::new();
            noodles_bgzf::io::Reader::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == bytes, "{length} bytes");
            let end = last_member().unwrap();
            assert!(packed.ends_with(&end) && !packed[..packed.len() - end.len()].ends_with(&end));
        }
    }

    /// Takes ten bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 + bytes.len() > 10 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_reported() {
        let mut gzip = ParallelGzip::with_threads(Full(0), Compression::fast(), 2).unwrap();
        let error = gzip.write_all(&sample(8 * BLOCK)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_thread_that_ended_is_not_waited_for() {
        let encode: Arc<Encode> =
            Arc::new(|_: &[u8]| -> io::Result<Vec<u8>> { panic!("on purpose") });
        let mut blocks = Blocks::new(io::sink(), 1, &encode).unwrap();
        let written = blocks.write_all(&sample(4 * BLOCK));
        assert!(written.is_err() || blocks.finish().is_err());
    }

    #[test]
    fn a_compression_that_is_given_up_stops_after_the_current_block() {
        let encoded = Arc::new(AtomicUsize::new(0));
        let (begin, begun) = sync_channel(2);
        let (release, released) = sync_channel(2);
        let released = Mutex::new(released);
        let count = Arc::clone(&encoded);
        let encode: Arc<Encode> = Arc::new(move |_: &[u8]| -> io::Result<Vec<u8>> {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = begin.send(());
            let _ = released.lock().recv();
            Ok(Vec::new())
        });
        let mut blocks = Blocks::new(io::sink(), 1, &encode).unwrap();
        blocks.write_all(&sample(2 * BLOCK)).unwrap();
        begun.recv().unwrap();
        let stopped = Arc::clone(&blocks.workers.stopped);
        let dropping = thread::spawn(move || drop(blocks));
        while !stopped.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        release.send(()).unwrap();
        dropping.join().unwrap();
        assert_eq!(encoded.load(Ordering::Relaxed), 1);
    }
}
