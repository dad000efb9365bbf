//! What a user sees when something is wrong.

use super::bench::{Bench, dead_machine, names, qemu};
use ingot_test_support::require;

/// Asserts that the build fails, says all of `parts` and leaves nothing. Returns what it said.
fn assert_fails(bench: &Bench, parts: &[&str]) -> String {
    let run = bench.ingot(&["build", "."]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(1), "{said}");
    assert_says(&said, parts);
    bench.assert_clean();
    said
}

fn assert_says(output: &str, parts: &[&str]) {
    for part in parts {
        assert!(output.contains(part), "{part:?} is not in:\n{output}");
    }
}

#[test]
fn wrong_options_are_named_before_anything_runs() {
    let bench = Bench::new(
        "  iso_url = \"x.iso\"\n  iso_checksum = \"none\"\n  communicator = \"none\"\n  \
         format = \"vmdk\"\n  disk_interface = \"floppy\"\n  disk_size = \"big\"\n  \
         use_backing_file = true\n  skip_resize_disk = true\n  vnc_port_min = 80\n  \
         qemuargs = [[\"\"], [\"-m\", \"{{ .Memory }}\"]]\n  host_port_min = 9\n  host_port_max = 8",
        "",
    );
    let run = bench.ingot(&["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(
        &(run.stdout + &run.stderr),
        &[
            "format cannot be `vmdk`",
            "choose one of qcow2, raw",
            "disk_interface cannot be `floppy`",
            "cannot read \"big\" as a size",
            "only a qcow2 disk created from a disk image can have a backing file",
            "only a disk created from a disk image is resized",
            "vnc_port_min cannot be below 5900",
            "row 1 names no switch",
            "Memory",
            "host_port_min is above host_port_max",
        ],
    );
    let bench = Bench::new(
        "  iso_url = \"x.iso\"\n  iso_checksum = \"none\"\n  communicator = \"winrm\"\n",
        "",
    );
    let run = bench.ingot(&["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(&(run.stdout + &run.stderr), &["`winrm_username` is missing"]);
}

#[test]
fn an_output_directory_is_not_overwritten_without_force() {
    require!(qemu());
    let bench = Bench::new("", "");
    let disk = bench.brief_disk(1024 * 1024);
    let source = dead_machine(&disk).replace("ssh_username = \"root\"", "communicator = \"none\"");
    bench.template(&format!("{source}  {}", super::bench::POWER_SWITCH), "");
    std::fs::create_dir(bench.path("output-m")).unwrap();
    std::fs::write(bench.path("output-m/precious"), "x").unwrap();
    let run = bench.ingot(&["build", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(&(run.stdout + &run.stderr), &["output-m exists already", "-force"]);
    assert_eq!(names(&bench.path("output-m")), ["precious"]);
    // A second build of the run replaces what the first has made.
    let second = "}\nbuild {\n  name = \"second\"\n  sources = [\"source.qemu.m\"]\n";
    let output = "  output_directory = \"output-m\"\n";
    bench.template(&format!("{source}{output}  {}", super::bench::POWER_SWITCH), second);
    let run = bench.ingot(&["build", "-force", "-parallel-builds=1", "."]);
    let said = run.stdout + &run.stderr;
    assert_eq!(run.code, Some(0), "{said}");
    assert_eq!(said.matches("Deleting previous output directory...").count(), 2, "{said}");
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
}

#[test]
fn a_wrong_checksum_and_missing_programs_are_errors() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    let sum = "0".repeat(64);
    bench.template(&source.replace("\"none\"", &format!("\"sha256:{sum}\"")), "");
    assert_fails(&bench, &["the sha256 checksum of", &sum]);

    bench.template(&format!("{source}  qemu_binary = \"qemu-system-pdp11\"\n"), "");
    let parts = ["cannot run qemu-system-pdp11", "apt install qemu-system-x86"];
    let said = assert_fails(&bench, &parts);
    assert!(!said.contains("Retrieving"), "{said}");

    bench.template(&format!("{source}  machine_type = \"abacus\"\n"), "");
    assert_fails(&bench, &["starting the machine: QEMU ended", "unsupported machine type"]);
}

#[test]
fn kvm_that_cannot_be_used_is_an_error_where_it_is_asked_for() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk()).replace("\"tcg\"", "\"kvm\"");
    bench.template(&source, "");
    // In a namespace of its own, /dev/kvm is a device without a driver.
    let device = bench.path("kvm").display().to_string();
    let script = format!(
        "mknod {device} c 240 77 && {{ [ -e /dev/kvm ] || touch /dev/kvm; }} && \
         mount --bind {device} /dev/kvm && exec {} build .",
        ingot_test_support::ingot_program().display()
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .current_dir(bench.path(""))
        .env("INGOT_STATE_DIR", bench.path("state"))
        .env("TMPDIR", bench.path("tmp"))
        .output()
        .expect("unshare can be run");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_says(&said, &["accelerator = \"kvm\": /dev/kvm cannot be opened", "\"tcg\""]);
    bench.assert_clean();
}

#[test]
fn a_machine_without_ssh_leaves_a_picture_of_its_screen() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    bench.template(&format!("{source}  ssh_timeout = \"8s\"\n"), "");
    let picture = bench.path("qemu-packer-m-screen.png");
    let shown = picture.display().to_string();
    assert_fails(&bench, &["no SSH connection within 8s", &shown]);
    let picture = std::fs::read(picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 500, "{} bytes", picture.len());

    // Where it cannot be written, what was there before stays, and nothing new.
    let picture = bench.path("qemu-packer-m-screen.png");
    std::fs::remove_file(&picture).unwrap();
    std::os::unix::fs::symlink("/dev/full", &picture).unwrap();
    let before = names(&bench.path("")).len();
    bench.template(&format!("{source}  ssh_timeout = \"2s\"\n"), "");
    let said = assert_fails(&bench, &["no SSH connection within 2s"]);
    assert!(!said.contains("what the machine showed"), "{said}");
    assert!(picture.is_symlink() && names(&bench.path("")).len() == before);
}

#[test]
fn a_machine_that_ends_is_not_waited_for() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.brief_disk(1024 * 1024));
    let source = format!("{source}  ssh_timeout = \"20m\"\n  {}", super::bench::POWER_SWITCH);
    bench.template(&source, "");
    let start = std::time::Instant::now();
    assert_fails(&bench, &["waiting for the connection: QEMU ended with code 1"]);
    assert!(start.elapsed().as_secs() < 120);
}

#[test]
fn a_disc_that_qemu_cannot_read_from_afar_is_an_error() {
    require!(qemu());
    // A server that does not hand out parts of files.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, head.as_bytes());
        }
    });
    let source = format!(
        "  iso_url = \"http://127.0.0.1:{port}/x.iso\"\n  iso_skip_cache = true\n  \
         communicator = \"none\"\n"
    );
    let bench = Bench::new(&source, "");
    let parts = ["iso_skip_cache: no URL can be used", "does not hand out parts"];
    assert_fails(&bench, &parts);
}

#[test]
fn a_qemu_without_windows_says_what_to_do() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = dead_machine(&bench.empty_disk());
    bench.template(&format!("{source}  display = \"curtain\"\n"), "");
    let text = std::fs::read_to_string(bench.path("t.pkr.hcl")).unwrap();
    let text = text.replace("headless = true", "headless = false");
    std::fs::write(bench.path("t.pkr.hcl"), text).unwrap();
    assert_fails(&bench, &["curtain", "set headless = true"]);
}
