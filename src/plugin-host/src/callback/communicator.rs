//! The machine of a build, as a plugin's provisioner sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ingot_sdk::communicator::unsigned_exit_code;
use ingot_sdk::{Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand};
use parking_lot::Mutex;
use rmpv::Value;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::gob;
use crate::message::{field, moment, stream_id, string};
use crate::mux::{Mux, Stream};
use crate::rpc::{done, unknown_method};

/// What the SDK takes for "the machine went away", as an exit code.
pub(crate) const DISCONNECTED: i64 = 2_300_218;
/// The exit code of a command that could not be run, where that came out late; the SDK's.
const LOST: i64 = 123;
/// How long to wait for a command's failure to start before the plugin is notified that it runs.
const START_GRACE: Duration = Duration::from_millis(200);
/// How much output may wait for a plugin that does not read it, in bytes. Then the command waits.
const MAX_WAITING: usize = 4 << 20;

/// Serves `Communicator.*`.
pub(crate) struct CommunicatorService {
    communicator: Arc<dyn Communicator>,
    mux: Mux,
    /// The commands that run; they end with this.
    commands: Mutex<JoinSet<()>>,
}

impl CommunicatorService {
    /// Offers `communicator` to the plugin at the other end of `mux`.
    pub(crate) fn new(communicator: Arc<dyn Communicator>, mux: Mux) -> Self {
        CommunicatorService { communicator, mux, commands: Mutex::default() }
    }

    /// Runs `method`.
    ///
    /// # Errors
    /// What the communicator said, or that there is no such method.
    pub(crate) async fn call(&self, method: &str, argument: &Value) -> Result<Value, String> {
        let result = match method {
            "Start" => self.start(argument).await,
            "Upload" => self.upload(argument).await,
            "Download" => self.download(argument).await,
            "UploadDir" => {
                let source = string(argument, "Src");
                let contents = source.ends_with('/');
                let target = string(argument, "Dst");
                self.communicator.upload_dir(source.as_ref(), &target, contents).await
            }
            "DownloadDir" => {
                let source = string(argument, "Src");
                let contents = source.ends_with('/');
                let target = string(argument, "Dst");
                self.communicator.download_dir(&source, target.as_ref(), contents).await
            }
            method => return unknown_method(&format!("Communicator.{method}")),
        };
        result.map_err(|error| error.to_string())?;
        done()
    }

    async fn dial(&self, argument: &Value, name: &str) -> io::Result<Option<Stream>> {
        match stream_id(argument, name) {
            0 => Ok(None),
            id => self.mux.dial(id).await.map(Some),
        }
    }

    async fn start(&self, argument: &Value) -> Result<(), Error> {
        let stdin = self.dial(argument, "StdinStreamId").await?;
        let stdout = self.dial(argument, "StdoutStreamId").await?;
        let stderr = self.dial(argument, "StderrStreamId").await?;
        let response = self.dial(argument, "ResponseStreamId").await?;
        let command = string(argument, "Command");
        let communicator = Arc::clone(&self.communicator);
        let (reported, failed) = tokio::sync::oneshot::channel();
        let running = async move {
            let (output, feeding) = Output::new(stdout, stderr);
            let mut stdin = stdin;
            let status = match &mut stdin {
                Some(stdin) => communicator.exec_with_input(&command, stdin, &output).await,
                None => communicator.exec(&RemoteCommand::new(command), &output).await,
            };
            drop(output);
            for feeding in feeding {
                let _ = feeding.await;
            }
            let status = match status {
                Ok(ExitStatus::Code(code)) => unsigned_exit_code(code),
                Ok(ExitStatus::Disconnected) => DISCONNECTED,
                Err(error) => {
                    tracing::debug!(%error, "a plugin's command did not run");
                    if reported.send(error).is_ok() {
                        return;
                    }
                    LOST
                }
            };
            if let Some(mut stdin) = stdin {
                let _ = stdin.shutdown().await;
            }
            if let Some(mut response) = response {
                let _ = response.write_all(&gob::encode_exit_status(status)).await;
                let _ = response.shutdown().await;
            }
        };
        {
            let mut commands = self.commands.lock();
            while commands.try_join_next().is_some() {}
            commands.spawn(running);
        }
        match tokio::time::timeout(START_GRACE, failed).await {
            Ok(Ok(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn upload(&self, argument: &Value) -> Result<(), Error> {
        let Some(mut source) = self.dial(argument, "ReaderStreamId").await? else {
            return Err(Error::new("an upload without a stream to read from"));
        };
        let target = string(argument, "Path");
        let info = field(argument, "FileInfo");
        let mode = field(info, "M").as_u64().map_or(0o644, |mode| (mode & 0o777) as u32);
        let modified = moment(field(info, "T"));
        let meta = |size| FileMeta { size, mode, modified };
        if let Some(size) = field(info, "S").as_u64() {
            return self.communicator.upload(&target, &mut source, meta(size)).await;
        }
        // Its size must be known before it is sent.
        let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
        let size = tokio::io::copy(&mut source, &mut file).await?;
        file.flush().await?;
        file.rewind().await?;
        self.communicator.upload(&target, &mut file, meta(size)).await
    }

    async fn download(&self, argument: &Value) -> Result<(), Error> {
        let Some(mut target) = self.dial(argument, "WriterStreamId").await? else {
            return Err(Error::new("a download without a stream to write to"));
        };
        let result = self.communicator.download(&string(argument, "Path"), &mut target).await;
        let _ = target.shutdown().await;
        result
    }
}

/// Takes a command's output and hands it to the plugin's streams.
struct Output {
    pieces: [Option<mpsc::UnboundedSender<Vec<u8>>>; 2],
    waiting: Arc<AtomicUsize>,
}

impl Output {
    /// The output, and the tasks that move it: the command's own may have to wait for them.
    fn new(stdout: Option<Stream>, stderr: Option<Stream>) -> (Output, Vec<JoinHandle<()>>) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut feeding = Vec::new();
        let pieces = [stdout, stderr].map(|stream| {
            let (sender, receiver) = mpsc::unbounded_channel();
            feeding.push(tokio::spawn(feed(stream?, receiver, Arc::clone(&waiting))));
            Some(sender)
        });
        (Output { pieces, waiting }, feeding)
    }

    fn push(&self, stream: usize, bytes: &[u8]) {
        let Some(pieces) = &self.pieces[stream] else { return };
        self.waiting.fetch_add(bytes.len(), Ordering::SeqCst);
        if pieces.send(bytes.to_vec()).is_err() {
            self.waiting.fetch_sub(bytes.len(), Ordering::SeqCst);
        }
        let full = || self.waiting.load(Ordering::SeqCst) > MAX_WAITING && !pieces.is_closed();
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        // The command's output comes by a call that cannot wait asynchronously.
        if full() && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
            tokio::task::block_in_place(|| {
                while full() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    }
}

async fn feed(
    mut stream: Stream,
    mut pieces: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(piece) = pieces.recv().await {
        let written = stream.write_all(&piece).await;
        waiting.fetch_sub(piece.len(), Ordering::SeqCst);
        if written.is_err() {
            pieces.close();
        } else if pieces.is_empty() {
            let _ = stream.flush().await;
        }
    }
    let _ = stream.shutdown().await;
}

impl OutputSink for Output {
    fn stdout(&self, bytes: &[u8]) {
        self.push(0, bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.push(1, bytes);
    }
}
