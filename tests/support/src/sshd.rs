//! A real sshd for tests: its own configuration, keys, port and user, all in a temporary directory.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{eventually, output_of};

/// The user of the server. It exists nowhere else.
pub const USER: &str = "builder";
/// Its password.
pub const PASSWORD: &str = "correct-horse-9f2c";

const SSHD: &str = "/usr/sbin/sshd";

/// Whether there is what the tests need. Without it they fail under CI and are skipped, aloud,
/// elsewhere.
pub fn available() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    let missing = if !Path::new(SSHD).exists() {
        "sshd is not installed; the package is openssh-server"
    } else if !root {
        "sshd with a user of its own needs root"
    } else {
        return true;
    };
    skip(missing)
}

/// Whether there is a program that makes keys.
pub fn keygen() -> bool {
    Command::new("ssh-keygen").arg("-?").output().is_ok()
        || skip("there is no ssh-keygen; the package is openssh-client")
}

/// Fails under CI, else says what is missing.
fn skip(missing: &str) -> bool {
    crate::missing(missing);
    false
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody answers on a port.
pub fn wait_for(port: u16) {
    eventually(format_args!("somebody answers on port {port}"), || {
        TcpStream::connect(("127.0.0.1", port))
    });
}

/// A process that ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running sshd. Its user's home has a disk of 1 MiB at `small`.
pub struct Server {
    dir: tempfile::TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
    process: Option<Running>,
}

impl Server {
    /// Starts a server with additional lines of configuration. Keys made with [`Server::key`]
    /// may log in.
    pub fn start(more: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let port = free_port();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), mode).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        std::fs::create_dir(at("home")).unwrap();
        std::os::unix::fs::chown(at("home"), Some(1000), Some(1000)).unwrap();
        std::fs::write(at("authorized_keys"), "").unwrap();
        output_of(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", at("host").to_str().unwrap()],
        );
        // Bound over the real ones, for this sshd alone.
        let home = at("home");
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:110:65534::/run/sshd:/usr/sbin/nologin\n\
             {USER}:x:1000:1000::{}:/bin/bash\n",
            home.display()
        );
        std::fs::write(at("passwd"), passwd).unwrap();
        let hash = output_of("openssl", &["passwd", "-6", PASSWORD]);
        std::fs::write(at("shadow"), format!("root:*:1::::::\n{USER}:{hash}:1::::::\n")).unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host\nPidFile none\n\
             AuthorizedKeysFile {0}/authorized_keys .ssh/authorized_keys\nStrictModes no\n\
             UsePAM no\nUseDNS no\nMaxStartups 100\nMaxSessions 100\nLogLevel VERBOSE\n{more}\n",
            dir.path().display()
        );
        let sftp = if more.contains("Subsystem") { "" } else { "Subsystem sftp internal-sftp\n" };
        std::fs::write(at("config"), format!("{sftp}{config}")).unwrap();
        let mut server = Server { dir, port, process: None };
        server.restart();
        server
    }

    /// A path in the server's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as a text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Starts it again after [`Server::stop`].
    pub fn restart(&mut self) {
        let script = format!(
            "mkdir -p {0}/home/small && mount -t tmpfs -o size=1m,uid=1000 none {0}/home/small && \
             mount --bind {0}/passwd /etc/passwd && mount --bind {0}/shadow /etc/shadow && \
             exec {SSHD} -D -f {0}/config -E {0}/log",
            self.dir.path().display()
        );
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(Running(child));
        wait_for(self.port);
    }

    /// Ends it and all connections to it, as a machine does that goes down.
    pub fn stop(&mut self) {
        let Some(process) = self.process.take() else { return };
        let sessions = descendants(process.0.id());
        // First, so that who loses a connection gets no other.
        drop(process);
        kill(&sessions);
    }

    /// Ends all connections, but not the server.
    pub fn kill_sessions(&self) {
        if let Some(process) = &self.process {
            kill(&descendants(process.0.id()));
        }
    }

    /// Makes a key that may log in, and returns its path. `args` are ssh-keygen's.
    pub fn key(&self, name: &str, args: &[&str]) -> String {
        let path = self.stranger(name, args);
        let public = std::fs::read_to_string(format!("{path}.pub")).unwrap();
        let mut known = std::fs::read_to_string(self.path("authorized_keys")).unwrap();
        known.push_str(&public);
        std::fs::write(self.path("authorized_keys"), known).unwrap();
        path
    }

    /// Makes a key that may not.
    pub fn stranger(&self, name: &str, args: &[&str]) -> String {
        let path = self.text(name);
        let passphrase = if args.contains(&"-N") { vec![] } else { vec!["-N", ""] };
        let args = [&["-q", "-f", &path], args, &passphrase].concat();
        output_of("ssh-keygen", &args);
        path
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let file = std::fs::File::open(self.path("log"));
        file.unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn kill(pids: &[u32]) {
    for pid in pids {
        let _ = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).output();
    }
}

/// The children of a process, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let mut pids = children(pid);
    let mut index = 0;
    while index < pids.len() {
        let next = children(pids[index]);
        pids.extend(next);
        index += 1;
    }
    pids
}

fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    listed.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
