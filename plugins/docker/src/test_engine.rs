//! For tests: the Engine of this machine behind a TCP port, where what is on its way can be held up.

use std::sync::Arc;

use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{Journal, PrepareContext, Resource, Result, RunContext};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, watch};

use crate::engine::{Endpoint, Engine};

/// What does not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Everything does.
    Nothing,
    /// What is on connections that are open when it begins. They stay open, and new ones work.
    Open,
    /// The same, which are reset: both ends learn that they are lost.
    Reset,
    /// Anything.
    All,
    /// Requests with this in their first line.
    Calls(&'static str),
    /// The same, which are refused as not allowed, as by a proxy that lets others through.
    Refuse(&'static str),
}

/// An Engine whose connections can be held up.
pub(crate) struct TestEngine {
    /// Its address.
    pub host: String,
    hold: watch::Sender<Hold>,
    held: Arc<Notify>,
}

impl TestEngine {
    /// Stands before the Engine of the environment; without one the test reports that it is skipped.
    pub(crate) async fn start() -> Option<TestEngine> {
        let found = Endpoint::find(false).unwrap();
        let socket = found.host.strip_prefix("unix://").unwrap_or_default().to_owned();
        if UnixStream::connect(&socket).await.is_err() {
            ingot_test_support::missing(format_args!("no Docker Engine listens on {}", found.host));
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let (hold, holds) = watch::channel(Hold::Nothing);
        let held = Arc::new(Notify::new());
        let reached = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, holds, reached) = (socket.clone(), holds.clone(), reached.clone());
                tokio::spawn(async move { connect(client, &socket, holds, &reached).await });
            }
        });
        Some(TestEngine { host, hold, held })
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> Engine {
        Endpoint::recorded(&self.host, None).connect().await.unwrap()
    }

    /// Holds up `what` from now on.
    pub(crate) fn hold(&self, what: Hold) {
        self.hold.send_replace(what);
    }

    /// Waits for a call that is held up.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }
}

/// Copies between a client and the Engine until a hold begins.
async fn connect(
    mut client: TcpStream,
    socket: &str,
    mut holds: watch::Receiver<Hold>,
    held: &Notify,
) {
    let mut head = [0; 256];
    let length = client.peek(&mut head).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&head[..length]);
    let line = text.lines().next().unwrap_or_default();
    let is_held = |hold: Hold| matches!(hold, Hold::Calls(call) if line.contains(call));
    let now = *holds.borrow();
    if is_held(now) {
        held.notify_one();
        let _ = holds.wait_for(|hold| !is_held(*hold)).await;
    }
    let now = *holds.borrow_and_update();
    match now {
        Hold::All => return std::future::pending().await,
        Hold::Refuse(call) if line.contains(call) => {
            let answer =
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // What is not read would reset the connection.
            let _ = client.read(&mut [0; 4096]).await;
            let _ = client.write_all(answer).await;
            return;
        }
        _ => {}
    }
    let mut engine = UnixStream::connect(socket).await.unwrap();
    let begun = async {
        loop {
            if holds.changed().await.is_err() {
                return std::future::pending().await;
            }
            let hold = *holds.borrow_and_update();
            if matches!(hold, Hold::Open | Hold::Reset | Hold::All) {
                return hold;
            }
        }
    };
    let hold = tokio::select! {
        biased;
        hold = begun => hold,
        _ = tokio::io::copy_bidirectional(&mut client, &mut engine) => return,
    };
    if hold == Hold::Reset {
        // Closing resets it then.
        client.set_zero_linger().unwrap();
        return;
    }
    // Both ends stay open.
    std::future::pending().await
}

/// A container, removed when dropped.
pub(crate) struct TestContainer(pub String);

impl TestContainer {
    /// The one that `docker` makes, called with `arguments`.
    pub(crate) fn new(arguments: &[&str]) -> TestContainer {
        TestContainer(ingot_test_support::output_of("docker", arguments))
    }
}

impl Drop for TestContainer {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["rm", "-f", &self.0]).output();
    }
}

/// Keeps the resources on record.
#[derive(Default)]
pub(crate) struct Records(Mutex<Vec<Option<Resource>>>);

impl Records {
    /// Those that are not resolved.
    pub(crate) fn open(&self) -> Vec<Resource> {
        self.0.lock().iter().flatten().cloned().collect()
    }
}

/// A build's context, with what is said and recorded in it.
pub(crate) fn recorded() -> (RunContext, Arc<RecordedOutput>, Arc<Records>) {
    let (said, records) = (Arc::new(RecordedOutput::default()), Arc::new(Records::default()));
    let mut ctx = context(PrepareContext::default(), &said);
    ctx.journal = records.clone();
    (ctx, said, records)
}

impl Journal for Records {
    fn record(&self, resource: &Resource) -> Result<u64> {
        let mut records = self.0.lock();
        records.push(Some(resource.clone()));
        Ok(records.len() as u64 - 1)
    }

    fn resolve(&self, record: u64) {
        self.0.lock()[record as usize] = None;
    }

    fn amend(&self, record: u64, resource: &Resource) {
        self.0.lock()[record as usize] = Some(resource.clone());
    }
}
