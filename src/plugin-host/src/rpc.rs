//! Go's net/rpc, both sides: numbered requests with a method's name and one argument, answered in
//! any order.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use rmpv::Value;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::message::{self, MessageReader, encode, field, record};
use crate::mux::Stream;

/// How many requests of one connection are worked on at once.
const MAX_CONCURRENT: usize = 256;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The method failed; what it said.
    #[error("{0}")]
    Remote(String),
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
    /// The other side sent what it should not.
    #[error("{0}")]
    Protocol(io::Error),
}

type Pending = HashMap<u64, oneshot::Sender<Result<Value, CallError>>>;

/// Requests that wait to be written.
const WRITE_QUEUE: usize = 64;

/// Calls methods of the other side.
pub struct RpcClient {
    /// Whole requests: a call that is given up half way must not leave half a request behind.
    requests: mpsc::Sender<Vec<u8>>,
    shared: Arc<PendingResponses>,
    next: AtomicU64,
    _reading: AbortOnDrop,
}

struct PendingResponses {
    /// None once the connection has ended.
    pending: Mutex<Option<Pending>>,
    problem: Mutex<Option<io::Error>>,
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PendingResponses {
    fn pending(&self) -> MutexGuard<'_, Option<Pending>> {
        self.pending.lock()
    }

    fn ended(&self) -> CallError {
        let mut problem = self.problem.lock();
        match problem.take() {
            Some(problem) if problem.kind() == io::ErrorKind::InvalidData => {
                CallError::Protocol(problem)
            }
            _ => CallError::Closed,
        }
    }

    /// Hands answers to those who wait for them until the stream ends.
    async fn read(&self, reader: ReadHalf<Stream>) -> io::Result<()> {
        let mut reader = MessageReader::new(reader);
        while let Some(header) = reader.next().await? {
            let body = reader.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let Some(number) = field(&header, "Seq").as_u64() else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a response without the number of its request",
                ));
            };
            let waiting = self.pending().as_mut().and_then(|pending| pending.remove(&number));
            if let Some(waiting) = waiting {
                let error = message::string(&header, "Error");
                // Whoever waits may have given up.
                let _ = waiting.send(match error.is_empty() {
                    true => Ok(body),
                    false => Err(CallError::Remote(error)),
                });
            }
        }
        Ok(())
    }
}

impl RpcClient {
    /// Talks to the server at the other end of `stream`.
    pub fn new(stream: Stream) -> RpcClient {
        let (reader, writer) = tokio::io::split(stream);
        let shared = Arc::new(PendingResponses {
            pending: Mutex::new(Some(Pending::new())),
            problem: Mutex::new(None),
        });
        let answers = Arc::clone(&shared);
        let reading = tokio::spawn(async move {
            let result = answers.read(reader).await;
            if let Err(error) = result {
                *answers.problem.lock() = Some(error);
            }
            // Dropping the senders tells those who wait.
            answers.pending().take();
        });
        let (requests, queue) = mpsc::channel(WRITE_QUEUE);
        tokio::spawn(write(writer, queue));
        RpcClient {
            requests,
            shared,
            next: AtomicU64::new(0),
            _reading: AbortOnDrop(reading.abort_handle()),
        }
    }

    /// Whether no call can succeed any more.
    pub fn is_over(&self) -> bool {
        self.shared.pending().is_none()
    }

    /// Calls `method` and waits for its result.
    ///
    /// # Errors
    /// The method failed, or the connection did.
    pub async fn call(&self, method: &str, argument: Value) -> Result<Value, CallError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        match self.shared.pending().as_mut() {
            Some(pending) => pending.insert(number, sender),
            None => return Err(self.shared.ended()),
        };
        let forget = ForgetOnDrop { shared: &self.shared, number };
        let mut bytes = encode(&record([("ServiceMethod", method.into()), ("Seq", number.into())]));
        bytes.extend(encode(&argument));
        if self.requests.send(bytes).await.is_err() {
            return Err(self.shared.ended());
        }
        let answer = receiver.await;
        drop(forget);
        answer.unwrap_or_else(|_| Err(self.shared.ended()))
    }
}

/// Writes requests until nobody has any more. Then it closes the connection, so that the server at the
/// other end stops.
async fn write(mut writer: WriteHalf<Stream>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(request) = queue.recv().await {
        if writer.write_all(&request).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

/// Forgets a call that nobody waits for any more.
struct ForgetOnDrop<'a> {
    shared: &'a PendingResponses,
    number: u64,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.shared.pending().as_mut() {
            pending.remove(&self.number);
        }
    }
}

/// Methods that the other side can call.
#[async_trait]
pub(crate) trait Service: Send + Sync {
    /// Runs `method`, such as `Ui.Say`.
    ///
    /// # Errors
    /// The message for the caller.
    async fn call(&self, method: &str, argument: Value) -> Result<Value, String>;
}

/// The message that a method without a result answers with.
pub(crate) fn done() -> Result<Value, String> {
    Ok(Value::Nil)
}

/// The answer to a call of what is not there; Go's words.
pub(crate) fn unknown_method(method: &str) -> Result<Value, String> {
    Err(format!("rpc: can't find method {method}"))
}

/// Serves `service` on `stream` until the other side has nothing more to ask, or `stop` fires.
/// What is still being worked on then is dropped.
pub(crate) async fn serve(stream: Stream, service: Arc<dyn Service>, stop: CancellationToken) {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = MessageReader::new(reader);
    let writer = Arc::new(AsyncMutex::new(writer));
    let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let mut working = JoinSet::new();
    let requests = async {
        loop {
            let header = match reader.next().await {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a plugin's requests ended");
                    break;
                }
            };
            let Ok(Some(argument)) = reader.next().await else { break };
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let service = Arc::clone(&service);
            let writer = Arc::clone(&writer);
            while working.try_join_next().is_some() {}
            working.spawn(async move {
                let method = message::string(&header, "ServiceMethod");
                let result = service.call(&method, argument).await;
                let (error, body) = match result {
                    Ok(body) => (String::new(), body),
                    Err(error) => (error, record([])),
                };
                let mut bytes = encode(&record([
                    ("ServiceMethod", method.into()),
                    ("Seq", field(&header, "Seq").clone()),
                    ("Error", error.into()),
                ]));
                bytes.extend(encode(&body));
                let mut writer = writer.lock().await;
                if writer.write_all(&bytes).await.is_ok() {
                    let _ = writer.flush().await;
                }
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = requests => {}
        () = stop.cancelled() => {}
    }
    working.shutdown().await;
    let _ = writer.lock().await.shutdown().await;
}
