//! Real guests: provisioned over SSH, turned off, and booted again.

use ingot_test_support::{output_of, require};

use super::bench::{Bench, Guests, POWER_OFF, names};

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
         \"cd /etc/systemd/system\",\n      \
         \"printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >works.service\",\n      \
         \"printf '[Service]\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n' >broken.service\",\n      \
         \"mkdir ssh.service.d && printf '[Unit]\\nWants=works.service\\n' >ssh.service.d/works.conf\",\n      \
         \"systemctl enable -q broken && systemctl mask -q masked\",\n      \
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

    // Without the seed, and with all of its services.
    let source = guests.machine("guest.qcow2");
    let kept = |line: &&str| !line.trim_start().starts_with("cd_label");
    let source = source.split("  cd_content").next().unwrap().lines().filter(kept);
    let source: String = source.map(|line| line.to_owned() + "\n").collect();
    bench.template(&format!("{source}  ssh_private_key_file = \"key\"\n"), "");
    std::fs::write(bench.path("t.ingot.hcl"), BOOTED).unwrap();
    let run = bench.ingot(&["test", ".", "output-m/packer-m"]);
    assert_eq!(run.code, Some(1), "{}{}\n{}", run.stdout, run.stderr, bench.log());
    let verdicts = run.stdout.lines().filter_map(|line| line.strip_prefix("==> qemu.m: "));
    let verdicts: Vec<&str> = verdicts
        .filter(|line| line.starts_with("passed: ") || line.starts_with("failed: "))
        .collect();
    let version = verdicts.iter().find_map(|line| line.strip_prefix(OPENSSH));
    assert!(version.is_some_and(|version| version.ends_with(", not \"1.0\"")), "{verdicts:#?}");
    let others = verdicts.iter().filter(|line| !line.starts_with(OPENSSH));
    assert_eq!(others.copied().collect::<Vec<_>>(), VERDICTS, "{}", run.stdout);
    assert_eq!(names(&bench.path("output-m")), ["packer-m"]);
    assert_eq!(bench.processes(), [""; 0]);
}

/// What is asked of the machine, by systemd and dpkg among others.
const BOOTED: &str = r#"
test "what was done" {
  timeout = "10m"
  file "/etc/greeting" {
    sha256 = sha256("hello over HTTP")
  }
  file "/etc/facts" {
    contains = ["/^root ssh 10\\.0\\.2\\.2$/"]
  }
  service "ssh" {
    running = true
    enabled = true
  }
  service "works.service" {
    running = true
    enabled = false
  }
  service "broken" {
    enabled = true
  }
  service "masked" {
    running = false
    enabled = false
  }
  port "tcp:22" {}
  process "sshd" {}
  package "openssh-server" {}
  package "libc6" {
    version = ["!/^1\\./"]
  }
  package "apache2" {
    installed = false
  }
}
test "what is wrong" {
  service "ssh" {
    running = false
    enabled = false
  }
  service "works" {
    enabled = true
  }
  service "broken" {
    running       = true
    retry_timeout = "1s"
  }
  service "nowhere" {
    running       = true
    enabled       = true
    retry_timeout = "0s"
  }
  package "apache2" {}
  package "openssh-server" {
    version = ["1.0"]
  }
}
"#;

const OPENSSH: &str = "failed: package \"openssh-server\": the version is ";

const VERDICTS: &[&str] = &[
    "passed: file \"/etc/greeting\"",
    "passed: file \"/etc/facts\"",
    "passed: service \"ssh\"",
    "passed: service \"works.service\"",
    "passed: service \"broken\"",
    "passed: service \"masked\"",
    "passed: port \"tcp:22\"",
    "passed: process \"sshd\"",
    "passed: package \"openssh-server\"",
    "passed: package \"libc6\"",
    "passed: package \"apache2\"",
    "failed: service \"ssh\": it runs; it is enabled",
    "failed: service \"works\": it is not enabled",
    "failed: service \"broken\": it does not run",
    "failed: service \"nowhere\": it does not run: there is no such service; it is not enabled: there is \
     no such service",
    "failed: package \"apache2\": it is not installed",
];

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
