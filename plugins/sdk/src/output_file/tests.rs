use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use super::*;

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn is_there_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("new/deep/output");
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let output = OutputFile::create(&journal, &target, 0o644).unwrap();
    output.writer().unwrap().write_all(b"half").unwrap();
    drop(output);
    assert_eq!(names(directory.path()), [""; 0]);

    let output = OutputFile::create(&journal, &target, 0o644).unwrap();
    output.writer().unwrap().write_all(b"whole").unwrap();
    assert!(!target.exists());
    output.finish().unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"whole");
    assert_eq!(names(&directory.path().join("new/deep")), ["output"]);

    // A directory that was there, or that others use, stays.
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let target = directory.path().join("new/other/output");
    let output = OutputFile::create(&journal, &target, 0o644).unwrap();
    std::fs::write(directory.path().join("new/other/theirs"), "").unwrap();
    drop(output);
    assert_eq!(names(&directory.path().join("new/other")), ["theirs"]);
}

#[cfg(unix)]
#[test]
fn what_is_there_keeps_its_permissions_and_links() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    std::fs::write(&file, "before").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let output = OutputFile::create(&journal, &link, 0o600).unwrap();
    output.writer().unwrap().write_all(b"after").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"before");
    output.finish().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"after");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(link.is_symlink());
    let error = OutputFile::create(&journal, directory.path(), 0o600).err().unwrap();
    assert!(error.to_string().ends_with("is a directory"), "{error}");
    // A link that leads nowhere yet is followed.
    let dangling = directory.path().join("dangling");
    std::os::unix::fs::symlink("new", &dangling).unwrap();
    let output = OutputFile::create(&journal, &dangling, 0o600).unwrap();
    output.writer().unwrap().write_all(b"new").unwrap();
    output.finish().unwrap();
    assert!(dangling.is_symlink());
    assert_eq!(std::fs::read(directory.path().join("new")).unwrap(), b"new");
    // A device is written to, and stays one.
    let output = OutputFile::create(&journal, Path::new("/dev/null"), 0o600).unwrap();
    output.writer().unwrap().write_all(b"gone").unwrap();
    output.finish().unwrap();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

/// A build as root, as in a container, leaves the files of a user theirs.
#[cfg(unix)]
#[test]
fn what_is_there_keeps_its_owner_and_its_other_names() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let (file, other) = (directory.path().join("file"), directory.path().join("other"));
    std::fs::write(&file, "before, and longer").unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let write = |text: &str| {
        let output = OutputFile::create(&journal, &file, 0o600).unwrap();
        output.writer().unwrap().write_all(text.as_bytes()).unwrap();
        output.finish().unwrap();
        std::fs::read_to_string(&file).unwrap()
    };
    // Only root can give files away.
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&file, Some(12_345), Some(12_346)).unwrap();
    }
    let owner = || {
        let found = std::fs::metadata(&file).unwrap();
        (found.uid(), found.gid())
    };
    let before = owner();
    assert_eq!((write("owned"), owner()), ("owned".to_owned(), before));
    assert!(!root || before == (12_345, 12_346));
    std::fs::hard_link(&file, &other).unwrap();
    assert_eq!(write("two"), "two");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "two");
    assert_eq!(names(directory.path()).len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_copied_over_what_is_there_stays_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (file, other) = (directory.path().join("file"), directory.path().join("other"));
    std::fs::write(&file, "before").unwrap();
    std::fs::hard_link(&file, &other).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let mut output = OutputFile::create(&journal, &file, 0o600).unwrap();
    output.writer().unwrap().write_all(b"after").unwrap();
    let unfinished = output.unfinished.clone().unwrap();
    // As if the disk were full now.
    output.target = "/dev/full".into();
    let error = output.finish().unwrap_err();
    assert!(error.is_io(ErrorKind::StorageFull), "{error}");
    let advice = error.advice().unwrap_or_default();
    assert_eq!(advice, format!("what was to be written is whole in {}", unfinished.display()));
    assert_eq!(std::fs::read(&unfinished).unwrap(), b"after");
    // A shorter one that can be copied leaves nothing of the longer one, and no other file.
    std::fs::remove_file(&unfinished).unwrap();
    let output = OutputFile::create(&journal, &file, 0o600).unwrap();
    output.writer().unwrap().write_all(b"new").unwrap();
    output.finish().unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"new");
    assert_eq!(names(directory.path()).len(), 2);
}

#[test]
fn a_full_disk_is_explained_where_a_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    let target = directory.path().join("x");
    let advice = || {
        let output = OutputFile::create(&journal, &target, 0o644).unwrap();
        let full = Error::from(std::io::Error::from(ErrorKind::StorageFull)).context("packing");
        output.explain(full).advice().map(str::to_owned)
    };
    assert_eq!(advice(), None);
    std::fs::write(&target, "before").unwrap();
    let advice = advice().unwrap();
    assert!(advice.contains("x stays until the new one is whole: remove it first"), "{advice}");
}

#[test]
fn what_is_written_to_directly_is_cut_last() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "before, and longer").unwrap();
    let existing = || OutputFile::existing(&file, &file).unwrap();
    let text = || std::fs::read_to_string(&file).unwrap();
    drop(existing());
    assert_eq!(text(), "before, and longer");
    existing().finish_with(b"shorter").unwrap();
    assert_eq!(text(), "shorter");
    // What comes in pieces is of no length that is known.
    let filled = existing().fill(|mut file| {
        assert_eq!(text(), "");
        file.write_all(b"new")?;
        Ok(())
    });
    filled.unwrap();
    assert_eq!(text(), "new");
}

#[cfg(unix)]
#[test]
fn a_file_without_a_build_goes_where_links_lead() {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // As `/dev/stdout` is one to a pipe.
    let (mut reader, writer) = std::io::pipe().unwrap();
    symlink(format!("/proc/self/fd/{}", writer.as_raw_fd()), at("pipe")).unwrap();
    OutputFile::save(&at("pipe"), b"hello").unwrap();
    drop(writer);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "hello");
    assert!(at("pipe").is_symlink());
    // To a file that is not there yet, nor its directory.
    symlink("new/file", at("link")).unwrap();
    OutputFile::save(&at("link"), b"world").unwrap();
    assert!(at("link").is_symlink());
    assert_eq!(std::fs::read_to_string(at("new/file")).unwrap(), "world");
    assert_eq!(names(&at("new")), ["file"]);
    OutputFile::save(&at("link"), b"again").unwrap();
    assert_eq!(std::fs::read_to_string(at("new/file")).unwrap(), "again");
    // As any new file.
    std::fs::write(at("plain"), "").unwrap();
    let mode = |name: &str| std::fs::metadata(at(name)).unwrap().permissions();
    assert_eq!(mode("new/file"), mode("plain"));
}

#[cfg(unix)]
#[test]
fn what_replaces_a_file_of_the_longest_name_has_its_permissions_before_it_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    // As long as a name can be.
    let target = directory.path().join("ä".repeat(127));
    std::fs::write(&target, "before").unwrap();
    let permit = |mode| std::fs::set_permissions(&target, PermissionsExt::from_mode(mode)).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    for mode in [0o600, 0o640] {
        permit(mode);
        let output = OutputFile::create(&journal, &target, 0o666).unwrap();
        let unfinished = output.unfinished.as_ref().unwrap();
        let there = std::fs::metadata(unfinished).unwrap().permissions().mode() & 0o777;
        assert_eq!(there, mode);
        output.finish_with(b"after").unwrap();
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, mode);
    }
    assert_eq!(names(directory.path()).len(), 1);
}

#[tokio::test]
async fn leftovers_are_reclaimed() {
    let directory = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(NoJournal);
    // Not UTF-8, as the journal is.
    let inside = directory.path().join(std::ffi::OsStr::from_bytes(b"t\xe9"));
    let output = OutputFile::create(&journal, &inside.join("x"), 0o644).unwrap();
    let unfinished = output.unfinished.clone().unwrap();
    let recorded = serde_json::to_value(Resource::at(UNFINISHED_FILE, &unfinished)).unwrap();
    std::mem::forget(output);
    assert_eq!(names(&inside).len(), 1);
    let resource: Resource = serde_json::from_value(recorded).unwrap();
    ReclaimUnfinishedFiles.reclaim(&resource).await.unwrap();
    assert_eq!(names(&inside), [""; 0]);
    ReclaimUnfinishedFiles.reclaim(&resource).await.unwrap();
}
