//! `provisioner "hcp-sbom"`

use std::io::Result as IoResult;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};

use ingot_sdk::communicator::{CapturedOutput, UiOutput};
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Communicator, Component, ConfigError, ConfigErrors, ConfigWarning, Context, Decoded,
    DocumentKind, Effect, Error, ExitStatus, Facts, GeneratedData, OutputFile, PrepareContext,
    Prepared, Provision, RemoteCommand, Result, RunContext, Sbom, async_trait, command::quote,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWrite;

use crate::collector::SCRIPT;
use crate::document::format_of;
use crate::packages::{Ecosystem, Inventory};
use crate::scan::LARGEST_DATABASES;
use crate::scanner_args::ScannerArgs;
use crate::write::Bounded;
use crate::{LARGEST_DOCUMENT, read, write};

/// The options of `hcp-sbom`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// The SBOM on the machine, in JSON: SPDX or CycloneDX. Excludes `auto_generate`.
    source: String,
    /// Where a copy goes on this machine: a file, which is replaced, or a directory, in which a file
    /// gets a name of its own.
    destination: String,
    /// What the registry shall call the SBOM: 3 to 36 letters, digits and hyphens, another name for
    /// each in a version.
    sbom_name: String,
    /// Make the SBOM from the machine's package databases (dpkg, rpm, apk, Python, npm, Go, Rust).
    /// Nothing is downloaded or installed. Excludes `source`.
    auto_generate: bool,
    /// Flags of the scan: `-o cyclonedx-json` or `-o spdx-json`, `--exclude GLOB`, `--scope`. Default
    /// `["-o", "cyclonedx-json"]`.
    scanner_args: Vec<String>,
    /// Ignored, as in Packer: the scanner is a part of Ingot.
    scanner_url: String,
    /// Ignored, as in Packer.
    scanner_checksum: String,
    /// The directory to look in; `/`.
    scan_path: String,
    /// The command that writes to `{{ .Output }}`: it runs the uploaded script `{{ .Path }}` with
    /// `{{ .Args }}` on `{{ .ScanPath }}`, or another scanner, which has to write an SBOM. Default:
    /// the script, with `sudo` where that asks for no password.
    #[schemars(extend("rendered_late" = true))]
    execute_command: String,
    /// An account for Windows, which `auto_generate` does not support.
    elevated_user: String,
    /// The password of `elevated_user`.
    #[schemars(extend("sensitive" = true))]
    elevated_password: String,
}

/// `provisioner "hcp-sbom"`
pub(crate) struct HcpSbomProvisioner;

/// Takes or makes the SBOM of a machine.
pub(crate) struct TakeSbom {
    options: Options,
    args: ScannerArgs,
    /// Where the scanner is on the machine, and what it writes. The same in every attempt at a step:
    /// the one that ends removes what those before it left.
    files: [String; 2],
    /// Whether the files may be on the machine.
    left: AtomicBool,
}

impl Component for HcpSbomProvisioner {
    const NAME: &'static str = "hcp-sbom";
    type Options = Options;
    type Ready = TakeSbom;

    fn facts(&self) -> Facts {
        Facts::of_effect(Effect::Never("each build needs the bill of materials that it makes"))
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<TakeSbom>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut prepared = Prepared::default();
        check_ways(&options, &mut errors);
        if !is_name(&options.sbom_name) {
            let name = &options.sbom_name;
            errors.push(
                ConfigError::on("sbom_name", format!("{name:?} cannot be the name of an SBOM"))
                    .hint("use 3 to 36 letters, digits and hyphens"),
            );
        }
        let args = ScannerArgs::parse(&options.scanner_args).unwrap_or_else(|why| {
            errors.push(ConfigError::on("scanner_args", why));
            ScannerArgs::none()
        });
        if let Err(error) = Interpolation::new(ctx).check(&options.execute_command) {
            errors.push(ConfigError::on("execute_command", error.to_string()));
        }
        if options.auto_generate {
            for flag in &args.ignored {
                let warning = format!("`{flag}` has no effect here");
                prepared.warnings.push(ConfigWarning::on("scanner_args", warning));
            }
            let ignored = [
                ("scanner_url", &options.scanner_url),
                ("scanner_checksum", &options.scanner_checksum),
            ];
            for (name, _) in ignored.iter().filter(|(_, value)| !value.is_empty()) {
                let warning = format!(
                    "`{name}` is deprecated and ignored; to run a scanner of your own, name it in \
                     `execute_command`"
                );
                prepared.warnings.push(ConfigWarning::on(*name, warning));
            }
        }
        let name = format!("/tmp/ingot-sbom-{}", uuid::Uuid::new_v4());
        let files = ["sh", "out"].map(|ending| format!("{name}.{ending}"));
        errors.into_result(prepared.with(TakeSbom {
            options,
            args,
            files,
            left: AtomicBool::new(false),
        }))
    }
}

/// Checks that the SBOM comes from one place.
fn check_ways(options: &Options, errors: &mut ConfigErrors) {
    let Options { source, auto_generate, .. } = options;
    match (source.is_empty(), auto_generate) {
        (false, true) => errors.push(
            ConfigError::on("source", "`source` and `auto_generate` exclude each other")
                .related(["auto_generate"])
                .hint("keep `source` for an SBOM that is there, `auto_generate` to make one"),
        ),
        (true, false) => errors.push(
            ConfigError::new("`source` is missing: where the SBOM is on the machine")
                .related(["source", "auto_generate"])
                .hint("or set auto_generate = true to make one"),
        ),
        _ => {}
    }
    if !auto_generate {
        return;
    }
    if !options.scanner_checksum.is_empty() && options.scanner_url.is_empty() {
        errors.push(
            ConfigError::on("scanner_checksum", "it needs `scanner_url`; both are ignored")
                .related(["scanner_url", "auto_generate"]),
        );
    }
    if options.elevated_user.is_empty() && !options.elevated_password.is_empty() {
        errors.push(
            ConfigError::on("elevated_password", "it needs `elevated_user`")
                .related(["elevated_user", "auto_generate"]),
        );
    }
}

/// Whether a registry takes the name, or finds one itself. What is known only later is checked then.
fn is_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.is_empty() || name.contains("<no value>") || (letters && (3..=36).contains(&name.len()))
}

#[async_trait]
impl Provision for TakeSbom {
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()> {
        let link = &*communicator;
        let document = match self.options.auto_generate {
            false => self.take(ctx, link).await?,
            true => self.generate(ctx, link, data).await?,
        };
        let check = move || (format_of(&document), document);
        let checked = tokio::task::spawn_blocking(check).await;
        let (format, document) = checked.context("checking the SBOM")?;
        let format = format.map_err(|why| {
            Error::new(format!("SBOM validation failed: {why}"))
                .hint("an SBOM is CycloneDX or SPDX 2 in JSON")
        })?;
        let name = Some(self.options.sbom_name.clone()).filter(|name| !name.is_empty());
        if !self.options.destination.is_empty() {
            let path = save(ctx, &self.options.destination, document.clone()).await?;
            ctx.ui.message(format!("Wrote the SBOM to {}", path.display()));
            ctx.ui.document(DocumentKind::Sbom, &path);
        }
        ctx.hook.keep_sbom(Sbom { name, format, document: document.into() });
        Ok(())
    }

    async fn clean_up(&self, ctx: &RunContext, communicator: &dyn Communicator) -> Result<()> {
        if self.left.load(Ordering::Relaxed) {
            self.remove(ctx, communicator).await;
        }
        Ok(())
    }
}

impl TakeSbom {
    /// Takes the SBOM that is there.
    async fn take(&self, ctx: &RunContext, link: &dyn Communicator) -> Result<Vec<u8>> {
        let source = &self.options.source;
        ctx.ui.say(format!("Downloading the SBOM {source}"));
        let document = download(link, source, LARGEST_DOCUMENT).await;
        document.map_err(|error| error.context("Failed to download SBOM file"))
    }

    async fn generate(
        &self,
        ctx: &RunContext,
        link: &dyn Communicator,
        data: &GeneratedData,
    ) -> Result<Vec<u8>> {
        ctx.ui.say("Automatic SBOM generation enabled");
        if data.get("ConnType").and_then(serde_json::Value::as_str) == Some("winrm") {
            return Err(Error::new("`auto_generate` does not support Windows").hint(
                "make the SBOM on the machine with a tool of your own, and set `source` to it",
            ));
        }
        self.left.store(true, Ordering::Relaxed);
        let created = self.scan(ctx, link).await;
        self.remove(ctx, link).await;
        let inventory = match read(created?, self.args.exclude.clone()).await? {
            Ok(inventory) => inventory,
            // The user's own scanner.
            Err(other) if other.len() <= LARGEST_DOCUMENT => return Ok(other),
            Err(_) => return Err(Error::new("the scanner wrote more than 32 MiB")),
        };
        let root = self.scan_path();
        report(ctx, &inventory, root);
        write(inventory, self.args.format, root, LARGEST_DOCUMENT).await.map_err(|error| {
            let advice = "leave paths out with scanner_args = [\"--exclude\", \"GLOB\"]";
            Error::new(format!("{error}, and registries take no more")).hint(advice)
        })
    }

    /// Removes the scanner and what it wrote, which the image must not hold.
    async fn remove(&self, ctx: &RunContext, link: &dyn Communicator) {
        let [script, output] = &self.files;
        let remove = format!("rm -f {} {}", quote(script), quote(output));
        let removed = link.exec(&RemoteCommand::new(remove), &CapturedOutput::default()).await;
        match removed {
            Ok(ExitStatus::Code(0)) => self.left.store(false, Ordering::Relaxed),
            _ => ctx
                .ui
                .error(format!("{script} and {output} could not be removed from the machine.")),
        }
    }

    /// Runs the scanner, and gives what it wrote.
    async fn scan(&self, ctx: &RunContext, link: &dyn Communicator) -> Result<Vec<u8>> {
        let [script, output] = &self.files;
        let root = self.scan_path();
        ctx.ui.say(format!("Running scanner on remote host (scanning {root})..."));
        link.upload_script(script, SCRIPT.as_bytes(), 0o755)
            .await
            .map_err(|error| error.context("failed to upload scanner"))?;
        let command = match self.options.execute_command.is_empty() {
            true => {
                let run = format!("sh {} sbom-generate {}", quote(script), quote(root));
                // Package databases can be read by all, what users installed perhaps not.
                format!(
                    "umask 077; {{ if [ \"$(id -u)\" != 0 ] && sudo -n true >/dev/null 2>&1; then \
                     sudo -n {run}; else {run}; fi; }} > {}",
                    quote(output)
                )
            }
            false => {
                let names = json!({
                    "Path": script,
                    "Args": self.options.scanner_args.join(" "),
                    "ScanPath": root,
                    "Output": output,
                });
                ctx.prepare
                    .render(&self.options.execute_command, &names)
                    .context("execute_command")?
            }
        };
        let shown = UiOutput::new(ctx.ui.clone());
        let status = link.exec(&RemoteCommand::new(command), &shown).await?;
        shown.finish();
        match status {
            ExitStatus::Code(0) => {}
            ExitStatus::Code(code) => {
                return Err(Error::new(format!("scanner exited with status {code}")));
            }
            ExitStatus::Disconnected => {
                return Err(Error::new("the connection ended while the scanner ran"));
            }
        }
        let created = download(link, output, LARGEST_DATABASES).await;
        created.map_err(|error| error.context("Failed to download what the scanner wrote"))
    }

    fn scan_path(&self) -> &str {
        match self.options.scan_path.as_str() {
            "" => "/",
            path => path,
        }
    }
}

/// Says what was found, and what not.
fn report(ctx: &RunContext, inventory: &Inventory, root: &str) {
    for note in &inventory.notes {
        ctx.ui.message(format!("Note: {note}"));
    }
    if inventory.packages.is_empty() {
        ctx.ui.message(format!("Note: no package database was found in {root}"));
    }
    let mut counts: Vec<(Ecosystem, usize)> = Vec::new();
    for package in &inventory.packages {
        match counts.last_mut() {
            Some((ecosystem, count)) if *ecosystem == package.ecosystem => *count += 1,
            _ => counts.push((package.ecosystem, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(ecosystem, count)| format!("{count} {}", ecosystem.purl_type()))
        .collect();
    let total = inventory.packages.len();
    let counts =
        if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    ctx.ui.say(format!("Found {total} packages{counts}"));
}

/// A file of the machine that has no more than `limit` bytes.
async fn download(link: &dyn Communicator, source: &str, limit: usize) -> Result<Vec<u8>> {
    let mut sink = Sink(Bounded { bytes: Vec::new(), most: limit });
    link.download(source, &mut sink).await?;
    Ok(sink.0.bytes)
}

/// Keeps what is downloaded.
struct Sink(Bounded);

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<IoResult<usize>> {
        Poll::Ready(self.0.keep(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<IoResult<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<IoResult<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Writes the document to `destination`, or into it where that is a directory.
async fn save(ctx: &RunContext, destination: &str, document: Vec<u8>) -> Result<PathBuf> {
    let mut path = PathBuf::from(destination);
    if destination.ends_with('/') || path.is_dir() {
        path.push(format!("packer-user-sbom-{}.json", uuid::Uuid::new_v4().simple()));
    }
    OutputFile::write(ctx, &path, 0o644, document).await?;
    Ok(path)
}
