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

/// How long QEMU may take to answer. Of commands that are given this time, writing a screenshot is the
/// slowest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 20 });

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
    /// Nobody listens (yet), it is not QEMU, or it says nothing.
    pub(crate) async fn connect(socket: &Path) -> Result<Qmp> {
        let connecting = || format!("connecting to QEMU at {}", socket.display());
        let stream = UnixStream::connect(socket).await.with_context(connecting)?;
        let (read, write) = stream.into_split();
        let mut qmp = Qmp { read: BufReader::new(read), write, out_of_step: false };
        let greeting = tokio::time::timeout(ANSWER_TIMEOUT, qmp.line()).await;
        let greeting = greeting.unwrap_or_else(|_| Err(Error::new("it says nothing")));
        let greeting = greeting.with_context(connecting)?;
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
        self.execute_within(ANSWER_TIMEOUT, command, arguments).await
    }

    /// [`Qmp::execute`] where QEMU may take as long as `limit` to answer.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub(crate) async fn execute_within(
        &mut self,
        limit: Duration,
        command: &str,
        arguments: Value,
    ) -> Result<Value> {
        if self.out_of_step {
            return Err(Error::new("QEMU does not respond any more"));
        }
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        // Cancellation may drop this future between the command and its answer.
        self.out_of_step = true;
        let answer = tokio::time::timeout(limit, self.exchange(&request)).await;
        let answer = answer
            .map_err(|_| Error::new(format!("QEMU did not respond to the command {command}")))?
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
        serde_json::from_str(&line).context("reading QEMU's response")
    }
}

/// Something that answers like QEMU.
#[cfg(test)]
pub(crate) mod testing {
    use tokio::net::UnixListener;

    use super::*;

    /// What a command is answered with that takes longer than others may.
    pub(crate) const SLOW: &str = "slow:";

    /// Answers one connection, from a list of what is sent after each line that is read; what was read.
    pub(crate) async fn serve(listener: UnixListener, answers: &[&str]) -> Vec<String> {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read).lines();
        write.write_all(b"{\"QMP\": {\"version\": {}}}\r\n").await.unwrap();
        let mut heard = Vec::new();
        for answer in answers {
            heard.push(read.next_line().await.unwrap().unwrap());
            let after = answer.strip_prefix(SLOW);
            if after.is_some() {
                tokio::time::sleep(ANSWER_TIMEOUT * 3 / 2).await;
            }
            write.write_all(after.unwrap_or(answer).as_bytes()).await.unwrap();
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::testing::serve;
    use super::*;

    #[tokio::test]
    async fn responses_events_and_errors_are_distinguished() {
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

    #[tokio::test]
    async fn a_silent_program_is_not_waited_for_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qmp");
        // The system takes connections for it.
        let _listener = UnixListener::bind(&socket).unwrap();
        let error = Qmp::connect(&socket).await.map(drop).unwrap_err().to_string();
        assert!(error.ends_with(": it says nothing"), "{error}");
    }
}
