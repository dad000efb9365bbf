//! A build to run parts in, other processes that run them, and a web server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ingot_sdk::testing::{self, RecordedOutput};
use ingot_sdk::{Event, PrepareContext, RunContext};
use ingot_test_support::eventually;
use ingot_vm::iso::IsoOptions;
use serde_json::Value;

/// A build in a directory of its own.
pub(crate) struct Build {
    pub directory: tempfile::TempDir,
    pub said: Arc<RecordedOutput>,
    pub ctx: RunContext,
}

impl Build {
    pub(crate) fn new() -> Self {
        let said = Arc::<RecordedOutput>::default();
        let ctx = testing::context(PrepareContext::default(), &said);
        Build { directory: tempfile::tempdir().unwrap(), said, ctx }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        testing::file(self.directory.path(), name, contents)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// Bytes without a pattern that would hide a mix-up.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    ingot_sdk::hash::sha256(bytes)
}

const JOB: &str = "INGOT_VM_TEST_JOB";

/// What another process does: this test, run again with a job in its environment.
#[tokio::test]
async fn job() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Value = serde_json::from_str(&job).unwrap();
    let build = Build::new();
    let outcome = match job["do"].as_str() {
        Some("retrieve") => {
            let options: IsoOptions = serde_json::from_value(job["options"].clone()).unwrap();
            options.retrieve(&build.ctx, "ISO").await.map(|found| found.path.display().to_string())
        }
        Some("cd") => {
            let options: ingot_vm::cd::CdOptions =
                serde_json::from_value(job["options"].clone()).unwrap();
            options.create(&build.ctx).await.map(|_| "a CD".to_owned())
        }
        Some("reserve") => {
            let range = ingot_vm::ports::PortRange {
                min: job["min"].as_u64().unwrap().try_into().unwrap(),
                max: job["max"].as_u64().unwrap().try_into().unwrap(),
            };
            let mut reserved =
                range.reserve(&build.ctx, std::net::Ipv4Addr::LOCALHOST.into()).await.unwrap();
            reserved.vacate();
            println!("job: {}", reserved.port());
            // Until the end of the input: the parent lets go.
            let _ = std::io::read_to_string(std::io::stdin());
            return;
        }
        other => panic!("no such job: {other:?}"),
    };
    for event in build.said.events() {
        if let Event::Say { text, .. } | Event::Message { text, .. } | Event::Error { text, .. } =
            event
        {
            println!("said: {text}");
        }
    }
    match outcome {
        Ok(text) => println!("job: {text}"),
        Err(error) => println!("failed: {error} ({})", error.advice().unwrap_or_default()),
    }
}

/// Starts another process that does `job`, with `env` added to its environment.
pub(crate) fn spawn(job: &Value, env: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::job", "--nocapture"])
        .env(JOB, job.to_string())
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a process said until it ended.
pub(crate) fn output(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// The first line of a process that says what came of its job.
pub(crate) fn first_answer(child: &mut Child) -> String {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let answer =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("job: ").map(str::to_owned));
    answer.expect("an answer")
}

/// A web server with a directory; ends when dropped. What is in `private` is for the user `me`, whose
/// password is `letmein`.
pub(crate) struct Nginx {
    child: Child,
    directory: tempfile::TempDir,
    pub port: u16,
}

impl Nginx {
    /// Starts it; none when it is not installed, which under CI is a failure. `rate` is the
    /// nginx setting for bytes per second of an answer, `0` for no limit.
    pub(crate) fn start(rate: &str) -> Option<Nginx> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("www")).unwrap();
        std::fs::write(directory.path().join("users"), "me:{PLAIN}letmein\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Nginx::run(directory.path(), port, rate)?;
        Some(Nginx { child, directory, port })
    }

    fn run(directory: &Path, port: u16, rate: &str) -> Option<Child> {
        let root = directory.display();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;\n\
             events {{}}\n\
             http {{\n\
               log_format short '$status $request_method $uri $request_uri range=$http_range sent=$body_bytes_sent';\n\
               access_log {root}/access.log short;\n\
               client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
               uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
               server {{\n\
                 listen 127.0.0.1:{port}; root {root}/www; limit_rate {rate};\n\
                 location /private/ {{ auth_basic private; auth_basic_user_file {root}/users; }}\n\
               }}\n\
             }}\n"
        );
        let path = directory.join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let started = Command::new("nginx").arg("-c").arg(&path).stderr(Stdio::null()).spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                ingot_test_support::missing(format_args!("nginx is missing: {error}"));
                return None;
            }
        };
        eventually("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(child)
    }

    /// Ends it as if the machine had died.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Nginx::kill`], with another rate.
    pub(crate) fn restart(&mut self, rate: &str) {
        self.child = Nginx::run(self.directory.path(), self.port, rate).unwrap();
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Puts a file there, as if it had changed now.
    pub(crate) fn put(&self, name: &str, contents: &[u8]) {
        testing::file(&self.directory.path().join("www"), name, contents);
    }

    /// All requests so far, with their queries.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default()
    }

    /// The requests for `name` so far: status, method, range.
    pub(crate) fn requests(&self, name: &str) -> Vec<String> {
        let log = self.log();
        let wanted = format!(" /{name} ");
        log.lines().filter(|line| line.contains(&wanted)).map(str::to_owned).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
