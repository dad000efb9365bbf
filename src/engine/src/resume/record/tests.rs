//! Which records are trusted, and of which template they are.

use super::*;

#[test]
fn directories_of_others_are_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(at("kept"), permissions).unwrap();
    };
    let wrong = |path: &str| only_ours(&at(path)).map_err(|error| error.to_string());
    std::fs::create_dir(at("kept")).unwrap();
    mode(0o700);
    assert_eq!(wrong("kept"), Ok(()));
    mode(0o720);
    assert!(wrong("kept").unwrap_err().contains("kept can be written by other users"));
    mode(0o755);
    std::os::unix::fs::symlink("kept", at("link")).unwrap();
    assert!(wrong("link").unwrap_err().contains("link is a link"));
    // Only root can give something away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(at("kept"), Some(65534), None).unwrap();
        assert!(wrong("kept").unwrap_err().contains("kept belongs to another user"));
    }
}

#[test]
fn a_path_names_one_template_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("t")).unwrap();
    std::os::unix::fs::symlink("t", dir.path().join("link")).unwrap();
    let path = |text: &str| recorded_template(&dir.path().join(text));
    assert_eq!(path("t"), path("link/."));
    assert_eq!(path("t/../gone"), path("t/../gone"));
}
