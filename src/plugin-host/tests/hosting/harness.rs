//! A host with the plugin, and what it needs around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingot_plugin_host::{
    ComponentKind, Host, HostedBuilder, HostedDataSource, HostedPostProcessor, HostedProvisioner,
    Program, discovery,
};
use ingot_sdk::Builder as _;
use ingot_sdk::testing::{Said, context};
use ingot_sdk::{
    Communicator, Config, ExitStatus, FileMeta, OutputSink, PrepareContext, RemoteCommand, Result,
    RunContext,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The name of a plugin's component that is called as the plugin.
const DEFAULT: &str = "-packer-default-plugin-name-";

/// The plugin, and a directory for the test.
pub struct Trial {
    variables: Vec<(String, String)>,
    pub dir: tempfile::TempDir,
    pub said: Arc<Said>,
    program: Program,
    plugins: tempfile::TempDir,
}

/// The plugin with these variables in its environment; none where it cannot be built.
pub fn trial(environment: &[(&str, &str)]) -> Option<Trial> {
    let plugins = crate::trial::plugin_directory()?;
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut variables = vec![("TRIAL_RECORD".to_owned(), record.to_str().unwrap().to_owned())];
    variables.extend(environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    let program = open(variables.clone(), Duration::from_secs(20), &dir, &plugins);
    Some(Trial { variables, dir, said: Arc::default(), program, plugins })
}

fn open(
    variables: Vec<(String, String)>,
    limit: Duration,
    dir: &tempfile::TempDir,
    plugins: &tempfile::TempDir,
) -> Program {
    let host = Arc::new(Host::new(variables).with_call_timeout(limit));
    let installed = discovery::installations(plugins.path());
    let cache = dir.path().join("cache");
    Program::open(&host, &installed[0], Some(&cache)).unwrap()
}

impl Trial {
    /// From now on, the plugin has this long to answer.
    pub fn limit(&mut self, limit: Duration) {
        // What it says of itself is known by then.
        self.builder().schema();
        self.program = open(self.variables.clone(), limit, &self.dir, &self.plugins);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn builder(&self) -> HostedBuilder {
        HostedBuilder::new(self.program.component(ComponentKind::Builder, DEFAULT))
    }

    pub fn provisioner(&self) -> HostedProvisioner {
        HostedProvisioner::new(self.program.component(ComponentKind::Provisioner, DEFAULT))
    }

    pub fn post_processor(&self) -> HostedPostProcessor {
        HostedPostProcessor::new(self.program.component(ComponentKind::PostProcessor, DEFAULT))
    }

    pub fn data_source(&self) -> HostedDataSource {
        HostedDataSource::new(self.program.component(ComponentKind::DataSource, "facts"))
    }

    pub fn ctx(&self) -> RunContext {
        context(facts(), &self.said)
    }

    /// The line that was said after `start`.
    pub fn line(&self, start: &str) -> String {
        let lines = self.said.lines();
        let found = lines.iter().find_map(|line| line.strip_prefix(start));
        found.unwrap_or_else(|| panic!("nothing begins with {start:?} in {lines:#?}")).to_owned()
    }

    /// How often the program was started as a component.
    pub fn starts(&self) -> usize {
        let record = std::fs::read_to_string(self.path("record")).unwrap_or_default();
        record.lines().filter(|line| line.starts_with("start")).count()
    }
}

pub fn facts() -> PrepareContext {
    PrepareContext {
        build_name: "one".into(),
        build_type: "trial".into(),
        force: true,
        ..PrepareContext::default()
    }
}

pub fn config(options: Value) -> Config {
    Config::new(options.as_object().unwrap().clone())
}

/// A machine that is this one: commands and paths are its own.
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
            child.stdin.take().unwrap(),
            child.stdout.take().unwrap(),
            child.stderr.take().unwrap(),
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
        std::fs::create_dir_all(path.parent().unwrap())?;
        let mut file = tokio::fs::File::create(path).await?;
        let copied = tokio::io::copy(source, &mut file).await?;
        assert_eq!(copied, meta.size);
        file.flush().await?;
        Ok(())
    }

    async fn upload_dir(&self, source: &Path, destination: &str, contents: bool) -> Result<()> {
        copy(source, &self.at(destination), contents);
        Ok(())
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
        copy(&self.at(source), destination, contents);
        Ok(())
    }
}

fn copy(source: &Path, destination: &Path, contents: bool) {
    std::fs::create_dir_all(destination).unwrap();
    let from = if contents { source.join(".") } else { source.to_owned() };
    let done = std::process::Command::new("cp").arg("-r").arg(from).arg(destination).status();
    assert!(done.unwrap().success());
}
