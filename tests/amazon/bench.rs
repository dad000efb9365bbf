//! Where the tests build: a directory, an account, a proxy before it, an instance to log in to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::cloud::{Account, Cloud, SECRET_KEY, value};
use super::http::Message;
use super::proxy::{Act, Call, Proxy};
use ingot_test_support::sshd::{self, Server};
use ingot_test_support::{eventually, left_in_state};
use rustix::process::{Pid, Signal, kill_process};

/// The regions that a build here touches.
pub(crate) const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
/// How long a run may take that is in nobody's way for longer.
const PATIENCE: Duration = Duration::from_secs(240);

/// The sshd that stands for all instances; it stops when no test uses it any more.
pub(crate) struct Instances {
    server: Server,
    keys: Mutex<()>,
}

/// None where it cannot be.
pub(crate) fn instances() -> Option<Arc<Instances>> {
    static SHARED: Mutex<Weak<Instances>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(instances) = shared.upgrade() {
        return Some(instances);
    }
    if !sshd::available() || !sshd::keygen() {
        return None;
    }
    let instances = Arc::new(Instances {
        // An instance may get another address.
        server: Server::start("ListenAddress 127.0.0.2\n"),
        keys: Mutex::default(),
    });
    *shared = Arc::downgrade(&instances);
    Some(instances)
}

impl Instances {
    /// Accepts the key pair in the response of a call, as an instance would.
    fn authorize(&self, answer: &Message) {
        let text = answer.text();
        let private = value(&text, "keyMaterial").replace("&#13;", "");
        if private.is_empty() {
            return;
        }
        let _one_at_a_time = self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let file = self.server.text("key-of-ec2");
        let _ = std::fs::remove_file(&file);
        std::fs::write(&file, private).expect("the key is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("the key is the owner's only");
        let public = ingot_test_support::output_of("ssh-keygen", &["-y", "-f", &file]);
        let path = self.server.path("authorized_keys");
        let mut known = std::fs::read_to_string(&path).expect("the list of keys");
        known.push_str(&format!("{public}\n"));
        std::fs::write(&path, known).expect("the list of keys is written");
    }
}

/// The exit code and output of a run.
pub(crate) struct RunResult {
    pub code: Option<i32>,
    pub said: String,
}

/// One template in one account.
pub(crate) struct Bench {
    pub account: Account,
    pub proxy: Proxy,
    /// More variables of the environment.
    pub env: Vec<(&'static str, String)>,
    dir: tempfile::TempDir,
}

/// Has the source AMI's volume outlive the instance, as some AMIs do: moto does not ask the AMI.
pub(crate) fn lasting(call: &Call, body: &str) -> Option<String> {
    (call.action == "RunInstances").then(|| {
        format!(
            "{body}&BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.Ebs.VolumeSize=8\
             &BlockDeviceMapping.1.Ebs.DeleteOnTermination=false"
        )
    })
}

/// The source's options for a build that copies and encrypts its AMI and makes a role.
pub(crate) const ENCRYPTED: &str = r#"
  encrypt_boot       = true
  kms_key_id         = "alias/images"
  region_kms_key_ids = { us-east-1 = "alias/images", eu-west-1 = "alias/images" }
  temporary_iam_instance_profile_policy_document {
    Version = "2012-10-17"
    Statement {
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["*"]
    }
  }
"#;

impl Bench {
    /// A directory with a template, in a new account; calls go through a proxy with `plan`. `source`
    /// and `build` are more of the two blocks.
    pub(crate) fn new(
        cloud: &Cloud,
        instances: &Arc<Instances>,
        source: &str,
        build: &str,
        plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
    ) -> Bench {
        let sshd = Arc::clone(instances);
        let text = format!(
            r#"
source "amazon-ebs" "a" {{
  region        = "us-east-1"
  instance_type = "t2.micro"
  ami_name      = "made"
  ami_regions   = ["us-east-1", "eu-west-1"]
  ami_users     = ["123456789012"]
  tags          = {{ Of = "the AMI" }}
  snapshot_tags = {{ Of = "its snapshots" }}
  run_tags      = {{ Of = "the build" }}
  # moto refuses tags for snapshots when an AMI is made.
  skip_ami_run_tags = true
  source_ami_filter {{
    filters     = {{ name = "ingot-base-*", virtualization-type = "hvm" }}
    owners      = ["amazon"]
    most_recent = true
  }}
  communicator            = "ssh"
  ssh_username            = "{user}"
  ssh_host                = "127.0.0.1"
  ssh_port                = {port}
  ssh_timeout             = "60s"
  temporary_key_pair_type = "ed25519"
  temporary_security_group_source_cidrs = ["10.0.0.0/8"]
  aws_polling {{
    delay_seconds = 1
    max_attempts  = 30
  }}
{source}
}}
build {{
  sources = ["source.amazon-ebs.a"]
{build}
}}
"#,
            user = sshd::USER,
            port = instances.server.port,
        );
        let bench = Bench::of(cloud, plan, move |answer| sshd.authorize(answer));
        std::fs::write(bench.path("t.pkr.hcl"), text).expect("the template is written");
        bench
    }

    /// An empty directory and a new account; `watcher` sees all answers of moto.
    pub(crate) fn of(
        cloud: &Cloud,
        plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
        watcher: impl Fn(&Message) + Send + Sync + 'static,
    ) -> Bench {
        let account = cloud.account();
        let proxy = Proxy::start(&account, plan, watcher);
        let dir = tempfile::tempdir().expect("a directory for the test");
        Bench { account, proxy, env: Vec::new(), dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the template.
    pub(crate) fn edit(&self, change: impl Fn(&str) -> String) {
        let path = self.path("t.pkr.hcl");
        let text = std::fs::read_to_string(&path).expect("the template");
        std::fs::write(&path, change(&text)).expect("the template is written");
    }

    /// Leaves lines of the template out.
    fn leave_out(&self, left_out: impl Fn(&str) -> bool) {
        self.edit(|text| {
            let kept = text.lines().filter(|line| !left_out(line));
            kept.map(|line| line.to_owned() + "\n").collect()
        });
    }

    /// Has the AMI in the build's region only, and shared with nobody.
    pub(crate) fn in_one_region(&self) {
        self.leave_out(|line| line.contains("ami_regions") || line.contains("ami_users"));
    }

    /// The same template with another builder, whose options about its product are `own`.
    pub(crate) fn of_builder(&self, builder: &str, own: &str) {
        let ami = ["ami_name ", "tags ", "snapshot_tags ", "skip_ami_run_tags"];
        self.leave_out(|line| ami.iter().any(|option| line.trim_start().starts_with(option)));
        self.edit(|text| {
            let start = format!("source \"{builder}\" \"a\" {{\n{own}");
            let text = text.replace("source \"amazon-ebs\" \"a\" {\n", &start);
            text.replace("source.amazon-ebs.a", &format!("source.{builder}.a"))
        });
    }

    /// Starts `ingot` in the directory.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let child = self.spawn(args, "said");
        self.proxy.process(child.id());
        child
    }

    fn spawn(&self, args: &[&str], said: &str) -> Child {
        let said = File::create(self.path(said)).expect("a file for the output");
        let mut command = ingot_test_support::ingot_command();
        command.args(args).stdin(Stdio::null());
        command.stdout(said.try_clone().expect("the file can be shared")).stderr(said);
        self.place(&mut command);
        command.spawn().expect("the binary that cargo built can be run")
    }

    /// Has a command run in the directory, with no way to AWS but the proxy.
    fn place(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .env("INGOT_STATE_DIR", self.path("state"))
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.proxy.port))
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE")
            .envs(self.env.iter().cloned());
    }

    /// Starts `ingot` on a terminal of its own, at which the standard input of what is returned types.
    pub(crate) fn start_on_terminal(&self, args: &str) -> Child {
        let ingot = ingot_test_support::ingot_command();
        let program = ingot.get_program().to_string_lossy();
        let line = format!("echo $$ >pid; exec '{program}' {args}");
        let said = File::create(self.path("said")).expect("a file for the output");
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(said);
        for (name, value) in ingot.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        self.place(&mut command);
        command.spawn().expect("script, of util-linux, makes a terminal")
    }

    /// Runs `ingot` on a terminal of its own, on which somebody types `input`.
    pub(crate) fn run_on_terminal(&self, args: &str, input: &str) -> RunResult {
        let mut child = self.start_on_terminal(args);
        let stdin = child.stdin.as_mut().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("the terminal takes it");
        self.end(child)
    }

    /// Kills the `ingot` that runs on a terminal of its own, once it has said `text`.
    pub(crate) fn kill_on_terminal(&self, child: Child, text: &str) -> RunResult {
        self.wait_for(text);
        let pid = std::fs::read_to_string(self.path("pid")).expect("its process id");
        let pid = Pid::from_raw(pid.trim().parse().expect("a process id")).expect("it is not 0");
        kill_process(pid, Signal::KILL).expect("it can be killed");
        self.end(child)
    }

    /// Runs `ingot` while another goes on.
    pub(crate) fn run_beside(&self, args: &[&str]) -> RunResult {
        let child = self.spawn(args, "said-beside");
        let code = self.exit_code(child, "said-beside");
        RunResult { code, said: self.text("said-beside") }
    }

    /// What is in a file; of the output of programs that may say anything.
    fn text(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn said(&self) -> String {
        self.text("said")
    }

    /// Waits until a run has said `text`.
    pub(crate) fn wait_for(&self, text: &str) {
        eventually(format_args!("{text:?} is said"), || {
            let said = self.said();
            if said.contains(text) { Ok(()) } else { Err(said) }
        });
    }

    /// Waits until a run has ended and all its calls have taken effect.
    pub(crate) fn end(&self, child: Child) -> RunResult {
        let code = self.exit_code(child, "said");
        self.proxy.settle();
        RunResult { code, said: self.said() }
    }

    /// Waits until a run has ended, whose output is in the file `said`.
    fn exit_code(&self, mut child: Child, said: &str) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("it does not end: {}\n{:?}", self.text(said), self.proxy.calls());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn run(&self, args: &[&str]) -> RunResult {
        self.end(self.start(args))
    }

    /// All that the account has.
    pub(crate) fn holds(&self) -> BTreeSet<String> {
        let mut held: BTreeSet<String> =
            REGIONS.iter().flat_map(|region| self.account.holds(region)).collect();
        held.extend(self.account.roles());
        held
    }

    /// How many journals there are. Logs of builds that failed are beside them.
    pub(crate) fn journals(&self) -> usize {
        // What an AMI that was whole before a signal is recorded in stays with it.
        left_in_state(&self.path("state"), &["logs", "kept"]).len()
    }
}

/// What of `held` a build that succeeded, or that failed, should not have left.
pub(crate) fn leaks(held: &BTreeSet<String>, succeeded: bool) -> Vec<String> {
    let kept = |line: &&String| {
        succeeded
            && (line.contains(" snapshot-of-image ")
                || line.contains(" image ") && line.ends_with(" made available"))
    };
    held.iter().filter(|line| !kept(line)).cloned().collect()
}
