//! What the lock file says is installed, and nothing else.

use crate::installed::put_program;
use crate::machine::{ACME, assert_whole, machine, requiring};
use crate::release_server::{
    Response, archive, github_zip, program_name, program_of, sha256, zip_of,
};
use ingot_test_support::require;

#[test]
fn the_lock_file_decides() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let message = machine.init_fails(&["-locked"], &[]);
    assert!(message.contains(".ingot.lock.hcl names, and there is no such file"), "{message}");
    assert!(message.contains("run `ingot init` without -locked once"), "{message}");
    let other = "plugin \"github.com/acme/other\" {\n  version = \"1.0.0\"\n}\n";
    std::fs::write(machine.lock_file(), other).unwrap();
    let message = machine.init_fails(&["-locked"], &[]);
    assert!(
        message.contains("does not have it") && message.contains("ingot init -upgrade"),
        "{message}"
    );
    std::fs::remove_file(machine.lock_file()).unwrap();
    machine.init(&[]);
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    // Another machine, later.
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    machine.server.github(&["1.0.0", "1.1.0"]);
    assert!(machine.init(&["-locked"]).contains("v1.0.0"));
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    assert!(machine.init(&[]).contains("v1.0.0"));
    assert_eq!(std::fs::read_to_string(machine.lock_file()).unwrap(), lock);
    // The release is gone.
    std::fs::remove_dir_all(machine.plugins()).unwrap();
    machine.server.github(&["1.1.0"]);
    for flags in [&["-locked"][..], &[]] {
        let message = machine.init_fails(flags, &[]);
        let gone = "version 1.0.0, which the lock file names, cannot be installed";
        assert!(message.contains(gone) && message.contains("ingot init -upgrade"), "{message}");
    }
    // The release was changed.
    machine.server.github(&["1.0.0", "1.1.0"]);
    let changed = zip_of(&[(&program_name("1.0.0"), &program_of("1.0.0 changed"))], false);
    let sums = format!("{}  {}\n", sha256(&changed), github_zip("1.0.0"));
    machine.server.put(&machine.sums("1.0.0"), Response::ok(sums));
    machine.server.put(&machine.zip("1.0.0"), Response::ok(changed));
    for flags in [&["-locked"][..], &[]] {
        let message = machine.init_fails(flags, &[]);
        assert!(message.contains("as in the lock file"), "{message}");
    }
    // Another program was put in its place by hand.
    machine.server.github(&["1.0.0", "1.1.0"]);
    machine.init(&[]);
    let path = machine.installed(ACME, "1.0.0");
    let other = program_of("1.0.0 changed");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &other).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(format!("{}_SHA256SUM", path.display()), sha256(&other)).unwrap();
    let run = machine.run(&["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("not the program that the lock file names"), "{}", run.stdout);
    machine.init(&["-locked"]);
    assert_whole(&path, "1.0.0");
    // The template asks for another version now.
    std::fs::write(machine.dir.path().join("t.pkr.hcl"), requiring(ACME, ">= 1.1")).unwrap();
    let message = machine.init_fails(&["-locked"], &[]);
    assert!(message.contains("version 1.0.0, which \">= 1.1\" does not allow"), "{message}");
    assert!(machine.init(&[]).contains("v1.1.0"));
    assert_eq!(machine.run(&["validate", "."]).code, Some(0));
    // Somebody broke it.
    std::fs::write(machine.lock_file(), "plugin \"x\" {").unwrap();
    for command in [&["init", "."][..], &["validate", "."]] {
        let run = machine.run(command);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stdout.contains(".ingot.lock.hcl: line 1"), "{}", run.stdout);
    }
}

#[test]
fn a_program_is_compared_with_the_lock_file_before_it_runs() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.tamper();
    machine.lock("programs", &sha256(&program_of("1.0.0")));
    for flags in [&["-locked"][..], &[], &["-upgrade"]] {
        let message = machine.init_fails(flags, &[]);
        assert!(message.contains("not the one in the lock file"), "{message}");
        assert!(!machine.marker().exists(), "it ran with {flags:?}");
    }
    // Where nothing is locked, it runs.
    std::fs::remove_file(machine.lock_file()).unwrap();
    let message = machine.init_fails(&[], &[]);
    assert!(message.contains("exit code 3") && machine.marker().exists(), "{message}");
}

#[test]
fn a_mirror_s_program_is_no_proof_where_only_the_archive_is_locked() {
    let machine = require!(machine(ACME, ">= 1.0"));
    let mirror = machine.home.path().join("mirror");
    put_program(&mirror.join(ACME).join(program_name("1.0.0")), &machine.tampered());
    machine.lock("archives", &sha256(&archive("1.0.0")));
    let flag = format!("-plugin-mirror={}", mirror.display());
    for flags in [&["-locked", flag.as_str()][..], &[flag.as_str()]] {
        let message = machine.init_fails(flags, &[]);
        assert!(message.contains("knows only the archive of this plugin"), "{message}");
        assert!(!machine.marker().exists(), "it ran with {flags:?}");
    }
}

#[test]
fn upgrade_takes_no_other_release_of_the_same_version() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    machine.init(&[]);
    let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
    machine.tamper();
    for flags in [&["-upgrade"][..], &["-upgrade", "-force"]] {
        let message = machine.init_fails(flags, &[]);
        assert!(message.contains("as in the lock file"), "{message}");
        assert!(!machine.marker().exists(), "it ran with {flags:?}");
    }
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
    // Nor for another platform.
    machine.server.github(&["1.0.0"]);
    let sums = String::from_utf8(machine.server.body(&machine.sums("1.0.0"))).unwrap();
    let sums = sums.replace(&"d".repeat(64), &"e".repeat(64));
    machine.server.put(&machine.sums("1.0.0"), Response::ok(sums));
    machine.init(&["-upgrade"]);
    assert_eq!(std::fs::read_to_string(machine.lock_file()).unwrap(), lock);
}

#[test]
fn an_installed_program_is_no_proof_where_only_the_archive_is_locked() {
    let machine = require!(machine(ACME, ">= 1.0"));
    machine.server.github(&["1.0.0"]);
    let path = machine.installed(ACME, "1.0.0");
    for flags in [&["-locked"][..], &[]] {
        put_program(&path, &machine.tampered());
        machine.lock("archives", &sha256(&archive("1.0.0")));
        let before = std::fs::read_to_string(machine.lock_file()).unwrap();
        let run = machine.run(&["validate", "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stdout.contains("names only the archive"), "{}", run.stdout);
        let said = machine.init(flags);
        assert!(said.contains("Installed plugin"), "{said}");
        assert!(!machine.marker().exists(), "it ran with {flags:?}");
        assert_whole(&path, "1.0.0");
        // It is known now where the program is from.
        let run = machine.run(&["validate", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert_eq!(machine.init(&["-locked"]), "");
        let lock = std::fs::read_to_string(machine.lock_file()).unwrap();
        let program = sha256(&program_of("1.0.0"));
        match flags.is_empty() {
            true => assert!(lock.contains(&program), "{lock}"),
            false => assert_eq!(lock, before),
        }
    }
}
