//! Where the system has few processes or threads left.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ingot_test_support::{NULL, Run, ingot_program, missing, program, require, template};

/// Users that nothing else runs as, one for each test: the system counts all threads of a user.
const USERS: [&str; 2] = ["--reuid=54321", "--reuid=54322"];

/// `ingot` as one of [`USERS`], who may have `limit` threads.
fn limited(user: &str, dir: &Path, limit: u32, args: &[&str], env: &[(&str, &str)]) -> Run {
    let (limit, ingot) = (format!("--nproc={limit}"), copied(dir));
    let user = [user, "--regid=54321", "--clear-groups", "prlimit", &limit];
    let mut all = user.to_vec();
    all.push(ingot.to_str().unwrap());
    all.extend(args);
    let state = dir.join("state");
    let mut variables = vec![("INGOT_STATE_DIR", state.to_str().unwrap()), ("INGOT_CI", "off")];
    variables.push(("HOME", dir.to_str().unwrap()));
    variables.extend(env);
    program("setpriv", dir, &all, &variables)
}

/// The program, where another user can run it.
fn copied(dir: &Path) -> PathBuf {
    dir.join("ingot")
}

/// Whether that can be: root only can be another user.
fn can_limit(user: &str, dir: &Path) -> bool {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::copy(ingot_program(), copied(dir)).unwrap();
    let can = limited(user, dir, 64, &["version"], &[]).code == Some(0);
    if !can {
        missing("ingot cannot be run as another user (only root may)");
    }
    can
}

/// It panicked, or waited for ever.
#[test]
fn without_threads_every_command_says_so() {
    let (user, dir) = (USERS[0], template(NULL));
    require!(can_limit(user, dir.path()));
    for args in [&["build", "."][..], &["cleanup", "-list"], &["sbom-generate", "."]] {
        let run = limited(user, dir.path(), 1, args, &[]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(1), "{args:?}: {said}");
        assert!(said.contains("the limit of processes is reached"), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

/// A machine may have more processors than its containers may have threads.
#[test]
fn a_build_has_fewer_workers_where_there_is_no_room_for_all() {
    let (user, dir) = (USERS[1], template(NULL));
    require!(can_limit(user, dir.path()));
    let run = limited(user, dir.path(), 24, &["build", "."], &[("TOKIO_WORKER_THREADS", "64")]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
