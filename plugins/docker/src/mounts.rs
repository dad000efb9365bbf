//! Mounts in a container that the Engine's archive API does not see: tmpfs, what the container
//! mounts itself, and what every container has. A file put there by that API ends below the mount:
//! commands do not see it, and it gets into the image.

use std::path::{Component, Path, PathBuf};

use bollard::models::ContainerInspectResponse;
use ingot_sdk::command::quote;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{ExitStatus, OutputSink, Result};

use crate::archive;
use crate::engine::{EngineContext, is_away, status};
use crate::exec::{How, Runner};
use crate::piece::Piece;

/// Where every container has mounts of its own.
const ALWAYS: [&str; 6] =
    ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// The bit of Go's file mode that says that it is a link.
const LINK: u32 = 1 << 27;

/// Between the resolved path and the table of mounts in what the container is asked.
const SEPARATOR: &str = "\n\u{2}\n";

/// What was mounted when the container was created.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mounts {
    /// Where volumes and directories of the host are: the Engine sees those.
    seen: Vec<String>,
    /// Whether there may be more than every container has.
    more: bool,
}

/// What is mounted around one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The path, without links as far as it exists.
    path: PathBuf,
    /// Where the mounts are: the path and whether the Engine sees it. Later ones cover earlier.
    mounts: Vec<(PathBuf, bool)>,
}

impl Mounts {
    /// Reads what the Engine says of the container.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn of(runner: &Runner) -> Result<Mounts> {
        let engine = &runner.engine;
        let found = engine.ask(engine.api.inspect_container(&runner.container, None)).await;
        Ok(Mounts::from(found.doing("looking at the container")?))
    }

    /// What is mounted around `path`, which is absolute.
    ///
    /// # Errors
    /// The container cannot be asked.
    pub(crate) async fn view(&self, runner: &Runner, path: &str) -> Result<View> {
        let plain = normal(Path::new(path));
        let known = View {
            path: plain.clone(),
            mounts: ALWAYS.map(|path| (PathBuf::from(path), false)).to_vec(),
        };
        // Nearly always so, and much faster than a command.
        if !self.more && known.over(None).is_none() && !leads_elsewhere(runner, &plain).await? {
            return Ok(known);
        }
        self.ask(runner, path, known).await
    }

    async fn ask(&self, runner: &Runner, path: &str, known: View) -> Result<View> {
        let command = format!(
            "d={}; r=; while ! cd -P -- \"$d\" 2>/dev/null; do r=/${{d##*/}}$r; d=${{d%/*}}; \
             d=${{d:-/}}; done; printf '%s%s\\n\\002\\n' \"$(pwd -P)\" \"$r\"; \
             cat /proc/self/mountinfo",
            quote(&known.path.display().to_string())
        );
        let how = How { user: Some("0"), ..How::default() };
        let mut running = runner.start(&command, how).await?;
        let output = CapturedOutput::default();
        while let Some(piece) = running.next().await {
            if let Piece::Output(bytes) = piece {
                output.stdout(&bytes);
            }
        }
        let status = running.status().await?;
        let text = output.stdout_text();
        match text.split_once(SEPARATOR) {
            Some((resolved, table)) if status == ExitStatus::Code(0) => {
                Ok(View { path: normal(Path::new(resolved)), mounts: self.read(table) })
            }
            // A container without cat or /proc: then it is as it looks.
            _ => {
                tracing::debug!(path, ?status, "the container does not report its mounts");
                Ok(known)
            }
        }
    }

    /// Reads `/proc/self/mountinfo`.
    fn read(&self, table: &str) -> Vec<(PathBuf, bool)> {
        let places = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
        let mut mounts: Vec<(PathBuf, bool)> = Vec::new();
        for place in places {
            // A second mount at the same place is the container's own.
            let again = mounts.iter().any(|(other, _)| *other == place);
            let known =
                place == Path::new("/") || self.seen.iter().any(|at| place == Path::new(at));
            mounts.push((place, known && !again));
        }
        mounts
    }
}

impl From<ContainerInspectResponse> for Mounts {
    fn from(found: ContainerInspectResponse) -> Self {
        let host = found.host_config.unwrap_or_default();
        let mut mounts = Mounts {
            // Who may mount may do so at any time.
            more: host.privileged == Some(true)
                || host.cap_add.iter().flatten().any(|capability| {
                    let name = capability.to_ascii_uppercase();
                    matches!(name.trim_start_matches("CAP_"), "ALL" | "SYS_ADMIN")
                })
                || host.tmpfs.is_some_and(|mounts| !mounts.is_empty()),
            ..Mounts::default()
        };
        for mount in found.mounts.unwrap_or_default() {
            let Some(place) = mount.destination else { continue };
            match mount.typ.as_deref() {
                Some("tmpfs") => mounts.more = true,
                _ => mounts.seen.push(normal(Path::new(&place)).display().to_string()),
            }
        }
        mounts
    }
}

impl View {
    /// The mount that hides the path, or `name` in it, from the Engine, if one does.
    pub(crate) fn over(&self, name: Option<&str>) -> Option<&str> {
        let path = name.map_or_else(|| self.path.clone(), |name| self.path.join(name));
        let deepest = self
            .mounts
            .iter()
            .filter(|(place, _)| path.starts_with(place))
            // The last one of those at the same place.
            .max_by_key(|(place, _)| place.components().count())?;
        if deepest.1 { None } else { deepest.0.to_str() }
    }

    /// A mount below the path that the Engine does not see and that something is copied into;
    /// `copied` says whether, for its path relative to this one.
    pub(crate) fn below(&self, copied: impl Fn(&Path) -> bool) -> Option<&str> {
        let hidden = self.mounts.iter().filter(|(place, seen)| !seen && *place != self.path);
        let mut hidden =
            hidden.filter_map(|(place, _)| Some((place, place.strip_prefix(&self.path).ok()?)));
        hidden.find(|(_, inside)| copied(inside)).and_then(|(place, _)| place.to_str())
    }
}

/// Whether one of the directories on the way to `path`, or itself, is a link.
async fn leads_elsewhere(runner: &Runner, path: &Path) -> Result<bool> {
    let mut current = PathBuf::from("/");
    for part in path.components().filter(|part| matches!(part, Component::Normal(_))) {
        current.push(part);
        let shown = current.display().to_string();
        match archive::info(&runner.engine, &runner.container, &shown).await {
            Ok(found) if found.file_mode & LINK != 0 => return Ok(true),
            Ok(_) => {}
            Err(error) if status(&error) == Some(404) => return Ok(false),
            Err(error) if is_away(&error) => {
                return Err(error).doing(format_args!("looking at {}", path.display()));
            }
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// A path without `.`, `..` and doubled slashes.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// A path of `mountinfo`, where blanks are written as `\040` and the like.
fn unescape(text: &str) -> PathBuf {
    let mut path = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        path.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                path.push(char::from(code));
                rest = &after[3..];
            }
            _ => {
                path.push('\\');
                rest = after;
            }
        }
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(path: &str, seen: &[&str], places: &[&str]) -> View {
        let mounts = Mounts { seen: seen.iter().map(|&at| at.to_owned()).collect(), more: true };
        let table: Vec<String> =
            places.iter().map(|at| format!("1 2 0:1 / {at} rw - tmpfs none rw")).collect();
        View { path: path.into(), mounts: mounts.read(&table.join("\n")) }
    }

    #[test]
    fn the_deepest_mount_decides() {
        let places = ["/", "/data", "/run", "/data/cache", "/with\\040blank"];
        let at = |path: &str| view(path, &["/data"], &places).over(None).map(str::to_owned);
        assert_eq!(at("/srv"), None);
        assert_eq!(at("/data/x"), None);
        assert_eq!(at("/data/cache/x").as_deref(), Some("/data/cache"));
        assert_eq!(at("/run").as_deref(), Some("/run"));
        assert_eq!(at("/running"), None);
        assert_eq!(at("/with blank/x").as_deref(), Some("/with blank"));
        // Somebody has mounted over a volume.
        assert_eq!(view("/data", &["/data"], &["/", "/data", "/data"]).over(None), Some("/data"));
        assert_eq!(view("/etc", &[], &["/", "/etc/hosts"]).over(Some("hosts")), Some("/etc/hosts"));
    }

    #[test]
    fn mounts_below_count_where_something_goes_into_them() {
        let view = view("/", &[], &["/", "/run", "/proc"]);
        assert_eq!(view.below(|inside| inside == Path::new("run")), Some("/run"));
        assert_eq!(view.below(|inside| inside == Path::new("srv")), None);
    }
}
