//! Where the system has few processes or threads left.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ingot_test_support::{NULL, Run, ingot_program, missing, program, require, template};

/// `ingot` as a user that nothing else runs as, and that may have `limit` threads.
fn limited(dir: &Path, limit: u32, args: &[&str], env: &[(&str, &str)]) -> Run {
    let (limit, ingot) = (format!("--nproc={limit}"), ingot_program());
    let user = ["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", &limit];
    let mut all = user.to_vec();
    all.push(ingot.to_str().unwrap());
    all.extend(args);
    let state = dir.join("state");
    let mut variables = vec![("INGOT_STATE_DIR", state.to_str().unwrap()), ("INGOT_CI", "off")];
    variables.push(("HOME", dir.to_str().unwrap()));
    variables.extend(env);
    program("setpriv", dir, &all, &variables)
}

/// Whether that can be: root only can be another user, which must be able to run the program.
fn can_limit(dir: &Path) -> bool {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=64"])
        .args([ingot_program().as_os_str(), "version".as_ref()])
        .output();
    let can = output.is_ok_and(|output| output.status.success());
    if !can {
        missing("ingot cannot be run as another user (only root may)");
    }
    can
}

/// It panicked, or waited for ever.
#[test]
fn without_threads_every_command_says_so() {
    let dir = template(NULL);
    require!(can_limit(dir.path()));
    // The directory has no packages, so the last one has nothing to write.
    for args in [&["build", "."][..], &["cleanup", "-list"], &["sbom-generate", "."]] {
        for limit in [1, 3, 5, 6, 9] {
            let run = limited(dir.path(), limit, args, &[]);
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(!said.contains("panicked"), "{args:?} with {limit}: {said}");
            let told = said.contains("the limit of processes is reached");
            match (limit, args[0]) {
                (1, _) => assert!(run.code == Some(1) && told, "{args:?}: {said}"),
                (9, "build" | "cleanup") => assert_eq!(run.code, Some(0), "{args:?}: {said}"),
                _ => assert!(matches!(run.code, Some(0 | 1)), "{args:?} with {limit}: {said}"),
            }
        }
    }
}

/// A machine may have more processors than its containers may have threads.
#[test]
fn a_build_has_fewer_workers_where_there_is_no_room_for_all() {
    let dir = template(NULL);
    require!(can_limit(dir.path()));
    let run = limited(dir.path(), 24, &["build", "."], &[("TOKIO_WORKER_THREADS", "64")]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
