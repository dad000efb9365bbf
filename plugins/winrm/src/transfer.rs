//! Copying files with nothing but commands: a file is written to a temporary one as lines of
//! base64, which PowerShell then decodes to where it belongs.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::communicator::{CapturedOutput, unsigned_exit_code, uploaded_name};
use ingot_sdk::{Context, Error, ExitStatus, RemoteCommand, Result, powershell, walk};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::machine::Machine;
use crate::shell::Shell;

/// How many bytes one command carries. Windows allows 8191 characters in a command line; 5,970
/// bytes are 7,960 of base64.
const PIECE: usize = 5_970;
/// How many commands run in one shell: the fewest that any Windows allows.
const COMMANDS_PER_SHELL: usize = 15;

/// Writes `source`, of `size` bytes as far as is known, to the file `destination`.
pub(crate) async fn upload(
    machine: &Machine,
    destination: &str,
    source: &mut (dyn AsyncRead + Send + Unpin),
    size: u64,
) -> Result<()> {
    let temporary = format!("ingot-{}.tmp", uuid::Uuid::new_v4());
    let sent = send(machine, &temporary, source, destination, size).await;
    let script = match &sent {
        Ok(()) => decoder(&temporary, destination),
        Err(_) => remover(&temporary),
    };
    let decoded = run_script(machine, &script).await;
    sent.and(decoded.map(drop))
}

async fn send(
    machine: &Machine,
    temporary: &str,
    source: &mut (dyn AsyncRead + Send + Unpin),
    label: &str,
    size: u64,
) -> Result<()> {
    // What one shell carries is there before anybody could look.
    let is_long = size > (PIECE * COMMANDS_PER_SHELL) as u64;
    let progress = is_long.then(|| machine.ui().progress(format!("Uploading {label}"), Some(size)));
    let mut position = 0;
    let mut shell: Option<(Shell, usize)> = None;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut *source).take(PIECE as u64).read_to_end(&mut piece).await.context("reading")?;
        if piece.is_empty() {
            break;
        }
        let (open, used) = match shell.take() {
            Some((open, used)) if used < COMMANDS_PER_SHELL => (open, used),
            full => {
                if let Some((full, _)) = full {
                    full.close().await;
                }
                (machine.shell().await?, 0)
            }
        };
        let line = append(temporary, &piece);
        let output = CapturedOutput::default();
        let status = open.run(&RemoteCommand::new(line), &output).await;
        let status = status.map_err(|failure| machine.error(&failure))?;
        check(status, &output.stderr_text())?;
        shell = Some((open, used + 1));
        position += piece.len() as u64;
        if let Some(progress) = &progress {
            progress.at(position, Some(size));
        }
    }
    if let Some((open, _)) = shell {
        open.close().await;
    }
    Ok(())
}

/// The command that adds a line to a temporary file. The space before `>>` matters: a digit right
/// before it would say which stream is meant.
fn append(temporary: &str, piece: &[u8]) -> String {
    format!("echo {} >> \"%TEMP%\\{temporary}\"", STANDARD.encode(piece))
}

/// Copies the directory `source`, file by file.
pub(crate) async fn upload_directory(
    machine: &Machine,
    source: &Path,
    destination: &str,
    contents_only: bool,
) -> Result<()> {
    let root = source.to_owned();
    let entries = tokio::task::spawn_blocking(move || walk::tree(&root))
        .await
        .context("listing the directory")??;
    let mut target = destination.trim_end_matches(['/', '\\']).to_owned();
    if let Some(name) = uploaded_name(source, contents_only)? {
        target = format!("{target}\\{name}");
    }
    // Directories come into being with what is in them; an empty one has to be asked for.
    let is_empty = |directory: &Path| {
        !entries.iter().any(|entry| entry.path != directory && entry.path.starts_with(directory))
    };
    if entries.is_empty() {
        make_directory(machine, &target).await?;
    }
    for entry in &entries {
        let below = entry.path.strip_prefix(source).unwrap_or(&entry.path);
        let path = format!("{target}\\{}", below.to_string_lossy().replace('/', "\\"));
        match entry.kind {
            walk::EntryKind::Directory if is_empty(&entry.path) => {
                make_directory(machine, &path).await?
            }
            walk::EntryKind::Directory => {}
            walk::EntryKind::File => {
                let reading = || format!("reading {}", entry.path.display());
                let mut file = tokio::fs::File::open(&entry.path).await.with_context(reading)?;
                let size = file.metadata().await.with_context(reading)?.len();
                upload(machine, &path, &mut file, size)
                    .await
                    .map_err(|error| error.context(entry.path.display()))?;
            }
        }
    }
    Ok(())
}

async fn make_directory(machine: &Machine, path: &str) -> Result<()> {
    let script = format!("{}\n[void][IO.Directory]::CreateDirectory($path)", resolve(path));
    run_script(machine, &guarded(&script)).await.map(drop)
}

/// Reads the file `source` into `destination`.
pub(crate) async fn download(
    machine: &Machine,
    source: &str,
    destination: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<()> {
    let bytes = decode(&run_script(machine, &encoder(source)).await?)?;
    destination.write_all(&bytes).await.context("writing")?;
    Ok(())
}

/// The bytes in what [`encoder`] printed. Consoles add line ends, and some a byte order mark.
fn decode(printed: &[u8]) -> Result<Vec<u8>> {
    let text = printed.strip_prefix(b"\xef\xbb\xbf").unwrap_or(printed);
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|error| {
        Error::new(format!("what the machine sent is not the file in base64: {error}"))
    })
}

/// Sets `$path` to a full path. As in Packer, variables in a path (`$env:TEMP`) are expanded.
fn resolve(path: &str) -> String {
    let path = path.trim().trim_matches('\'').replace('/', "\\");
    format!(
        "$path = [IO.Path]::GetFullPath($ExecutionContext.InvokeCommand.ExpandString({}))",
        powershell::quote(&path)
    )
}

/// A script that turns any error into one line on standard error and exit code 1.
fn guarded(script: &str) -> String {
    format!(
        "$ErrorActionPreference = 'Stop'\ntry {{\n{script}\n}} catch {{\n\
         [Console]::Error.WriteLine($_.Exception.Message)\nexit 1\n}}"
    )
}

/// The script that decodes the temporary file to where it belongs and removes it.
fn decoder(temporary: &str, destination: &str) -> String {
    let work = format!(
        "{}\n\
         if ([IO.Directory]::Exists($path)) {{ throw \"$path is a directory\" }}\n\
         [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))\n\
         $target = [IO.File]::Create($path)\n\
         try {{\n\
         if ([IO.File]::Exists($encoded)) {{\n\
         foreach ($line in [IO.File]::ReadLines($encoded)) {{\n\
         $bytes = [Convert]::FromBase64String($line)\n\
         $target.Write($bytes, 0, $bytes.Length)\n\
         }}\n}}\n}} finally {{\n$target.Close()\n}}",
        resolve(destination)
    );
    // Removed whether that worked or not: the file may hold secrets.
    let work = format!(
        "$encoded = [IO.Path]::Combine($env:TEMP, {})\ntry {{\n{work}\n}} finally {{\n\
         [IO.File]::Delete($encoded)\n}}",
        powershell::quote(temporary)
    );
    guarded(&work)
}

fn remover(temporary: &str) -> String {
    guarded(&format!(
        "[IO.File]::Delete([IO.Path]::Combine($env:TEMP, {}))",
        powershell::quote(temporary)
    ))
}

/// The script that prints a file as base64.
fn encoder(source: &str) -> String {
    // A multiple of three bytes, filled each time, so that only the end needs padding.
    guarded(&format!(
        "{}\n\
         $source = [IO.File]::Open($path, 'Open', 'Read', 'ReadWrite')\n\
         try {{\n\
         $buffer = New-Object byte[] 49152\n\
         do {{\n\
         $filled = 0\n\
         do {{\n\
         $count = $source.Read($buffer, $filled, $buffer.Length - $filled)\n\
         $filled += $count\n\
         }} while ($count -gt 0 -and $filled -lt $buffer.Length)\n\
         [Console]::Out.WriteLine([Convert]::ToBase64String($buffer, 0, $filled))\n\
         }} while ($count -gt 0)\n\
         }} finally {{\n$source.Close()\n}}",
        resolve(source)
    ))
}

/// Runs one of these scripts and returns what it printed.
async fn run_script(machine: &Machine, script: &str) -> Result<Vec<u8>> {
    let shell = machine.shell().await?;
    let output = CapturedOutput::default();
    let command = RemoteCommand::new(powershell::command("powershell", script));
    let status = shell.run(&command, &output).await;
    shell.close().await;
    let status = status.map_err(|failure| machine.error(&failure))?;
    check(status, &output.stderr_text())?;
    Ok(output.stdout_bytes())
}

/// An error unless a command succeeded, with what it said about it.
fn check(status: ExitStatus, said: &str) -> Result<()> {
    match status {
        ExitStatus::Code(0) => Ok(()),
        ExitStatus::Code(code) => {
            let error = Error::new(match said.trim() {
                "" => {
                    let code = unsigned_exit_code(code);
                    format!("a command on the machine ended with exit code {code}")
                }
                said => said.to_owned(),
            });
            // PowerShell and cmd end with 1 where something is wrong. On a machine that goes down
            // or comes up they cannot even start, which has codes of its own.
            Err(if code == 1 { error } else { error.transient() })
        }
        ExitStatus::Disconnected => Err(Error::new("the connection was lost").transient()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_as_short_as_windows_wants_them() {
        let temporary = format!("ingot-{}.tmp", uuid::Uuid::new_v4());
        assert!(append(&temporary, &[0xff; PIECE]).len() < 8191);
        let longest = format!("C:\\{}", "x".repeat(257));
        for script in [decoder(&temporary, &longest), encoder(&longest), remover(&temporary)] {
            let line = powershell::command("powershell", &script);
            assert!(line.len() < 8191, "{} for {script}", line.len());
        }
    }

    #[test]
    fn pieces_decode_one_by_one() {
        // Padding in the middle of the temporary file would be an error.
        assert_eq!(PIECE % 3, 0);
        assert!(append("t.tmp", b"x1").starts_with("echo eDE= >> \"%TEMP%\\t.tmp\""));
    }

    #[test]
    fn paths_may_hold_variables_and_either_slash() {
        let script = resolve("$env:TEMP/it's here/a");
        assert!(script.ends_with("ExpandString('$env:TEMP\\it''s here\\a'))"), "{script}");
        assert_eq!(resolve("'C:/Program Files/x'"), resolve("C:\\Program Files\\x"));
    }

    /// 0xC0000142: PowerShell could not start, as while the machine goes down.
    #[test]
    fn codes_of_windows_are_shown_without_a_sign() {
        let error = check(ExitStatus::Code(-1_073_741_502), "").unwrap_err();
        assert!(error.to_string().ends_with("exit code 3221225794"), "{error}");
    }

    #[test]
    fn printed_files_may_be_wrapped() {
        assert_eq!(decode(b"\xef\xbb\xbfaGVs\r\nbG8=\r\n").unwrap(), b"hello");
        assert_eq!(decode(b"\r\n").unwrap(), b"");
        assert!(decode(b"no such file").is_err());
    }
}
