//! A real moto server for tests: the APIs of AWS on a port of this machine, with nothing behind
//! them. Uses the standard library only, so that tests of other crates can include it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The region of tests.
pub const REGION: &str = "us-east-1";

/// What brings moto.
const INSTALL: &str = "pip install 'moto[server,ec2,s3,ssm,secretsmanager,ecr,iam,sts,kms]'";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A moto server, stopped when it goes out of scope.
pub struct Moto {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Moto {
    /// Starts a server with an account of its own. None where moto is not installed, which under
    /// CI is a failure.
    pub fn start() -> Option<Moto> {
        Moto::start_with(&[])
    }

    /// Starts a server with variables in its environment: `INITIAL_NO_AUTH_ACTION_COUNT` makes it
    /// check credentials after so many calls.
    pub fn start_with(env: &[(&str, &str)]) -> Option<Moto> {
        let port = free_port();
        Moto::launch(port, "moto_server", &["-H", "127.0.0.1", "-p", &port.to_string()], env)
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
        Moto::launch(port, "python3", &[program, &port.to_string()], env)
    }

    fn launch(port: u16, program: &str, args: &[&str], env: &[(&str, &str)]) -> Option<Moto> {
        let started = Command::new(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                crate::missing(format!(
                    "{program} cannot be run ({error}); it comes with {INSTALL}"
                ));
                return None;
            }
        };
        let moto = Moto { child, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while moto.http("GET", "/moto-api/data.json", "").is_none() {
            assert!(Instant::now() < deadline, "moto does not respond on port {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
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
        self.http("POST", "/moto-api/reset", "").expect("moto answers");
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
