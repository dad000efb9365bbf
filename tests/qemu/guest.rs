//! Real guests: provisioned over SSH, turned off, and booted again.

use ingot_test_support::require;
use std::process::{Command, Stdio};

use super::bench::{Bench, Guests, POWER_OFF, names, ssh};
use ingot_test_support::output_of;

#[test]
fn a_provisioned_debian_boots_again_with_what_was_done_to_it() {
    let guests = require!(Guests::get());
    let bench = Bench::new(
        &format!(
            "{}  http_content = {{ \"/greeting\" = \"hello over HTTP\" }}\n  \
             shutdown_command = \"systemctl poweroff\"\n",
            guests.machine("guest.qcow2")
        ),
        "  provisioner \"file\" {\n    source = \"key.pub\"\n    destination = \"/tmp/key.pub\"\n  }\n  \
         provisioner \"shell\" {\n    inline = [\n      \"cat /tmp/key.pub >>/root/.ssh/authorized_keys\",\n      \
         \"busybox wget -q -O /etc/greeting http://${build.PackerHTTPAddr}/greeting\",\n      \
         \"echo ${build.User} ${build.ConnType} ${build.PackerHTTPIP} >/etc/facts\",\n      \
         \"dd if=/dev/zero of=/junk bs=1M count=100 2>/dev/null && sync && rm /junk\",\n    ]\n  }",
    );
    let key = bench.path("key");
    output_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()]);
    let run = bench.build();
    for line in [
        "Creating temporary RSA SSH key for instance...",
        "Starting HTTP server on port",
        "Creating CD disk...",
        "Starting VM, booting disk image",
        "Connected to SSH!",
        "Gracefully halting virtual machine...",
        "Converting hard drive...",
        "VM files in directory: output-m",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);

    // Without the seed, and without Ingot.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let disk = bench.path("output-m/packer-m").display().to_string();
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-machine", &format!("pc,accel={}", guests.accelerator), "-m", "512"])
        .args(["-drive", &format!("file={disk},if=virtio,format=qcow2"), "-display", "none"])
        .args(["-netdev", &format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22")])
        .args(["-device", "virtio-net,netdev=n"])
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU can be run");
    let said = ssh(&key, port, "cat /etc/greeting; echo; cat /etc/facts");
    let _ = qemu.kill();
    let _ = qemu.wait();
    assert_eq!(said, "hello over HTTP\nroot ssh 10.0.2.2\n");
}

/// The firmware is qcow2, as Fedora has it; that raw is given as raw a unit test shows.
#[test]
fn uefi_and_a_tpm() {
    let guests = require!(Guests::get());
    let bench = Bench::new("", "");
    for name in ["OVMF_CODE", "OVMF_VARS"] {
        let raw = format!("/usr/share/OVMF/{name}.fd");
        let qcow2 = bench.path(name).display().to_string();
        output_of("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &raw, &qcow2]);
    }
    bench.template(
        &format!(
            "{}{POWER_OFF}  temporary_key_pair_type = \"ed25519\"\n  \
             efi_firmware_code = \"OVMF_CODE\"\n  efi_firmware_vars = \"OVMF_VARS\"\n  \
             vtpm = true\n",
            guests.machine("quick.qcow2")
        ),
        "  provisioner \"shell\" {\n    inline = [\n      \
         \"test -d /sys/firmware/efi && echo booted by UEFI\",\n      \
         \"test -e /sys/bus/acpi/devices/MSFT0101:00 && echo there is a TPM\",\n    ]\n  }",
    );
    let run = bench.build();
    assert!(run.stdout.contains("m: booted by UEFI"), "{}", run.stdout);
    assert!(run.stdout.contains("m: there is a TPM"), "{}", run.stdout);
    let mut files = names(&bench.path("output-m"));
    files.sort();
    assert_eq!(files, ["efivars.fd", "packer-m"]);
    let variables = std::fs::read(bench.path("output-m/efivars.fd")).unwrap();
    assert!(variables.starts_with(b"QFI"), "the machine changes them in their own format");
    assert_eq!(names(&bench.path("tmp")), [""; 0]);
    assert_eq!(bench.processes(), [""; 0]);
}
