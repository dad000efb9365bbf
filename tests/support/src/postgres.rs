//! A real PostgreSQL server, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::eventually;

/// A cluster. It is stopped when it is dropped.
pub struct Postgres {
    child: Child,
    port: u16,
    dir: TempDir,
}

/// The directory of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut directories: Vec<PathBuf> =
        versions.flatten().map(|entry| entry.path().join("bin")).collect();
    directories.sort();
    directories.into_iter().rev().find(|directory| directory.join("initdb").exists())
}

/// A command as the user postgres, whom PostgreSQL insists on not being root.
fn command(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    match root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
            command.arg(program);
            command
        }
        false => Command::new(program),
    }
}

impl Postgres {
    /// Starts a cluster. Without PostgreSQL a test fails under CI and is skipped elsewhere.
    pub fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            crate::missing("PostgreSQL is not installed");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("ingot-pg").tempdir().expect("a directory");
        let _ = Command::new("chown").arg("postgres").arg(dir.path()).status();
        let data = dir.path().join("data");
        let output = command(&programs.join("initdb"))
            .args(["-D", data.to_str().expect("a plain name"), "-A", "trust", "-U", "ingot", "-N"])
            .output()
            .expect("initdb can be run");
        assert!(output.status.success(), "initdb: {output:?}");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let child = spawn(&programs, dir.path(), port);
        let postgres = Postgres { child, port, dir };
        postgres.wait(&programs);
        Some(postgres)
    }

    fn wait(&self, programs: &Path) {
        let port = self.port;
        eventually("PostgreSQL starts", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() && ready(programs, port)
        });
    }

    /// Stops it: its clients are disconnected.
    pub fn stop(&mut self) {
        crate::signal("INT", self.child.id());
        let _ = self.child.wait();
    }

    /// Starts it again after [`Postgres::stop`].
    pub fn start_again(&mut self) {
        let programs = programs().expect("it ran before");
        self.child = spawn(&programs, self.dir.path(), self.port);
        self.wait(&programs);
    }

    /// Makes all of its processes hang (`STOP`), or go on (`CONT`).
    pub fn signal_all(&self, name: &str) {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        for child in children.expect("its processes").split_whitespace() {
            crate::signal(name, child);
        }
        crate::signal(name, id);
    }

    /// Its port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its one database.
    pub fn url(&self) -> String {
        format!("postgres://ingot@127.0.0.1:{}/postgres", self.port)
    }

    /// What a statement gives, one row a line.
    pub fn query(&self, sql: &str) -> String {
        let programs = programs().expect("it runs");
        let output = Command::new(programs.join("psql"))
            .args(["-X", "-A", "-t", "-c", sql, &self.url()])
            .output()
            .expect("psql can be run");
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn spawn(programs: &Path, dir: &Path, port: u16) -> Child {
    command(&programs.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(dir)
        // Tests end processes, not machines: nothing has to be on the disk.
        .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres can be run")
}

fn ready(programs: &Path, port: u16) -> bool {
    Command::new(programs.join("pg_isready"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .output()
        .is_ok_and(|output| output.status.success())
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Also if a test ended while it was stopped or hanging. At once: nobody needs what it has.
        let id = self.child.id();
        let script = format!("kill -s CONT {id}; kill -s QUIT {id}");
        let _ = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
