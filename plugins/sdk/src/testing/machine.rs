//! A machine for tests of provisioners: this one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result};

/// A machine that is this one: commands run in its directory, which stands for the root of all
/// paths that files go to and come from.
pub struct ThisMachine(pub PathBuf);

impl ThisMachine {
    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

#[async_trait]
impl Communicator for ThisMachine {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        let mut input = command.stdin.as_deref().unwrap_or_default();
        self.exec_with_input(&command.command, &mut input, output).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.0)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        let (mut stdin, mut stdout, mut stderr) = (
            child.stdin.take().expect("its input is a pipe"),
            child.stdout.take().expect("its output is a pipe"),
            child.stderr.take().expect("its errors are a pipe"),
        );
        let feed = async move {
            let _ = tokio::io::copy(input, &mut stdin).await;
            drop(stdin);
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut buffer = vec![0; 1024];
            while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
                output.stdout(&buffer[..count]);
            }
            while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
                output.stderr(&buffer[..count]);
            }
        };
        tokio::select! {
            () = feed => {}
            () = read => {}
        }
        Ok(ExitStatus::Code(child.wait().await?.code().unwrap_or(-1)))
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let path = self.at(destination);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
        let mut file = tokio::fs::File::create(&path).await?;
        let copied = tokio::io::copy(source, &mut file).await?;
        file.flush().await?;
        if copied != meta.size {
            let announced = meta.size;
            return Err(Error::new(format!(
                "{copied} bytes came where {announced} were announced"
            )));
        }
        let permissions = std::fs::Permissions::from_mode(meta.mode);
        Ok(tokio::fs::set_permissions(&path, permissions).await?)
    }

    async fn upload_dir(&self, source: &Path, destination: &str, contents: bool) -> Result<()> {
        copy(source, &self.at(destination), contents)
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let mut file = tokio::fs::File::open(self.at(source)).await?;
        tokio::io::copy(&mut file, destination).await?;
        Ok(())
    }

    async fn download_dir(&self, source: &str, destination: &Path, contents: bool) -> Result<()> {
        copy(&self.at(source), destination, contents)
    }
}

fn copy(source: &Path, destination: &Path, contents: bool) -> Result<()> {
    std::fs::create_dir_all(destination)?;
    let from = if contents { source.join(".") } else { source.to_owned() };
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(destination).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(format!("cannot copy {}", source.display()))),
    }
}
