//! Installation discs, keys that are typed, and disks in all their forms.

use super::bench::{Bench, Guests, POWER_SWITCH, dead_machine, names, qemu};
use ingot_test_support::output_of;
use ingot_test_support::require;

#[test]
fn typed_keys_arrive_and_install_over_http() {
    let guests = require!(Guests::get());
    let bench = Bench::new(
        &format!(
            "  accelerator = \"{}\"\n  iso_url = \"{}\"\n  iso_checksum = \"none\"\n  \
             disk_size = \"64M\"\n  format = \"raw\"\n  memory = 512\n  communicator = \"none\"\n  \
             shutdown_timeout = \"5m\"\n  boot_wait = \"15s\"\n  boot_key_interval = \"60ms\"\n  \
             boot_command = [\"linux typed=aZ_9:;<wait>~ \", \
             \"install=http://{{{{ .HTTPIP }}}}:{{{{ .HTTPPort }}}}/install.sh<enter>\"]\n  \
             http_content = {{ \"/install.sh\" = \"cat /proc/cmdline >/dev/vda\" }}",
            guests.accelerator,
            guests.file("installer.iso"),
        ),
        "",
    );
    let run = bench.build();
    assert!(run.stdout.contains("Typing the boot command over QMP..."), "{}", run.stdout);
    let disk = std::fs::read(bench.path("output-m/packer-m")).unwrap();
    let line = String::from_utf8_lossy(&disk[..512]);
    assert!(line.contains(" typed=aZ_9:;~ install=http://10.0.2.2:"), "{line}");
    assert_eq!(disk.len(), 64 * 1024 * 1024);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
}

fn info(bench: &Bench, disk: &str) -> String {
    output_of("qemu-img", &["info", &bench.path("output-m").join(disk).display().to_string()])
}

#[test]
fn disks_have_the_forms_that_the_options_say() {
    require!(qemu());
    let bench = Bench::new("", "");
    let disk = bench.brief_disk(4 * 1024 * 1024);
    let source = dead_machine(&disk).replace("ssh_username = \"root\"", "communicator = \"none\"");
    let source = format!("{source}  {POWER_SWITCH}\n  disk_additional_size = [\"2M\", \"3M\"]\n");
    let manifest = "  post-processor \"manifest\" {}";
    // Of the finished disk; what it is made of is no qcow2 image.
    let convert =
        "  qemu_img_args {\n    convert = [\"-f\", \"qcow2\", \"-o\", \"compat=0.10\"]\n  }\n";
    bench.template(&format!("{source}{convert}"), manifest);
    bench.build();
    for part in ["file format: qcow2", "(16777216 bytes)", "compat: 0.10"] {
        assert!(info(&bench, "packer-m").contains(part), "no {part}");
    }
    assert!(info(&bench, "packer-m-2").contains("(3145728 bytes)"));
    let manifest_text = std::fs::read_to_string(bench.path("packer-manifest.json")).unwrap();
    for part in [
        "\"builder_type\": \"qemu\"",
        "\"artifact_id\": \"VM\"",
        "\"name\": \"output-m/packer-m\"",
        "\"name\": \"output-m/packer-m-1\"",
    ] {
        assert!(manifest_text.contains(part), "{part} is not in {manifest_text}");
    }

    // Longer than the path of a socket may be.
    let long = bench.path(&format!("tmp/{}", "long-name/".repeat(8)));
    std::fs::create_dir_all(&long).unwrap();
    bench.template(&format!("{source}  format = \"raw\"\n  vm_name = \"x.raw\"\n"), "");
    let long = long.display().to_string();
    let run = bench.ingot_with(&["build", "-force", "."], &[("TMPDIR", &long)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("Converting hard drive"), "{}", run.stdout);
    assert!(info(&bench, "x.raw").contains("file format: raw"));

    let backing = bench.path("backing.qcow2").display().to_string();
    output_of("qemu-img", &["convert", "-O", "qcow2", &disk, &backing]);
    let source = source.replace(&disk, &backing);
    bench.template(&format!("{source}  use_backing_file = true\n"), "");
    let run = bench.ingot(&["build", "-force", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(info(&bench, "packer-m").contains(&format!("backing file: {backing}")));
}
