//! A registry to test with, and the binary with the environment for it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use ingot_test_support::{Run, eventually, signal};

/// A registry of its own, and a directory.
pub(crate) struct World {
    pub dir: TempDir,
    env: Vec<(String, String)>,
    server: Option<Server>,
    /// What the registry is called in messages.
    pub name: String,
}

/// A running `ingot registry serve`.
pub(crate) struct Server {
    child: Child,
    address: String,
    data: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test of a registry with each kind of it.
pub(crate) fn with_both(test: impl Fn(&World)) {
    test(&World::local());
    test(&World::served());
}

/// The binary, with nothing in its environment that names a registry or a CI.
fn ingot(dir: &Path) -> Command {
    clean(ingot_test_support::ingot_command(), dir)
}

/// A program in a directory, with nothing in its environment that names a registry or a CI.
pub(crate) fn clean(mut command: Command, dir: &Path) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of = ["HCP_", "INGOT_REGISTRY", "GITHUB_", "GITLAB_", "JENKINS_", "BITBUCKET_"];
        if of.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("INGOT_STATE_DIR", dir.join("state"))
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::null());
    command
}

impl World {
    /// One in the file `registry.db` of the directory.
    pub(crate) fn local() -> World {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let data = dir.path().display().to_string();
        let env = vec![
            ("INGOT_REGISTRY".to_owned(), "local".to_owned()),
            ("INGOT_DATA_DIR".to_owned(), data),
        ];
        World { dir, env, server: None, name: "local".into() }
    }

    /// One behind a server of its own.
    pub(crate) fn served() -> World {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let (server, env) = Server::start(&dir.path().join("server"), "127.0.0.1:0", &[]);
        let name = server.address.clone();
        World { dir, env, server: Some(server), name }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The variables that name the registry.
    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Kills the server as nobody would who cares for it.
    pub(crate) fn kill_server(&mut self) {
        let server = self.server.as_mut().expect("a server");
        server.child.kill().expect("the server is killed");
        server.child.wait().expect("it is gone");
    }

    /// Starts the server again, at the same address with the same data.
    pub(crate) fn start_server(&mut self) {
        let (data, address) = {
            let server = self.server.as_ref().expect("a server");
            (server.data.clone(), server.address.clone())
        };
        self.server = Some(Server::start(&data, &address, &[]).0);
    }

    /// Starts the server again with the same data, at another address.
    pub(crate) fn move_server(&mut self) {
        let server = self.server.take().expect("a server");
        let (moved, env) = Server::start(&server.data, "127.0.0.1:0", &[]);
        for (name, value) in env {
            self.env.retain(|(set, _)| *set != name);
            self.env.push((name, value));
        }
        self.name = moved.address.clone();
        self.server = Some(moved);
    }

    /// One behind a server of its own, without TLS, which is reached through what `through` makes
    /// of its address.
    pub(crate) fn served_through(through: impl Fn(&str) -> String) -> World {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let data = dir.path().join("server");
        let (server, mut env) = Server::start(&data, "127.0.0.1:0", &["-plain-http"]);
        let name = through(&server.address);
        env.retain(|(name, _)| name.starts_with("HCP_CLIENT_"));
        env.push(("INGOT_REGISTRY".into(), format!("http://{name}")));
        World { dir, env, server: Some(server), name }
    }

    /// The binary, set up for the registry.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = ingot(self.path());
        command.args(args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn ingot(&self, args: &[&str]) -> Run {
        self.ingot_with(args, &[])
    }

    pub(crate) fn ingot_with(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = self.command(args).envs(env.iter().copied()).output();
        run(output.expect("the program can be run"))
    }

    /// Builds the template called `name` with a fingerprint; it has to succeed.
    pub(crate) fn build(&self, name: &str, fingerprint: &str) -> Run {
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)];
        let run = self.ingot_with(&["build", name], &env);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        run
    }

    /// A command that has to succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let run = self.ingot(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    }

    /// What a `registry` command answers in JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[&["registry"], args, &["-json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// A command that has to fail; what it said.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let run = self.ingot(args);
        assert_eq!(run.code, Some(1), "{args:?}: {}{}", run.stdout, run.stderr);
        format!("{}{}", run.stdout, run.stderr)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the file is written");
    }

    /// Starts a build that goes on until a file is there.
    pub(crate) fn spawn_build(&self, name: &str, env: &[(&str, &str)]) -> Child {
        let mut command = self.command(&["build", name]);
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program can be run")
    }

    /// Waits for the build of a component to get to a status.
    pub(crate) fn wait_for(&self, bucket: &str, fingerprint: &str, component: &str, status: &str) {
        eventually(format_args!("{component} is {status}"), || {
            let run = self.ingot(&["registry", "versions", "show", bucket, fingerprint, "-json"]);
            let version: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
            let builds = version["builds"].as_array().cloned().unwrap_or_default();
            let is =
                |build: &Value| build["component_type"] == component && build["status"] == status;
            if builds.iter().any(is) { Ok(()) } else { Err(format!("{version:#}")) }
        });
    }
}

/// How a finished program ended.
pub(crate) fn run(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// How a program that was started ended.
pub(crate) fn finish(child: Child) -> Run {
    run(child.wait_with_output().expect("the program ends"))
}

/// Interrupts a program as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    signal("INT", child.id());
}

impl Server {
    /// Starts a server, and reads what it says to set.
    fn start(data: &Path, listen: &str, options: &[&str]) -> (Server, Vec<(String, String)>) {
        std::fs::create_dir_all(data).expect("a directory for the server");
        let mut command = ingot(data);
        command
            .args(["registry", "serve", "-listen", listen])
            .args(options)
            .env("INGOT_DATA_DIR", data)
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server can be started");
        let output = child.stdout.take().expect("its output");
        let mut env = Vec::new();
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            let line = line.expect("text");
            if line.starts_with("  http") {
                // The link for a browser.
                continue;
            }
            let Some(setting) = line.strip_prefix("  export ") else {
                // What to set is over; the secret is only told the first time.
                match env.is_empty() {
                    true => continue,
                    false => break,
                }
            };
            let (name, value) = setting.split_once('=').expect("NAME=VALUE");
            env.push((name.to_owned(), value.to_owned()));
        }
        let set = |name: &str| env.iter().find(|(set, _)| set == name).map(|(_, value)| value);
        let plain = || set("INGOT_REGISTRY")?.strip_prefix("http://");
        let address = set("HCP_API_ADDRESS").map(String::as_str).or_else(plain);
        let address = address.expect("the server says where it is").to_owned();
        // Nobody reads the rest, and it must not stop for that.
        std::thread::spawn(move || lines.for_each(drop));
        (Server { child, address, data: data.to_owned() }, env)
    }
}
