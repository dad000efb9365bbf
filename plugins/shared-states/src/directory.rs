//! Looking for states, writing, listing and removing them.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ingot_sdk::file_work::blocking;
use ingot_sdk::{Context, Error, Result, RunContext, StateKey, StoredState};
use tokio_util::sync::CancellationToken;

use crate::file::{self, NEW, StateFile};
use crate::trust::{self, Opened, Owners};

/// After how long a file that was being written is of a build that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The states of one builder in the directory that machines share.
#[derive(Debug, Clone)]
pub struct SharedStates {
    /// The directory that the user named.
    root: PathBuf,
    /// The one in it with the states of the builder.
    directory: PathBuf,
    /// How the names of files end; they begin with the key.
    extension: &'static str,
}

impl SharedStates {
    /// Those of `builder` below `root`; the names of their files are the key and `extension`.
    pub fn new(root: &Path, builder: &str, extension: &'static str) -> SharedStates {
        SharedStates { root: root.to_owned(), directory: root.join(builder), extension }
    }

    /// The directory that the user named.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path_of(&self, key: &StateKey) -> PathBuf {
        self.directory.join(format!("{key}.{}", self.extension))
    }

    /// Whose states are used; none where there can be none.
    fn owners(&self) -> Option<Owners> {
        Owners::of(&self.root).ok().filter(|owners| owners.have_directory(&self.directory))
    }

    /// Whether there is a file of the state of `key`, whatever is in it.
    pub fn has(&self, key: &StateKey) -> bool {
        self.owners().is_some_and(|owners| owners.have_file(&self.path_of(key)))
    }

    /// What is kept of the state of `key` of what `base` names, if that is there and whole, in a file
    /// without a name. Reports what keeps it from being used; a damaged state is removed, so that it is
    /// written again.
    pub async fn look_up(&self, ctx: &RunContext, base: &str, key: &StateKey) -> Option<File> {
        let path = self.path_of(key);
        let (shown, base, states) = (path.display().to_string(), said(base, key), self.clone());
        let read = blocking(ctx, move |stop| {
            let Some(owners) = states.owners() else { return Ok(None) };
            let found = match trust::open(&path, owners)? {
                Opened::Absent => return Ok(None),
                Opened::Foreign(why) => Err(why),
                Opened::File(file) => match file::read(file, &base, stop)? {
                    StateFile::Whole(contents) => return Ok(Some(contents)),
                    StateFile::Damaged => Err("it is damaged"),
                    StateFile::OtherFormat => {
                        return Err(Error::new("it was written by another version of Ingot"));
                    }
                },
            };
            // It is written again, unless somebody may not.
            let _ = std::fs::remove_file(&path);
            found.map_err(Error::new)
        });
        match read.await {
            Ok(contents) => contents,
            Err(error) => {
                if !ctx.cancel.is_cancelled() {
                    ctx.ui.say(format!("The state {shown} is not used: {error}"));
                }
                None
            }
        }
    }

    /// Makes sure that states can be written, before anybody works on them, and removes what builds that
    /// were killed have left.
    ///
    /// # Errors
    /// They cannot.
    pub fn prepare_writing(&self) -> Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        if self.owners().is_none() {
            let shown = self.directory.display();
            return Err(Error::new(format!("{shown} is a link, or belongs to another user")));
        }
        tempfile::tempfile_in(&self.directory)?;
        self.remove_abandoned();
        Ok(())
    }

    /// Writes the state of `key` of what `base` names, unless somebody was faster. `contents` writes
    /// what there is to keep of it. It is there whole or not at all.
    ///
    /// # Errors
    /// It cannot be written, or what `contents` failed with.
    pub fn write(
        &self,
        key: &StateKey,
        base: &str,
        stop: &CancellationToken,
        contents: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if self.has(key) {
            return Ok(());
        }
        let path = self.path_of(key);
        let written = file::write(&path, &said(base, key), stop, contents);
        written.with_context(|| format!("writing {}", path.display()))
    }

    /// Says before they are written that so many states are kept.
    pub fn announce(&self, ctx: &RunContext, number: usize) {
        let states = match number {
            1 => "1 state".to_owned(),
            number => format!("{number} states"),
        };
        ctx.ui.message(format!("Keeping {states} for other machines..."));
    }

    /// Says that states could not be written. That nothing can be written to the directory at all is
    /// said when a build begins, and cancellation is no news.
    pub fn report(&self, ctx: &RunContext, error: &Error) {
        let read_only =
            error.is_io(ErrorKind::PermissionDenied) || error.is_io(ErrorKind::ReadOnlyFilesystem);
        if !read_only && !error.is_cancelled() && !ctx.cancel.is_cancelled() {
            let shown = self.root.display();
            ctx.ui.say(format!("States are not kept in {shown} for other machines: {error}"));
        }
    }

    fn remove_abandoned(&self) {
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let is_new = entry.file_name().to_string_lossy().starts_with(NEW);
            let changed = entry.metadata().and_then(|found| found.modified());
            let age = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if is_new && age.is_some_and(|age| age > ABANDONED) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The states whose keys begin with `owner`.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self, owner: &str) -> Result<Vec<StoredState>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("reading {}", self.directory.display()))?,
        };
        let mut kept = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = Path::new(&name);
            let key = name.file_stem().and_then(|stem| stem.to_str()?.parse::<StateKey>().ok());
            let is_state = name.extension().is_some_and(|extension| extension == self.extension);
            let Some(key) = key.filter(|key| is_state && key.as_str().starts_with(owner)) else {
                continue;
            };
            let Ok(found) = entry.metadata() else { continue };
            let changed = found.modified().ok();
            let since = changed.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            let created = since.and_then(|since| i64::try_from(since.as_secs()).ok());
            kept.push(StoredState {
                key,
                created: created.unwrap_or_default(),
                bytes: found.len(),
            });
        }
        Ok(kept)
    }

    /// Removes the state of `key`. One that is not there is fine.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, key: &StateKey) -> Result<()> {
        let path = self.path_of(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::from(error).context(format_args!("removing {}", path.display())))
            }
            _ => Ok(()),
        }
    }
}

/// The header of a file, which names its state: one under another name does not count.
fn said(base: &str, key: &StateKey) -> String {
    format!("{base} {key}")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use ingot_sdk::testing::{RecordedOutput, context};

    use super::*;

    struct Bench {
        directory: tempfile::TempDir,
        states: SharedStates,
        key: StateKey,
        said: Arc<RecordedOutput>,
        ctx: RunContext,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().unwrap();
            let states = SharedStates::new(directory.path(), "test", "state");
            let said = Arc::new(RecordedOutput::default());
            let ctx = context(Default::default(), &said);
            states.prepare_writing().unwrap();
            Bench { directory, states, key: StateKey::of("test", ["a"]), said, ctx }
        }

        fn write(&self, contents: &[u8]) {
            let stop = CancellationToken::new();
            let write = |sink: &mut dyn Write| Ok(sink.write_all(contents)?);
            self.states.write(&self.key, "base", &stop, write).unwrap();
        }

        fn path(&self) -> PathBuf {
            self.states.path_of(&self.key)
        }

        async fn look_up(&self, base: &str) -> Option<Vec<u8>> {
            let found = self.states.look_up(&self.ctx, base, &self.key).await;
            found.map(|mut contents| {
                let mut bytes = Vec::new();
                std::io::Seek::rewind(&mut contents).unwrap();
                contents.read_to_end(&mut bytes).unwrap();
                bytes
            })
        }

        /// Why the state is not used.
        async fn refused(&self) -> String {
            assert_eq!(self.look_up("base").await, None);
            self.said.lines().pop().unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn a_state_that_is_not_whole_is_not_used_and_written_again() {
        let bench = Bench::new();
        let contents = vec![5; 70_000];
        assert_eq!(bench.look_up("base").await, None);
        bench.write(&contents);
        assert_eq!(bench.look_up("base").await.unwrap(), contents);
        // Whoever comes second changes nothing.
        bench.write(b"later");
        let whole = std::fs::read(bench.path()).unwrap();
        assert_eq!(bench.look_up("base").await.unwrap(), contents);
        let mut changed = whole.clone();
        changed[40_000] ^= 1;
        let mut header = whole.clone();
        header[10] = b'x';
        let longer = [&whole[..], b"x"].concat();
        let parts = [&whole[..69_000], &whole[..20], b"", &[b'x'; 9000]];
        for bytes in [&changed[..], &header, &longer].into_iter().chain(parts) {
            std::fs::write(bench.path(), bytes).unwrap();
            let why = bench.refused().await;
            assert!(why.ends_with("is not used: it is damaged"), "{} {why}", bytes.len());
            assert!(!bench.path().exists());
        }
        // It is of something else than its name says.
        bench.write(&contents);
        assert_eq!(bench.look_up("another base").await, None);
        assert!(!bench.states.has(&bench.key));
        // Another state under its name is none either.
        bench.write(&contents);
        let other = StateKey::of("test", ["b"]);
        std::fs::rename(bench.path(), bench.states.path_of(&other)).unwrap();
        assert!(bench.states.look_up(&bench.ctx, "base", &other).await.is_none());
        assert!(!bench.states.has(&other));
        // Another version's is left to it.
        std::fs::write(bench.path(), b"{\"format\": 99, \"new\": true}\n").unwrap();
        assert!(bench.refused().await.ends_with("it was written by another version of Ingot"));
        assert!(bench.states.has(&bench.key));
        bench.states.remove(&bench.key).unwrap();
        bench.states.remove(&bench.key).unwrap();
        bench.write(&contents);
        assert_eq!(bench.states.list(&bench.key.as_str()[..8]).unwrap().len(), 1);
        assert_eq!(bench.states.list("zz").unwrap().len(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn machines_that_write_and_remove_at_once_see_whole_states_only() {
        let bench = Bench::new();
        let writers: Vec<_> = (1..=3_u8)
            .map(|writer| {
                let (states, key) = (bench.states.clone(), bench.key.clone());
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        let contents = vec![writer; 30_000 * usize::from(writer)];
                        let write = |sink: &mut dyn Write| Ok(sink.write_all(&contents)?);
                        states.write(&key, "base", &CancellationToken::new(), write).unwrap();
                        states.remove(&key).unwrap();
                    }
                    let write = |sink: &mut dyn Write| Ok(sink.write_all(&[writer])?);
                    states.write(&key, "base", &CancellationToken::new(), write).unwrap();
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            if let Some(found) = bench.look_up("base").await {
                let first = found[0];
                assert!(found.iter().all(|&byte| byte == first) && (1..=3).contains(&first));
                assert!([1, 30_000 * usize::from(first)].contains(&found.len()));
            }
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(bench.said.lines(), [""; 0]);
        assert_eq!(std::fs::read_dir(&bench.states.directory).unwrap().count(), 1);
        assert_eq!(bench.look_up("base").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_state_that_cannot_be_written_leaves_nothing() {
        let bench = Bench::new();
        let stop = CancellationToken::new();
        let fail = |sink: &mut dyn Write| {
            sink.write_all(&[7; 70_000])?;
            Err(Error::from(std::io::Error::from(ErrorKind::StorageFull)))
        };
        let error = bench.states.write(&bench.key, "base", &stop, fail).unwrap_err();
        assert_eq!(std::fs::read_dir(&bench.states.directory).unwrap().count(), 0);
        bench.states.report(&bench.ctx, &error);
        let said = bench.said.lines().pop().unwrap();
        assert!(said.starts_with("States are not kept in ") && said.contains("space"), "{said}");
        // That nothing can be written was already reported.
        let read_only = Error::from(std::io::Error::from(ErrorKind::ReadOnlyFilesystem));
        bench.states.report(&bench.ctx, &read_only);
        assert_eq!(bench.said.lines().len(), 1);
        // A build that is stopped writes no more.
        stop.cancel();
        let write = |sink: &mut dyn Write| Ok(sink.write_all(&[7; 70_000])?);
        bench.states.write(&bench.key, "base", &stop, write).unwrap_err();
        assert_eq!(std::fs::read_dir(&bench.states.directory).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_no_file_of_the_users_is_not_opened() {
        let bench = Bench::new();
        bench.write(b"contents");
        let elsewhere = bench.directory.path().join("elsewhere");
        std::fs::rename(bench.path(), &elsewhere).unwrap();
        let no_file = "is not used: it is not a regular file";
        symlink(&elsewhere, bench.path()).unwrap();
        assert!(!bench.states.has(&bench.key));
        assert!(bench.refused().await.ends_with(no_file));
        assert!(elsewhere.exists() && bench.path().symlink_metadata().is_err());
        symlink("/dev/zero", bench.path()).unwrap();
        assert!(bench.refused().await.ends_with(no_file));
        let made = std::process::Command::new("mkfifo").arg(bench.path()).status().unwrap();
        assert!(made.success());
        assert!(bench.refused().await.ends_with(no_file));
        let _socket = std::os::unix::net::UnixListener::bind(bench.path()).unwrap();
        assert!(bench.refused().await.ends_with(no_file));
        std::fs::create_dir(bench.path()).unwrap();
        assert!(bench.refused().await.ends_with(no_file));
        std::fs::remove_dir(bench.path()).unwrap();
        // As large as it says, and larger than the disk.
        let header = r#"{"format": 2, "base": "base", "sha256": "", "size": 1000000000000000}"#;
        std::fs::write(bench.path(), format!("{header:1023}\n")).unwrap();
        let file = std::fs::File::options().write(true).open(bench.path()).unwrap();
        if file.set_len(1_000_000_000_000_000 + 1024).is_ok() {
            assert!(bench.refused().await.contains("no storage space"));
        }
        std::fs::remove_file(bench.path()).unwrap();
        // The directory of the states leads away.
        let moved = bench.directory.path().join("moved");
        std::fs::rename(&bench.states.directory, &moved).unwrap();
        symlink(&moved, &bench.states.directory).unwrap();
        std::fs::rename(&elsewhere, moved.join(bench.path().file_name().unwrap())).unwrap();
        assert_eq!(bench.look_up("base").await, None);
        let error = bench.states.prepare_writing().unwrap_err().to_string();
        assert!(error.contains("is a link, or belongs to another user"), "{error}");
    }

    #[tokio::test]
    async fn what_another_user_put_there_is_not_used() {
        // Only root can give files away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let bench = Bench::new();
        bench.write(b"contents");
        std::os::unix::fs::chown(bench.path(), Some(12_345), None).unwrap();
        assert!(bench.refused().await.ends_with("is not used: it belongs to another user"));
        bench.write(b"contents");
        // All files of a server may be one user's.
        for path in [bench.directory.path(), &bench.path(), &bench.states.directory] {
            std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
        }
        assert_eq!(bench.look_up("base").await.unwrap(), b"contents");
        std::os::unix::fs::chown(bench.directory.path(), Some(0), None).unwrap();
        assert_eq!(bench.look_up("base").await, None);
    }
}
