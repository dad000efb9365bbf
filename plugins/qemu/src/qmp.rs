//! A client of the QEMU Machine Protocol, which QEMU speaks over a socket: one JSON object a
//! line, answers in the order of the commands, events in between.
//!
//! Of the whole protocol the builder needs less than ten commands. The crate `qapi` is well kept
//! but compiles every type of it (25,000 lines of schema), which costs more than this module.

use std::path::Path;
use std::time::Duration;

use ingot_sdk::{Context, Error, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// How long QEMU may take to answer. Writing a screenshot is the slowest command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to QEMU.
pub(crate) struct Qmp {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    /// Whether a command was sent whose answer was not waited for.
    out_of_step: bool,
}

impl Qmp {
    /// Connects to the socket and ends the negotiation of capabilities, after which QEMU takes
    /// commands.
    ///
    /// # Errors
    /// Nobody listens (yet), or it is not QEMU.
    pub(crate) async fn connect(socket: &Path) -> Result<Qmp> {
        let connecting = || format!("connecting to QEMU at {}", socket.display());
        let stream = UnixStream::connect(socket).await.with_context(connecting)?;
        let (read, write) = stream.into_split();
        let mut qmp = Qmp { read: BufReader::new(read), write, out_of_step: false };
        let greeting = qmp.line().await.with_context(connecting)?;
        if greeting.get("QMP").is_none() {
            return Err(Error::new(format!("what listens at {} is not QEMU", socket.display())));
        }
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    /// Runs a command and returns its answer. `arguments` is an object, or null for none.
    ///
    /// # Errors
    /// QEMU refused the command, did not answer, or has ended.
    pub(crate) async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        if self.out_of_step {
            return Err(Error::new("QEMU does not answer any more"));
        }
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        // Cancellation may drop this future between the command and its answer.
        self.out_of_step = true;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(&request)).await;
        let answer = answer
            .map_err(|_| Error::new(format!("QEMU did not answer the command {command}")))?
            .with_context(|| format!("telling QEMU {command}"))?;
        self.out_of_step = false;
        if let Some(error) = answer.get("error") {
            let why = error["desc"].as_str().unwrap_or("no reason given");
            return Err(Error::new(format!("QEMU refused {command}: {why}")));
        }
        Ok(answer["return"].clone())
    }

    async fn exchange(&mut self, request: &Value) -> Result<Value> {
        // Arguments may be secret, so only the command is logged, by its sender.
        self.write.write_all(format!("{request}\n").as_bytes()).await?;
        loop {
            let line = self.line().await?;
            match line.get("event").and_then(Value::as_str) {
                Some(event) => tracing::debug!(event, "QEMU tells"),
                None => return Ok(line),
            }
        }
    }

    async fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.read.read_line(&mut line).await? == 0 {
            return Err(Error::new("QEMU closed the connection"));
        }
        serde_json::from_str(&line).context("reading QEMU's answer")
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Answers like QEMU, from a list of what it sends after each line it reads.
    async fn serve(listener: UnixListener, answers: &[&str]) -> Vec<String> {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read).lines();
        write.write_all(b"{\"QMP\": {\"version\": {}}}\r\n").await.unwrap();
        let mut heard = Vec::new();
        for answer in answers {
            heard.push(read.next_line().await.unwrap().unwrap());
            write.write_all(answer.as_bytes()).await.unwrap();
        }
        heard
    }

    #[tokio::test]
    async fn answers_are_told_from_events_and_errors() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let answers = [
            "{\"return\": {}}\r\n",
            "{\"event\": \"RESET\"}\r\n{\"return\": {\"running\": true}}\r\n",
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\r\n",
        ];
        let qemu = tokio::spawn(async move { serve(listener, &answers).await });
        let mut qmp = Qmp::connect(&socket).await.unwrap();
        let status = qmp.execute("query-status", Value::Null).await.unwrap();
        assert_eq!(status["running"], true);
        let refused = qmp.execute("screendump", json!({ "filename": "/x" })).await.unwrap_err();
        assert_eq!(refused.to_string(), "QEMU refused screendump: no such device");
        let heard = qemu.await.unwrap();
        assert_eq!(heard[0], r#"{"execute":"qmp_capabilities"}"#);
        assert_eq!(heard[2], r#"{"execute":"screendump","arguments":{"filename":"/x"}}"#);
        let gone = qmp.execute("quit", Value::Null).await.unwrap_err();
        assert!(gone.to_string().starts_with("telling QEMU quit: "), "{gone}");
    }
}
