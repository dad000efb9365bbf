//! Streams over one connection: yamux, with the numbers by which both sides find each other's
//! streams.
//!
//! Whoever wants a stream picks a number, tells it to the other side in a call, and waits. The
//! other side opens a yamux stream, writes the number (4 bytes, little endian), and reads it back
//! as the confirmation. Number 0 is the plugin's own server.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tokio_util::sync::CancellationToken;
use yamux::{Config, Connection, Mode};

/// One stream. Dropping it without a shutdown resets it, which the other side reads as an error
/// rather than as the end.
pub(crate) type Stream = Compat<yamux::Stream>;

/// How long one side waits for the other to open or confirm a stream. The plugin gives up after 5
/// seconds; a loaded machine may make it late.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams that may be open at once. Each holds at most 256 KiB that nobody has read.
const MAX_STREAMS: usize = 512;
/// Streams that wait to be opened by this side at once.
const OPEN_QUEUE: usize = 64;

/// Opens and accepts streams of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Mux {
    shared: Arc<Shared>,
    open: mpsc::Sender<oneshot::Sender<Stream>>,
}

struct Shared {
    next_id: AtomicU32,
    waiting: Mutex<HashMap<u32, Waiting>>,
    closed: CancellationToken,
}

/// Who came first: the stream or the one that wants it.
enum Waiting {
    Acceptor(oneshot::Sender<Stream>),
    Stream(Stream),
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, Waiting>> {
        self.waiting.lock()
    }
}

impl Mux {
    /// Takes over `socket` as the side that connected. The connection is served by a task on the
    /// current runtime until the other side closes it or [`Mux::close`] is called.
    pub fn start<S>(socket: S) -> Mux
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Mux::run(socket, Mode::Client)
    }

    fn run<S>(socket: S, mode: Mode) -> Mux
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (open, requests) = mpsc::channel(OPEN_QUEUE);
        let shared = Arc::new(Shared {
            next_id: AtomicU32::new(0),
            waiting: Mutex::default(),
            closed: CancellationToken::new(),
        });
        let mut config = Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(MAX_STREAMS * 256 * 1024));
        let connection = Connection::new(socket.compat(), config, mode);
        tokio::spawn(drive(connection, requests, Arc::clone(&shared)));
        Mux { shared, open }
    }

    /// A number that no other stream of this side has.
    pub fn next_id(&self) -> u32 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Waits until the connection is closed.
    pub async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled()
    }

    /// Closes the connection and all streams.
    pub fn close(&self) {
        self.shared.closed.cancel();
    }

    /// Opens the stream that the other side waits for under the number `id`.
    ///
    /// # Errors
    /// The other side does not confirm it, or the connection is closed.
    pub async fn dial(&self, id: u32) -> io::Result<Stream> {
        let opening = async {
            let (sender, stream) = oneshot::channel();
            self.open.send(sender).await.map_err(|_| closed())?;
            let mut stream = stream.await.map_err(|_| closed())?;
            stream.write_all(&id.to_le_bytes()).await?;
            stream.flush().await?;
            let mut confirmed = [0; 4];
            stream.read_exact(&mut confirmed).await?;
            match u32::from_le_bytes(confirmed) {
                confirmed if confirmed == id => Ok(stream),
                other => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("stream {other} was confirmed instead of stream {id}"),
                )),
            }
        };
        match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(format!("stream {id} was not confirmed"))),
        }
    }

    /// Waits for the other side to open the stream with the number `id`.
    ///
    /// # Errors
    /// It does not within 30 seconds, or the connection is closed.
    pub async fn accept(&self, id: u32) -> io::Result<Stream> {
        let receiver = {
            let mut waiting = self.shared.waiting();
            match waiting.remove(&id) {
                Some(Waiting::Stream(stream)) => Ok(stream),
                _ => {
                    let (sender, receiver) = oneshot::channel();
                    waiting.insert(id, Waiting::Acceptor(sender));
                    Err(receiver)
                }
            }
        };
        let mut stream = match receiver {
            Ok(stream) => stream,
            Err(receiver) => {
                let found = tokio::select! {
                    found = tokio::time::timeout(OPEN_TIMEOUT, receiver) => found,
                    () = self.shared.closed.cancelled() => return Err(closed()),
                };
                match found {
                    Ok(stream) => stream.map_err(|_| closed())?,
                    Err(_) => {
                        self.shared.waiting().remove(&id);
                        return Err(timed_out(format!("stream {id} was not opened")));
                    }
                }
            }
        };
        stream.write_all(&id.to_le_bytes()).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed")
}

fn timed_out(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// What the connection has for its driver.
enum Next {
    Opened(Stream),
    Incoming(Stream),
    Ended,
}

/// Serves a connection: yamux moves no byte unless it is polled.
async fn drive<S>(
    mut connection: Connection<Compat<S>>,
    mut requests: mpsc::Receiver<oneshot::Sender<Stream>>,
    shared: Arc<Shared>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut wanted: Option<oneshot::Sender<Stream>> = None;
    loop {
        let next = poll_fn(|cx| {
            if wanted.is_none()
                && let Poll::Ready(Some(request)) = requests.poll_recv(cx)
            {
                wanted = Some(request);
            }
            if wanted.is_some() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Next::Opened(stream.compat())),
                    Poll::Ready(Err(_)) => return Poll::Ready(Next::Ended),
                    Poll::Pending => {}
                }
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => Poll::Ready(Next::Incoming(stream.compat())),
                Poll::Ready(_) => Poll::Ready(Next::Ended),
                Poll::Pending => Poll::Pending,
            }
        });
        let next = tokio::select! {
            next = next => next,
            () = shared.closed.cancelled() => break,
        };
        match next {
            Next::Opened(stream) => {
                if let Some(request) = wanted.take() {
                    // Whoever asked may have given up; then the stream is reset.
                    let _ = request.send(stream);
                }
            }
            Next::Incoming(stream) => {
                tokio::spawn(introduce(stream, Arc::clone(&shared)));
            }
            Next::Ended => break,
        }
    }
    shared.closed.cancel();
    shared.waiting().clear();
    // Not closed in yamux's way, which leaves those asleep who wait for a stream: dropping the
    // connection wakes them.
    drop(connection);
}

/// Reads the number of a stream that the other side opened and hands it to whoever waits for it.
async fn introduce(mut stream: Stream, shared: Arc<Shared>) {
    let mut id = [0; 4];
    match tokio::time::timeout(OPEN_TIMEOUT, stream.read_exact(&mut id)).await {
        Ok(Ok(_)) => {}
        _ => return,
    }
    let id = u32::from_le_bytes(id);
    {
        let mut waiting = shared.waiting();
        match waiting.entry(id) {
            Entry::Occupied(entry) => {
                if let Waiting::Acceptor(acceptor) = entry.remove() {
                    let _ = acceptor.send(stream);
                }
                return;
            }
            Entry::Vacant(entry) => {
                entry.insert(Waiting::Stream(stream));
            }
        }
    }
    tokio::select! {
        () = tokio::time::sleep(OPEN_TIMEOUT) => {}
        () = shared.closed.cancelled() => return,
    }
    let mut waiting = shared.waiting();
    if let Some(Waiting::Stream(_)) = waiting.get(&id) {
        waiting.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Mux, Mux) {
        let (left, right) = tokio::io::duplex(1 << 16);
        (Mux::start(left), Mux::run(right, Mode::Server))
    }

    #[tokio::test]
    async fn both_sides_find_a_stream_by_its_number() {
        let (left, right) = pair();
        let id = left.next_id();
        let accepted = tokio::spawn({
            let left = left.clone();
            async move { left.accept(id).await }
        });
        let mut dialled = right.dial(id).await.unwrap();
        dialled.write_all(b"hello").await.unwrap();
        dialled.shutdown().await.unwrap();
        let mut text = String::new();
        accepted.await.unwrap().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn whoever_reads_learns_that_this_side_closed() {
        let (left, right) = pair();
        let accepting = tokio::spawn({
            let right = right.clone();
            async move { right.accept(1).await }
        });
        let mut stream = left.dial(1).await.unwrap();
        let kept = accepting.await.unwrap().unwrap();
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        left.close();
        let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert!(read.unwrap().unwrap().is_err());
        drop(kept);
    }

    #[tokio::test]
    async fn whoever_waits_learns_that_the_connection_ended() {
        let (left, right) = pair();
        let accepting = tokio::spawn({
            let left = left.clone();
            async move { left.accept(7).await.map(|_| ()) }
        });
        // Until the acceptor waits.
        while left.shared.waiting().is_empty() {
            tokio::task::yield_now().await;
        }
        right.close();
        left.closed().await;
        let error = accepting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(left.dial(8).await.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever bytes come instead of frames, the connection ends or waits for more; it
        /// neither panics nor hangs its owner.
        #[test]
        fn rubbish_instead_of_frames_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), framed: bool) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (socket, mut other) = tokio::io::duplex(1 << 16);
                let mux = Mux::start(socket);
                let mut bytes = bytes;
                if framed && bytes.len() >= 12 {
                    // A frame header that is plausible up to its length.
                    bytes[0] = 0;
                    bytes[1] %= 4;
                    bytes[2] = 0;
                    bytes[3] &= 0xf;
                }
                other.write_all(&bytes).await.unwrap();
                drop(other);
                tokio::time::timeout(Duration::from_secs(5), mux.closed()).await.unwrap();
            });
        }
    }
}
