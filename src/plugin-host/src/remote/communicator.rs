//! The machine that a plugin's builder brought up.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result};
use rmpv::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::callback::communicator::DISCONNECTED;
use crate::error::{Failure, HostError};
use crate::gob;
use crate::host::Instance;
use crate::message::{record, timestamp};
use crate::mux::Stream;
use crate::rpc::RpcClient;

/// How long a command's output may lag behind its end.
const DRAIN: Duration = Duration::from_secs(10);
/// The message about the end of a command takes about a hundred bytes.
const MAX_END: u64 = 4096;
/// A command that does nothing, in every shell.
const NOTHING: &str = "exit 0";
/// How long that may take on a machine that is there.
const NOTHING_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls the communicator of a plugin's builder.
pub(crate) struct RemoteCommunicator {
    client: RpcClient,
    builder: Arc<Instance>,
    /// Whether it is the SDK's WinRM, whose Start runs the whole command.
    winrm: bool,
    /// Whether the machine did what it was asked last.
    reached: AtomicBool,
}

impl RemoteCommunicator {
    /// The communicator that `client` talks to; `winrm` says whether it talks WinRM to the machine.
    pub(crate) fn new(client: RpcClient, builder: Arc<Instance>, winrm: bool) -> Self {
        // A builder hands over a machine that it has connected to.
        RemoteCommunicator { client, builder, winrm, reached: AtomicBool::new(true) }
    }

    async fn call(&self, method: &str, argument: Value, during: &str) -> Result<(), HostError> {
        let result = self.client.call(&format!("Communicator.{method}"), argument).await;
        self.builder.explained(result, during).await.map(drop)
    }

    /// The result of a transfer for the caller. The plugin's message does not tell whether the machine
    /// is away, which passes, or does not take the file, which stays so; whether it runs commands does.
    async fn transferred(&self, result: Result<(), HostError>) -> Result<()> {
        let Err(error) = result else {
            self.reached.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let from_plugin = is_from_plugin(&error);
        let error = Error::from(error);
        if from_plugin && !self.runs_commands().await {
            self.reached.store(false, Ordering::Relaxed);
            return Err(error.transient());
        }
        Err(error)
    }

    /// Whether the machine runs commands now.
    async fn runs_commands(&self) -> bool {
        let output = CapturedOutput::of_at_most(0);
        let asked = tokio::time::timeout(NOTHING_TIMEOUT, self.run(NOTHING, None, &output)).await;
        matches!(asked, Ok(Ok(ExitStatus::Code(_))))
    }

    /// Whether a command had begun although Start failed with `error`. Over SSH, Start returns once the
    /// command runs. Over WinRM it returns when the command is over, and fails if the connection was
    /// lost meanwhile. The error is the same as of a machine that was away before, so what counts is
    /// whether the machine did what it was asked right before.
    fn had_begun(&self, error: &HostError) -> bool {
        self.winrm && is_from_plugin(error) && self.reached.swap(false, Ordering::Relaxed)
    }

    async fn accept(&self, id: u32) -> io::Result<Stream> {
        self.builder.process().mux().accept(id).await
    }

    async fn run(
        &self,
        command: &str,
        stdin: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let mux = self.builder.process().mux();
        let (stdout, stderr, response) = (mux.next_id(), mux.next_id(), mux.next_id());
        let input = match &stdin {
            Some(_) => mux.next_id(),
            None => 0,
        };
        let argument = record([
            ("Command", command.into()),
            ("StdinStreamId", input.into()),
            ("StdoutStreamId", stdout.into()),
            ("StderrStreamId", stderr.into()),
            ("ResponseStreamId", response.into()),
        ]);
        let start = self.call("Start", argument, "running a command");
        let reading = async {
            tokio::join!(
                async { pump(self.accept(stdout).await, |bytes| output.stdout(bytes)).await },
                async { pump(self.accept(stderr).await, |bytes| output.stderr(bytes)).await },
            );
        };
        let feeding = async {
            if let Some(stdin) = stdin
                && let Ok(mut stream) = self.accept(input).await
            {
                // A command need not read its input.
                let _ = tokio::io::copy(stdin, &mut stream).await;
                let _ = stream.shutdown().await;
            }
            std::future::pending::<()>().await;
        };
        let ending = async {
            let mut reported = Vec::new();
            let mut stream = self.accept(response).await?.take(MAX_END);
            stream.read_to_end(&mut reported).await?;
            gob::decode_exit_status(&reported)
        };
        tokio::pin!(start, reading, feeding, ending);
        let (mut started, mut read) = (false, false);
        let status = loop {
            tokio::select! {
                result = &mut start, if !started => match result {
                    Ok(()) => started = true,
                    Err(error) if self.had_begun(&error) => {
                        // The status has no room for it.
                        output.stderr(format!("{error}\n").as_bytes());
                        break Ok(DISCONNECTED);
                    }
                    Err(error) => return Err(not_started(error)),
                },
                () = &mut reading, if !read => read = true,
                () = &mut feeding => {}
                status = &mut ending => break status,
            }
        };
        let status = match status {
            Ok(status) => status,
            Err(_) => return Err(self.builder.process().lost("running a command").await.into()),
        };
        if !read {
            let _ = tokio::time::timeout(DRAIN, reading).await;
        }
        let status = exit_status(status);
        self.reached.store(status != ExitStatus::Disconnected, Ordering::Relaxed);
        Ok(status)
    }

    async fn directory(
        &self,
        method: &str,
        source: String,
        target: String,
        contents_only: bool,
    ) -> Result<()> {
        // A slash at the end means what is in the directory, as for rsync.
        let source = match (contents_only, source.ends_with('/')) {
            (true, false) => format!("{source}/"),
            (false, true) => source.trim_end_matches('/').to_owned(),
            _ => source,
        };
        let argument =
            record([("Dst", target.into()), ("Src", source.into()), ("Exclude", Value::Nil)]);
        let copied = self.call(method, argument, "copying a directory").await;
        self.transferred(copied).await
    }
}

#[async_trait]
impl Communicator for RemoteCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        match &command.stdin {
            None => self.run(&command.command, None, output).await,
            Some(stdin) => self.run(&command.command, Some(&mut &stdin[..]), output).await,
        }
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.run(command, Some(input), output).await
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let id = self.builder.process().mux().next_id();
        let name = destination.rsplit('/').next().unwrap_or(destination);
        let argument = record([
            ("Path", destination.into()),
            ("ReaderStreamId", id.into()),
            (
                "FileInfo",
                record([
                    ("N", name.into()),
                    ("S", meta.size.into()),
                    ("M", (meta.mode & 0o777).into()),
                    ("T", timestamp(meta.modified.unwrap_or_else(SystemTime::now))),
                ]),
            ),
        ]);
        let sending = async {
            let mut stream = self.accept(id).await?;
            tokio::io::copy(source, &mut stream).await?;
            stream.shutdown().await
        };
        let call = self.call("Upload", argument, "uploading a file");
        tokio::pin!(sending, call);
        tokio::select! {
            // The other side may have had enough before it read all.
            result = &mut call => return self.transferred(result).await,
            sent = &mut sending => sent.map_err(|error| {
                Error::from(error).context(format_args!("uploading {destination}"))
            })?,
        }
        let uploaded = call.await;
        self.transferred(uploaded).await
    }

    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        let source = source.to_string_lossy().into_owned();
        self.directory("UploadDir", source, destination.to_owned(), contents_only).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let id = self.builder.process().mux().next_id();
        let argument = record([("Path", source.into()), ("WriterStreamId", id.into())]);
        let receiving = async {
            let mut stream = self.accept(id).await?;
            tokio::io::copy(&mut stream, destination).await?;
            io::Result::Ok(())
        };
        let call = self.call("Download", argument, "downloading a file");
        tokio::pin!(receiving, call);
        let mut received = None;
        let called = loop {
            tokio::select! {
                result = &mut receiving, if received.is_none() => received = Some(result),
                result = &mut call => break result,
            }
        };
        // What the plugin says explains more than that its stream broke off.
        self.transferred(called).await?;
        let received = match received {
            Some(received) => received,
            None => receiving.await,
        };
        received.map_err(|error| Error::from(error).context(format_args!("downloading {source}")))
    }

    async fn download_dir(
        &self,
        source: &str,
        destination: &Path,
        contents_only: bool,
    ) -> Result<()> {
        let target = destination.to_string_lossy().into_owned();
        self.directory("DownloadDir", source.to_owned(), target, contents_only).await
    }
}

/// How a command ended. Windows' codes have 32 bits: some plugins tell them as a positive number, some
/// as a negative.
fn exit_status(status: i64) -> ExitStatus {
    if status == DISCONNECTED {
        return ExitStatus::Disconnected;
    }
    let code = i32::try_from(status).ok();
    let code = code.or_else(|| u32::try_from(status).ok().map(u32::cast_signed));
    ExitStatus::Code(code.unwrap_or(-1))
}

/// Whether the plugin itself says what went wrong.
fn is_from_plugin(error: &HostError) -> bool {
    matches!(error.failure, Failure::Remote(_))
}

/// The error of a command that did not start: the plugin has no way to the machine, which may be
/// rebooting.
fn not_started(error: HostError) -> Error {
    let from_plugin = is_from_plugin(&error);
    let error = Error::from(error);
    if from_plugin { error.transient() } else { error }
}

async fn pump(stream: io::Result<Stream>, mut show: impl FnMut(&[u8])) {
    let Ok(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        show(&buffer[..count]);
    }
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_windows_keep_their_bits() {
        for (status, code) in [
            (0, 0),
            (3010, 3010),
            // 0xC000013A, as WinRM has it, and as others do.
            (3_221_225_786, -1_073_741_510),
            (-1_073_741_510, -1_073_741_510),
            (1 << 40, -1),
        ] {
            assert_eq!(exit_status(status), ExitStatus::Code(code), "{status}");
        }
        assert_eq!(exit_status(DISCONNECTED), ExitStatus::Disconnected);
    }
}
