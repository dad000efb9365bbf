//! Where the tests build: directories, guests, processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ingot_test_support::{Run, ingot_with, left_in_state};

/// A directory of a test's own, with all that a run of `ingot` writes below it.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A directory with a template: `source` are the options of `source "qemu" "m"`, `build` is
    /// what else is in the build block.
    pub(crate) fn new(source: &str, build: &str) -> Bench {
        let bench = Bench { dir: tempfile::tempdir().expect("a directory for the test") };
        std::fs::create_dir(bench.path("tmp")).expect("a directory for temporary files");
        bench.template(source, build);
        bench
    }

    /// Writes the template anew.
    pub(crate) fn template(&self, source: &str, build: &str) {
        let text = format!(
            "source \"qemu\" \"m\" {{\n  headless = true\n{source}\n}}\n\
             build {{\n  sources = [\"source.qemu.m\"]\n{build}\n}}\n"
        );
        std::fs::write(self.path("t.pkr.hcl"), text).expect("the template is written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let directory = |name: &str| self.path(name).display().to_string();
        vec![
            ("TMPDIR", directory("tmp")),
            ("PACKER_CACHE_DIR", directory("cache")),
            ("PACKER_LOG", "1".to_owned()),
            ("PACKER_LOG_PATH", directory("log")),
        ]
    }

    /// Runs `ingot` to its end.
    pub(crate) fn ingot(&self, args: &[&str]) -> Run {
        self.ingot_with(args, &[])
    }

    /// Runs `ingot` to its end, with more variables in its environment.
    pub(crate) fn ingot_with(&self, args: &[&str], more: &[(&str, &str)]) -> Run {
        let environment = self.environment();
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
        let environment: Vec<_> = environment.chain(more.iter().copied()).collect();
        ingot_with(self.dir.path(), args, &environment)
    }

    /// Runs `ingot` in a mount namespace of its own, in which the shell has done `before`.
    pub(crate) fn ingot_after(&self, before: &str, args: &[&str]) -> Run {
        let program = ingot_test_support::ingot_program().display().to_string();
        let script = format!("{before} && exec \"$@\"");
        let args = [&["-m", "sh", "-c", &script, "sh", &program], args].concat();
        let environment = self.environment();
        let state = self.path("state").display().to_string();
        let mut all: Vec<(&str, &str)> = vec![("INGOT_STATE_DIR", &state), ("INGOT_CI", "off")];
        all.extend(environment.iter().map(|(name, value)| (*name, value.as_str())));
        ingot_test_support::program("unshare", self.dir.path(), &args, &all)
    }

    /// Runs `ingot build`, which must succeed.
    pub(crate) fn build(&self) -> Run {
        let run = self.ingot(&["build", "."]);
        assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, self.log());
        run
    }

    /// Starts `ingot build` and returns once `line` is in its output.
    pub(crate) fn build_until(&self, line: &str) -> Child {
        let child = self.start(&["build", "."]);
        wait_for(line, || self.output().contains(line), || self.output());
        child
    }

    /// Starts `ingot`.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let output = std::fs::File::create(self.path("output.txt")).expect("a file for output");
        ingot_test_support::ingot_command()
            .args(args)
            .current_dir(self.dir.path())
            .envs(self.environment())
            .env("INGOT_STATE_DIR", self.path("state"))
            .stdout(output.try_clone().expect("the file can be shared"))
            .stderr(output)
            .spawn()
            .expect("the binary that cargo built can be run")
    }

    /// What the run started by [`Bench::start`] has printed.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.path("output.txt")).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The numbers of the processes that have this directory on their command line.
    pub(crate) fn pids(&self) -> Vec<String> {
        let is_one = |pid: &String| command_line(pid).contains(&*self.path("").to_string_lossy());
        names(Path::new("/proc")).into_iter().filter(is_one).collect()
    }

    /// Their command lines.
    pub(crate) fn processes(&self) -> Vec<String> {
        // One that is just ending has no command line any more.
        let lines = self.pids().into_iter().map(|pid| command_line(&pid));
        lines.filter(|line| !line.is_empty()).collect()
    }

    /// Asserts that a build has left nothing: no process, no output, no temporary files, nothing
    /// in the journal.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.processes(), [""; 0]);
        assert!(!self.path("output-m").exists(), "the output directory is left");
        assert_eq!(names(&self.path("tmp")), [""; 0]);
        // Logs of builds that failed are beside the journals.
        assert_eq!(left_in_state(&self.path("state"), &["logs"]), [""; 0]);
    }

    /// Makes a disk image of `size` bytes whose boot sector turns the machine off by
    /// [`POWER_SWITCH`], so that a whole build takes a few seconds. The rest is noise.
    pub(crate) fn brief_disk(&self, size: usize) -> String {
        // mov dx, 0x501; mov al, 0; out dx, al; hlt
        let code = [0xba, 0x01, 0x05, 0xb0, 0x00, 0xee, 0xf4];
        let mut state = 1_u32;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        let mut disk: Vec<u8> = (0..size).map(|_| noise()).collect();
        disk[..512].fill(0);
        disk[..code.len()].copy_from_slice(&code);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        self.disk(&disk)
    }

    /// A disk image that nothing boots from.
    pub(crate) fn empty_disk(&self) -> String {
        self.disk(&vec![0; 1024 * 1024])
    }

    fn disk(&self, contents: &[u8]) -> String {
        let path = self.path("disk.img");
        std::fs::write(&path, contents).expect("the disk is written");
        path.display().to_string()
    }
}

/// The device that the boot sector of [`Bench::brief_disk`] turns the machine off with.
pub(crate) const POWER_SWITCH: &str = "qemuargs = [[\"-device\", \"isa-debug-exit\"]]";

/// The options for a machine that does not come up.
pub(crate) fn dead_machine(disk: &str) -> String {
    format!(
        "  accelerator = \"tcg\"\n  disk_image = true\n  iso_url = \"{disk}\"\n  \
         iso_checksum = \"none\"\n  disk_size = \"16M\"\n  ssh_username = \"root\"\n  \
         temporary_key_pair_type = \"ed25519\"\n"
    )
}

/// Empty for what is no process, or has ended.
fn command_line(pid: &str) -> String {
    let line = std::fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until something is so; fails after three minutes, showing `context`.
pub(crate) fn wait_for(what: &str, so: impl Fn() -> bool, context: impl Fn() -> String) {
    wait_as_long_as(180, what, so, context);
}

/// As [`wait_for`], for so many seconds.
pub(crate) fn wait_as_long_as(
    seconds: u64,
    what: &str,
    so: impl Fn() -> bool,
    context: impl Fn() -> String,
) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "no {what}:\n{}", context());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(child: &Child, name: &str) {
    ingot_test_support::signal(name, child.id());
}

/// Waits for a process to end and returns its exit code.
pub(crate) fn code_of(mut child: Child) -> Option<i32> {
    child.wait().expect("it can be waited for").code()
}

/// Whether QEMU is here. Without it a test fails under CI and is skipped elsewhere.
pub(crate) fn qemu() -> bool {
    there(&["qemu-system-x86_64", "qemu-img", "xorriso"])
}

fn there(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_err()
    });
    if let Some(missing) = missing {
        ingot_test_support::missing(format_args!("{missing} is not installed"));
    }
    missing.is_none()
}

/// The guests that `guest.sh` makes.
pub(crate) struct Guests {
    directory: PathBuf,
    /// `kvm` where it works, else `tcg`.
    pub accelerator: &'static str,
}

impl Guests {
    /// Makes them the first time, which takes a minute or two; none where that is impossible.
    pub(crate) fn get() -> Option<&'static Guests> {
        static GUESTS: OnceLock<Option<Guests>> = OnceLock::new();
        GUESTS.get_or_init(Guests::make).as_ref()
    }

    fn make() -> Option<Guests> {
        if !qemu() || !there(&["debootstrap", "mcopy", "ssh-keygen"]) {
            return None;
        }
        let script = include_str!("guest.sh");
        let hash =
            script.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guests-{hash:08x}"));
        if !directory.join("quick.qcow2").exists() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/qemu/guest.sh");
            ingot_test_support::output_of(path, &[&directory.display().to_string()]);
        }
        let accelerator = if kvm_works(&directory) { "kvm" } else { "tcg" };
        eprintln!("machines run with {accelerator}");
        Some(Guests { directory, accelerator })
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The options for a machine from a guest's disk.
    pub(crate) fn machine(&self, disk: &str) -> String {
        format!(
            "  accelerator = \"{}\"\n  disk_image = true\n  iso_url = \"{}\"\n  \
             iso_checksum = \"none\"\n  skip_resize_disk = true\n  memory = 512\n  \
             ssh_username = \"root\"\n  ssh_timeout = \"5m\"\n  cd_label = \"cidata\"\n  \
             cd_content = {{\n    \"meta-data\" = \"instance-id: test\"\n    \
             \"user-data\" = <<-EOT\n      #!/bin/sh\n      mkdir -p -m 700 /root/.ssh\n      \
             echo '{{{{ .SSHPublicKey }}}}' >/root/.ssh/authorized_keys\n    EOT\n  }}\n",
            self.accelerator,
            self.file(disk),
        )
    }
}

/// Whether a kernel gets to say anything under KVM. Where KVM itself is emulated it may not.
fn kvm_works(guests: &Path) -> bool {
    let serial = guests.join("kvm.log");
    let _ = std::fs::remove_file(&serial);
    let started = Command::new("qemu-system-x86_64")
        .args(["-machine", "pc,accel=kvm", "-m", "256", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(guests.join("vmlinuz"))
        .args(["-append", "console=ttyS0 panic=-1"])
        .args(["-serial", &format!("file:{}", serial.display())])
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut qemu) = started else { return false };
    let mut works = false;
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(100));
        // Without KVM, QEMU ends at once.
        let goes_on = matches!(qemu.try_wait(), Ok(None));
        let said = std::fs::read_to_string(&serial);
        works = said.is_ok_and(|text| text.contains("Linux version"));
        if works || !goes_on {
            break;
        }
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
    works
}

/// The part of a build that turns a guest without systemd off.
pub(crate) const POWER_OFF: &str = "  shutdown_command = \"sync; busybox poweroff -f\"\n";
