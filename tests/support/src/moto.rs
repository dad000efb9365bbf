//! A real moto server for tests: the APIs of AWS on a port of this machine, with nothing behind
//! them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::eventually;

/// The region of tests.
pub const REGION: &str = "us-east-1";

/// What brings moto.
const INSTALL: &str = "pip install 'moto[server,ec2,s3,ssm,secretsmanager,ecr,iam,sts,kms]'";

/// Starts a server and ends it once standard input ends, however this process ended: servers that
/// wait for the next test are never dropped. Ctrl-C is left to this process.
const RUN: &str =
    "trap '' INT; \"$@\" & read -r line; kill -9 $!; rm -f \"$MOTO_RECORDER_FILEPATH\"";

/// Servers that no test has at the moment. To start one, and its first call, take two seconds of a core.
static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

struct Idle {
    child: Child,
    port: u16,
    images: Option<String>,
}

fn idle() -> MutexGuard<'static, Vec<Idle>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A moto server. Out of scope, it stops, or forgets everything and waits for the next test.
pub struct Moto {
    /// The shell around it; none once a next test may have it.
    child: Option<Child>,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Whether a next test may have it.
    reusable: bool,
    /// The file with its AMIs, if they are not those that moto comes with.
    images: Option<String>,
}

impl Moto {
    /// A server of its own for this test, with nothing in it. None where moto is not installed, which
    /// under CI is a failure.
    pub fn start() -> Option<Moto> {
        Moto::unused(None)
    }

    /// The same with the AMIs that a file lists, in the form of moto's `amis.json`. Calls that list AMIs
    /// and snapshots take over a second with those that it comes with.
    pub fn with_images(file: &str) -> Option<Moto> {
        Moto::unused(Some(file.to_owned()))
    }

    fn unused(images: Option<String>) -> Option<Moto> {
        let mut servers = idle();
        if let Some(at) = servers.iter().position(|server| server.images == images) {
            let Idle { child, port, images } = servers.swap_remove(at);
            return Some(Moto { child: Some(child), port, reusable: true, images });
        }
        drop(servers);
        let port = free_port();
        let recording = format!("ingot-moto-{}-{port}", std::process::id());
        let recording = std::env::temp_dir().join(recording);
        let recording = recording.to_str().expect("temporary directories have plain names");
        let file = images.as_deref().map(|file| ("MOTO_AMIS_PATH", file));
        let env: Vec<_> = [("MOTO_RECORDER_FILEPATH", recording)].into_iter().chain(file).collect();
        let mut moto = Moto::serve(port, &env)?;
        moto.reusable = true;
        moto.images.clone_from(&images);
        Some(moto)
    }

    /// Starts a server that no other test has, with variables in its environment:
    /// `INITIAL_NO_AUTH_ACTION_COUNT` makes it check credentials after so many calls.
    pub fn start_with(env: &[(&str, &str)]) -> Option<Moto> {
        Moto::serve(free_port(), env)
    }

    fn serve(port: u16, env: &[(&str, &str)]) -> Option<Moto> {
        let found = Command::new("sh").args(["-c", "command -v moto_server"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            crate::missing(format!("there is no moto_server; it comes with {INSTALL}"));
            return None;
        }
        let port_text = port.to_string();
        Some(Moto::launch(port, &["moto_server", "-H", "127.0.0.1", "-p", &port_text], env))
    }

    /// Starts a program of Python's that is moto's server with more to it, and takes its port.
    pub fn start_program(program: &str, env: &[(&str, &str)]) -> Option<Moto> {
        let has_moto = Command::new("python3")
            .args(["-c", "import moto.server, moto.s3.models"])
            .stderr(Stdio::null())
            .status();
        if !has_moto.is_ok_and(|status| status.success()) {
            crate::missing(format!("python3 lacks moto's server; it comes with {INSTALL}"));
            return None;
        }
        let port = free_port();
        Some(Moto::launch(port, &["python3", program, &port.to_string()], env))
    }

    fn launch(port: u16, command: &[&str], env: &[(&str, &str)]) -> Moto {
        let child = Command::new("sh")
            .args(["-c", RUN, "sh"])
            .args(command)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let moto = Moto { child: Some(child), port, reusable: false, images: None };
        eventually(format_args!("moto responds on port {port}"), || {
            moto.http("GET", "/moto-api/data.json", "")
        });
        moto
    }

    /// Where it answers: what `AWS_ENDPOINT_URL` and `custom_endpoint_ec2` take.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables that lead a program to this server and to no other credentials.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            env.push((name, "/nonexistent".to_owned()));
        }
        env
    }

    /// Forgets everything that was made.
    pub fn reset(&self) {
        assert!(self.forgets(), "moto answers");
    }

    fn forgets(&self) -> bool {
        self.http("POST", "/moto-api/reset", "").is_some()
    }

    /// The body of the answer to one plain request; none where nobody answers.
    pub fn http(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // A test that failed may have left something that still asks the server.
        let reusable = self.reusable && !std::thread::panicking();
        let stop_recording = "/moto-api/recorder/stop-recording";
        if reusable && self.http("POST", stop_recording, "").is_some() && self.forgets() {
            idle().push(Idle { child, port: self.port, images: self.images.take() });
            return;
        }
        // Ends its standard input, and with it the server.
        let _ = child.wait();
    }
}
